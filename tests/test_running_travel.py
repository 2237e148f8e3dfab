"""What workers cannot have is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sodslice import BlobDetector, make_plan, open_scene
from sodslice.errors import ModelError, SceneError
from sodslice.running.travel import check_reopens, check_travels
from tests.rasters import scene_with_blobs, write_raster


@pytest.fixture
def scene(tmp_path):
    return write_raster(tmp_path / "a.tif", scene_with_blobs(200, 100, []))


def test_files_and_names_travel_and_objects_do_not(scene):
    plan = make_plan(scene, model="blobs")
    check_travels(plan)
    with pytest.raises(SceneError, match="is in the memory of this process, where workers cannot read it"):
        check_travels(replace(plan, scene=replace(plan.scene, location="")))
    with pytest.raises(ModelError, match="the model blobs is an object of this process, which workers"):
        check_travels(make_plan(scene, model=BlobDetector()))


def test_a_scene_is_opened_again_as_it_is_open(scene):
    plan = make_plan(scene, model="blobs", options={"bands": "3,2,1"})
    with open_scene(scene, {"bands": (3, 2, 1)}) as same:
        check_reopens(same, plan)
    with open_scene(scene) as other, pytest.raises(SceneError, match="opened with other settings"):
        check_reopens(other, plan)
