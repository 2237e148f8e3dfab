"""What covers open ground: grass, asphalt, paving, and trees scattered over it."""

from __future__ import annotations

import numpy as np

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import Colour, DrawingLayer, Material, PlotFrame, Sketch, Tree, rectangle


def lawn(sketch: Sketch, frame: PlotFrame, dice: Dice, layer: DrawingLayer = DrawingLayer.YARD) -> None:
    """Grass over the whole frame, greener or drier by the dice."""
    green, dry = dice.between(0.85, 1.15), dice.between(0.0, 1.0)
    colour: Colour = (green * (84.0 + 34.0 * dry), green * (102.0 + 10.0 * dry), green * (62.0 + 12.0 * dry))
    sketch.fill(layer, frame.place(rectangle(0.0, 0.0, frame.width, frame.height)), colour, Material.GRASS)


def paved(
    sketch: Sketch, frame: PlotFrame, tone: float, material: Material, layer: DrawingLayer = DrawingLayer.YARD
) -> None:
    """Asphalt or paving over the whole frame."""
    colour: Colour = (tone + 2.0, tone, tone - 4.0)
    sketch.fill(layer, frame.place(rectangle(0.0, 0.0, frame.width, frame.height)), colour, material)


def trees(sketch: Sketch, frame: PlotFrame, count: int, sizes: tuple[float, float], dice: Dice) -> None:
    """Trees scattered over the frame, their crowns inside it where they fit."""
    for throw in dice.many(count, 4):
        radius = sizes[0] + (sizes[1] - sizes[0]) * float(throw[2])
        room = np.maximum(np.array([frame.width, frame.height]) - 2 * radius, 0.0)
        x, y = frame.place(np.minimum(radius, np.array([frame.width, frame.height]) / 2) + throw[:2] * room)
        sketch.trees.append(Tree(float(x), float(y), radius, float(throw[3])))
