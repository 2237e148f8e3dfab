"""Broken TIFFs through `plan` and `run`, each in a process of its own with 2 GB and 20 seconds.

`python -m tests.fuzz COUNT FOLDER [FIRST]` breaks files by bit flips, cuts and huge tags, and prints a line
of JSON for each that ended otherwise than with a result or one line of error, then a line with the counts.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import struct
import sys
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling

from sodslice import SodsliceError, make_plan, run
from sodslice.results.formats import FORMATS
from sodslice.running import estimate
from sodslice.scene import as_scene
from sodslice.system.opencv import opencv
from tests.rasters import scene_with_blobs, write_raster

MEMORY_BYTES = 2 * 2**30
SECONDS = 20
DONE, REFUSED, FAULT = 0, 1, 2
HEADER_BYTES = 1024


def healthy_files(folder: Path) -> list[Path]:
    """Small files of many kinds, each of which runs."""
    blobs = scene_with_blobs(200, 160, [(20, 30), (120, 90)])
    tiles = {"blockxsize": 64, "blockysize": 64}
    strips = {"tiled": False, "blockxsize": 200, "blockysize": 8}
    sixteen = blobs.astype(np.uint16) * 11
    made = [
        write_raster(folder / "tiles.tif", blobs, compress="deflate", **tiles),
        write_raster(folder / "strips.tif", blobs, compress="lzw", predictor=2, **strips),
        write_raster(folder / "plain.tif", blobs, **strips),
        write_raster(folder / "jpeg.tif", blobs, compress="jpeg", photometric="ycbcr", **tiles),
        write_raster(folder / "sixteen.tif", sixteen, interleave="band", nodata=0, **tiles),
        write_raster(folder / "floats.tif", blobs[:1].astype(np.float32), compress="zstd", **tiles),
        write_raster(folder / "big.tif", blobs, bigtiff="YES", compress="packbits", **strips),
        write_raster(folder / "sparse.tif", blobs, sparse_ok=True, **tiles),
        write_raster(folder / "overviews.tif", sixteen, compress="deflate", **tiles),
        write_raster(folder / "points.tif", blobs, crs=None, transform=None, **tiles),
    ]
    with rasterio.open(made[8], "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    with rasterio.open(made[9], "r+") as dataset:
        points = [GroundControlPoint(r, c, 11 + c * 1e-5, 48 - r * 1e-5) for r in (0, 160) for c in (0, 200)]
        dataset.gcps = points, rasterio.CRS.from_epsg(4326)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        made.append(write_raster(folder / "mask.tif", blobs, **tiles))
        with rasterio.open(made[-1], "r+") as dataset:
            dataset.write_mask(np.full((160, 200), 255, np.uint8))
    return made


def broken(content: bytes, dice: random.Random) -> bytes:
    """The file with some bits flipped, a part cut off, or numbers in its header made huge."""
    data = bytearray(content)
    kind = dice.choice(["flips", "header flips", "cut", "huge", "huge and cut"])
    if kind in ("flips", "header flips"):
        end = len(data) if kind == "flips" else min(len(data), HEADER_BYTES)
        for _ in range(dice.choice([1, 2, 5, 20, 100])):
            data[dice.randrange(4, end)] ^= 1 << dice.randrange(8)
    if "huge" in kind:
        for _ in range(dice.choice([1, 2, 4])):
            value = dice.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, dice.randrange(2**32)])
            struct.pack_into("<I", data, dice.randrange(4, min(len(data), HEADER_BYTES) - 4), value)
    if "cut" in kind:
        del data[dice.randrange(1, len(data)) :]
    return bytes(data)


def attempt(path: Path) -> int:
    """Plan and run one file; what is no result and no one-line error is a fault."""
    try:
        scene = as_scene(path)
        estimate(make_plan(scene, model="blobs", options={"tile": 64}), scene)
        run(path, model="blobs", options={"tile": 64}, output=path.with_suffix(".json"))
    except SodsliceError as error:
        return REFUSED if "\n" not in str(error) else FAULT
    except BaseException:  # noqa: BLE001 -- whatever it is, it is a fault to be shown
        traceback.print_exc()
        return FAULT
    return DONE


def in_child(path: Path) -> str:
    """How a process of its own with bounded memory and time ends."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(SECONDS)
        os._exit(attempt(path))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return "hang" if name == "SIGALRM" else name
    return {DONE: "done", REFUSED: "refused"}.get(os.WEXITSTATUS(status), "fault")


def main(count: int, folder: Path, first: int = 0) -> None:
    """Try so many broken files; those that end badly are left in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    opencv()  # loaded once and not in each child, as are the formats
    list(FORMATS)
    whole = healthy_files(folder)
    for path in whole:
        assert in_child(path) == "done", path
    ends: Counter[str] = Counter()
    for number in range(first, first + count):
        dice = random.Random(number)
        source = dice.choice(whole)
        path = folder / f"{number}-{source.name}"
        path.write_bytes(broken(source.read_bytes(), dice))
        end = in_child(path)
        ends[end] += 1
        if end in ("done", "refused"):
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
        else:
            say({"file": str(path), "end": end})
    say(ends)


def say(facts: dict) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
