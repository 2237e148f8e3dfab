"""Longitudes that go on beyond a full turn: in which turn a scene has them."""

from __future__ import annotations

import numpy as np

from sodslice.place.affine import Affine
from sodslice.place.newton import Points
from sodslice.place.spline import ControlPoint

MOST_COLUMNS = 2**23
"""Of a scene around the Earth from 180 degrees west to 180 east."""
MOST_COLUMNS_FROM_0 = 2**16
"""Of a scene around the Earth from 0 to 360 degrees."""

Span = tuple[float, float]
"""Between which longitudes a point may stay as it is; between them lies at least one full turn."""


def span_of_transform(transform: Affine, turn: float) -> Span:
    """The span of a scene with a transform, which does not tell how wide the scene is.

    It is taken for small, unless its pixels are so large that it may go round the Earth, from 180 degrees
    west or from 0.

    Args:
        transform: of the scene.
        turn: a full turn in the units of the CRS.
    """
    step, first = transform[0], transform[2]
    low, high = first - turn / 2, first + turn / 2
    if step * MOST_COLUMNS >= turn and first >= -turn / 2 - step:
        high = first + turn
    if step * MOST_COLUMNS_FROM_0 >= turn and abs(first) <= step:
        low, high = first - step / 4, first + turn
    return low, high


def span_of_points(points: tuple[ControlPoint, ...], turn: float) -> Span:
    """The span of a scene with control points: half a turn to each side of their middle."""
    longitudes = [x for _, _, x, _ in points]
    middle = (min(longitudes) + max(longitudes)) / 2
    return middle - turn / 2, middle + turn / 2


def turned_between(points: Points, low: float, high: float, turn: float) -> Points:
    """Points `(N, 2)` of longitude and latitude, with full turns added until they lie in a span."""
    west, east = np.maximum(low - points[:, 0], 0), np.maximum(points[:, 0] - high, 0)
    turns = np.ceil(west / turn) - np.ceil(east / turn)
    return np.stack([points[:, 0] + turns * turn, points[:, 1]], axis=1)
