"""How a raster lies on disk: what one read costs, in which order tiles are cheap, how much cache they want.

GDAL decodes whole blocks and keeps the last of them in one cache for the process. rasterio applies
`GDAL_CACHEMAX` whenever an `Env` is entered, in bytes, to the whole process, and puts the former size back
when that `Env` ends, so those of two threads would undo each other. It is set here without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from rasterio.enums import Interleaving
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.windows import Window

from sodslice.errors import SceneError
from sodslice.scene.turning import AS_STORED, Turn
from sodslice.tables.tiles import Grid, TileIds

MEBI = 2**20
SMALLEST_CACHE = 32 * MEBI
LARGEST_CACHE = 128 * MEBI
LARGEST_CACHE_OF_ROWS = 256 * MEBI
"""Where blocks are whole rows, of which a cache that is too small decodes every one again for each tile."""
LARGEST_TOGETHER = 512 * MEBI
"""Of scenes that are read side by side, unless one of them wants more."""
LARGEST_BLOCK = 2048 * MEBI
"""Above it a file is refused: GDAL needs about twice as much to decode one block."""
NOTED_BLOCK = 64 * MEBI
BLOCK_OVERHEAD = 320
"""Bytes that GDAL counts for a block of one band besides its pixels, rounded up to its 64 included."""


@dataclass(frozen=True)
class Layout:
    """The blocks of a raster.

    Args:
        width: of the raster in pixels.
        height: of the raster in pixels.
        block_width: of a block in pixels.
        block_height: of a block in pixels.
        pixel_bytes: what a pixel takes in the cache: of all bands, where they are interleaved.
        bands: how many bands these are.
        turn: how the raster is turned when it is seen; all else is as it is stored.
    """

    width: int
    height: int
    block_width: int
    block_height: int
    pixel_bytes: int
    bands: int = 1
    turn: Turn = AS_STORED

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as it is seen."""
        return self.turn.size((self.width, self.height))

    def stored(self, window: Window) -> Window:
        """The stored window that is seen as another."""
        return self.turn.stored(window, self.size)

    def seen(self, window: Window) -> Window:
        """How a stored window is seen."""
        return self.turn.seen(window, self.size)

    @property
    def block_bytes(self) -> int:
        """Memory of one decoded block."""
        return self.block_width * self.block_height * self.pixel_bytes

    @property
    def whole_rows(self) -> bool:
        """Whether blocks are as wide as the raster: strips, scan lines or one block for all."""
        return self.block_width >= self.width

    def notes(self, name: str, file_bytes: int) -> tuple[str, ...]:
        """What the user should know before anything is read.

        GDAL holds a block decoded twice, as it comes and by bands, and compressed while it decodes.
        """
        if self.block_bytes < NOTED_BLOCK:
            return ()
        need = 2 * self.block_bytes + min(self.block_bytes, file_bytes)
        return (
            f"{name} has blocks of {self.block_width} x {self.block_height} pixels, and reading any pixel "
            f"takes about {need / MEBI:.0f} MB; gdal_translate -co TILED=YES makes a file that needs less",
        )

    def column_bytes(self, side: float) -> float:
        """Cache that holds one column of all blocks under windows that are `side` pixels high."""
        overhead = self.bands * BLOCK_OVERHEAD / (self.block_width * self.block_height)
        return min(self.height, side + 2 * self.block_height) * (self.pixel_bytes + overhead)

    def row_bytes(self, side: float, width: float) -> int:
        """Cache that holds all blocks under a row of windows, `side` pixels high and `width` wide."""
        return int(self.column_bytes(side) * min(self.width, width + 2 * self.block_width))


def layout_of(
    dataset: Any, indexes: tuple[int, ...], name: str, *, masked: int, turn: Turn | None = None
) -> Layout:
    """The layout of an open dataset of which some bands are read.

    Args:
        dataset: open.
        indexes: of the bands, counted from 1.
        name: what messages call it.
        masked: how many masks beside the bands are read, too.
        turn: how it is turned when it is seen; None: not at all.

    Raises:
        SceneError: decoding one block would take more memory than is sane.
    """
    height, width = dataset.block_shapes[indexes[0] - 1]
    interleaved = dataset.interleaving == Interleaving.pixel
    read = range(1, dataset.count + 1) if interleaved else indexes
    pixel_bytes = sum(np.dtype(_real(dataset.dtypes[i - 1])).itemsize for i in read) + masked
    bands = len(read) + masked
    layout = Layout(dataset.width, dataset.height, width, height, pixel_bytes, bands, turn or AS_STORED)
    if layout.block_bytes > LARGEST_BLOCK:
        raise SceneError(
            f"{name} has blocks of {width} x {height} pixels, so reading any pixel would decode "
            f"{layout.block_bytes / MEBI:.0f} MB; convert it with gdal_translate -co TILED=YES"
        )
    return layout


