"""The block cache holds what a row of tiles needs, with what GDAL spends on each block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import open_scene
from sodslice.scene.layout import Layout, block_cache, plan_reading
from sodslice.scene.turning import Turn
from sodslice.tables.tiles import Grid

COUNTERS = Path("/proc/self/io")
ALIGNMENT, HEAD = 64, 160
"""How GDAL counts a block of one band: whole multiples of 64 bytes, and two of its block records."""

WIDTH, HEIGHT = 24_000, 1700


def spent(layout: Layout, rows: int) -> int:
    """What GDAL counts for so many rows of blocks across the raster."""
    one = layout.block_width * layout.block_height * layout.pixel_bytes // layout.bands
    across = -(-layout.width // layout.block_width)
    return rows * across * layout.bands * (-(-one // ALIGNMENT) * ALIGNMENT + HEAD)


@settings(deadline=None)
@given(
    width=st.integers(300, 90_000),
    tile=st.sampled_from([320, 640, 1024]),
    block_height=st.sampled_from([1, 2, 16]),
    bands=st.sampled_from([1, 3, 4]),
    bytes_each=st.sampled_from([1, 2, 4]),
)
def test_a_row_of_tiles_fits_the_cache_or_it_is_said(width, tile, block_height, bands, bytes_each):
    layout = Layout(width, 5000, width, block_height, bands * bytes_each, bands)
    grid = Grid(width, 5000, tile, 0.2)
    plan = plan_reading(grid, np.arange(len(grid)), layout)
    needed = spent(layout, -(-tile // block_height) + 1)
    assert plan.cache_bytes >= needed or "decoded again for each tile" in plan.notes[0]


@pytest.mark.parametrize("orientation", [5, 6])
def test_rows_that_are_seen_as_columns_are_cached_as_rows(orientation):
    layout = Layout(30_000, 20_000, 30_000, 1, 3, 3, Turn(orientation))
    grid = Grid(*layout.size, 1024, 0.2)
    plan = plan_reading(grid, np.arange(len(grid)), layout)
    assert plan.notes == ()
    assert spent(layout, 1025) <= plan.cache_bytes < 1.1 * spent(layout, 1025)


def bytes_read() -> int:
    """Bytes that this process has read from files."""
    return int(COUNTERS.read_text().split("rchar:")[1].split()[0])


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> dict[str, Path]:
    """One picture as strips and as a JPEG, decoded row by row."""
    folder = tmp_path_factory.mktemp("wide")
    pixels = np.random.default_rng(0).integers(0, 8, (3, 100, WIDTH), dtype=np.uint8)
    pixels = np.tile(pixels, (1, HEIGHT // 100, 1))
    size = {"width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8"}
    paths = {"strips": folder / "a.tif", "jpeg": folder / "a.jpg"}
    how = {"strips": {"driver": "GTiff", "compress": "zstd", "zstd_level": 1, "interleave": "pixel"}}
    for kind, path in paths.items():
        with rasterio.open(path, "w", **how.get(kind, {"driver": "JPEG"}), **size) as dataset:
            dataset.write(pixels)
    return paths


@pytest.mark.skipif(not COUNTERS.exists(), reason="the system does not count what a process reads")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", ["strips", "jpeg"])
def test_each_row_is_decoded_once_a_row_of_tiles_whatever_their_side(wide, kind):
    path = wide[kind]

    def times(tile: int) -> float:
        with open_scene(path) as scene:
            grid = Grid(scene.width, scene.height, tile, 0.2)
            ids = np.arange(len(grid))
            plan = plan_reading(grid, ids, scene.layout)
            before = bytes_read()
            with block_cache(plan.cache_bytes):
                for tile_id in plan.order(grid, ids).tolist():
                    scene.read(*grid[tile_id][1:])
            return (bytes_read() - before) / path.stat().st_size

    small, large = times(640), times(1024)
    assert small < 3
    assert large < 3, f"each row is decoded about {large:.0f} times"
