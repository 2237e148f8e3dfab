"""Car parks: rows of bays off aisles."""

from __future__ import annotations

import numpy as np

from sodslice.synthetic.covers import paved
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import (
    Bay,
    DrawingLayer,
    Material,
    PlotFrame,
    Points,
    Sketch,
    Tree,
    rectangle,
    rectangles,
)

BAY_DEPTH_M = 5.1
AISLE_M = 6.2


def parking(sketch: Sketch, frame: PlotFrame, dice: Dice) -> None:
    """A car park that fills the frame: rows of bays off aisles, lines, islands with trees."""
    frame = frame if frame.width >= frame.height else frame.turned()
    tone = dice.between(96.0, 138.0)
    paved(sketch, frame, tone, Material.ASPHALT)
    chance, width = dice.between(0.3, 0.85), dice.between(2.55, 2.8)
    module = 2 * BAY_DEPTH_M + AISLE_M
    count = int(frame.height // module)
    margin = (frame.height - count * module) / 2
    rows = [
        (margin + k * module + side * (BAY_DEPTH_M + AISLE_M), side) for k in range(count) for side in (0, 1)
    ]
    if count == 0 and frame.height >= BAY_DEPTH_M + 4.5:
        rows = [(0.2, 0)]
    planted = dice.chance(0.6)
    for top, side in rows:
        inner = frame.part(1.2, top, frame.width - 1.2, top + BAY_DEPTH_M)
        _row(sketch, inner, width, (side, chance, planted), dice)


def _row(sketch: Sketch, row: PlotFrame, width: float, layout: tuple[int, float, bool], dice: Dice) -> None:
    """One row of bays that open to their aisle at the bottom (side 0) or the top (side 1)."""
    side, chance, planted = layout
    count = int(row.width // width)
    white = dice.between(176.0, 208.0)
    edges: Points = np.arange(count + 1, dtype=np.float64) * width
    lines = rectangles(
        edges - 0.05, np.full(count + 1, 0.1), edges + 0.05, np.full(count + 1, row.height - 0.1)
    )
    sketch.fill_many(DrawingLayer.PAINT, row.place(lines), (white, white, white - 3.0))
    throws = dice.many(count)
    for k in range(count):
        island = planted and (k in (0, count - 1) or k % 9 == 4)
        if island:
            patch = rectangle(edges[k] + 0.15, 0.2, edges[k + 1] - 0.15, row.height - 0.2)
            sketch.fill(DrawingLayer.FURNITURE, row.place(patch), (96.0, 104.0, 68.0), Material.GRASS)
            if throws[k] < 0.8:
                x, y = row.place(np.array([edges[k] + width / 2, row.height / 2]))
                sketch.trees.append(
                    Tree(float(x), float(y), 1.0 + 0.8 * float(throws[k]), dice.between(0.0, 1.0))
                )
            continue
        x, y = row.place(np.array([edges[k] + width / 2, row.height / 2]))
        nose_in = row.heading + (-np.pi / 2 if side == 0 else np.pi / 2)
        sketch.bays.append(Bay(float(x), float(y), nose_in, BAY_DEPTH_M, chance, "bay"))