def _real(dtype: str) -> str:
    return "complex64" if dtype.startswith("complex_") else dtype


@dataclass(frozen=True)
class ReadingPlan:
    """How tiles are read cheaply: row by row as the raster is stored, however it is turned.

    Args:
        band_px: width of the bands of columns, in pixels of the grid, that are read one after the other, each
            row by row, so that blocks are used again while they are still in the cache; 0: all columns
            are one band.
        cache_bytes: how large that cache must be.
        notes: what the user should know, one sentence each.
        orientation: EXIF's, by which the raster is turned when it is seen.
    """

    band_px: float
    cache_bytes: int
    notes: tuple[str, ...] = ()
    orientation: int = 1

    def order(self, grid: Grid, ids: TileIds) -> TileIds:
        """Some tiles `(N,)`, given by increasing ids, in the order in which they are read."""
        turn = Turn(self.orientation)
        if not self.band_px and turn == AS_STORED:
            return ids
        axes = list(zip(_places(grid, ids), (grid.columns, grid.rows), turn.steps, strict=True))
        (columns, starts, right), (rows, _, down) = reversed(axes) if turn.transposed else axes
        bands = (starts // self.band_px).astype(np.int32)[columns] if self.band_px else np.zeros_like(ids)
        return ids[np.lexsort((columns * right, rows * down, bands * right))]


def plan_reading(
    grid: Grid, ids: TileIds, layout: Layout | None, scale: tuple[float, float] = (1.0, 1.0)
) -> ReadingPlan:
    """Order tiles and size the cache.

    Row after row where a row of tiles fits the cache, or where blocks are whole rows; else in bands of
    columns that are as wide as the cache allows. Rows and columns are those of the raster as it is stored.

    Args:
        grid: of the tiles, in pixels as they are seen.
        ids: `(N,)` of those that are read.
        layout: of the raster; None where a scene is no raster.
        scale: raster pixels per pixel of the grid, in x and y as they are seen.
    """
    if layout is None or not len(ids):
        return ReadingPlan(0.0, SMALLEST_CACHE)
    orientation = layout.turn.orientation
    places, starts_of = _places(grid, ids), (grid.columns, grid.rows)
    axes = list(zip(grid.tile_size, places, starts_of, scale, strict=True))
    (tile_width, columns, starts, zoom), (tile_height, _, _, zoom_down) = (
        reversed(axes) if layout.turn.transposed else axes
    )
    side = tile_height * zoom_down
    left, right = int(starts[columns.min()]) * zoom, (int(starts[columns.max()]) + tile_width) * zoom
    wanted = layout.row_bytes(side, right - left)
    least = max(SMALLEST_CACHE, layout.block_bytes + NOTED_BLOCK)
    cache = max(least, min(wanted, LARGEST_CACHE_OF_ROWS if layout.whole_rows else LARGEST_CACHE))
    if wanted <= cache:
        return ReadingPlan(0.0, cache, (), orientation)
    if layout.whole_rows:
        note = (
            f"a row of tiles takes {wanted / MEBI:.0f} MB, more than the cache of {cache / MEBI:.0f} MB, so "
            "rows of pixels are decoded again for each tile; gdal_translate -co TILED=YES makes a faster file"
        )
        return ReadingPlan(0.0, cache, (note,), orientation)
    across = cache / layout.column_bytes(side) - 2 * layout.block_width
    return ReadingPlan(max(across / zoom - tile_width, tile_width), cache, (), orientation)


def _places(grid: Grid, ids: TileIds) -> tuple[TileIds, TileIds]:
    """Columns and rows `(N,)` of tiles in their grid."""
    return ids % len(grid.columns), ids // len(grid.columns)


class _Cache:
    """GDAL's block cache: one for the process, as large as all who read at this moment want it together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted: list[int] = []
        self._before = 0

    def want(self, size: int) -> None:
        """Read from now on, through so many bytes of it."""
        with self._lock:
            if not self._wanted:
                self._before = get_gdal_config("GDAL_CACHEMAX")
            self._wanted.append(size)
            set_gdal_config("GDAL_CACHEMAX", self._size())

    def leave(self, size: int) -> None:
        """Want it no more; the last one leaves it as the first one found it."""
        with self._lock:
            self._wanted.remove(size)
            set_gdal_config("GDAL_CACHEMAX", self._size() if self._wanted else self._before)

    def _size(self) -> int:
        return min(sum(self._wanted), max(LARGEST_TOGETHER, *self._wanted))


_CACHE = _Cache()


@contextmanager
def block_cache(size: int) -> Iterator[None]:
    """Hold GDAL's block cache, which is that of the process, at a size in bytes, beside what others hold."""
    _CACHE.want(size)
    try:
        yield
    finally:
        _CACHE.leave(size)
