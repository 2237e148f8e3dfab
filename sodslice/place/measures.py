"""`Measures`: sides and areas of boxes on the ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.place.edges import Groups, corners, middles, outlines
from sodslice.place.ground import Ground, areas_within
from sodslice.place.newton import Points
from sodslice.tables.boxes import Boxes

STRAIGHT_M = 200.0
"""Longest side of a box whose edges are taken for straight lines on the ground."""
BENT_STEPS = 64
"""Straight pieces that stand for one edge of a box of hundreds of kilometres."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measures:
    """How boxes of a scene are measured. NaN where the CRS has no place.

    Args:
        ground: what the CRS says about metres.
        to_map: from pixel edges `(N, 2)` to the map.
        slack: see `Ground.on_earth`.
        affine: whether `to_map` keeps lines straight and halves them in their middle.
    """

    ground: Ground
    to_map: Callable[[Points], Points]
    slack: float
    affine: bool

    def sides_m(self, boxes: Boxes) -> Points:
        """Width and height `(N, 2)` of boxes `(N, 4)`, between the middles of opposite edges."""
        metres = self.ground.metres(self._mapped(middles(boxes)), self.slack)
        sides: Points = np.linalg.norm(metres[:, 1::2] - metres[:, ::2], axis=2)
        return sides

    def areas_m2(self, boxes: Boxes) -> Numbers:
        """Areas `(N,)` of boxes `(N, 4)`."""
        return self._areas_and_corners(boxes)[0]

    def sides_and_areas(self, boxes: Boxes) -> tuple[Points, Numbers]:
        """What `sides_m` and `areas_m2` give, in half the time of both.

        The edges of a box of few metres are straight on the ground, and their middles are halfway between its
        corners, within 1e-9 of their length.
        """
        areas, at = self._areas_and_corners(boxes)
        left, bottom, right, top = ((at + np.roll(at, -1, axis=1)) / 2).transpose(1, 0, 2)
        sides: Points = np.linalg.norm(np.stack([right - left, bottom - top], axis=1), axis=2)
        exact = ~(sides <= STRAIGHT_M).all(axis=1) | (not self.affine)
        if exact.any():  # also where no metres are known
            sides[exact] = self.sides_m(boxes[exact])
        return sides, areas

    def _areas_and_corners(self, boxes: Boxes) -> tuple[Numbers, Groups]:
        """Areas `(N,)`, and corners `(N, 4, 2)` in metres from the middle of each box."""
        places = self._mapped(corners(boxes))
        metres = self.ground.metres(places, self.slack)
        areas, large = areas_within(metres), self.ground.are_large(places)
        if large.any():
            finer = self.ground.areas_m2(self._mapped(outlines(boxes[large], BENT_STEPS)), self.slack)
            areas[large] = np.where(np.isfinite(finer), finer, areas[large])
        return areas, metres

    def _mapped(self, pixels: Groups) -> Groups:
        """Map points `(N, K, 2)` of pixel points `(N, K, 2)`."""
        return self.to_map(pixels.reshape(-1, 2)).reshape(pixels.shape)
