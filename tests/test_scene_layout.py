from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from sodslice import SodsliceError, open_scene
from sodslice.scene.layout import LARGEST_CACHE_OF_ROWS, SMALLEST_CACHE, Layout, block_cache, plan_reading
from sodslice.tables.tiles import Grid
from tests.rasters import write_raster

MEBI = 2**20


def every(grid: Grid) -> np.ndarray:
    """Ids of all tiles, row after row."""
    return np.arange(len(grid))


@settings(deadline=None)
@given(
    st.integers(1, 200_000),
    st.integers(1, 4000),
    st.sampled_from([1, 64, 512]),
    st.integers(1, 16),
    st.booleans(),
)
def test_every_tile_is_read_once_within_a_bounded_cache(width, height, block, pixel_bytes, strips):
    layout = Layout(width, height, width if strips else block, block, pixel_bytes)
    grid = Grid(width, height, 1024)
    plan = plan_reading(grid, every(grid), layout)
    assert np.array_equal(np.sort(plan.order(grid, every(grid))), every(grid))
    assert SMALLEST_CACHE <= plan.cache_bytes <= max(LARGEST_CACHE_OF_ROWS, layout.block_bytes + 64 * MEBI)


def test_tiles_go_row_by_row_where_a_row_fits_the_cache():
    grid = Grid(20_000, 5000, 1024)
    for layout in (Layout(20_000, 5000, 256, 256, 3), None):
        order = plan_reading(grid, every(grid), layout).order(grid, every(grid))
        assert np.array_equal(order, every(grid))


def test_tiles_go_in_bands_of_columns_where_no_row_fits_the_cache():
    layout = Layout(200_000, 5000, 512, 512, 3)
    grid = Grid(200_000, 5000, 1024)
    plan = plan_reading(grid, every(grid), layout)
    assert not plan.notes
    xs = [grid[tile_id].x for tile_id in plan.order(grid, every(grid))]
    band = next(i for i in range(1, len(xs)) if xs[i] < xs[i - 1])
    assert xs[0] == xs[band] == 0
    held = xs[band - 1] + 1024 + 2 * 512
    assert layout.row_bytes(1024, held - 1024) <= plan.cache_bytes * 1.01


def test_rows_of_pixels_that_do_not_fit_the_cache_are_said():
    grid = Grid(200_000, 2000, 1024)
    plan = plan_reading(grid, every(grid), Layout(200_000, 2000, 200_000, 1, 8))
    assert "more than the cache of 256 MB" in plan.notes[0]


def test_the_cache_holds_whatever_other_threads_do(tmp_path):
    from rasterio._env import (
        get_gdal_config,
    )  # what GDAL's cache really is; rasterio has no public word for it

    scene = open_scene(write_raster(tmp_path / "a.tif", np.ones((3, 600, 600), np.uint8)))
    before = get_gdal_config("GDAL_CACHEMAX")
    seen = []

    def read():
        for _ in range(20):
            scene.read(0, 0, 600, 600)
            seen.append(get_gdal_config("GDAL_CACHEMAX"))

    with block_cache(50 * MEBI):
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(seen) == {50 * MEBI}
    assert get_gdal_config("GDAL_CACHEMAX") == before


def test_scenes_that_are_read_side_by_side_have_each_its_part_of_the_cache():
    from rasterio.env import get_gdal_config

    def held():
        return get_gdal_config("GDAL_CACHEMAX") / MEBI

    before, first, other = held(), threading.Event(), threading.Event()

    def read():
        with block_cache(40 * MEBI):
            first.set()
            other.wait()

    thread = threading.Thread(target=read)
    thread.start()
    first.wait()
    assert held() == 40
    with block_cache(50 * MEBI):
        assert held() == 90
        other.set()
        thread.join()
        assert held() == 50
        with block_cache(50 * MEBI):
            assert held() == 100
            with block_cache(500 * MEBI):
                assert held() == 512
                with block_cache(700 * MEBI):
                    assert held() == 700
    assert held() == before


def test_strips_are_read_through_one_dataset_and_tiles_through_one_a_thread(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 300, 400), dtype=np.uint8)

    def datasets(path):
        scene = open_scene(path)
        threads = [threading.Thread(target=scene.read, args=(0, 0, 400, 300)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(scene._handles)

    assert datasets(write_raster(tmp_path / "tiles.tif", pixels)) == 4
    strips = write_raster(tmp_path / "strips.tif", pixels, tiled=False, blockxsize=400, blockysize=1)
    assert datasets(strips) == 1


def test_a_large_block_says_what_it_needs_before_it_is_read(tmp_path):
    path = tmp_path / "a.tif"
    settings = {
        "driver": "GTiff",
        "tiled": True,
        "blockxsize": 12_000,
        "blockysize": 12_000,
        "SPARSE_OK": True,
    }
    with rasterio.open(path, "w", width=12_000, height=12_000, count=3, dtype="uint8", **settings):
        pass
    notes = open_scene(path).notes
    assert "blocks of 12000 x 12000 pixels, and reading any pixel takes about 824 MB" in notes[0]
    assert "gdal_translate -co TILED=YES" in notes[0]


def test_a_gigantic_block_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    settings = {
        "driver": "GTiff",
        "tiled": True,
        "blockxsize": 40_000,
        "blockysize": 40_000,
        "SPARSE_OK": True,
    }
    with rasterio.open(path, "w", width=40_000, height=40_000, count=3, dtype="uint8", **settings):
        pass
    with pytest.raises(
        SodsliceError, match="reading any pixel would decode 4578 MB; convert it with gdal_tr"
    ):
        open_scene(path)


def test_a_coarse_mask_shows_where_data_is_and_only_where_it_is_cheap(tmp_path):
    pixels = np.full((3, 1024, 2048), 9, np.uint8)
    pixels[:, :, :1024] = 0
    path = write_raster(tmp_path / "a.tif", pixels, nodata=0)
    assert open_scene(path).coarse_mask() is None
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([4], Resampling.nearest)
    mask = open_scene(path).coarse_mask()
    assert mask.shape == (362, 724)
    assert not mask[:, :361].any()
    assert mask[:, 363:].all()
