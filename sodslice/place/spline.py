"""Ground control points: a thin plate spline that goes through each of them.

Three points, or many on a plane, give the affine map itself. Formula: Bookstein 1989, "Principal Warps",
IEEE PAMI 11(6), with the kernel r^2 log r^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sodslice.errors import GeoRefError
from sodslice.place.newton import Points, solve

ControlPoint = tuple[float, float, float, float]
"""col, row (pixel edges: 0.5 is the middle of the first pixel), x, y."""

KERNEL_CELLS = 2**22
FLAT = 1e-9


@dataclass(frozen=True, eq=False)
class Spline:
    """A fitted spline between scaled pixels and scaled map coordinates.

    Args:
        knots: `(K, 2)` scaled pixels of the control points.
        weights: `(K + 3, 2)`: of the knots, then of 1, col, row.
        pixel_frame: (middle `(2,)`, scale) of the pixels.
        map_frame: (middle `(2,)`, scale) of the map coordinates.
    """

    knots: Points
    weights: Points
    pixel_frame: tuple[Points, float]
    map_frame: tuple[Points, float]

    def to_map(self, pixels: Points) -> Points:
        """Map coordinates `(N, 2)` of pixel edges `(N, 2)` col, row."""
        (middle, scale), (map_middle, map_scale) = self.pixel_frame, self.map_frame
        return self._scaled((pixels - middle) / scale) * map_scale + map_middle

    def to_pixels(self, points: Points) -> Points:
        """Pixel edges `(N, 2)` of map coordinates `(N, 2)`; NaN where the spline does not reach."""
        (middle, scale), (map_middle, map_scale) = self.pixel_frame, self.map_frame
        wanted = (points - map_middle) / map_scale
        plane = self.weights[-3:]
        start = np.linalg.solve(plane[1:].T, (wanted - plane[0]).T).T
        return solve(self._scaled, wanted, start) * scale + middle

    def _scaled(self, points: Points) -> Points:
        """The spline itself, in blocks of bounded memory."""
        rows = max(1, KERNEL_CELLS // len(self.knots))
        parts = [points[i : i + rows] for i in range(0, len(points), rows)]
        values = [_kernel(p, self.knots) @ self.weights[:-3] + _plane(p) @ self.weights[-3:] for p in parts]
        return np.concatenate(values) if values else np.empty((0, 2))


@lru_cache(maxsize=8)
def fit_spline(points: tuple[ControlPoint, ...]) -> Spline:
    """The spline through control points; several at one pixel count with their mean.

    Raises:
        GeoRefError: they do not span a plane.
    """
    table = np.asarray(points, dtype=np.float64).reshape(-1, 4)
    pixels, group = np.unique(table[:, :2], axis=0, return_inverse=True)
    count = np.bincount(group.ravel(), minlength=len(pixels))
    places = np.stack(
        [np.bincount(group.ravel(), table[:, axis], len(pixels)) / count for axis in (2, 3)], axis=1
    )
    pixel_frame, map_frame = _frame(pixels), _frame(places)
    knots = (pixels - pixel_frame[0]) / pixel_frame[1]
    values = (places - map_frame[0]) / map_frame[1]
    plane = _plane(knots)
    if not np.isfinite(table).all() or len(knots) < 3 or np.linalg.svd(plane, compute_uv=False)[-1] < FLAT:
        raise GeoRefError(
            f"{len(table)} ground control points do not place the scene; three that are not on a line would"
        )
    system = np.block([[_kernel(knots, knots), plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    if abs(np.linalg.det(weights[-2:])) < FLAT:
        raise GeoRefError("the ground control points put the whole scene on a line; it cannot be placed")
    return Spline(knots, weights, pixel_frame, map_frame)


def _frame(points: Points) -> tuple[Points, float]:
    """Middle and half extent of some points."""
    if not len(points):
        return np.zeros(2), 1.0
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float(max((high - low).max() / 2, np.finfo(float).tiny))


def _plane(points: Points) -> Points:
    return np.concatenate([np.ones((len(points), 1)), points], axis=1)


def _kernel(points: Points, knots: Points) -> Points:
    """r^2 log r^2 `(N, K)` between points `(N, 2)` and knots `(K, 2)`."""
    squared: Points = points @ (-2 * knots.T)
    squared += (points**2).sum(axis=1)[:, None]
    squared += (knots**2).sum(axis=1)
    np.maximum(
        squared, np.finfo(float).tiny, out=squared
    )  # below it only rounding is left, and r^2 log r^2 is 0
    squared *= np.log(squared)
    return squared
