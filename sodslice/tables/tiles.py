"""Which windows of a scene are looked at: SAHI's grid, as integers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.errors import OptionError
from sodslice.tables.limits import MOST_TILES, SMALLEST_TILE, size_words

TileIds = npt.NDArray[np.int64]


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
        raise OptionError(f"`tile` must be at least {SMALLEST_TILE} pixels, got {tile}")
    if not math.isfinite(overlap) or overlap < 0:
        raise OptionError(f"`overlap` must not be negative, got {overlap:g}; give a share below 1 or pixels")
    pixels = int(overlap * tile) if overlap < 1 else int(overlap)
    if pixels >= tile:
        raise OptionError(
            f"`overlap` must be smaller than the tile, got {pixels} pixels for a tile of {tile}"
        )
    return pixels


@dataclass(frozen=True)
class Grid:
    """Tiles that together cover a scene, row-major; a few numbers, however many tiles there are.

    The last column and row are moved inside the scene, never padded, unless the scene is smaller than a
    tile. Without `origin` the grid equals `sahi.slicing.get_slice_bboxes`.

    Args:
        width: of the scene in pixels.
        height: of the scene in pixels.
        tile: width of a tile in pixels, at least 32.
        overlap: below 1 a share of the tile, of its shorter side; from 1 on pixels.
        origin: (x, y), each from 0 to the stride - 1: shifts the grid that many pixels up and left, to
            measure how much a result depends on where the seams fall. Tiles that would begin before the
            scene are moved inside it.
        tile_height: of a tile in pixels, at least 32; None where tiles are square.

    Raises:
        OptionError: a size, tile, overlap or origin that makes no grid.
    """

    width: int
    height: int
    tile: int
    overlap: float = 0.2
    origin: tuple[int, int] = (0, 0)
    tile_height: int | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise OptionError(f"a scene must have at least one pixel, got {self.width} x {self.height}")
        across, down = self.strides
        about = max(1, self.width // across) * max(1, self.height // down)
        if about > MOST_TILES:
            raise OptionError(
                f"{self.width} x {self.height} pixels make about {about} tiles of "
                f"{size_words(self.full_size)}, and at most {MOST_TILES} are run; "
                "use a larger `tile` or less `overlap`, or cut the scene with gdal_translate -srcwin"
            )
        for shift, stride in zip(self.origin, self.strides, strict=True):
            if not 0 <= shift < stride:
                raise OptionError(f"origin must lie between 0 and the stride - 1 = {stride - 1}, got {shift}")

    @property
    def full_size(self) -> tuple[int, int]:
        """Width and height of a tile as asked."""
        return self.tile, self.tile if self.tile_height is None else self.tile_height

    @property
    def strides(self) -> tuple[int, int]:
        """From one tile to the next in x and y, in pixels."""
        width, height = self.full_size
        return width - self.overlap_px, height - self.overlap_px

    @property
    def overlap_px(self) -> int:
        """Overlap of neighbouring tiles in pixels."""
        return overlap_px(min(self.full_size), self.overlap)

    @property
    def tile_size(self) -> tuple[int, int]:
        """Width and height of each tile: smaller than asked only where the scene is."""
        width, height = self.full_size
        return min(width, self.width), min(height, self.height)

    @cached_property
    def columns(self) -> TileIds:
        """First pixels of the tiles along x, increasing; the last is flush with the edge."""
        return tile_starts(self.width, self.full_size[0], self.overlap_px, self.origin[0])

    @cached_property
    def rows(self) -> TileIds:
        """First pixels of the tiles along y, increasing; the last is flush with the edge."""
        return tile_starts(self.height, self.full_size[1], self.overlap_px, self.origin[1])

    def __len__(self) -> int:
        return len(self.columns) * len(self.rows)

    def __getitem__(self, tile_id: int) -> Tile:
        """The tile of that id."""
        row, column = divmod(int(tile_id), len(self.columns))
        return Tile(int(tile_id), int(self.columns[column]), int(self.rows[row]), *self.tile_size)

    def tiles(self, ids: TileIds | None = None) -> Iterator[Tile]:
        """The tiles of some ids, or all, one by one in the order given."""
        return (self[tile_id] for tile_id in (range(len(self)) if ids is None else ids))

    def corners(self, ids: TileIds) -> TileIds:
        """First pixels `(N, 2)` x, y of some tiles `(N,)`."""
        row, column = np.divmod(ids, len(self.columns))
        return np.stack([self.columns[column], self.rows[row]], axis=1)

    def boxes(self, ids: TileIds) -> npt.NDArray[np.float64]:
        """Edges `(N, 4)` x0, y0, x1, y1 of some tiles `(N,)`."""
        low = self.corners(ids)
        return np.concatenate([low, low + self.tile_size], axis=1).astype(np.float64)

    def fields(self, ids: TileIds) -> TileIds:
        """Columns `(N, 5)` id, x, y, width, height of some tiles `(N,)`."""
        sizes = np.broadcast_to(np.array(self.tile_size), (len(ids), 2))
        return np.concatenate([np.asarray(ids)[:, None], self.corners(ids), sizes], axis=1)

    def near(self, ids: TileIds) -> TileIds:
        """Ids, increasing, of some tiles `(N,)` and of all that share area with one of them."""
        wide, high = (
            _reach(starts, size)
            for starts, size in zip((self.columns, self.rows), self.tile_size, strict=True)
        )
        flags = np.zeros((len(self.rows), len(self.columns)), bool)
        flags.reshape(-1)[ids] = True
        found = np.flatnonzero(_spread(_spread(flags, high), wide, axis=1))
        return found.astype(np.int64)

    def touched(self, boxes: npt.NDArray[np.float64], ids: TileIds) -> npt.NDArray[np.bool_]:
        """Which boxes `(N, 4)`, in scene pixels, share area or an edge with one of some tiles `(M,)`."""
        counts = np.zeros((len(self.rows) + 1, len(self.columns) + 1), np.int64)
        flags = np.zeros(len(self), np.int64)
        flags[ids] = 1
        counts[1:, 1:] = flags.reshape(len(self.rows), -1).cumsum(axis=0).cumsum(axis=1)
        left, right = _span(self.columns, self.tile_size[0], boxes[:, 0], boxes[:, 2])
        top, bottom = _span(self.rows, self.tile_size[1], boxes[:, 1], boxes[:, 3])
        inside = counts[bottom, right] - counts[top, right] - counts[bottom, left] + counts[top, left]
        touched: npt.NDArray[np.bool_] = inside > 0
        return touched


def plan_tiles(
    width: int, height: int, *, tile: int, overlap: float = 0.2, origin: tuple[int, int] = (0, 0)
) -> list[Tile]:
    """Tiles that together cover a scene of width x height pixels, row-major; see `Grid`.

    Raises:
        OptionError: a size, tile, overlap or origin that makes no grid.
    """
    return list(Grid(width, height, tile, overlap, origin).tiles())


def tile_starts(length: int, side: int, overlap: int, shift: int = 0) -> TileIds:
    """First pixels of the tiles along one axis, increasing; the last is flush with the edge.

    Args:
        length: of the scene in pixels.
        side: of a tile in pixels.
        overlap: of neighbours in pixels, less than the side.
        shift: as `origin` of `Grid`.
    """
    last = max(0, length - side)
    starts = np.arange(-shift, last, side - overlap, dtype=np.int64) if last else np.empty(0, np.int64)
    return np.append(starts.clip(0), last)


def _reach(starts: TileIds, size: int) -> tuple[TileIds, TileIds]:
    """First and last + 1 tile along one axis that shares pixels with each tile."""
    return np.searchsorted(starts, starts - size, side="right"), np.searchsorted(starts, starts + size)


def _span(
    starts: TileIds, size: int, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> tuple[TileIds, TileIds]:
    """First and last + 1 tile along one axis that reaches from `low` `(N,)` or beyond to `high` or beyond."""
    return np.searchsorted(starts + size, low), np.searchsorted(starts, high, side="right")


def _spread(
    flags: npt.NDArray[np.bool_], reach: tuple[TileIds, TileIds], axis: int = 0
) -> npt.NDArray[np.bool_]:
    """Which cells `(R, C)` have a set one within reach along an axis."""
    counts = np.concatenate([np.zeros_like(flags.take([0], axis), np.int64), flags.cumsum(axis)], axis)
    found: npt.NDArray[np.bool_] = counts.take(reach[1], axis) > counts.take(reach[0], axis)
    return found
