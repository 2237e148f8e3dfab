"""`Canvas`: polygons in metres become colours, materials and shadows in pixels.

Colours are filled on a grid SUB times finer than the scene's and averaged, so an edge is where it should
be to about a tenth of a pixel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.sketch import Colour, Points, Shelf, levels, touching
from sodslice.system.opencv import opencv

SUB = 4
SHADOW_SUB = 2
FRACTION_BITS = 4

GROWTH = 0.46
"""OpenCV also fills every cell that an edge touches: a polygon grows by this many cells of the fine grid
on each side (measured: mean of 300 random rectangles, 0.46; standard deviation 0.06)."""

Plane = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]
Cells = npt.NDArray[np.int32]
Value = int | tuple[int, int, int]


class DrawnWindow(NamedTuple):
    """A window in scene pixels that may reach beyond the scene: corner `x`, `y`, `width`, `height`."""

    x: int
    y: int
    width: int
    height: int


class Canvas:
    """One window of the scene while it is drawn.

    Args:
        window: what it covers.
        gsd_m: metres a pixel.
    """

    def __init__(self, window: DrawnWindow, gsd_m: float) -> None:
        self.window = window
        self.gsd_m = gsd_m
        self._cv2 = opencv()
        self._colours: Plane = np.zeros((window.height * SUB, window.width * SUB, 3), dtype=np.uint8)
        self._materials: Plane = np.zeros((window.height, window.width), dtype=np.uint8)

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """The window as x0, y0, x1, y1 in scene metres."""
        x, y, width, height = (side * self.gsd_m for side in self.window)
        return (x, y, x + width, y + height)

    def fill(self, shelf: Shelf) -> None:
        """Fill the shapes of a layer that touch the window, colours and materials, in their order."""
        rows = touching(shelf.bounds, *self.bounds_m)
        if not rows:
            return
        fine, coarse = self._cells(shelf.corners, SUB), self._cells(shelf.corners, 1)
        for row in rows:
            corners = slice(shelf.starts[row], shelf.starts[row + 1])
            # fillPoly rounds an edge that leaves the picture; fillConvexPoly keeps it where it was.
            fill = self._fill_convex if shelf.convex[row] else self._fill
            fill(self._colours, fine[corners], shelf.colours[row])
            fill(self._materials, coarse[corners], int(shelf.materials[row]))

    def fill_convex(self, polygons: list[Points], colours: list[Colour]) -> None:
        """Fill convex polygons `(n, 2)` in scene metres without texture, the more exact way."""
        cells = self._cells(np.concatenate(polygons), SUB)
        start = 0
        for polygon, colour in zip(polygons, colours, strict=True):
            end = start + len(polygon)
            self._fill_convex(self._colours, cells[start:end], levels(colour))
            start = end

    def plain(self, polygon: Points) -> None:
        """Take the texture from below a convex polygon `(n, 2)` in scene metres."""
        self._fill_convex(self._materials, self._cells(polygon, 1), 0)

    def colours(self) -> FloatImage:
        """What was filled, averaged to scene pixels: `(H, W, 3)` float32, 0 to 255."""
        averaged = self._colours
        # Halving twice takes OpenCV a third of the time of one step by four.
        for sub in (SUB // 2, 1):
            size = (self.window.width * sub, self.window.height * sub)
            averaged = self._cv2.resize(averaged, size, interpolation=self._cv2.INTER_AREA)
        return np.asarray(averaged, dtype=np.float32)

    def materials(self) -> Plane:
        """Material of each pixel `(H, W)`."""
        return self._materials

    def mask(self) -> ShadowMask:
        """An empty mask over the same window."""
        return ShadowMask(self.window, self.gsd_m)

    def _fill(self, plane: Plane, cells: Cells, value: Value) -> None:
        self._cv2.fillPoly(plane, [cells], value, 8, FRACTION_BITS)

    def _fill_convex(self, plane: Plane, cells: Cells, value: Value) -> None:
        self._cv2.fillConvexPoly(plane, cells, value, 8, FRACTION_BITS)

    def _cells(self, polygon: Points, sub: int) -> Cells:
        return _cells(polygon, self.window, self.gsd_m, sub)


class ShadowMask:
    """A grey mask over a window, twice as fine as its pixels: shadows.

    Args:
        window: what it covers.
        gsd_m: metres a pixel.
    """

    def __init__(self, window: DrawnWindow, gsd_m: float) -> None:
        self.window, self.gsd_m = window, gsd_m
        self._cv2 = opencv()
        self._plane: Plane = np.zeros((window.height * SHADOW_SUB, window.width * SHADOW_SUB), dtype=np.uint8)

    def fill(self, polygon: Points, value: int) -> None:
        """Set a convex polygon `(n, 2)` in scene metres to a value, 0 to 255."""
        self._cv2.fillConvexPoly(
            self._plane, _cells(polygon, self.window, self.gsd_m, SHADOW_SUB), value, 8, FRACTION_BITS
        )

    def sweep(self, polygon: Points, shift: Points) -> None:
        """Fill the convex hull of a polygon `(n, 2)` and of itself moved by `shift` `(2,)`, in metres."""
        both = np.concatenate([polygon, polygon + shift]).astype(np.float32)
        self.fill(self._cv2.convexHull(both)[:, 0].astype(np.float64), 255)

    def shares(self, *, soft_px: float = 0.0) -> FloatImage:
        """What was filled, averaged to scene pixels and blurred: `(H, W)` float32, 0 to 1."""
        size = (self.window.width, self.window.height)
        averaged: Any = self._cv2.resize(self._plane, size, interpolation=self._cv2.INTER_AREA).astype(
            np.float32
        )
        if soft_px > 0.1:
            averaged = self._cv2.GaussianBlur(averaged, (0, 0), soft_px)
        return np.asarray(averaged / np.float32(255.0), dtype=np.float32)


def _cells(polygon: Points, window: DrawnWindow, gsd_m: float, sub: int) -> Cells:
    """Fixed-point cell centres, as OpenCV counts them, of a polygon `(n, 2)` in scene metres."""
    cells = (polygon / gsd_m - (window.x, window.y)) * sub - 0.5
    return np.round(cells * (1 << FRACTION_BITS)).astype(np.int32)
