from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from sodslice import BlobDetector, ScenesFailed, SodsliceError, load_result, run_many
from sodslice.jobs import find_scenes, output_stems
from sodslice.journal import Journal
from tests.rasters import scene_with_blobs, write_raster


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for i, name in enumerate(["b.tif", "a.tif", "sub/a.tif"]):
        write_raster(root / name, scene_with_blobs(200, 100, [(10 * i, 5)]))
    (root / "notes.txt").write_text("not an image")
    (root / ".hidden.tif").write_text("not an image")
    return root


def test_scenes_are_found_sorted_below_the_folder(folder):
    assert [str(p.relative_to(folder)) for p in find_scenes(folder)] == ["a.tif", "b.tif", "sub/a.tif"]
    (folder / "empty").mkdir()
    with pytest.raises(SodsliceError, match="empty holds no images"):
        find_scenes(folder / "empty")


def test_results_come_in_input_order_each_with_its_file(folder, tmp_path):
    results = list(run_many(folder, model="blobs", options={"tile": 64}, output=tmp_path / "out"))
    assert [Path(r.scene["path"]).name for r in results] == ["a.tif", "b.tif", "a.tif"]
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert written == ["a.geojson", "b.geojson", "sub/a.geojson"]
    assert len(load_result(tmp_path / "out" / "b.geojson")) == 1


def test_the_model_is_loaded_once(folder, monkeypatch):
    from sodslice import pipeline

    loads = []
    monkeypatch.setattr(pipeline, "load_model", lambda *a, **k: loads.append(1) or BlobDetector())
    assert len(list(run_many(folder))) == 3
    assert loads == [1]


def test_a_broken_scene_is_reported_at_the_end_and_the_others_are_done(folder, tmp_path):
    (folder / "aa.tif").write_bytes(b"broken")
    results = run_many(folder, model="blobs", output=tmp_path / "out")
    done = [Path(next(results).scene["path"]).name for _ in range(3)]
    with pytest.raises(ScenesFailed, match=r"1 of 4 scenes failed: .*aa.tif is not an image") as caught:
        next(results)
    assert done == ["a.tif", "b.tif", "a.tif"]
    assert [p.name for p in caught.value.failures] == ["aa.tif"]


def test_a_scene_without_crs_is_written_as_json(tmp_path):
    write_raster(tmp_path / "a.tif", scene_with_blobs(50, 50, [(5, 5)]), crs=None)
    list(run_many([tmp_path / "a.tif"], model="blobs", output=tmp_path / "out"))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.json"]


def test_scenes_that_would_share_an_output_keep_their_suffix():
    assert output_stems([Path("x/a.tif"), Path("x/a.png"), Path("x/b.tif")]) == ["a.tif", "a.png", "b"]
    with pytest.raises(SodsliceError, match="several scenes are named a.tif"):
        output_stems([Path("x/a.tif"), Path("y/a.tif")])


def test_wrong_settings_stop_before_the_first_scene(folder, tmp_path):
    with pytest.raises(SodsliceError, match="unknown model"):
        next(run_many(folder, model="nonsense"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SodsliceError, match="cannot write to the folder"):
        next(run_many(folder, model="blobs", output=tmp_path / "file"))


def test_arrays_of_other_runs_do_not_leak(folder):
    results = list(run_many(folder, model="blobs"))
    corners = [r.detections.boxes[0, 0] for r in results]
    assert np.allclose(corners, [10, 0, 20])


def test_a_scene_that_does_not_fit_the_settings_does_not_stop_the_others(folder, tmp_path):
    palette = np.zeros((1, 50, 50), np.uint8)
    with rasterio.open(write_raster(folder / "aa.tif", palette, photometric="palette"), "r+") as dataset:
        dataset.write_colormap(1, {0: (1, 2, 3, 255)})
    output = tmp_path / "out"
    output.mkdir()
    with Journal(output / "b.geojson.journal", {"scene": "another"}) as journal:
        journal.add([], [0])
    results = run_many(folder, model="blobs", options={"stretch": "2,98"}, output=output)
    done = [Path(next(results).scene["path"]).name for _ in range(2)]
    with pytest.raises(ScenesFailed, match="2 of 4 scenes failed") as caught:
        next(results)
    assert done == ["a.tif", "a.tif"]
    assert [p.name for p in caught.value.failures] == ["aa.tif", "b.tif"]


def test_a_class_that_the_model_lacks_stops_before_the_first_scene(folder):
    with pytest.raises(SodsliceError, match="--classes names 'bus'"):
        next(run_many(folder, model="blobs", options={"classes": "bus"}))
