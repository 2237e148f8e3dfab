from __future__ import annotations

import numpy as np
import pytest
import rasterio

from sodslice import BlobDetector, SodsliceError, load_result, run_many
from sodslice.errors import ModelError, OutputError, SceneError
from sodslice.jobs import JobEvents, find_scenes
from tests.rasters import scene_with_blobs, write_raster
from tests.tiny_models import PERMUTE, export_bright_box


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
    found = find_scenes(folder)
    assert [str(p.relative_to(folder)) for p in found.scenes] == ["a.tif", "b.tif", "sub/a.tif"]
    assert found.notes == ()
    (folder / "empty").mkdir()
    with pytest.raises(SodsliceError, match="empty holds no images"):
        find_scenes(folder / "empty")


def test_outcomes_come_in_input_order_each_with_its_file(folder, tmp_path):
    outcomes = list(run_many(folder, model="blobs", options={"tile": 64}, output=tmp_path / "out"))
    assert [str(o.path.relative_to(folder)) for o in outcomes] == ["a.tif", "b.tif", "sub/a.tif"]
    assert [o.result.scene.path for o in outcomes] == [str(o.path) for o in outcomes]
    assert all(o.done and not o.why and not o.failed and not o.skipped for o in outcomes)
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("[!.]*son*"))
    assert written == ["a.tif.geojson", "b.tif.geojson", "manifest.jsonl", "sub/a.tif.geojson"]
    files = [str(path.relative_to(tmp_path / "out")) for o in outcomes for path in o.outputs]
    assert files == ["a.tif.geojson", "b.tif.geojson", "sub/a.tif.geojson"]
    assert len(load_result(tmp_path / "out" / "b.tif.geojson")) == 1


def test_each_result_is_written_before_its_outcome_comes(folder, tmp_path):
    for number, outcome in enumerate(run_many(folder, model="blobs", output=tmp_path / "out"), start=1):
        assert len(load_result(outcome.outputs[0])) == len(outcome.result) == 1
        assert len(list((tmp_path / "out").rglob("*.geojson"))) == number


def test_the_model_is_loaded_once(folder, monkeypatch):
    loads = []
    monkeypatch.setattr("sodslice.jobs.work.load_spec", lambda spec: loads.append(spec) or BlobDetector())
    assert len(list(run_many(folder))) == 3
    assert len(loads) == 1


def test_a_broken_scene_is_an_outcome_and_the_others_are_done(folder, tmp_path):
    (folder / "aa.tif").write_bytes(b"broken")
    outcomes = list(run_many(folder, model="blobs", output=tmp_path / "out"))
    assert [(o.path.name, o.status) for o in outcomes] == [
        ("a.tif", "done"),
        ("aa.tif", "failed"),
        ("b.tif", "done"),
        ("a.tif", "done"),
    ]
    broken = outcomes[1]
    assert "aa.tif is not an image" in broken.why == str(broken.error)
    assert (broken.result, broken.outputs) == (None, ())
    with pytest.raises(SceneError, match="aa.tif is not an image"):
        broken.load()


def test_a_rerun_skips_what_is_done_and_does_what_is_not(folder, tmp_path):
    def rerun(**options):
        outcomes = run_many(folder, model="blobs", options={"tile": 64} | options, output=tmp_path / "out")
        return [outcome.status for outcome in outcomes]

    assert rerun() == ["done"] * 3
    assert rerun() == ["skipped"] * 3
    assert rerun(readers=3) == ["skipped"] * 3
    (tmp_path / "out" / "b.tif.geojson").unlink()
    write_raster(folder / "sub" / "a.tif", scene_with_blobs(200, 100, [(50, 50), (90, 50)]))
    assert rerun() == ["skipped", "done", "done"]
    assert rerun(threshold=0.3) == ["done"] * 3
    assert rerun(threshold=0.3, fresh=True) == ["done"] * 3
    assert rerun(threshold=0.3, keep_raw=True) == ["done"] * 3
    assert rerun(threshold=0.3, keep_raw=True) == ["skipped"] * 3


