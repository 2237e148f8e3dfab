"""Reviews: every doubtful detection whole in a crop, all that is seen labelled, and the way back."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sodslice import Detections, GeoRef, RunResult, SodsliceError, run, run_many, write
from sodslice.cli import group
from sodslice.errors import OptionError
from sodslice.report.review import Selection, write_review
from sodslice.report.review.crops import Crop, crops_of, most_doubtful, windows_of
from sodslice.report.review.cvat import cvat_labels
from sodslice.report.review.label_studio import labelling_config
from sodslice.results import SceneFacts
from sodslice.tables.coco import parse_coco
from sodslice.tables.labelled import read_labels
from sodslice.training.coco import read_coco
from tests.rasters import scene_with_blobs, write_raster

NAMES = ("car", '<b> & "van"')


def all_crops(result: RunResult, between=(0.3, 0.6), side=512) -> list[Crop]:
    return crops_of(result, windows_of(result, between, side), between[0])


def result_of(boxes, scores, *, size=(2000, 1500), path="a.tif") -> RunResult:
    boxes = np.array(boxes, float).reshape(-1, 4)
    found = Detections(boxes, scores, np.arange(len(boxes)) % 2, np.full(len(boxes), -1))
    return RunResult(found[found.canonical_order()], NAMES, GeoRef(), SceneFacts(path, *size))


box = st.tuples(st.floats(0, 1900), st.floats(0, 1400), st.floats(1, 900), st.floats(1, 700))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(box, st.floats(0.01, 0.99)), max_size=30), st.integers(64, 700))
def test_every_doubtful_detection_lies_whole_in_a_crop_within_the_scene(rows, side):
    boxes = [(x, y, min(x + w, 2000), min(y + h, 1500)) for (x, y, w, h), _ in rows]
    result = result_of(boxes, [score for _, score in rows])
    crops = all_crops(result, side=side)
    scores, table = result.detections.scores, result.detections.boxes
    doubtful = table[(scores >= 0.3) & (scores <= 0.6)]
    windows = np.array([(c.x, c.y, c.x + c.width, c.y + c.height) for c in crops]).reshape(-1, 4)
    assert (windows >= 0).all()
    assert (windows[:, 2:] <= (2000, 1500)).all()
    for one in doubtful:
        whole = (windows[:, :2] <= one[:2] + 1).all(axis=1) & (windows[:, 2:] >= one[2:] - 1).all(axis=1)
        assert whole.any()
    assert sum(crop.doubtful for crop in crops) == len(doubtful)
    for crop in crops:
        assert (crop.found.scores >= np.float32(0.3)).all()
        assert (crop.found.boxes[:, 2:] <= (crop.width, crop.height)).all()


def test_sure_objects_beside_a_doubtful_one_are_labelled_and_unlikely_ones_are_not():
    result = result_of([(500, 500, 530, 520), (600, 500, 630, 520), (650, 500, 670, 520)], [0.45, 0.95, 0.1])
    (crop,) = all_crops(result)
    assert sorted(crop.found.scores.tolist()) == pytest.approx([0.45, 0.95])
    assert (crop.doubtful, crop.doubt) == (1, pytest.approx(1.0))
    moved = crop.found.boxes + (crop.x, crop.y, crop.x, crop.y)
    np.testing.assert_allclose(moved[np.argsort(moved[:, 0])][0], [500, 500, 530, 520])


def test_the_most_doubtful_come_first_and_a_limit_keeps_them():
    boxes = [(x, 700, x + 20, 720) for x in (100, 700, 1300, 1900)]
    windows = [windows_of(result_of(boxes, [0.59, 0.45, 0.32, 0.5]), (0.3, 0.6), 128)]
    doubts = [one.doubt for one in windows[0]]
    assert doubts == sorted(doubts)[::-1]
    (two,) = most_doubtful(windows, 2)
    assert [one.edges[0] < 800 or one.edges[0] > 1700 for one in two] == [True, True]
    assert most_doubtful(windows, None) == [windows[0]]


def test_many_objects_take_no_longer_than_their_number():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60_000, (40_000, 2))
    boxes = np.concatenate([low, low + 20], axis=1)
    result = result_of(boxes, rng.uniform(0.3, 0.6, 40_000), size=(61_000, 61_000))
    windows = windows_of(result, (0.3, 0.6), 128)
    assert sum(one.doubtful for one in windows) == 40_000
    assert len(crops_of(result, windows[:50], 0.3)) == 50


def test_scenes_of_one_name_are_told_apart(tmp_path):
    results = []
    for number, level in enumerate((40, 120)):
        folder = tmp_path / f"day{number}"
        folder.mkdir()
        pixels = np.full((3, 200, 300), level, np.uint8)
        write_raster(folder / "s.tif", pixels)
        found = result_of([(10, 10, 30, 30)], [0.5], size=(300, 200), path="s.tif")
        results.append(found)
    places = [tmp_path / "day0" / "s.tif", tmp_path / "day1" / "s.tif"]
    write_review(results, tmp_path / "rv", selection=Selection(side=64), scenes=places)
    names = sorted(path.name for path in (tmp_path / "rv" / "crops").iterdir())
    assert names == ["s-2_0_0.png", "s_0_0.png"]
    levels = [np.array(Image.open(tmp_path / "rv" / "crops" / name)).max() for name in names]
    assert levels == [120, 40]


@pytest.fixture
def reviewed(tmp_path):
    """A scene with blobs, its result with doubtful scores, and the review of it."""
    corners = [(40, 40), (300, 60), (600, 500), (700, 300), (20, 620)]
    scene = write_raster(tmp_path / "a b.tif", scene_with_blobs(800, 700, corners))
    found = run(scene, model="blobs")
    scores = np.array([0.5, 0.9, 0.35, 0.58, 0.2], np.float32)
    table = Detections(found.detections.boxes, scores, np.zeros(5, int), np.full(5, -1))
    result = RunResult(table, NAMES, found.georef, found.scene, found.provenance)
    done = write_review([result], tmp_path / "rv", selection=Selection(side=256))
    return tmp_path, result, done


def test_a_review_is_a_folder_that_both_tools_import(reviewed):
    folder, result, done = reviewed
    review = folder / "rv"
    assert done == (3, 3, 0)
    assert sorted(path.name for path in review.iterdir()) == [
        "annotations.xml",
        "crops",
        "cvat-labels.json",
        "label-studio.json",
        "label-studio.xml",
        "review.json",
    ]
    facts = json.loads((review / "review.json").read_text())
    tasks = json.loads((review / "label-studio.json").read_text())
    images = ElementTree.parse(review / "annotations.xml").findall("image")
    assert [image.get("name") for image in images] == [task["data"]["crop"] for task in tasks]
    for crop, task in zip(facts["crops"], tasks, strict=True):
        x, y, width, height = crop["window"]
        with Image.open(review / crop["file"]) as picture:
            assert picture.size == (width, height)
        name = task["data"]["crop"]
        assert task["data"]["image"] == f"/data/local-files/?d=rv/crops/{name.replace(' ', '%20')}"
        (prediction,) = task["predictions"]
        assert len(prediction["result"]) == crop["objects"]
        assert (prediction["model_version"], task["data"]["x"]) == ("blobs", x)
        for region in prediction["result"]:
            value = region["value"]
            left, top = value["x"] / 100 * width + x, value["y"] / 100 * height + y
            assert (np.abs(result.detections.boxes[:, :2] - (left, top)).max(axis=1) < 1e-3).any()


def test_pixels_are_those_that_the_model_saw(reviewed):
    folder, _, _ = reviewed
    crop = json.loads((folder / "rv" / "review.json").read_text())["crops"][0]
    x, y, width, height = crop["window"]
    from sodslice import open_scene

    scene = open_scene(folder / "a b.tif")
    pixels, _ = scene.read(x, y, width, height)
    scene.close()
    with Image.open(folder / "rv" / crop["file"]) as picture:
        np.testing.assert_array_equal(np.array(picture), pixels)


def test_what_is_imported_is_what_is_exported_and_training_reads_it(reviewed):
    folder, _, _ = reviewed
    review = folder / "rv"
    tasks = json.loads((review / "label-studio.json").read_text())
    exported = [
        {"id": number, "data": task["data"],
         "annotations": [{"result": task["predictions"][0]["result"], "was_cancelled": False}]}
        for number, task in enumerate(tasks)
    ]  # fmt: skip
    (folder / "export.json").write_text(json.dumps(exported))
    tables = []
    for path in (folder / "export.json", review / "annotations.xml"):
        table, problems = parse_coco(read_labels(path))
        assert problems == []
        images, problems = read_coco(path, review / "crops", NAMES)
        assert problems == []
        assert [len(image.objects) for image in images] == [len(rows) for rows in table.rows_by_image()]
        tables.append(table)
    np.testing.assert_allclose(tables[0].boxes, tables[1].boxes, atol=0.006)
    assert [one.file_name for one in tables[0].images] == [one.file_name for one in tables[1].images]


def test_names_of_classes_are_harmless():
    config = ElementTree.fromstring(labelling_config(NAMES))
    assert [one.get("value") for one in config.iter("Label")] == list(NAMES)
    assert [one["name"] for one in cvat_labels(NAMES)] == list(NAMES)


def test_the_command_reviews_files_and_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_raster(tmp_path / "in" / f"{name}.tif", scene_with_blobs(300, 200, [(40, 40)]))
    list(run_many("in", model="blobs", output="out"))
    done = CliRunner().invoke(group, ["review", "out", "-o", "rv", "--between", "0.9,1"])
    assert done.output == "2 doubtful detections in 2 crops -> rv\n"
    again = CliRunner().invoke(group, ["review", "out/a.tif.geojson", "-o", "rv"])
    assert isinstance(again.exception, SodsliceError)
    assert "no detection has a score from 0.3 to 0.6; widen `between`" in str(again.exception)
    there = CliRunner().invoke(group, ["review", "out", "-o", "rv", "--between", "0.9,1"])
    assert "rv is here already, perhaps with corrections; name another folder" in str(there.exception)
    (tmp_path / "in" / "a.tif").rename(tmp_path / "moved.tif")
    gone = CliRunner().invoke(group, ["review", "out/a.tif.geojson", "-o", "rv2", "--between", "0.9,1"])
    assert "there is no file in/a.tif" in str(gone.exception)
    assert not (tmp_path / "rv2").exists()
    arguments = ["review", "out/a.tif.geojson", "-o", "rv2", "--between", "0.9,1", "--scene", "moved.tif"]
    assert CliRunner().invoke(group, arguments).output == "1 doubtful detections in 1 crops -> rv2\n"
    assert "holds no results of a job" in str(
        CliRunner().invoke(group, ["review", "in", "-o", "x"]).exception
    )
    assert CliRunner().invoke(group, ["review", "out", "-o", "x", "--between", "a"]).exit_code == 2


def test_another_scene_of_that_name_is_refused(tmp_path):
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(300, 200, [(40, 40)]))
    result = run(scene, model="blobs", output=tmp_path / "a.json")
    write_raster(tmp_path / "a.tif", scene_with_blobs(310, 200, [(40, 40)]))
    with pytest.raises(
        SodsliceError, match=r"has 310 x 200 pixels, the result is of 300 x 200; give the scene"
    ):
        write_review([result], tmp_path / "rv", selection=Selection((0.5, 1)))
    assert not (tmp_path / "rv").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"between": (0.6, 0.3)}, "`between` must be two scores from 0 to 1, the lower first, got 0.6,0.3"),
        ({"side": 10}, "`side` must be at least 64 pixels, got 10"),
        ({"most": 0}, "`most` must be at least 1, got 0"),
    ],
)
def test_a_selection_is_checked(given, words):
    with pytest.raises(OptionError, match=words):
        Selection(**given)


def test_results_of_other_classes_are_not_mixed(tmp_path):
    one = write(result_of([(1, 1, 9, 9)], [0.5]), tmp_path / "a.json")
    other = RunResult(Detections.empty(), ("ship",), GeoRef(), SceneFacts("b.tif", 9, 9))
    assert one.exists()
    with pytest.raises(SodsliceError, match=r"a\.tif and b\.tif were run by models of different classes"):
        write_review([result_of([(1, 1, 9, 9)], [0.5]), other], tmp_path / "rv")
