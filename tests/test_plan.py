from __future__ import annotations

import logging

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling

from sodslice import Options
from sodslice.plan import plan_scene
from tests.rasters import scene_with_blobs, write_raster


def rows_of(path, **options) -> dict[str, str]:
    return dict(plan_scene(path, Options(model="blobs", **options)).rows())


def test_a_plan_counts_tiles_and_says_what_is_looked_at(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, [(5, 5)]))
    rows = rows_of(path, tile=64)
    assert rows["tiles"] == "192 of 64 x 64, overlap 12 pixels"
    assert rows["ground"] == "0.5 m per pixel"
    part = rows_of(path, tile=64, window=(0, 0, 100, 100))
    assert part["tiles"] == "192 of 64 x 64, overlap 12 pixels; 4 of them are looked at"
    assert part["batches"] == "4 of 1"


def test_a_plan_at_another_gsd_says_how_large_the_scene_is_seen(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, [(5, 5)]))
    assert rows_of(path, gsd=1.0)["ground"] == "1 m per pixel, seen at 400 x 300 pixels"


def test_tiles_without_data_are_counted_from_overviews_and_never_too_many(tmp_path):
    pixels = np.zeros((1, 4000, 4000), np.uint8)
    pixels[:, :500, :500] = 9
    pixels[:, 3999, 3999] = 9
    path = write_raster(tmp_path / "a.tif", pixels, nodata=0, compress="deflate")
    assert "of a sample is no-data" in rows_of(path, tile=512, overlap=0)["reading"]
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.nearest)
    plan = plan_scene(path, Options(tile=512, overlap=0))
    assert plan.looked_at == 64
    assert 50 <= plan.empty <= 63
    assert "tiles hold no data, judged from overviews" in dict(plan.rows())["reading"]


def test_a_plan_gives_the_notes_before_it_reads(tmp_path, caplog):
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
    path = write_raster(tmp_path / "a.tif", np.ones((4, 300, 300), np.uint8), colours=colours)
    with caplog.at_level(logging.WARNING, logger="sodslice"):
        plan_scene(path, Options())
    assert "fourth band that is not alpha" in caplog.text
