"""Where people work and buy: stores, works, and a market square."""

from __future__ import annotations

import numpy as np

from sodslice.synthetic.buildings import box, flat_building, gabled_house, hall
from sodslice.synthetic.covers import paved
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.parking import parking
from sodslice.synthetic.sketch import (
    Bay,
    Colour,
    DrawingLayer,
    Material,
    PlotFrame,
    Sketch,
    Tree,
    disc,
    rectangle,
)
from sodslice.synthetic.spec import Sun


def shop(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """A store with a flat roof at the back and a large car park in front."""
    del sun
    paved(sketch, frame, dice.between(118.0, 140.0), Material.ASPHALT)
    depth = dice.between(0.3, 0.42) * frame.height
    flat_building(sketch, frame.part(4.0, 3.0, frame.width - 4.0, 3.0 + depth), 2, dice)
    lot = frame.part(2.0, depth + 7.5, frame.width - 2.0, frame.height - 1.5)
    parking(sketch, lot, dice)
    walk = frame.part(4.0, 3.0 + depth, frame.width - 4.0, 6.2 + depth)
    paved(sketch, walk, 168.0, Material.PAVING, DrawingLayer.DETAIL)
    for k in range(dice.whole(1, 3)):
        rack = walk.part(6.0 + 9.0 * k, 1.4, 8.4 + 9.0 * k, 2.5)
        box(sketch, rack.place(rectangle(0.0, 0.0, rack.width, rack.height)), (128.0, 132.0, 136.0), 1.0)


def works(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """Two halls, a yard of concrete with pallets, and bays for lorries and vans."""
    paved(sketch, frame, dice.between(130.0, 162.0), Material.PAVING)
    depth = dice.between(0.34, 0.42) * frame.height
    cut = dice.between(0.45, 0.62) * frame.width
    hall(sketch, frame.part(3.0, 3.0, cut - 3.0, 3.0 + depth), sun, dice)
    hall(
        sketch, frame.part(cut + 3.0, 3.0, frame.width - 3.0, 3.0 + depth * dice.between(0.8, 1.0)), sun, dice
    )
    yard = frame.part(3.0, depth + 8.0, frame.width - 3.0, frame.height - 2.0)
    for k in range(int(yard.width * 0.4 // 4.2)):
        spot = yard.place(np.array([3.0 + 4.2 * k, 6.0]))
        sketch.bays.append(Bay(float(spot[0]), float(spot[1]), yard.heading - np.pi / 2, 9.5, 0.4, "yard"))
    parking(sketch, yard.part(yard.width * 0.5, 0.0, yard.width, yard.height), dice)
    for throw in dice.many(dice.whole(5, 14) if yard.height > 16.0 else 0, 3):
        x, y = float(throw[0]) * yard.width * 0.42, yard.height - 1.4 - 2.6 * float(throw[1] > 0.5)
        wood = 110.0 + 50.0 * float(throw[2])
        box(sketch, yard.place(rectangle(x, y, x + 1.2, y + 0.9)), (wood, wood * 0.86, wood * 0.68), 0.9)


def market(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """A paved square with stalls, planters and a few town houses."""
    tone = dice.between(140.0, 178.0)
    paved(sketch, frame, tone, Material.PAVING)
    for step in np.arange(4.0, frame.width, 4.0):
        seam = rectangle(float(step), 0.0, float(step) + 0.12, frame.height)
        sketch.fill(DrawingLayer.DETAIL, frame.place(seam), (tone - 18, tone - 20, tone - 24))
    depth = 10.0
    for k in range(int((frame.width - 4.0) // 12.0)):
        gabled_house(sketch, frame.part(2.0 + 12.0 * k, 1.0, 13.9 + 12.0 * k, 1.0 + depth), sun, dice)
    covers = ((198.0, 194.0, 184.0), (150.0, 66.0, 58.0), (72.0, 100.0, 78.0), (88.0, 102.0, 130.0))
    square = frame.part(6.0, depth + 8.0, frame.width - 6.0, frame.height - 5.0)
    for y in np.arange(0.0, square.height - 3.0, 9.0):
        for x in np.arange(0.0, square.width - 3.0, dice.between(4.2, 5.5)):
            if dice.chance(0.45):
                _stall(
                    sketch, square.part(float(x), float(y), float(x) + 2.8, float(y) + 2.8), dice.pick(covers)
                )
    for x in np.arange(4.0, square.width, 12.0):
        spot = square.place(np.array([x, square.height + 2.0]))
        sketch.fill(DrawingLayer.FURNITURE, disc(float(spot[0]), float(spot[1]), 0.9), (104.0, 92.0, 76.0))
        sketch.trees.append(
            Tree(float(spot[0]), float(spot[1]), dice.between(1.6, 2.6), dice.between(0.0, 1.0))
        )


def _stall(sketch: Sketch, frame: PlotFrame, cover: Colour) -> None:
    """A stall: a square canopy of four facets."""
    side, middle = frame.width, frame.width / 2
    outline = rectangle(0.0, 0.0, side, side)
    box(sketch, frame.place(outline), cover, 2.4)
    for k, light in enumerate((0.9, 1.0, 1.08, 0.96)):
        facet = np.array([outline[k], outline[(k + 1) % 4], [middle, middle]])
        colour: Colour = (
            min(cover[0] * light, 240.0),
            min(cover[1] * light, 240.0),
            min(cover[2] * light, 240.0),
        )
        sketch.fill(DrawingLayer.FURNITURE, frame.place(facet), colour)
