"""Where little is built: parks, fields and woods."""

from __future__ import annotations

import numpy as np

from sodslice.synthetic.buildings import box
from sodslice.synthetic.covers import lawn, trees
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import (
    Colour,
    DrawingLayer,
    Material,
    PlotFrame,
    Sketch,
    Tree,
    blob,
    rectangle,
    rectangles,
)
from sodslice.synthetic.spec import Sun


def park(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """Lawns, paths, trees along the rim, benches, and a pond, a pitch or a playground."""
    del sun
    lawn(sketch, frame, dice)
    width, height = frame.width, frame.height
    for _ in range(2):
        _path(sketch, frame, dice)
    middle = (dice.between(0.35, 0.65) * width, dice.between(0.35, 0.65) * height)
    radius = min(width, height) * dice.between(0.18, 0.3)
    what = dice.whole(0, 2)
    if what == 0:
        _pond(sketch, frame, (*middle, radius), dice)
    elif what == 1 and min(width, height) > 36:
        _pitch(sketch, frame.part(middle[0] - 16, middle[1] - 9, middle[0] + 16, middle[1] + 9), dice)
    else:
        sand = frame.place(blob(*middle, radius * 0.7, dice.many(6)))
        sketch.fill(DrawingLayer.DETAIL, sand, (188.0, 172.0, 138.0), Material.SOIL)
    count = int(width * height / 130.0) // 5
    for part in (
        frame.part(0.0, 0.0, width, height * 0.25),
        frame.part(0.0, height * 0.75, width, height),
        frame.part(0.0, 0.0, width * 0.25, height),
        frame.part(width * 0.75, 0.0, width, height),
    ):
        trees(sketch, part, count, (1.5, 5.0), dice)
    for throw in dice.many(dice.whole(2, 6), 2):
        x, y = float(throw[0]) * (width - 2.0), float(throw[1]) * (height - 1.0)
        box(sketch, frame.place(rectangle(x, y, x + 1.7, y + 0.5)), (134.0, 116.0, 92.0), 0.5)


def _path(sketch: Sketch, frame: PlotFrame, dice: Dice) -> None:
    """A gravel path that winds across the frame."""
    steps = np.linspace(0.0, 1.0, 15)
    bend, start, end = dice.between(-0.1, 0.1), dice.between(0.15, 0.85), dice.between(0.15, 0.85)
    x = frame.width * steps
    y = frame.height * (start + (end - start) * steps + bend * np.sin(np.pi * steps))
    sides = [np.stack([x, y + half], axis=1) for half in (-1.0, 1.0)]
    line = np.concatenate([sides[0], sides[1][::-1]])
    sketch.fill(DrawingLayer.DETAIL, frame.place(line), (176.0, 166.0, 146.0), Material.SOIL)


def _pond(sketch: Sketch, frame: PlotFrame, place: tuple[float, float, float], dice: Dice) -> None:
    """Water with a muddy rim; the place is x, y and the mean radius in the frame's metres."""
    x, y, radius = place
    waves = dice.many(6)
    rim = frame.place(blob(x, y, radius + 0.9, waves))
    sketch.fill(DrawingLayer.DETAIL, rim, (128.0, 122.0, 96.0), Material.SOIL)
    depth = dice.between(0.8, 1.15)
    water: Colour = (58.0 * depth, 78.0 * depth, 80.0 * depth)
    sketch.fill(DrawingLayer.DETAIL, frame.place(blob(x, y, radius, waves)), water, Material.WATER)


def _pitch(sketch: Sketch, frame: PlotFrame, dice: Dice) -> None:
    """A ball court with its lines."""
    colour = dice.pick(((148.0, 92.0, 72.0), (86.0, 118.0, 92.0), (84.0, 108.0, 136.0)))
    width, height = frame.width, frame.height
    sketch.fill(
        DrawingLayer.DETAIL, frame.place(rectangle(0.0, 0.0, width, height)), colour, Material.ASPHALT
    )
    for x in (2.0, width / 2, width - 2.0):
        sketch.fill(
            DrawingLayer.DETAIL,
            frame.place(rectangle(x - 0.06, 2.0, x + 0.06, height - 2.0)),
            (206.0, 206.0, 204.0),
        )
    for y in (2.0, height - 2.0):
        sketch.fill(
            DrawingLayer.DETAIL,
            frame.place(rectangle(2.0, y - 0.06, width - 2.0, y + 0.06)),
            (206.0, 206.0, 204.0),
        )


def field(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """Crops in rows with the wheel tracks of the tractor."""
    del sun
    colours: tuple[Colour, ...] = (
        (136.0, 116.0, 88.0),
        (120.0, 124.0, 72.0),
        (98.0, 114.0, 64.0),
        (168.0, 152.0, 104.0),
    )
    colour = dice.pick(colours)
    sketch.fill(
        DrawingLayer.YARD, frame.place(rectangle(0.0, 0.0, frame.width, frame.height)), colour, Material.SOIL
    )
    step = dice.between(0.75, 1.4)
    rows = np.arange(0.5, frame.height - 0.5, step)
    low, high = np.full(len(rows), 1.0), np.full(len(rows), frame.width - 1.0)
    darker: Colour = (colour[0] * 0.86, colour[1] * 0.88, colour[2] * 0.86)
    sketch.fill_many(
        DrawingLayer.DETAIL, frame.place(rectangles(low, rows, high, rows + step * 0.45)), darker
    )
    tracks = np.concatenate([np.arange(6.0, frame.height - 3.0, 18.0) + offset for offset in (0.0, 1.8)])
    low, high = np.full(len(tracks), 1.0), np.full(len(tracks), frame.width - 1.0)
    bare: Colour = (colour[0] * 0.9 + 14.0, colour[1] * 0.88 + 8.0, colour[2] * 0.9 + 6.0)
    sketch.fill_many(DrawingLayer.DETAIL, frame.place(rectangles(low, tracks, high, tracks + 0.4)), bare)
    trees(sketch, frame.part(0.0, 0.0, frame.width, 5.0), int(frame.width / 7.0), (1.2, 3.0), dice)


def wood(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """Trees, crown to crown."""
    del sun
    ground = rectangle(0.0, 0.0, frame.width, frame.height)
    sketch.fill(DrawingLayer.YARD, frame.place(ground), (84.0, 84.0, 56.0), Material.GRASS)
    step = dice.between(5.0, 6.5)
    for x in np.arange(step / 2, frame.width, step):
        for y in np.arange(step / 2, frame.height, step):
            throw = dice.many(4)
            spot = frame.place(np.array([x, y]) + (throw[:2] - 0.5) * step * 0.8)
            sketch.trees.append(
                Tree(float(spot[0]), float(spot[1]), 2.2 + 2.6 * float(throw[2]), float(throw[3]))
            )
