"""Which windows of a scene are looked at: SAHI's grid, as integers."""

from __future__ import annotations

import math
from typing import NamedTuple

from sodslice.errors import OptionError

SMALLEST_TILE = 32
MOST_TILES = 1_000_000
"""A file of a few bytes can claim any number of pixels; a list of all its tiles would fill the memory."""


class Tile(NamedTuple):
    """A window of the scene, in scene pixels.

    Fields: `id` (row-major from 0), corner `x`, `y`, and `width`, `height`; only a scene that is smaller
    than a tile makes tiles smaller than asked.
    """

    id: int
    x: int
    y: int
    width: int
    height: int


def overlap_px(tile: int, overlap: float) -> int:
    """Overlap in pixels: below 1 it is a share of the tile (rounded down, as SAHI does), from 1 on pixels.

    Raises:
        OptionError: the tile is smaller than 32, or the overlap is negative or not smaller than the tile.
    """
    if tile < SMALLEST_TILE:
        raise OptionError(f"--tile must be at least {SMALLEST_TILE} pixels, got {tile}")
    if not math.isfinite(overlap) or overlap < 0:
        raise OptionError(f"--overlap must not be negative, got {overlap:g}; give a share below 1 or pixels")
    pixels = int(overlap * tile) if overlap < 1 else int(overlap)
    if pixels >= tile:
        raise OptionError(
            f"--overlap must be smaller than the tile, got {pixels} pixels for a tile of {tile}"
        )
    return pixels


def plan_tiles(
    width: int, height: int, *, tile: int, overlap: float = 0.2, origin: tuple[int, int] = (0, 0)
) -> list[Tile]:
    """Tiles that together cover a scene of width x height pixels, row-major.

    The last column and row are moved inside the scene, never padded, unless the scene is smaller than a
    tile. Without `origin` the grid equals `sahi.slicing.get_slice_bboxes`.

    Args:
        width: scene width in pixels.
        height: scene height in pixels.
        tile: tile side in pixels, at least 32.
        overlap: below 1 a share of the tile, from 1 on pixels.
        origin: (x, y), each from 0 to the stride - 1: shifts the grid that many pixels up and left, to
            measure how much a result depends on where the seams fall. Tiles that would begin before the
            scene are moved inside it.

    Raises:
        OptionError: a size, tile, overlap or origin that makes no grid.
    """
    if width < 1 or height < 1:
        raise OptionError(f"a scene must have at least one pixel, got {width} x {height}")
    stride = tile - overlap_px(tile, overlap)
    about = max(1, width // stride) * max(1, height // stride)
    if about > MOST_TILES:
        raise OptionError(
            f"{width} x {height} pixels make about {about} tiles of {tile}, "
            f"and at most {MOST_TILES} are run; "
            "use a larger --tile or less --overlap, or cut the scene with gdal_translate -srcwin"
        )
    columns = _starts(width, tile, stride, origin[0])
    rows = _starts(height, tile, stride, origin[1])
    cells = ((x, y) for y in rows for x in columns)
    return [Tile(i, x, y, min(tile, width), min(tile, height)) for i, (x, y) in enumerate(cells)]


def _starts(length: int, tile: int, stride: int, shift: int) -> list[int]:
    """First pixels of the tiles along one axis, increasing; the last is flush with the edge."""
    if not 0 <= shift < stride:
        raise OptionError(f"origin must lie between 0 and the stride - 1 = {stride - 1}, got {shift}")
    last = max(0, length - tile)
    starts = range(-shift, last, stride)
    return sorted({min(max(0, start), last) for start in starts} | {last})
