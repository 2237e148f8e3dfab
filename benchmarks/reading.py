"""Throughput of reading scenes as RGB, beside a bare rasterio loop over the same windows.

    python benchmarks/reading.py --side 4096 --rounds 7

Both run in turns, round after round, in one thread and in two, each with its own dataset; the table shows
medians, of the wall and of the processor's seconds, which other programs disturb less. What a scene adds to
the bare loop is the stretch to 8 bits, the interleaving to RGB, and the look for no-data.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import rasterio
from rasterio.windows import Window

from sodslice import open_scene
from sodslice.scene.layout import block_cache, plan_reading
from sodslice.system.chip import describe
from sodslice.tables.tiles import Grid, Tile

TARGET = 0.55
READERS = (1, 2)
TILED = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel"}
STRIPED = {"blockysize": 16, "interleave": "pixel"}
PACKED = {"compress": "deflate", "predictor": 2}


class File(NamedTuple):
    """What is read: pixels and profile of a GeoTIFF, and which bands of it."""

    dtype: str
    profile: dict[str, object]
    held: int = 3
    bands: tuple[int, ...] = (1, 2, 3)


FILES = {
    "uint8, JPEG": File("uint8", {**TILED, "compress": "jpeg", "photometric": "ycbcr"}),
    "uint8, deflate, strips": File("uint8", {**STRIPED, **PACKED}),
    "uint8": File("uint8", TILED),
    "uint16": File("uint16", TILED),
    "uint16, by band": File("uint16", {**TILED, "interleave": "band"}),
    "uint16, no-data": File("uint16", {**TILED, "nodata": 0}),
    "uint16, 3 of 8 bands": File("uint16", TILED, 8, (5, 3, 2)),
    "uint16, deflate": File("uint16", {**TILED, **PACKED}),
    "uint16, lzw": File("uint16", {**TILED, "compress": "lzw", "predictor": 2}),
    "uint16, zstd": File("uint16", {**TILED, "compress": "zstd", "predictor": 2}),
    "float32": File("float32", TILED),
}


class Took(NamedTuple):
    """Seconds, of the wall and of processors."""

    wall: float
    processor: float


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096, help="of the square scene, in pixels")
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="files whose names begin so")
    given = parser.parse_args()
    print(f"{describe()}; tiled, pixel by pixel and not compressed where nothing else is said")
    print(f"{given.side} x {given.side} pixels, blocks of 512, tiles of {given.tile}, {given.rounds} rounds")
    print(f"{'file':<24}{'readers':>8}{'bare Mpx/s':>12}{'scene Mpx/s':>13}", end="")
    print(f"{'share':>8}{'bare CPU s':>12}{'scene CPU s':>13}{'share':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, file in ((n, f) for n, f in FILES.items() if n.startswith(given.only)):
            path = drawn(Path(folder) / "scene.tif", given.side, file)
            for readers in READERS:
                show(name, readers, *compared(path, file.bands, given.tile, (readers, given.rounds)))


def show(name: str, readers: int, megapixels: float, bare: Took, scene: Took) -> None:
    """Print a line of the table."""
    walls = f"{megapixels / bare.wall:>12.0f}{megapixels / scene.wall:>13.0f}{bare.wall / scene.wall:>8.0%}"
    share = bare.processor / scene.processor
    processors = f"{bare.processor:>12.3f}{scene.processor:>13.3f}{share:>8.0%}"
    mark = "" if share >= TARGET else f"   below {TARGET:.0%}"
    print(f"{name:<24}{readers:>8}{walls}{processors}{mark}", flush=True)


def drawn(path: Path, side: int, file: File) -> Path:
    """A file with the texture of a 12-bit satellite image: slopes, and noise of some 6 bits."""
    rng = np.random.default_rng(0)
    slopes = np.add.outer(np.sin(np.arange(side) / 170), np.cos(np.arange(side) / 230)) * 400 + 1200
    bands = [slopes + rng.normal(0, 25, slopes.shape) for _ in range(file.held)]
    pixels = np.stack([band / 16 if file.dtype == "uint8" else band for band in bands]).astype(file.dtype)
    shape = {"width": side, "height": side, "count": file.held, "dtype": file.dtype}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.3, 0, 5e5, 0, -0.3, 5.3e6)}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **file.profile) as dataset:
        dataset.write(pixels)
    return path


def compared(
    path: Path, bands: tuple[int, ...], tile: int, effort: tuple[int, int]
) -> tuple[float, Took, Took]:
    """Megapixels, and what the bare loop and a scene took for them: medians of rounds in turns.

    Args:
        path: of the file.
        bands: that are read.
        tile: side of the windows in pixels.
        effort: how many threads read, and how many rounds.
    """
    readers, rounds = effort
    with closing(open_scene(path, {"bands": bands})) as scene:
        grid = Grid(scene.width, scene.height, tile)
        every = np.arange(len(grid))
        plan = plan_reading(grid, every, scene.layout)
        tiles = list(grid.tiles(plan.order(grid, every)))
        scene.stretch  # noqa: B018 -- measured once per scene, not per tile

        def bare(part: Sequence[Tile]) -> None:
            with rasterio.open(path) as dataset:
                for t in part:
                    dataset.read(bands, window=Window(t.x, t.y, t.width, t.height))

        def through_scene(part: Sequence[Tile]) -> None:
            for t in part:
                scene.read(t.x, t.y, t.width, t.height)

        with block_cache(plan.cache_bytes), ThreadPoolExecutor(readers) as threads:

            def spread(work: Callable[[Sequence[Tile]], None]) -> Took:
                scene.close()
                return took(lambda: list(threads.map(work, [tiles[i::readers] for i in range(readers)])))

            times = [(spread(bare), spread(through_scene)) for _ in range(rounds)]
    pixels = sum(t.width * t.height for t in tiles)
    return pixels / 1e6, middle([t for t, _ in times]), middle([t for _, t in times])


def took(work: Callable[[], object]) -> Took:
    """What a piece of work takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - processor)


def middle(times: Sequence[Took]) -> Took:
    """Medians."""
    return Took(median(t.wall for t in times), median(t.processor for t in times))


if __name__ == "__main__":
    main()
