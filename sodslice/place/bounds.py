"""`Bounds`: of many boxes that come in pieces, as RFC 7946 wants them at the antimeridian."""

from __future__ import annotations

import numpy as np

from sodslice.tables.boxes import Boxes


class Bounds:
    """West, south, east, north of boxes, or lowest x, lowest y, highest x, highest y.

    Args:
        degrees: whether these are degrees: across the antimeridian the lowest x of a box, and of the bounds,
            is above its highest (RFC 7946, 5.2).
    """

    def __init__(self, *, degrees: bool) -> None:
        self._degrees = degrees
        self._lowest: list[tuple[float, float, float]] = []
        self._highest: list[tuple[float, float, float, bool, bool]] = []

    def add(self, extents: Boxes) -> None:
        """Count boxes `(N, 4)` in."""
        if len(extents):
            self._lowest = [_least([*self._lowest, _lowest(extents)])]
            self._highest = [_most([*self._highest, _highest(extents)])]

    def rounded(self, decimals: int) -> list[float] | None:
        """The bounds; None of no boxes."""
        if not self._lowest:
            return None
        (west, south, beyond), (east, north, before, crossing, over_0) = self._lowest[0], self._highest[0]
        if self._degrees and crossing and over_0:
            west, east = -180.0, 180.0
        elif self._degrees and not over_0:
            other_way = east - west > 180 and before + 360 - beyond < east - west
            west, east = (beyond, before) if crossing or other_way else (west, east)
        values: list[float] = np.round([west, south, east, north], decimals).tolist()
        return values


def _least(rows: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    west, south, beyond = np.min(rows, axis=0).tolist()
    return west, south, beyond


def _most(rows: list[tuple[float, float, float, bool, bool]]) -> tuple[float, float, float, bool, bool]:
    east, north, before, crossing, over_0 = np.max(rows, axis=0).tolist()
    return east, north, before, bool(crossing), bool(over_0)


def _lowest(extents: Boxes) -> tuple[float, float, float]:
    """Of boxes `(N, 4)`: x of those that do not cross the antimeridian, y, and x of those east of 0."""
    west, south, east, _ = extents.T
    crossing = west > east
    least = west.min(initial=np.inf, where=~crossing)
    return least, south.min(), west.min(initial=np.inf, where=crossing | (west >= 0))


def _highest(extents: Boxes) -> tuple[float, float, float, bool, bool]:
    """As `_lowest`, the last one of those west of 0; then whether some cross the antimeridian, and some 0."""
    west, _, east, north = extents.T
    crossing = west > east
    over_0 = np.where(crossing, (west <= 0) | (east >= 0), (west < 0) & (east > 0))
    most = east.max(initial=-np.inf, where=~crossing)
    before = east.max(initial=-np.inf, where=crossing | (east <= 0))
    return most, north.max(), before, bool(crossing.any()), bool(over_0.any())
