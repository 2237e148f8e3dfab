"""Grids between pixels and the map; the affine one, whose rows and columns are straight and evenly spaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sodslice.errors import GeoRefError
from sodslice.place.newton import Points

Affine = tuple[float, float, float, float, float, float]
HALF = 0.5 * (1 + 1e-6)


def half_pixel(transform: Affine) -> float:
    """Half the height of a pixel in the units of y, and a little for rounding."""
    return HALF * (abs(transform[3]) + abs(transform[4]))


class Grid(Protocol):
    """Between pixel edges and map coordinates."""

    def to_map(self, pixels: Points) -> Points:
        """Map coordinates `(N, 2)` of pixel edges `(N, 2)` col, row."""

    def to_pixels(self, points: Points) -> Points:
        """Pixel edges `(N, 2)` of map coordinates `(N, 2)`."""


@dataclass(frozen=True)
class AffineGrid:
    """x = a col + b row + c, y = d col + e row + f.

    Args:
        numbers: (a, b, c, d, e, f), with col and row counted from the outer corner of the first pixel.

    Raises:
        GeoRefError: the numbers are not finite, or the map cannot be inverted.
    """

    numbers: Affine

    def __post_init__(self) -> None:
        a, b, _, d, e, _ = self.numbers
        if not np.isfinite(self.numbers).all() or a * e - b * d == 0:
            raise GeoRefError(f"the transform must be finite and invertible, got {self.numbers}")

    def to_map(self, pixels: Points) -> Points:
        """Map coordinates `(N, 2)` of pixel edges `(N, 2)` col, row."""
        a, b, c, d, e, f = self.numbers
        col, row = pixels[:, 0], pixels[:, 1]
        return np.stack([a * col + b * row + c, d * col + e * row + f], axis=1)

    def to_pixels(self, points: Points) -> Points:
        """Pixel edges `(N, 2)` of map coordinates `(N, 2)`."""
        a, b, c, d, e, f = self.numbers
        determinant = a * e - b * d
        x, y = points[:, 0] - c, points[:, 1] - f
        return np.stack([(e * x - b * y) / determinant, (a * y - d * x) / determinant], axis=1)