def test_a_scene_that_is_skipped_says_why_and_is_read_from_its_file(folder, tmp_path):
    (first, *_) = run_many(folder, model="blobs", output=tmp_path / "out")
    (again, *_) = run_many(folder, model="blobs", output=tmp_path / "out")
    assert (again.skipped, again.result) == (True, None)
    assert again.why == "its result is there, made by the same plan"
    assert again.outputs == first.outputs
    assert again.load().detections.boxes.tolist() == first.load().detections.boxes.tolist()


def test_no_model_is_loaded_where_all_scenes_are_skipped(folder, tmp_path, monkeypatch):
    list(run_many(folder, model="blobs", output=tmp_path / "out"))
    monkeypatch.setattr("sodslice.jobs.work.load_spec", lambda spec: pytest.fail("loaded"))
    assert all(outcome.skipped for outcome in run_many(folder, model="blobs", output=tmp_path / "out"))


def test_an_output_that_cannot_be_written_is_a_failure_of_its_scene(folder, tmp_path):
    (tmp_path / "out" / "b.tif.geojson").mkdir(parents=True)
    outcomes = list(run_many(folder, model="blobs", output=tmp_path / "out"))
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "done"]
    assert isinstance(outcomes[1].error, OutputError)
    assert "it is a folder" in outcomes[1].why


def test_a_model_that_cannot_be_run_ends_the_job_at_its_first_scene(folder, tmp_path):
    model = export_bright_box(tmp_path / "model", preprocess=[PERMUTE])
    (model / "inference.json").write_text("{}")
    with pytest.raises(ModelError, match="Paddle cannot run"):
        next(run_many(folder, model=model, options={"device": "cpu"}, output=tmp_path / "out"))


def test_a_watcher_is_told_of_each_scene_and_of_its_tiles(folder):
    scenes, tiles = [], {}

    class Watching(JobEvents):
        def scene(self, path, number, total):
            scenes.append((path.name, number, total))

        def progress(self, done, total):
            tiles.setdefault(len(scenes), []).append((done, total))

    list(run_many(folder, model="blobs", options={"tile": 100, "overlap": 0}, events=Watching()))
    assert scenes == [("a.tif", 1, 3), ("b.tif", 2, 3), ("a.tif", 3, 3)]
    for number in (1, 2, 3):
        assert tiles[number] == sorted(tiles[number])
        assert set(tiles[number]) >= {(1, 2), (2, 2)}


def test_a_scene_without_crs_is_written_as_json(tmp_path):
    write_raster(tmp_path / "a.tif", scene_with_blobs(50, 50, [(5, 5)]), crs=None)
    list(run_many([tmp_path / "a.tif"], model="blobs", output=tmp_path / "out"))
    assert (tmp_path / "out" / "a.tif.json").is_file()
    assert not list((tmp_path / "out").glob("*.geojson"))


def test_wrong_settings_stop_before_the_first_scene(folder, tmp_path):
    with pytest.raises(SodsliceError, match="unknown model"):
        next(run_many(folder, model="nonsense"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SodsliceError, match="cannot write to the folder"):
        next(run_many(folder, model="blobs", output=tmp_path / "file"))


def test_arrays_of_other_runs_do_not_leak(folder):
    corners = [outcome.result.detections.boxes[0, 0] for outcome in run_many(folder, model="blobs")]
    assert np.allclose(corners, [10, 0, 20])


def test_a_scene_that_does_not_fit_the_settings_does_not_stop_the_others(folder, tmp_path):
    palette = np.zeros((1, 50, 50), np.uint8)
    with rasterio.open(write_raster(folder / "aa.tif", palette, photometric="palette"), "r+") as dataset:
        dataset.write_colormap(1, {0: (1, 2, 3, 255)})
    outcomes = list(run_many(folder, model="blobs", options={"stretch": "2,98"}, output=tmp_path / "out"))
    assert [o.path.name for o in outcomes if o.done] == ["a.tif", "b.tif", "a.tif"]
    assert [(o.path.name, type(o.error)) for o in outcomes if o.failed] == [("aa.tif", SceneError)]


def test_a_class_that_the_model_lacks_stops_before_the_first_scene(folder):
    with pytest.raises(SodsliceError, match="`classes` names 'bus'"):
        next(run_many(folder, model="blobs", options={"classes": "bus"}))
