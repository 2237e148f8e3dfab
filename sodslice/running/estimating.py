"""What a plan costs: tiles, batches, memory, reading time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sodslice.running.plan import RunPlan
from sodslice.running.tiling import needed_overlap_px
from sodslice.scene import SceneBase, seen_at
from sodslice.scene.layout import block_cache
from sodslice.tables.fitting import padded
from sodslice.tables.tiles import Tile, TileIds

MEBI = 2**20
SAMPLES = 5
TILES_AT_ONCE = 50_000
POINTS = 200
"""Points along each axis that tell how much of a restricted scene counts."""
WORTH_SAYING = 0.05
"""Share of the tiles from which on it is said that another overlap would save them."""


@dataclass(frozen=True)
class Estimate:
    """What a plan costs, judged from a few of its tiles.

    Args:
        plan: that is judged.
        empty: tiles that hold no data as far as overviews tell, None where there are none.
        seen_pixels: pixels of all tiles that are looked at together, as the model pads them; overlaps count
            twice.
        asked_pixels: of the scene that are asked for, in the same pixels; with a restriction, about so many.
        saved_share: of the tiles, which the overlap that the model's objects need would save.
        buffer_bytes: memory of the tiles that are in flight.
        read_seconds: time to read all tiles with one reader.
        empty_share: share of the few tiles that hold no data.
    """

    plan: RunPlan
    empty: int | None
    seen_pixels: int
    asked_pixels: float
    saved_share: float
    buffer_bytes: int
    read_seconds: float
    empty_share: float

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        scene, grid, model = self.plan.scene, self.plan.grid, self.plan.model
        width, height, ground = scene.width, scene.height, self.plan.gsd_seen_m
        count, looked_at, (across, down) = len(grid), len(self.plan), grid.full_size
        engine = f"{model.engine} {model.engine_version}".strip()
        times = self.seen_pixels / self.asked_pixels
        asked = "what is asked for" if self.plan.within.extents else "the scene"
        gsd = f"{ground:.3g} m per pixel" if ground else "metres are not known, so pixels only"
        scaled = (grid.width, grid.height) != (width, height)
        seen = f", seen at {grid.width} x {grid.height} pixels" if scaled else ""
        part = "" if looked_at == count else f"; {looked_at} of them are looked at"
        empty = f"{self.empty_share:.0%} of a sample is no-data"
        if self.empty is not None:
            empty = f"{self.empty} of {looked_at} tiles hold no data, judged from overviews"
        return [
            ("scene", f"{scene.name}, {width} x {height} pixels, {width * height / 1e6:.1f} Mpx"),
            ("ground", gsd + seen),
            ("model", f"{model.info.name} on {engine or 'its own engine'}, device {model.device}"),
            ("tiles", f"{count} of {across} x {down}, overlap {grid.overlap_px} pixels{part}"),
            ("pixels", f"{self.seen_pixels / 1e6:.1f} Mpx through the model, {times:.2f} x {asked}"),
            *self._saving(),
            ("batches", f"{-(-looked_at // model.batch)} of {model.batch}"),
            (
                "memory",
                f"{self.buffer_bytes / MEBI:.0f} MB of tiles in flight and up to "
                f"{self.plan.looked_at.reading.cache_bytes / MEBI:.0f} MB of GDAL's cache, besides the model",
            ),
            ("reading", f"about {self.read_seconds:.1f} s with one reader; {empty}"),
        ]

    def _saving(self) -> list[tuple[str, str]]:
        """What another overlap would save, where that is worth a word."""
        if self.saved_share < WORTH_SAYING:
            return []
        words = f"an overlap of {_needed(self.plan)} pixels, which the model's objects need"
        return [("saving", f"{self.saved_share:.0%} fewer tiles at {words}")]


def estimate(plan: RunPlan, scene: SceneBase) -> Estimate:
    """What a plan costs; reads a few tiles to judge the reading time.

    Args:
        plan: to be judged.
        scene: of the plan, open.

    Raises:
        SceneError: a tile cannot be read.
    """
    ids = plan.ids
    seen = seen_at(scene, plan.seen_px)
    with block_cache(plan.looked_at.reading.cache_bytes):
        hopeful = _hopeful(plan, scene, ids)
        few = ids if hopeful is None or not len(hopeful) else hopeful
        seconds, share = _sample(seen, [plan.grid[i] for i in few[:: max(1, len(few) // SAMPLES)][:SAMPLES]])
    (full_width, full_height), info = plan.grid.full_size, plan.model.info
    step = info.stride if info.input_size is None else 1
    width, height = (padded(side, step) for side in plan.grid.tile_size)
    in_flight = 2 * plan.model.batch + plan.readers
    return Estimate(
        plan,
        empty=None if hopeful is None else len(ids) - len(hopeful),
        seen_pixels=len(ids) * width * height,
        asked_pixels=_asked_pixels(plan),
        saved_share=_saved_share(plan),
        buffer_bytes=in_flight * full_width * full_height * 3,
        read_seconds=seconds * len(ids if hopeful is None else hopeful),
        empty_share=share,
    )


def _hopeful(plan: RunPlan, scene: SceneBase, ids: TileIds) -> TileIds | None:
    """Those of some tiles that hold data, as far as a small image of the mask tells; None without one.

    A run does not rely on it, since that image may have lost small islands: it reads each tile's own mask.
    """
    coarse = scene.coarse_mask()
    if coarse is None:
        return None
    rows, columns = coarse.shape
    counts = np.zeros((rows + 1, columns + 1), np.int64)
    counts[1:, 1:] = coarse.cumsum(axis=0).cumsum(axis=1)
    per_pixel = np.array([columns / plan.grid.width, rows / plan.grid.height])
    kept = []
    for start in range(0, len(ids), TILES_AT_ONCE):
        part = ids[start : start + TILES_AT_ONCE]
        edges = plan.grid.boxes(part)
        low = np.floor(edges[:, :2] * per_pixel).astype(int) - 1
        high = np.ceil(edges[:, 2:] * per_pixel).astype(int) + 1
        x0, y0 = np.clip(low, 0, (columns, rows)).T
        x1, y1 = np.clip(high, 0, (columns, rows)).T
        kept.append(part[counts[y1, x1] - counts[y0, x1] - counts[y1, x0] + counts[y0, x0] > 0])
    return np.concatenate(kept)


def _asked_pixels(plan: RunPlan) -> float:
    """Pixels of the scene that count, as it is seen; of a restricted one by points among the tiles."""
    if not plan.within.extents:
        return float(plan.grid.width * plan.grid.height)
    edges = plan.grid.boxes(plan.ids)
    low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    middles = (np.arange(POINTS) + 0.5) / POINTS
    x, y = (low + np.outer(middles, high - low)).T
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) * plan.per_pixel
    held = max(1, int(plan.within.holds(points).sum()))
    return float(np.prod(high - low)) * held / len(points)


def _needed(plan: RunPlan) -> int:
    """Overlap in pixels that the objects of the model need."""
    info = plan.model.info
    resized = max(plan.grid.full_size) / max(info.input_size) if info.input_size else 1.0
    return needed_overlap_px(info, resized)


def _saved_share(plan: RunPlan) -> float:
    """Share of the tiles of the whole grid that the overlap which objects need would save."""
    needed = _needed(plan)
    return (
        0.0
        if needed >= plan.grid.overlap_px
        else 1 - len(replace(plan.grid, overlap=needed)) / len(plan.grid)
    )


def _sample(scene: SceneBase, tiles: Sequence[Tile]) -> tuple[float, float]:
    """Seconds per tile and share of no-data tiles, from a few tiles spread over the scene."""
    began = time.perf_counter()
    valid = [scene.read(t.x, t.y, t.width, t.height)[1].any() for t in tiles]
    return (time.perf_counter() - began) / len(tiles), 1 - sum(valid) / len(valid)
