"""Throughput of reading and stretching 16-bit scenes, beside a bare rasterio loop over the same windows.

    python benchmarks/reading.py --side 4096 --rounds 7

Both run in one thread and in turns, round after round; the table shows the medians. What a scene adds to the
bare loop is the stretch to 8 bits, the interleaving to RGB, and the look for no-data.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import rasterio
from rasterio.windows import Window

from sodslice import open_scene
from sodslice.scene.layout import block_cache, plan_reading
from sodslice.tables.tiles import Grid

TARGET = 0.6
FILES: dict[str, dict[str, object]] = {
    "deflate, by pixel": {"compress": "deflate", "predictor": 2, "interleave": "pixel"},
    "deflate, by band": {"compress": "deflate", "predictor": 2, "interleave": "band"},
    "lzw, by pixel": {"compress": "lzw", "predictor": 2, "interleave": "pixel"},
    "zstd, by pixel": {"compress": "zstd", "predictor": 2, "interleave": "pixel"},
    "not compressed": {"interleave": "pixel"},
    "deflate, no-data": {"compress": "deflate", "predictor": 2, "interleave": "pixel", "nodata": 0},
}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096, help="of the square scene, in pixels")
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print(f"{given.side} x {given.side} pixels, 3 bands of uint16, blocks of 512, tiles of {given.tile}")
    print(f"{'file':<20}{'bare Mpx/s':>12}{'scene Mpx/s':>13}{'share':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, profile in FILES.items():
            path = drawn(Path(folder) / "scene.tif", given.side, profile)
            bare, scene = compared(path, given.tile, given.rounds)
            mark = "" if scene >= TARGET * bare else f"   below {TARGET:.0%}"
            print(f"{name:<20}{bare:>12.1f}{scene:>13.1f}{scene / bare:>8.0%}{mark}")


def drawn(path: Path, side: int, profile: dict[str, object]) -> Path:
    """A file with the texture of a 12-bit satellite image: slopes, and noise of some 6 bits."""
    rng = np.random.default_rng(0)
    slopes = np.add.outer(np.sin(np.arange(side) / 170), np.cos(np.arange(side) / 230)) * 400 + 1200
    pixels = np.stack([slopes + rng.normal(0, 25, slopes.shape) for _ in range(3)]).astype(np.uint16)
    shape = {"width": side, "height": side, "count": 3, "dtype": "uint16"}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.3, 0, 5e5, 0, -0.3, 5.3e6)}
    blocks = {"tiled": True, "blockxsize": 512, "blockysize": 512}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **blocks, **profile) as dataset:
        dataset.write(pixels)
    return path


def compared(path: Path, tile: int, rounds: int) -> tuple[float, float]:
    """Mpx per second of the bare loop and of a scene, medians of rounds in turns."""
    with open_scene(path) as scene:
        grid = Grid(scene.width, scene.height, tile)
        every = np.arange(len(grid))
        plan = plan_reading(grid, every, scene.layout)
        tiles = list(grid.tiles(plan.order(grid, every)))
        scene.stretch  # noqa: B018 -- measured once per scene, not per tile

        def bare() -> None:
            with rasterio.open(path) as dataset:
                for t in tiles:
                    dataset.read((1, 2, 3), window=Window(t.x, t.y, t.width, t.height))

        def through_scene() -> None:
            scene.close()
            for t in tiles:
                scene.read(t.x, t.y, t.width, t.height)

        pixels = sum(t.width * t.height for t in tiles) / 1e6
        with block_cache(plan.cache_bytes):
            times = [(seconds(bare), seconds(through_scene)) for _ in range(rounds)]
    ours, theirs = median(t for _, t in times), median(t for t, _ in times)
    return pixels / theirs, pixels / ours


def seconds(work: Callable[[], None]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
