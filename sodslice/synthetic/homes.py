"""Where people live: rows of gardens with houses, and slabs of flats around a car park."""

from __future__ import annotations

import numpy as np

from sodslice.synthetic.buildings import box, flat_building, gabled_house
from sodslice.synthetic.covers import lawn, paved, trees
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.parking import AISLE_M, BAY_DEPTH_M, parking
from sodslice.synthetic.sketch import Bay, DrawingLayer, Material, PlotFrame, Sketch, blob, disc, rectangle
from sodslice.synthetic.spec import Sun


def houses(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """Two rows of gardens back to back, each with a house, a drive and whatever stands in gardens."""
    for row in (frame, frame.flipped()):
        width = dice.between(14.0, 18.0)
        count = max(1, int(row.width // width))
        width = row.width / count
        for k in range(count):
            plot = row.part(k * width, 0.0, (k + 1) * width, row.height / 2)
            _garden(sketch, plot, sun, dice)


def _garden(sketch: Sketch, plot: PlotFrame, sun: Sun, dice: Dice) -> None:
    """One garden; the street runs along its top."""
    lawn(sketch, plot, dice)
    size = (min(dice.between(8.5, 10.5), plot.width - 4.8), dice.between(7.0, 9.5))
    setback = min(dice.between(5.4, 7.5), max(plot.height - size[1] - 2.0, 1.0))
    drive_left = dice.chance(0.5)
    x = plot.width - size[0] - 0.8 if drive_left else 0.8
    gabled_house(sketch, plot.part(x, setback, x + size[0], setback + size[1]), sun, dice)
    lane = (0.5, 3.3) if drive_left else (plot.width - 3.3, plot.width - 0.5)
    drive = plot.part(lane[0], 0.0, lane[1], setback + 5.0)
    paved(sketch, drive, dice.between(118.0, 172.0), Material.PAVING, DrawingLayer.DETAIL)
    for y in (2.9, 8.4):
        if y + 2.6 < drive.height and plot.height > 12:
            spot = drive.place(np.array([drive.width / 2, y]))
            heading = drive.heading + dice.pick((-np.pi / 2, np.pi / 2))
            sketch.bays.append(Bay(float(spot[0]), float(spot[1]), heading, 5.2, 0.42, "drive"))
    path = plot.part(x + size[0] / 2 - 0.6, 0.0, x + size[0] / 2 + 0.6, setback)
    paved(sketch, path, dice.between(140.0, 180.0), Material.PAVING, DrawingLayer.DETAIL)
    hedge = plot.part(plot.width - 0.35, 0.5, plot.width + 0.35, plot.height)
    if dice.chance(0.6):
        box(sketch, hedge.place(rectangle(0.0, 0.0, hedge.width, hedge.height)), (58.0, 74.0, 46.0), 1.4)
    back = plot.part(0.8, min(setback + size[1] + 1.5, plot.height - 1.0), plot.width - 0.8, plot.height)
    if back.height > 4.0:
        _back_garden(sketch, back, dice)


def _back_garden(sketch: Sketch, back: PlotFrame, dice: Dice) -> None:
    """A terrace, trees, and perhaps a shed, a pool or a trampoline."""
    x = dice.between(0.0, max(back.width - 6.0, 0.1))
    terrace = back.part(x, -1.3, min(x + dice.between(3.0, 5.0), back.width), 1.2)
    paved(sketch, terrace, dice.between(140.0, 182.0), Material.PAVING, DrawingLayer.DETAIL)
    what = dice.whole(0, 5)
    x, y = dice.between(0.3, max(back.width - 4.5, 0.4)), max(back.height - 3.4, 1.4)
    if what == 0:
        shed = rectangle(x, y, x + dice.between(2.0, 2.8), y + dice.between(2.0, 2.6))
        box(sketch, back.place(shed), (122.0, 106.0, 88.0), 2.2)
    elif what == 1:
        rim, pool = blob(x + 2, y + 1, 1.9, np.zeros(6)), blob(x + 2, y + 1, 1.6, np.zeros(6))
        sketch.fill(DrawingLayer.DETAIL, back.place(rim), (188.0, 184.0, 174.0))
        sketch.fill(DrawingLayer.DETAIL, back.place(pool), (96.0, 158.0, 172.0), Material.WATER)
    elif what == 2:
        sketch.fill(DrawingLayer.FURNITURE, back.place(disc(x + 1.6, y + 1.2, 1.5)), (62.0, 84.0, 116.0))
        sketch.fill(DrawingLayer.FURNITURE, back.place(disc(x + 1.6, y + 1.2, 1.25)), (46.0, 48.0, 52.0))
    trees(sketch, back, dice.whole(1, 4), (0.9, 3.2), dice)


def flats(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """Slabs of flats on a lawn, with a car park between them."""
    del sun
    lawn(sketch, frame, dice)
    depth = dice.between(11.0, 13.5)
    storeys = dice.whole(2, 5)
    slab = frame.part(4.0, 3.0, frame.width - 4.0, 3.0 + depth)
    cut = dice.between(0.4, 0.6) * slab.width
    for part in (slab.part(0.0, 0.0, cut - 3.5, depth), slab.part(cut + 3.5, 0.0, slab.width, depth)):
        if part.width > 9:
            flat_building(sketch, part, storeys, dice)
    court_top = 3.0 + depth + 6.0
    room = frame.height - court_top - 3.0
    court = frame.part(
        5.0, court_top, frame.width - 5.0, court_top + min(room, 2 * BAY_DEPTH_M + AISLE_M + 1.0)
    )
    if court.height > BAY_DEPTH_M + 4.5:
        parking(sketch, court, dice)
        gate = frame.part(0.0, court_top + court.height / 2 - 2.6, 5.0, court_top + court.height / 2 + 2.6)
        paved(sketch, gate, 118.0, Material.ASPHALT)
        bins = court.part(0.5, court.height + 0.7, 4.7, court.height + 1.7)
        for k in range(3):
            outline = bins.place(rectangle(1.4 * k, 0.0, 1.4 * k + 1.1, 1.0))
            box(
                sketch, outline, dice.pick(((66.0, 78.0, 66.0), (84.0, 86.0, 88.0), (70.0, 82.0, 104.0))), 1.3
            )
    left = frame.height - court_top - court.height - 3.0
    if left > 6.0:
        trees(
            sketch, frame.part(2.0, frame.height - left, frame.width - 2.0, frame.height), 9, (2.0, 4.0), dice
        )
    trees(sketch, frame.part(2.0, 3.0 + depth + 0.5, frame.width - 2.0, court_top - 0.3), 5, (1.0, 2.2), dice)
