"""Palettes: colours in place of levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.scene.rgb import Mask, Pixels, looked_up

SMALL = 2
"""Bytes of a pixel up to which each of its levels gets a row of its own."""
OPAQUE = 255
BLACK = (0, 0, 0, OPAQUE)


class Palette:
    """The colours of a band that holds indexes; levels without a colour are black.

    Args:
        colours: red, green, blue and opacity, 0 to 255, by level.
        dtype: of the band's pixels.
    """

    def __init__(self, colours: dict[int, tuple[int, int, int, int]], dtype: np.dtype[Any]) -> None:
        self._small = dtype.kind == "u" and dtype.itemsize <= SMALL
        known = [level for level in colours if level >= 0]
        levels = int(2 ** (8 * dtype.itemsize)) if self._small else max(known, default=-1) + 1
        rows = np.full((levels + 1, 4), BLACK, np.uint8)  # the last row is of all other levels
        for level in known:
            if level < levels:
                rows[level] = colours[level]
        self._tables = np.ascontiguousarray(rows.T)

    def colours(self, plane: npt.NDArray[Any]) -> list[Pixels]:
        """Red, green and blue, each `(h, w)` uint8, of levels `(h, w)`."""
        return [self._of(plane, table) for table in self._tables[:3]]

    def clear(self, plane: npt.NDArray[Any]) -> Mask | None:
        """Where the colours of levels `(h, w)` have no opacity at all: `(h, w)` bool; None where none can."""
        opacity = self._tables[3]
        return None if opacity.all() else self._of(plane, opacity) == 0

    def _of(self, plane: npt.NDArray[Any], table: Pixels) -> Pixels:
        if self._small:
            return looked_up(plane, table[:-1])
        found: Pixels = table[self._rows(plane)]
        return found

    def _rows(self, plane: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """Rows of the table, of levels of any size and sign."""
        last = self._tables.shape[1] - 1
        known = (plane >= 0) & (plane < last)
        return np.where(known, plane, last).astype(np.intp)


def palette_of(dataset: Any, index: int, *, clear: bool) -> Palette:
    """The palette of a band of an open dataset.

    Args:
        dataset: open.
        index: of the band, counted from 1.
        clear: whether some of its colours may be.
    """
    colours = dataset.colormap(index)
    if not clear:
        colours = {level: (*colour[:3], OPAQUE) for level, colour in colours.items()}
    return Palette(colours, np.dtype(dataset.dtypes[index - 1]))
