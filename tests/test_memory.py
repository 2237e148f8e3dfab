"""Peak memory does not depend on the scene's size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

PROBE = """
import resource, sys, sodslice
sodslice.run(sys.argv[1], options={"tile": 1024}, output=sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(scene: Path) -> int:
    command = [sys.executable, "-c", PROBE, str(scene), str(scene.with_suffix(".json"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout.split()[-1])


def sparse(path: Path, side: int) -> Path:
    """A scene of which only a corner of 2000 x 2000 was ever written."""
    settings = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    corner = np.random.default_rng(0).integers(1, 255, (3, 2000, 2000), dtype=np.uint8)
    with rasterio.open(
        path, "w", width=side, height=side, count=3, dtype="uint8", SPARSE_OK=True, **settings
    ) as dataset:
        dataset.write(corner, window=Window(0, 0, 2000, 2000))
    return path


@pytest.mark.slow
def test_a_huge_sparse_scene_needs_hardly_more_than_a_small_one(tmp_path):
    small = peak_mb(sparse(tmp_path / "small.tif", 4_000))
    large = peak_mb(sparse(tmp_path / "large.tif", 60_000))
    assert large - small <= 150


SIZES = """
import random, sodslice, numpy as np
from pathlib import Path
sizes, detector = random.Random(3), sodslice.load_model("vehicle-t", device="cpu", threads=1)
def resident(images):
    for _ in range(images):
        detector.detect(np.zeros((1, sizes.randrange(300, 900), sizes.randrange(300, 900), 3), np.uint8))
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
print(resident(60), resident(120))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
def test_images_of_ever_new_sizes_need_no_more_memory():
    command = [sys.executable, "-c", SIZES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    early, late = map(int, done.stdout.split())
    assert late - early <= 60
