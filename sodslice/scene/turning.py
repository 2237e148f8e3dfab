"""`Turn`: from a picture as it is stored to the picture as it is to be seen, by EXIF's orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

Size = tuple[int, int]
"""Width and height."""

MIRRORED = frozenset([2, 3, 6, 7])
"""Orientations whose columns are seen from right to left."""
UPSIDE_DOWN = frozenset([3, 4, 7, 8])
"""Orientations whose rows are seen from bottom to top."""
TRANSPOSED = frozenset([5, 6, 7, 8])
"""Orientations whose rows are seen as columns; then what is mirrored is what came of it."""


@dataclass(frozen=True)
class Turn:
    """How a stored picture is turned when it is seen.

    Args:
        orientation: EXIF's, from 1 to 8; 1 leaves it as it is stored.
    """

    orientation: int = 1

    @property
    def transposed(self) -> bool:
        """Whether rows are seen as columns."""
        return self.orientation in TRANSPOSED

    @property
    def steps(self) -> tuple[int, int]:
        """1 or -1: in which direction columns and rows are seen, after they changed places."""
        across = -1 if self.orientation in MIRRORED else 1
        return across, -1 if self.orientation in UPSIDE_DOWN else 1

    def size(self, size: Size) -> Size:
        """Width and height as it is seen of a stored size, and the other way round."""
        return (size[1], size[0]) if self.transposed else size

    def stored(self, window: Window, size: Size) -> Window:
        """The stored window that is seen as another; fractions count.

        Args:
            window: as it is seen.
            size: width and height of the whole picture as it is seen.
        """
        x, y, width, height = self._mirrored(window, size)
        return Window(y, x, height, width) if self.transposed else Window(x, y, width, height)

    def seen(self, window: Window, size: Size) -> Window:
        """How a stored window is seen: the inverse of `stored`, with the same size."""
        x, y, width, height = window.flatten()
        turned = Window(y, x, height, width) if self.transposed else window
        return Window(*self._mirrored(turned, size))

    def image(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A stored picture `(h, w, ...)` as it is seen, contiguous."""
        if self.orientation == 1:
            return stored
        across, down = self.steps
        turned = stored.swapaxes(0, 1) if self.transposed else stored
        return np.ascontiguousarray(turned[::down, ::across])

    def _mirrored(self, window: Window, size: Size) -> tuple[float, float, float, float]:
        x, y, width, height = window.flatten()
        across, down = self.steps
        x = size[0] - x - width if across < 0 else x
        y = size[1] - y - height if down < 0 else y
        return x, y, width, height


AS_STORED = Turn()
