"""How a raster lies on disk: what one read costs, in which order tiles are cheap, how much cache they want.

GDAL decodes whole blocks and keeps the last of them in one cache for the process. rasterio applies
`GDAL_CACHEMAX` whenever an `Env` is entered, in bytes, to the whole process, and puts the former size back
when that `Env` ends. So one `Env` is held around all reads: entered around each, those of two threads would
undo each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Interleaving

from sodslice.errors import SceneError
from sodslice.tiles import Tile

MEBI = 2**20
SMALLEST_CACHE = 32 * MEBI
LARGEST_CACHE = 128 * MEBI
LARGEST_CACHE_OF_ROWS = 256 * MEBI
"""Where blocks are whole rows, of which a cache that is too small decodes every one again for each tile."""
LARGEST_BLOCK = 2048 * MEBI
"""Above it a file is refused: GDAL needs about twice as much to decode one block."""
NOTED_BLOCK = 64 * MEBI


@dataclass(frozen=True)
class Layout:
    """The blocks of a raster.

    Args:
        width: of the raster in pixels.
        height: of the raster in pixels.
        block_width: of a block in pixels.
        block_height: of a block in pixels.
        pixel_bytes: what a pixel takes in the cache: of all bands, where they are interleaved.
    """

    width: int
    height: int
    block_width: int
    block_height: int
    pixel_bytes: int

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
        return min(self.height, side + 2 * self.block_height) * self.pixel_bytes

    def row_bytes(self, side: float, width: float) -> int:
        """Cache that holds all blocks under a row of windows, `side` pixels high and `width` wide."""
        return int(self.column_bytes(side) * min(self.width, width + 2 * self.block_width))


def layout_of(dataset: Any, indexes: tuple[int, ...], name: str, *, masked: bool) -> Layout:
    """The layout of an open dataset of which some bands are read.

    Args:
        dataset: open.
        indexes: of the bands, counted from 1.
        name: what messages call it.
        masked: whether a mask beside the bands is read, too.

    Raises:
        SceneError: decoding one block would take more memory than is sane.
    """
    height, width = dataset.block_shapes[indexes[0] - 1]
    interleaved = dataset.interleaving == Interleaving.pixel
    read = range(1, dataset.count + 1) if interleaved else indexes
    pixel_bytes = sum(np.dtype(_real(dataset.dtypes[i - 1])).itemsize for i in read) + masked
    layout = Layout(dataset.width, dataset.height, width, height, pixel_bytes)
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
    """How tiles are read cheaply.

    Args:
        tiles: in the order in which blocks are used again while they are still in the cache.
        cache_bytes: how large that cache must be.
        notes: what the user should know, one sentence each.
    """

    tiles: tuple[Tile, ...]
    cache_bytes: int
    notes: tuple[str, ...] = ()


def plan_reading(
    tiles: Sequence[Tile], layout: Layout | None, scale: tuple[float, float] = (1.0, 1.0)
) -> ReadingPlan:
    """Order tiles and size the cache.

    Row after row where a row of tiles fits the cache, or where blocks are whole rows; else in bands of
    columns that are as wide as the cache allows.

    Args:
        tiles: to be read.
        layout: of the raster; None where a scene is no raster.
        scale: raster pixels per tile pixel, in x and y.
    """
    if layout is None or not tiles:
        return ReadingPlan(tuple(tiles), SMALLEST_CACHE)
    side = max(tile.height for tile in tiles) * scale[1]
    left, right = min(t.x for t in tiles) * scale[0], max(t.x + t.width for t in tiles) * scale[0]
    wanted = layout.row_bytes(side, right - left)
    least = max(SMALLEST_CACHE, layout.block_bytes + NOTED_BLOCK)
    cache = max(least, min(wanted, LARGEST_CACHE_OF_ROWS if layout.whole_rows else LARGEST_CACHE))
    if wanted <= cache:
        return ReadingPlan(tuple(tiles), cache)
    if layout.whole_rows:
        note = (
            f"a row of tiles takes {wanted / MEBI:.0f} MB, more than the cache of {cache / MEBI:.0f} MB, so "
            "rows of pixels are decoded again for each tile; gdal_translate -co TILED=YES makes a faster file"
        )
        return ReadingPlan(tuple(tiles), cache, (note,))
    return ReadingPlan(_in_bands(tiles, layout, side=side, scale=scale[0], cache=cache), cache)


def _in_bands(
    tiles: Sequence[Tile], layout: Layout, *, side: float, scale: float, cache: int
) -> tuple[Tile, ...]:
    """Tiles by bands of columns whose rows fit the cache, row after row within each."""
    across = cache / layout.column_bytes(side) - 2 * layout.block_width
    widest = max(tile.width for tile in tiles)
    width = max(across / scale - widest, widest)
    return tuple(sorted(tiles, key=lambda tile: (tile.x // width, tile.y, tile.x)))


@contextmanager
def block_cache(size: int) -> Iterator[None]:
    """Hold GDAL's block cache at a size in bytes, for the whole process."""
    with rasterio.Env(GDAL_CACHEMAX=size):
        yield
