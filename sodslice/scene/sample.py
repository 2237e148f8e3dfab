"""A look at a whole scene's levels, at a bounded cost, that is the same whenever it is repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from sodslice.errors import SceneError
from sodslice.scene.layout import Layout

Planes = npt.NDArray[Any]
Read = Callable[[Window, tuple[int, int]], tuple[Planes, npt.NDArray[np.bool_] | None] | None]
"""Planes `(bands, h, w)` of a window at a shape (h, w), and what hides them; None where all are hidden."""

Written = Callable[[list[Window]], list[Window]]
"""Those windows of which some block was ever written, where that is known without reading."""

SAMPLE_PIXELS = 2**20
MOST_BLOCKS = 256
MOST_LOOKS = 2**16
MOST_READS = 1024
CELL_SIDE = 512
SEED = 0


def sample_levels(
    layout: Layout, read: Read, *, name: str, overviews: bool, written: Written
) -> tuple[Planes, str]:
    """Levels of pixels that hold data, spread over the scene.

    Where there are overviews, one decimated read; else up to 256 blocks that hold data, drawn with a fixed
    seed, or parts of blocks where they are large.

    Args:
        layout: of the raster.
        read: how windows are read.
        name: of the scene, for messages.
        overviews: whether a decimated read is cheap.
        written: which windows hold anything at all.

    Returns:
        `(bands, N)` levels with N at least 1, and what they are a sample of, in words.

    Raises:
        SceneError: no pixel with data was found, or the file cannot be read.
    """
    pixels = layout.width * layout.height
    if overviews and pixels > SAMPLE_PIXELS:
        factor = sqrt(pixels / SAMPLE_PIXELS)
        shape = max(1, int(layout.height / factor)), max(1, int(layout.width / factor))
        found = _valid(read(Window(0, 0, layout.width, layout.height), shape))
        if found is not None:
            return found, f"overviews, read at {shape[1]} x {shape[0]} pixels"
    values, blocks, total = _of_blocks(layout, read, written)
    if not values:
        raise SceneError(
            f"{name}: no pixel with data was found in {MOST_READS} places to measure a stretch by; "
            "give one with `stretch=minmax:A,B`"
        )
    every = f"all {total} blocks" if blocks == total else f"{blocks} of {total} blocks, seed {SEED}"
    return np.concatenate(values, axis=1), every


def _of_blocks(layout: Layout, read: Read, written: Written) -> tuple[list[Planes], int, int]:
    """Levels of some blocks, how many these are, and how many there are."""
    cell = _cell(layout.block_width), _cell(layout.block_height)
    columns, rows = ceil(layout.width / cell[0]), ceil(layout.height / cell[1])
    total = columns * rows
    share = SAMPLE_PIXELS // min(total, MOST_BLOCKS)
    values: list[Planes] = []
    reads = 0
    for indexes in _drawn(total):
        for window in written([_window(index, columns, cell, layout) for index in indexes]):
            reads += 1
            found = _valid(read(window, (window.height, window.width)))
            if found is not None:
                values.append(found[:, :: max(1, ceil(found.shape[1] / share))])
            if len(values) == MOST_BLOCKS or reads == MOST_READS:
                return values, len(values), total
    return values, len(values), total


def _window(index: int, columns: int, cell: tuple[int, int], layout: Layout) -> Window:
    """A cell of the grid of cells, cut to the raster."""
    x, y = index % columns * cell[0], index // columns * cell[1]
    return Window(x, y, min(cell[0], layout.width - x), min(cell[1], layout.height - y))


def _cell(block_side: int) -> int:
    """A block's side, or a part of it where it is large."""
    return block_side if block_side <= 2 * CELL_SIDE else CELL_SIDE


def _drawn(total: int) -> Iterator[list[int]]:
    """Indexes of blocks: all in order if they are few, else drawn without repetition, in sorted runs."""
    if total <= MOST_BLOCKS:
        yield list(range(total))
        return
    drawn = np.random.default_rng(SEED).choice(total, min(total, MOST_LOOKS), replace=False)
    for start in range(0, len(drawn), MOST_BLOCKS):
        yield np.sort(drawn[start : start + MOST_BLOCKS]).tolist()


def _valid(found: tuple[Planes, npt.NDArray[np.bool_] | None] | None) -> Planes | None:
    """Levels `(bands, N)` of the pixels that hold data, finite in all bands; None where there are none."""
    if found is None:
        return None
    planes, hidden = found
    levels = planes.reshape(len(planes), -1) if hidden is None else planes[:, ~hidden]
    if levels.dtype.kind == "f":
        levels = levels[:, np.isfinite(levels).all(axis=0)]
    return levels if levels.shape[1] else None
