"""What a run over a scene would need: tiles, batches, memory, reading time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sodslice.options import Options
from sodslice.pipeline import DEFAULT_TILE
from sodslice.scene import Scene, open_scene
from sodslice.tiles import Tile, overlap_px, plan_tiles

MEBI = 2**20
SAMPLES = 5


@dataclass(frozen=True)
class ScenePlan:
    """What a run would do.

    Args:
        scene: path, and width and height in pixels.
        ground: ground sample distance in metres, None without CRS.
        tile: side, overlap in pixels, and number of tiles.
        batch: tiles per call of the model.
        seen_pixels: pixels of all tiles together; overlaps count twice.
        buffer_bytes: memory of the tiles that are in flight.
        read_seconds: time to read all tiles with one reader, judged from a few; None for an empty sample.
        empty_share: share of the sampled tiles that hold no data.
    """

    scene: tuple[str, int, int]
    ground: float | None
    tile: tuple[int, int, int]
    batch: int
    seen_pixels: int
    buffer_bytes: int
    read_seconds: float
    empty_share: float

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        name, width, height = self.scene
        side, overlap, count = self.tile
        share = self.seen_pixels / (width * height)
        empty = f"{self.empty_share:.0%} of a sample is no-data"
        gsd = f"{self.ground:.3g} m per pixel" if self.ground else "no CRS, so pixels only"
        return [
            ("scene", f"{name}, {width} x {height} pixels, {width * height / 1e6:.1f} Mpx"),
            ("ground", gsd),
            ("tiles", f"{count} of {side} x {side}, overlap {overlap} pixels"),
            ("pixels", f"{self.seen_pixels / 1e6:.1f} Mpx through the model, {share:.2f} x the scene"),
            ("batches", f"{-(-count // self.batch)} of {self.batch}"),
            ("memory", f"{self.buffer_bytes / MEBI:.0f} MB of tiles in flight, besides the model"),
            ("reading", f"about {self.read_seconds:.1f} s with one reader; {empty}"),
        ]


def plan_scene(source: str | Path | Scene, options: Options) -> ScenePlan:
    """Plan a run over a scene; reads a few tiles to judge the reading time.

    Raises:
        SodsliceError: the scene or a setting is wrong.
    """
    scene = open_scene(source, bands=options.bands)
    side = options.tile or DEFAULT_TILE
    tiles = plan_tiles(scene.width, scene.height, tile=side, overlap=options.overlap)
    seconds, empty = _sample(scene, tiles)
    in_flight = 2 * options.batch + options.readers
    return ScenePlan(
        scene=(scene.name, scene.width, scene.height),
        ground=scene.georef.gsd_m(scene.width, scene.height) if scene.georef.on_map else None,
        tile=(side, overlap_px(side, options.overlap), len(tiles)),
        batch=options.batch,
        seen_pixels=sum(tile.width * tile.height for tile in tiles),
        buffer_bytes=in_flight * side * side * 3,
        read_seconds=seconds * len(tiles),
        empty_share=empty,
    )


def _sample(scene: Scene, tiles: Sequence[Tile]) -> tuple[float, float]:
    """Seconds per tile and share of no-data tiles, from a few tiles spread over the scene."""
    chosen = tiles[:: max(1, len(tiles) // SAMPLES)][:SAMPLES]
    began = time.perf_counter()
    valid = [scene.read(t.x, t.y, t.width, t.height)[1].any() for t in chosen]
    return (time.perf_counter() - began) / len(chosen), 1 - sum(valid) / len(valid)
