"""Batches of tiles, read ahead by threads, in plan order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from sodslice.errors import OptionError, SceneError
from sodslice.scene import SceneBase
from sodslice.tables.tiles import Tile

LARGEST_BATCH_BYTES = 2**31
"""Models and OpenCV count the numbers of one input in 32 bits."""

SMALLER = "take a smaller `tile` or `batch`"


@dataclass(frozen=True)
class Batch:
    """Tiles that go through the model together.

    Args:
        tiles: in plan order; empty only in a last batch that reports skipped tiles.
        pixels: `(B, H, W, 3)` uint8 RGB, tiles smaller than H, W padded black on the right and at the
            bottom.
        skipped: tiles without any valid pixel that the plan has before or behind these.
        failed: tiles there that could not be read, with the error, where the caller goes on without them.
    """

    tiles: tuple[Tile, ...]
    pixels: npt.NDArray[np.uint8]
    skipped: tuple[Tile, ...] = ()
    failed: tuple[tuple[Tile, str], ...] = ()


@dataclass(frozen=True)
class Reading:
    """How tiles are read.

    Args:
        batch: tiles per batch; the last may have fewer.
        shape: (height, width) of the batch's pixels, at least as large as any tile.
        readers: threads.
        skip_failed: report tiles that cannot be read, and go on.
        starting: told of each tile before it is read, from the thread that reads it.

    Raises:
        OptionError: the pixels of a batch are more than `LARGEST_BATCH_BYTES`.
    """

    batch: int
    shape: tuple[int, int]
    readers: int = 2
    skip_failed: bool = False
    starting: Callable[[Tile], None] | None = None

    def __post_init__(self) -> None:
        height, width = self.shape
        if self.batch * height * width * 3 > LARGEST_BATCH_BYTES:
            raise OptionError(
                f"{_size(self.batch, self.shape)} takes {self.batch * height * width * 3 / 2**30:.1f} GiB, "
                f"and {LARGEST_BATCH_BYTES / 2**30:g} GiB is the most; {SMALLER}"
            )


def read_batches(scene: SceneBase, tiles: Iterable[Tile], reading: Reading) -> Generator[Batch, None, None]:
    """Read the tiles of a scene, some ahead of the one that is asked for.

    Which tiles share a batch depends on the plan and on the scene's no-data alone, never on timing. At most
    2 x batch + readers tiles are in memory.

    Args:
        scene: what to read; its `read` is called from several threads.
        tiles: windows, in the order wanted.
        reading: batch, shape and readers.

    Yields:
        Batches that together hold every tile once, as read, as skipped or as failed.

    Raises:
        SceneError: a window cannot be read, and failed tiles are not skipped; or there is not enough memory.
    """
    full: list[tuple[Tile, npt.NDArray[np.uint8]]] = []
    skipped: list[Tile] = []
    failed: list[tuple[Tile, str]] = []
    for tile, pixels in _read_ahead(scene, tiles, reading):
        if isinstance(pixels, SceneError):
            failed.append((tile, str(pixels)))
        elif pixels is None:
            skipped.append(tile)
        else:
            full.append((tile, pixels))
        if len(full) == reading.batch:
            yield _batch(full, skipped, failed, reading.shape)
            full, skipped, failed = [], [], []
    if full or skipped or failed:
        yield _batch(full, skipped, failed, reading.shape)


Read = npt.NDArray[np.uint8] | SceneError | None
"""Pixels `(h, w, 3)`; the error where they cannot be read; None where there is no data."""


def _read_ahead(scene: SceneBase, tiles: Iterable[Tile], reading: Reading) -> Iterator[tuple[Tile, Read]]:
    """Each tile with what reading it gave; in order, batch + readers tiles in flight."""
    pool = ThreadPoolExecutor(reading.readers, thread_name_prefix="sodslice-reader")
    waiting: deque[tuple[Tile, Future[Read]]] = deque()
    coming = iter(tiles)
    try:
        for tile in islice(coming, reading.batch + reading.readers):
            waiting.append((tile, pool.submit(_read, scene, tile, reading)))
        while waiting:
            tile, future = waiting.popleft()
            pixels = future.result()
            for following in islice(coming, 1):
                waiting.append((following, pool.submit(_read, scene, following, reading)))
            yield tile, pixels
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(scene: SceneBase, tile: Tile, reading: Reading) -> Read:
    if reading.starting is not None:
        reading.starting(tile)
    try:
        pixels, valid = scene.read(tile.x, tile.y, tile.width, tile.height)
    except MemoryError as error:
        where = f"x {tile.x}, y {tile.y}, {tile.width} x {tile.height} pixels"
        raise SceneError(f"{scene.name} cannot be read at {where}: {error}; {SMALLER}") from None
    except SceneError as error:
        if isinstance(error.__context__, MemoryError):  # the next tile would need as much
            raise SceneError(f"{error}; {SMALLER}") from None
        if reading.skip_failed:
            return error
        raise
    return pixels if valid.any() else None


def _batch(
    full: list[tuple[Tile, npt.NDArray[np.uint8]]],
    skipped: list[Tile],
    failed: list[tuple[Tile, str]],
    shape: tuple[int, int],
) -> Batch:
    try:
        pixels = np.zeros((len(full), *shape, 3), np.uint8)
    except MemoryError as error:
        raise SceneError(f"{_size(len(full), shape)} is too large: {error}; {SMALLER}") from None
    for row, (tile, window) in enumerate(full):
        pixels[row, : tile.height, : tile.width] = window
    return Batch(tuple(tile for tile, _ in full), pixels, tuple(skipped), tuple(failed))


def _size(count: int, shape: tuple[int, int]) -> str:
    return f"a batch of {count} x {shape[1]} x {shape[0]} pixels"
