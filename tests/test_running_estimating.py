from __future__ import annotations

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling

from sodslice import make_plan
from sodslice.running import Estimate, estimate
from sodslice.scene import as_scene
from tests.rasters import scene_with_blobs, write_raster


def estimated(path, **options) -> Estimate:
    scene = as_scene(path)
    return estimate(make_plan(scene, options=options), scene)


def rows_of(path, **options) -> dict[str, str]:
    return dict(estimated(path, model="blobs", **options).rows())


def test_a_plan_counts_tiles_and_says_what_is_looked_at(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, [(5, 5)]))
    rows = rows_of(path, tile=64)
    assert rows["tiles"] == "192 of 64 x 64, overlap 12 pixels"
    assert rows["ground"] == "0.5 m per pixel"
    part = rows_of(path, tile=64, window=(0, 0, 100, 100))
    assert part["tiles"] == "192 of 64 x 64, overlap 12 pixels; 4 of them are looked at"
    assert part["batches"] == "4 of 1"


def test_a_plan_says_how_often_pixels_go_through_the_model(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, [(5, 5)]))
    assert rows_of(path, tile=200, overlap=100)["pixels"] == "1.4 Mpx through the model, 2.92 x the scene"
    part = rows_of(path, tile=200, overlap=0, window=(200, 200, 300, 100))
    assert part["pixels"] == "0.1 Mpx through the model, 2.67 x what is asked for"
    padded = dict(estimated(path).rows())
    assert padded["pixels"] == "0.5 Mpx through the model, 1.01 x the scene"


def test_a_plan_says_what_another_overlap_would_save(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(4000, 3000, [(5, 5)]))
    words = "fewer tiles at an overlap of 128 pixels, which the model's objects need"
    assert rows_of(path, tile=800, overlap=0.5)["saving"] == f"52% {words}"
    assert "saving" not in rows_of(path)


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
    found = estimated(path, tile=512, overlap=0)
    assert len(found.plan) == 64
    assert 50 <= found.empty <= 63
    assert "tiles hold no data, judged from overviews" in dict(found.rows())["reading"]


def test_a_plan_gives_the_notes_before_it_reads(tmp_path):
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
    path = write_raster(tmp_path / "a.tif", np.ones((4, 300, 300), np.uint8), colours=colours)
    assert "fourth band that is not alpha" in " ".join(make_plan(path).notes)
