"""Sparse TIFFs: blocks that were never written."""

from __future__ import annotations

from math import ceil
from typing import Any

from rasterio.errors import RasterBlockError
from rasterio.windows import Window

from sodslice.scene.layout import Layout

MOST_LOOKS = 2**14
"""Blocks of a window that are looked up; of larger windows it is taken that they hold some."""


def without_blocks(dataset: Any, layout: Layout, indexes: tuple[int, ...], window: Window) -> bool:
    """Whether a TIFF seems to hold no block of some bands in a window, which takes microseconds to know.

    A TIFF whose index of blocks is damaged seems so, too; see `probe`.
    """
    if dataset.driver != "GTiff":
        return False
    left, top = int(window.col_off), int(window.row_off)
    right = min(layout.width, ceil(window.col_off + window.width))
    bottom = min(layout.height, ceil(window.row_off + window.height))
    rows = range(top // layout.block_height, -(-bottom // layout.block_height))
    columns = range(left // layout.block_width, -(-right // layout.block_width))
    if len(rows) * len(columns) > MOST_LOOKS:
        return False
    return all(_missing(dataset, b, i, j) for i in rows for j in columns for b in indexes)


def probe(dataset: Any, index: int, window: Window) -> None:
    """Read one pixel where no block seems to be: it fails where in truth the index of blocks is damaged."""
    dataset.read(index, window=Window(int(window.col_off), int(window.row_off), 1, 1))


def _missing(dataset: Any, band: int, row: int, column: int) -> bool:
    try:
        return int(dataset.block_size(band, row, column)) == 0
    except RasterBlockError:
        return True
