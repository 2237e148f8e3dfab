"""What reading adds to the memory of a run, whatever the file is like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from sodslice import open_scene

PROBE = """
import pathlib, sys, sodslice
sodslice.run(sys.argv[1], model="blobs", output=sys.argv[2])
status = pathlib.Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""
# not ru_maxrss, in which a child inherits the peak of the process that started it

ROWS = 500

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"
)


def peak_mb(scene: Path) -> int:
    """Peak memory in MB of a run of the blob detector in a process of its own."""
    command = [sys.executable, "-c", PROBE, str(scene), str(scene.with_suffix(".json"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=570)
    return int(done.stdout.split()[-1])


def textured(path: Path, side: int, **profile) -> Path:
    """A dark square scene with texture, written row by row."""
    rows = np.random.default_rng(0).integers(1, 90, (3, ROWS, side), dtype=np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", **profile
    ) as dataset:
        for top in range(0, side, ROWS):
            height = min(ROWS, side - top)
            dataset.write(rows[:, :height], window=Window(0, top, side, height))
    return path


@pytest.fixture(scope="module")
def one_tile(tmp_path_factory) -> int:
    """Peak memory in MB of a run over one tile."""
    return peak_mb(textured(tmp_path_factory.mktemp("tile") / "a.tif", 1024))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "profile"),
    [
        (20_000, {"compress": "deflate", "zlevel": 1, "interleave": "pixel", "blockysize": 1}),
        (20_000, {"compress": "deflate", "zlevel": 1, "interleave": "pixel", "blockysize": 64}),
        (12_000, {"compress": "deflate", "zlevel": 1, "interleave": "band", "blockysize": 16}),
        (
            12_000,
            {"compress": "lzw", "interleave": "pixel", "tiled": True, "blockxsize": 512, "blockysize": 512},
        ),
    ],
    ids=["scan lines", "strips", "planar strips", "tiles"],
)
def test_no_layout_needs_much_more_than_a_tile(tmp_path, one_tile, side, profile):
    assert peak_mb(textured(tmp_path / "a.tif", side, **profile)) - one_tile <= 300


@pytest.mark.slow
def test_an_image_in_one_block_needs_what_it_says(tmp_path, one_tile):
    settings = {"tiled": True, "blockxsize": 8000, "blockysize": 8000, "compress": "deflate", "zlevel": 1}
    path = textured(tmp_path / "a.tif", 8000, interleave="pixel", **settings)
    with open_scene(path) as scene:
        (note,) = scene.notes
    said = int(note.partition("takes about ")[2].split()[0])
    assert 0.7 * said <= peak_mb(path) - one_tile <= said + 60
