"""Batches of tiles, read ahead by threads, in plan order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from sodslice.scene import Scene
from sodslice.tiles import Tile


@dataclass(frozen=True)
class Batch:
    """Tiles that go through the model together.

    Args:
        tiles: in plan order; empty only in a last batch that reports skipped tiles.
        pixels: `(B, H, W, 3)` uint8 RGB, tiles smaller than H, W padded black on the right and at the
            bottom.
        skipped: tiles without any valid pixel that the plan has before or behind these.
    """

    tiles: tuple[Tile, ...]
    pixels: npt.NDArray[np.uint8]
    skipped: tuple[Tile, ...] = ()


def read_batches(
    scene: Scene, tiles: Sequence[Tile], *, batch: int, shape: tuple[int, int], readers: int = 2
) -> Iterator[Batch]:
    """Read the tiles of a scene, some ahead of the one that is asked for.

    Which tiles share a batch depends on the plan and on the scene's no-data alone, never on timing. At most
    2 x batch + readers tiles are in memory.

    Args:
        scene: what to read; its `read` is called from several threads.
        tiles: windows, in the order wanted.
        batch: tiles per batch; the last may have fewer.
        shape: (height, width) of the batch's pixels, at least as large as any tile.
        readers: threads.

    Yields:
        Batches that together hold every tile once, as read or as skipped.

    Raises:
        SceneError: a window cannot be read.
    """
    full: list[tuple[Tile, npt.NDArray[np.uint8]]] = []
    skipped: list[Tile] = []
    for tile, pixels in _read_ahead(scene, tiles, ahead=batch + readers, readers=readers):
        if pixels is None:
            skipped.append(tile)
            continue
        full.append((tile, pixels))
        if len(full) == batch:
            yield _batch(full, skipped, shape)
            full, skipped = [], []
    if full or skipped:
        yield _batch(full, skipped, shape)


def _read_ahead(
    scene: Scene, tiles: Sequence[Tile], *, ahead: int, readers: int
) -> Iterator[tuple[Tile, npt.NDArray[np.uint8] | None]]:
    """Each tile with its pixels `(h, w, 3)`, or None where it is all no-data; in order, `ahead` in flight."""
    pool = ThreadPoolExecutor(readers, thread_name_prefix="sodslice-reader")
    waiting: deque[tuple[Tile, Future[npt.NDArray[np.uint8] | None]]] = deque()
    coming = iter(tiles)
    try:
        for tile in islice(coming, ahead):
            waiting.append((tile, pool.submit(_read, scene, tile)))
        while waiting:
            tile, future = waiting.popleft()
            pixels = future.result()
            for following in islice(coming, 1):
                waiting.append((following, pool.submit(_read, scene, following)))
            yield tile, pixels
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(scene: Scene, tile: Tile) -> npt.NDArray[np.uint8] | None:
    pixels, valid = scene.read(tile.x, tile.y, tile.width, tile.height)
    return pixels if valid.any() else None


def _batch(
    full: list[tuple[Tile, npt.NDArray[np.uint8]]], skipped: list[Tile], shape: tuple[int, int]
) -> Batch:
    pixels = np.zeros((len(full), *shape, 3), np.uint8)
    for row, (tile, window) in enumerate(full):
        pixels[row, : tile.height, : tile.width] = window
    return Batch(tuple(tile for tile, _ in full), pixels, tuple(skipped))
