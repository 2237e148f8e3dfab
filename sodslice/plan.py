"""What a run over a scene would need: tiles, batches, memory, reading time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sodslice.options import Options
from sodslice.pipeline import DEFAULT_TILE, open_with, view_with
from sodslice.scene import Scene
from sodslice.scene.layout import block_cache
from sodslice.tiles import Tile, overlap_px
from sodslice.view import View

log = logging.getLogger(__name__)

MEBI = 2**20
SAMPLES = 5


@dataclass(frozen=True)
class ScenePlan:
    """What a run would do.

    Args:
        scene: path, and width and height in pixels.
        ground: metres per pixel that the model sees, None where metres are not known.
        seen: width and height at which it sees the scene.
        tile: side, overlap in pixels, and number of tiles of the whole grid.
        looked_at: number of tiles that are looked at.
        empty: how many of these hold no data as far as overviews tell, None where there are none.
        batch: tiles per call of the model.
        seen_pixels: pixels of all tiles that are looked at together; overlaps count twice.
        buffer_bytes: memory of the tiles that are in flight.
        cache_bytes: memory of GDAL's cache.
        read_seconds: time to read all tiles with one reader, judged from a few.
        empty_share: share of those few that hold no data.
    """

    scene: tuple[str, int, int]
    ground: float | None
    seen: tuple[int, int]
    tile: tuple[int, int, int]
    looked_at: int
    empty: int | None
    batch: int
    seen_pixels: int
    buffer_bytes: int
    cache_bytes: int
    read_seconds: float
    empty_share: float

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        name, width, height = self.scene
        side, overlap, count = self.tile
        share = self.seen_pixels / (self.seen[0] * self.seen[1])
        gsd = f"{self.ground:.3g} m per pixel" if self.ground else "metres are not known, so pixels only"
        scaled = "" if self.seen == (width, height) else f", seen at {self.seen[0]} x {self.seen[1]} pixels"
        part = "" if self.looked_at == count else f"; {self.looked_at} of them are looked at"
        empty = f"{self.empty_share:.0%} of a sample is no-data"
        if self.empty is not None:
            empty = f"{self.empty} of {self.looked_at} tiles hold no data, judged from overviews"
        return [
            ("scene", f"{name}, {width} x {height} pixels, {width * height / 1e6:.1f} Mpx"),
            ("ground", gsd + scaled),
            ("tiles", f"{count} of {side} x {side}, overlap {overlap} pixels{part}"),
            ("pixels", f"{self.seen_pixels / 1e6:.1f} Mpx through the model, {share:.2f} x the scene"),
            ("batches", f"{-(-self.looked_at // self.batch)} of {self.batch}"),
            (
                "memory",
                f"{self.buffer_bytes / MEBI:.0f} MB of tiles in flight and up to "
                f"{self.cache_bytes / MEBI:.0f} MB of GDAL's cache, besides the model",
            ),
            ("reading", f"about {self.read_seconds:.1f} s with one reader; {empty}"),
        ]


def plan_scene(source: str | Path | Scene, options: Options) -> ScenePlan:
    """Plan a run over a scene; reads a few tiles to judge the reading time.

    Raises:
        SodsliceError: the scene or a setting is wrong.
    """
    scene = open_with(source, options)
    try:
        return _planned(scene, options)
    finally:
        if scene is not source:
            scene.close()


def _planned(scene: Scene, options: Options) -> ScenePlan:
    side = options.tile or DEFAULT_TILE
    view = view_with(scene, options, side)
    for note in view.notes:
        log.warning(note)
    tiles = view.reading.tiles
    with block_cache(view.reading.cache_bytes):
        empty = _empty_tiles(scene, view)
        hopeful = [t for t, without in zip(tiles, empty, strict=True) if not without] if empty else tiles
        seconds, share = _sample(view.scene, hopeful or tiles)
    in_flight = 2 * options.batch + options.readers
    return ScenePlan(
        scene=(scene.name, scene.width, scene.height),
        ground=view.gsd_m,
        seen=view.frame.seen,
        tile=(side, overlap_px(side, options.overlap), len(view.tiles)),
        looked_at=len(tiles),
        empty=None if empty is None else sum(empty),
        batch=options.batch,
        seen_pixels=sum(tile.width * tile.height for tile in tiles),
        buffer_bytes=in_flight * side * side * 3,
        cache_bytes=view.reading.cache_bytes,
        read_seconds=seconds * len(hopeful),
        empty_share=share,
    )


def _empty_tiles(scene: Scene, view: View) -> list[bool] | None:
    """Whether each tile that is looked at holds no data, as far as a small image of the scene's mask tells.

    A run does not rely on it, since that image may have lost small islands: it reads each tile's own mask.
    """
    coarse_mask = getattr(scene, "coarse_mask", None)
    coarse = None if coarse_mask is None else coarse_mask()
    if coarse is None:
        return None
    rows, columns = coarse.shape
    counts = np.zeros((rows + 1, columns + 1), np.int64)
    counts[1:, 1:] = coarse.cumsum(axis=0).cumsum(axis=1)
    tiles = np.array([t[1:] for t in view.reading.tiles], dtype=np.float64)
    per_pixel = np.array([columns / view.frame.seen[0], rows / view.frame.seen[1]])
    low = np.floor(tiles[:, :2] * per_pixel).astype(int) - 1
    high = np.ceil((tiles[:, :2] + tiles[:, 2:]) * per_pixel).astype(int) + 1
    x0, y0 = np.clip(low, 0, (columns, rows)).T
    x1, y1 = np.clip(high, 0, (columns, rows)).T
    inside = counts[y1, x1] - counts[y0, x1] - counts[y1, x0] + counts[y0, x0]
    empty: list[bool] = (inside == 0).tolist()
    return empty


def _sample(scene: Scene, tiles: Sequence[Tile]) -> tuple[float, float]:
    """Seconds per tile and share of no-data tiles, from a few tiles spread over the scene."""
    chosen = tiles[:: max(1, len(tiles) // SAMPLES)][:SAMPLES]
    began = time.perf_counter()
    valid = [scene.read(t.x, t.y, t.width, t.height)[1].any() for t in chosen]
    return (time.perf_counter() - began) / len(chosen), 1 - sum(valid) / len(valid)
