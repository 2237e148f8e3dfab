"""Which grid a scene is cut into: as asked, of the model's own size, or fitted to what is looked at."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sodslice import ArrayScene, BlobDetector, Detections, GeoRef, RunPlan, load_result, make_plan, run
from sodslice.running import finish_again
from sodslice.running.tiling import needed_overlap_px
from tests.rasters import scene_with_blobs, write_raster

CORNERS = [(5, 7), (630, 30), (300, 700), (1090, 290), (635, 1100), (1150, 1950)]
FLAT = GeoRef((1, 0, 0, 0, -1, 0), 'LOCAL_CS["a field",UNIT["metre",1]]')


class Knowing(BlobDetector):
    """Says more of itself."""

    def __init__(self, **info):
        super().__init__()
        self.info = replace(self.info, **info)


class Emptiness:
    """A scene of any size, of which no pixel is ever read."""

    name, georef, notes = "nothing", FLAT, ()

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height

    def read(self, x, y, width, height):
        raise AssertionError

    def close(self) -> None:
        """Nothing to close."""


def tiles_of(size: tuple[int, int], model=None, **options) -> tuple:
    grid = make_plan(Emptiness(*size), model=model or Knowing(object_px=(16, 60)), options=options).grid
    return grid.tile if grid.tile_height is None else grid.full_size, grid.overlap_px


@pytest.mark.parametrize(
    ("object_px", "overlap"), [(None, 128), ((16, 60), 96), ((4, 10), 64), ((10, 64), 96), ((100, 400), 128)]
)
def test_an_overlap_holds_the_largest_object_and_something_around_it(object_px, overlap):
    assert needed_overlap_px(Knowing(object_px=object_px).info) == overlap


def test_tiles_are_fitted_where_a_model_takes_any():
    assert tiles_of((6144, 6144)) == (1312, 96)
    assert tiles_of((3000, 4000)) == ((1568, 2048), 96)
    assert tiles_of((6144, 6144), model=Knowing()) == (1632, 128)
    assert tiles_of((6144, 6144), overlap=64) == (1280, 64)
    assert tiles_of((6144, 6144), overlap="20%") == (1472, 294)


def test_what_is_given_is_obeyed_and_what_a_model_fixes_too():
    fixed = Knowing(input_size=(640, 640), object_px=(16, 60))
    assert tiles_of((6144, 6144), tile=1024) == (1024, 204)
    assert tiles_of((6144, 6144), tile="1024x512") == ((1024, 512), 102)
    assert tiles_of((6144, 6144), tile=1024, overlap=32) == (1024, 32)
    assert tiles_of((6144, 6144), model=fixed) == (640, 128)
    assert tiles_of((6144, 6144), model=fixed, overlap=96) == (640, 96)
    wide = Knowing(input_size=(384, 640))
    assert tiles_of((6144, 6144), model=wide, overlap=32) == ((640, 384), 32)


def test_windows_and_areas_have_the_tiles_of_the_whole_scene():
    """So that those side by side share no object and miss none."""
    road = "POLYGON ((0 0, 300 0, 20000 -19700, 20000 -20000, 19700 -20000, 0 -300, 0 0))"
    whole = make_plan(Emptiness(20_000, 20_000), model="blobs").grid
    for part in ({"window": (10_000, 10_000, 600, 600)}, {"aoi": road}):
        assert make_plan(Emptiness(20_000, 20_000), model="blobs", options=part).grid == whole


def test_what_was_resolved_is_recorded_and_can_be_asked_for_again(tmp_path):
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(1200, 2100, CORNERS))
    result = run(scene, model="blobs", output=tmp_path / "a.json")
    written = json.loads((tmp_path / "a.json").read_text())["run"]
    assert (written["tile_px"], written["overlap_px"]) == ([1216, 1120], 128)
    assert (written["options"]["tile"], written["options"]["overlap"]) == ("1216x1120", 128)
    assert load_result(tmp_path / "a.json").provenance.tile_px == (1216, 1120)
    plan = make_plan(scene, model="blobs")
    assert (plan.head["tile"], plan.head["overlap"]) == ("1216x1120", 128)
    again = make_plan(scene, model="blobs", options=tmp_path / "a.json")
    assert again.sha256 == plan.sha256 == RunPlan.from_json(plan.to_json()).sha256
    assert result.timings.plan == plan.sha256


@pytest.mark.parametrize("tile", ["96x160", "160x96", "auto"])
def test_tiles_that_are_not_square_find_the_same(tmp_path, tile):
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(1200, 2100, CORNERS))
    whole = run(scene, model="blobs", options={"tile": 2048})
    options = {"tile": tile, "overlap": 48, "keep_raw": True}
    found = run(scene, model="blobs", options=options, output=tmp_path / "a.json")
    assert sorted(found.detections.boxes.tolist()) == sorted(whole.detections.boxes.tolist())
    merged = finish_again(tmp_path / "a.json")
    assert np.array_equal(merged.detections.boxes, found.detections.boxes)


def test_parts_of_a_plan_with_fitted_tiles_do_what_the_whole_does():
    plan = make_plan(Emptiness(5000, 7100), model="blobs")
    ids = [plan.part(number, 3).ids for number in (1, 2, 3)]
    assert np.array_equal(np.concatenate(ids), plan.ids)


def test_a_model_of_fixed_size_is_shown_tiles_of_the_size_asked_for():
    shapes = []

    class Watching(Knowing):
        def detect(self, pixels):
            shapes.append(pixels.shape[1:3])
            return [Detections.empty() for _ in pixels]

    pixels = ArrayScene(np.full((300, 80, 3), 9, np.uint8))
    run(pixels, model=Watching(input_size=(64, 64)), options={"tile": "96x64", "overlap": 0})
    assert set(shapes) == {(64, 96)}


def test_two_tiles_go_through_a_model_at_once_where_there_are_many_and_they_are_not_large():
    def streams(size, model=None, **options):
        return make_plan(Emptiness(*size), model=model or Knowing(), options=options).model.streams

    assert streams((6144, 6144), tile=1024) == 2
    assert streams((1800, 1800), tile=1024) == 1
    assert streams((6144, 6144), tile=1024, window=(0, 0, 1500, 1500)) == 1
    assert streams((16_000, 16_000), tile=2048) == 1
    assert streams((16_000, 16_000), model=Knowing(input_size=(1920, 1920))) == 2
    assert streams((16_000, 16_000), model=Knowing(input_size=(2048, 2048))) == 1
