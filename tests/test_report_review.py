"""Reviews: every doubtful detection whole in a crop, all that is seen labelled, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.shutil import copy
from rasterio.vrt import WarpedVRT

from sodslice import Detections, GeoRef, RunResult, SodsliceError, open_scene, run, run_many, write
from sodslice.cli import group
from sodslice.errors import OptionError
from sodslice.report.review import Found, Selection, write_review
from sodslice.report.review.crops import crops_of, most_doubtful, seen_size_of
from sodslice.report.review.cvat import cvat_labels
from sodslice.report.review.label_studio import labelling_config
from sodslice.report.review.selection import kept_from
from sodslice.report.review.windows import cover
from sodslice.results import SceneFacts
from sodslice.results.scenes import moved_scene, opened_scene, scene_below
from sodslice.scene import seen_at
from sodslice.tables.coco import parse_coco
from sodslice.tables.labelled import read_labels
from sodslice.training.coco import read_coco
from tests.rasters import scene_with_blobs, write_raster

NAMES = ("car", '<b> & "van"')


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
    crops = crops_of(result, (0.3, 0.6), side)
    scores, table = result.detections.scores, result.detections.boxes
    doubtful = table[(scores >= 0.3) & (scores <= 0.6)]
    windows = np.array([(c.x, c.y, c.x + c.width, c.y + c.height) for c in crops]).reshape(-1, 4)
    assert (windows >= 0).all()
    assert (windows[:, 2:] <= (2000, 1500)).all()
    for one in doubtful:
        assert ((windows[:, :2] <= one[:2]).all(axis=1) & (windows[:, 2:] >= one[2:]).all(axis=1)).any()
    assert sum(crop.doubtful for crop in crops) == len(doubtful)
    for crop in crops:
        assert (crop.found.scores >= np.float32(0.3)).all()
        assert (crop.found.boxes[:, 2:] <= (crop.width, crop.height)).all()


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 1950), st.integers(0, 1450), st.integers(4, 50)), max_size=60))
def test_each_box_belongs_to_one_window_of_the_side_with_what_is_around_it(rows):
    boxes = np.array([(x, y, x + w, y + w) for x, y, w in rows], float).reshape(-1, 4)
    windows, owners = cover(boxes, 256, (2000, 1500))
    assert sorted(set(owners.tolist())) == list(range(len(windows)))
    assert (windows[:, 2:] - windows[:, :2] == 256).all()
    around = np.clip(boxes + (-16, -16, 16, 16), 0, (2000, 1500, 2000, 1500))
    assert (windows[owners, :2] <= around[:, :2]).all()
    assert (windows[owners, 2:] >= around[:, 2:]).all()
    again, same = cover(boxes[::-1], 256, (2000, 1500))
    np.testing.assert_array_equal(again, windows)
    np.testing.assert_array_equal(same[::-1], owners)


def test_windows_overlap_only_by_boxes_that_lie_across_their_ends():
    row = np.array([(x, 700, x + 40, 730) for x in (100, 130, 560, 600, 1400)], float)
    windows, owners = cover(row, 512, (2000, 1500))
    assert owners.tolist() == [0, 0, 1, 1, 2]
    assert windows[:2, ::2].tolist() == [[0, 512], [512, 1024]]  # the first moved left for its neighbour
    middle = (1400 + 1440) // 2
    assert windows[2, ::2].tolist() == [middle - 256, middle + 256]
    across = np.array([(100, 700, 140, 730), (530, 700, 580, 730)], float)
    windows, owners = cover(across, 512, (2000, 1500))
    assert owners.tolist() == [0, 1]
    assert windows[:, ::2].tolist() == [[0, 512], [498, 1010]]


def test_dense_doubts_share_crops():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 2900, (800, 2))
    result = result_of(np.concatenate([corner, corner + 40], axis=1), np.full(800, 0.5), size=(3000, 3000))
    crops = crops_of(result, (0.3, 0.6), 512)
    seen = np.zeros((3000, 3000), np.int32)
    for crop in crops:
        seen[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] += 1
    assert seen.max() <= 4
    assert seen[seen > 0].mean() < 1.5
    assert len(crops) <= 52  # 36 windows side by side are as large as the scene


def test_a_box_larger_than_a_crop_gets_a_larger_one_and_takes_in_others():
    boxes = [(300, 300, 1100, 500), (700, 350, 730, 380), (1500, 100, 1530, 130)]
    crops = crops_of(result_of(boxes, [0.45, 0.4, 0.5]), (0.3, 0.6), 512)
    assert [(crop.width, crop.height, crop.doubtful) for crop in crops] == [(864, 864, 2), (512, 512, 1)]


def test_sure_objects_beside_a_doubtful_one_are_labelled_and_unlikely_ones_are_not():
    result = result_of([(500, 500, 530, 520), (600, 500, 630, 520), (650, 500, 670, 520)], [0.45, 0.95, 0.1])
    (crop,) = crops_of(result, (0.3, 0.6), 512)
    assert sorted(crop.found.scores.tolist()) == pytest.approx([0.45, 0.95])
    assert (crop.doubtful, crop.doubt) == (1, pytest.approx(1.0))
    moved = crop.found.boxes + (crop.x, crop.y, crop.x, crop.y)
    np.testing.assert_allclose(moved[np.argsort(moved[:, 0])][0], [500, 500, 530, 520])


def test_the_most_doubtful_come_first_and_a_limit_keeps_them():
    boxes = [(x, 700, x + 20, 720) for x in (100, 700, 1300, 1900)]
    crops = [crops_of(result_of(boxes, [0.59, 0.45, 0.32, 0.5]), (0.3, 0.6), 128)]
    assert [crop.doubt for crop in crops[0]] == sorted([crop.doubt for crop in crops[0]])[::-1]
    assert [crop.x < 800 or crop.x > 1700 for _, crop in most_doubtful(crops, 2)] == [True, True]
    assert len(list(most_doubtful(crops, None))) == 4


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
    assert done[:3] == (3, 3, 0)
    assert done.notes == (
        "1 of 1 results hold no score below 0.5, and what lies between 0.3 and that is in doubt, too; run "
        "with `threshold=0.3` to see it",
    )
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
    assert [image.get("name") for image in images] == [task["data"]["sodslice_crop"] for task in tasks]
    for crop, task in zip(facts["crops"], tasks, strict=True):
        x, y, width, height = crop["window"]
        with Image.open(review / crop["file"]) as picture:
            assert picture.size == (width, height)
        name = task["data"]["sodslice_crop"]
        assert task["data"]["image"] == f"/data/local-files/?d=rv/crops/{name.replace(' ', '%20')}"
        (prediction,) = task["predictions"]
        assert len(prediction["result"]) == crop["objects"]
        assert 0 <= prediction["score"] <= 1
        assert (prediction["model_version"].split()[0], task["data"]["x"]) == ("blobs", x)
        for region in prediction["result"]:
            value = region["value"]
            left, top = value["x"] / 100 * width + x, value["y"] / 100 * height + y
            assert (np.abs(result.detections.boxes[:, :2] - (left, top)).max(axis=1) < 1e-3).any()


def test_pixels_are_those_that_the_model_saw(reviewed):
    folder, _, _ = reviewed
    crop = json.loads((folder / "rv" / "review.json").read_text())["crops"][0]
    x, y, width, height = crop["window"]
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
        table, problems = parse_coco(read_labels(path).document)
        assert problems == []
        images, problems, _ = read_coco(path, review / "crops", NAMES)
        assert problems == []
        assert [len(image.objects) for image in images] == [len(rows) for rows in table.rows_by_image()]
        tables.append(table)
    np.testing.assert_allclose(tables[0].boxes, tables[1].boxes, atol=0.006)
    assert [one.file_name for one in tables[0].images] == [one.file_name for one in tables[1].images]


def test_names_of_classes_are_harmless():
    config = ElementTree.fromstring(labelling_config(NAMES))
    assert [one.get("value") for one in config.iter("Label")] == list(NAMES)
    assert [one["name"] for one in cvat_labels(NAMES)] == list(NAMES)


def test_a_class_that_xml_cannot_hold_is_refused(tmp_path):
    result = replace(result_of([(1, 1, 9, 9)], [0.5]), class_names=("car\x01", "van"))
    with pytest.raises(SodsliceError, match=r"the class 'car\\x01' has a character that XML cannot hold"):
        write_review([result], tmp_path / "rv")


def test_crops_are_seen_at_the_scale_of_the_run(tmp_path):
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, [(80, 80), (600, 400)]))
    result = run(scene, model="blobs", options={"scale": 0.5})
    assert seen_size_of(result) == (400, 300)
    write_review([result], tmp_path / "rv", selection=Selection((0.5, 1), side=128))
    facts = json.loads((tmp_path / "rv" / "review.json").read_text())
    tasks = json.loads((tmp_path / "rv" / "label-studio.json").read_text())
    opened = seen_at(open_scene(scene), (400, 300))
    assert len(tasks) == 2
    for crop, task in zip(facts["crops"], tasks, strict=True):
        x, y, width, height = crop["window"]
        assert (crop["seen_px"], width, height) == ([400, 300], 128, 128)
        with Image.open(tmp_path / "rv" / crop["file"]) as picture:
            np.testing.assert_array_equal(np.array(picture), opened.read(x, y, width, height)[0])
        (region,) = task["predictions"][0]["result"]
        left = (region["value"]["x"] / 100 * 128 + x) * 2
        assert np.abs(result.detections.boxes[:, 0] - left).min() < 1e-3
    opened.close()


def test_scenes_of_one_name_do_not_take_each_others_crops(tmp_path):
    found = []
    for name in ("x/a", "y/a", "y/a-1"):
        scene = tmp_path / f"{name}.tif"
        scene.parent.mkdir(exist_ok=True)
        write_raster(scene, scene_with_blobs(300, 200, [(40, 40)]))
        found.append(run(scene, model="blobs"))
    done = write_review(found, tmp_path / "rv", selection=Selection((0.5, 1)))
    assert (done.crops, len(list((tmp_path / "rv" / "crops").iterdir()))) == (3, 3)


def test_many_objects_take_no_longer_than_their_number():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60_000, (10_000, 2))
    boxes = np.concatenate([low, low + 20], axis=1)
    result = result_of(boxes, rng.uniform(0.3, 0.6, 10_000), size=(61_000, 61_000))
    crops = crops_of(result, (0.3, 0.6), 128)
    assert sum(crop.doubtful for crop in crops) == 10_000


def test_scenes_that_moved_are_told_one_by_one(tmp_path):
    found = []
    for number, level in enumerate((40, 120)):
        folder = tmp_path / f"day{number}"
        folder.mkdir()
        write_raster(folder / "s.tif", np.full((3, 200, 300), level, np.uint8))
        result = result_of([(10, 10, 30, 30)], [0.5], size=(300, 200), path="s.tif")
        found.append(Found(result, folder / "s.tif"))
    write_review(found, tmp_path / "rv", selection=Selection(side=64))
    names = sorted(path.name for path in (tmp_path / "rv" / "crops").iterdir())
    assert names == ["0001_s_0_0.png", "0002_s_0_0.png"]
    levels = [np.array(Image.open(tmp_path / "rv" / "crops" / name)).max() for name in names]
    assert levels == [40, 120]


@pytest.mark.parametrize(
    ("address", "image"),
    [
        ("https://host/c", "https://host/c/0001_s_0_0.png"),
        ("https://host/c/", "https://host/c/0001_s_0_0.png"),
        ("/data/local-files/?d=", "/data/local-files/?d=0001_s_0_0.png"),
    ],
)
def test_crops_may_have_an_address_of_their_own(tmp_path, address, image):
    scene = write_raster(tmp_path / "s.tif", scene_with_blobs(300, 200, [(40, 40)]))
    write_review([run(scene, model="blobs")], tmp_path / "rv", selection=Selection((0.5, 1)), address=address)
    (task,) = json.loads((tmp_path / "rv" / "label-studio.json").read_text())
    assert task["data"]["image"] == image


def test_names_of_crops_are_good_for_any_disk(tmp_path):
    scene = write_raster(tmp_path / f"{'ü' * 100} #?&.tif", scene_with_blobs(300, 200, [(40, 40)]))
    result = run(scene, model="blobs")
    write_review([result], tmp_path / "rv", selection=Selection((0.5, 1)))
    (crop,) = (tmp_path / "rv" / "crops").iterdir()
    assert crop.name == f"0001_{'ü' * 60}_0_0.png"


def test_all_crops_are_numbered_from_the_most_doubtful_on(reviewed):
    folder, result, _ = reviewed
    facts = json.loads((folder / "rv" / "review.json").read_text())
    assert [crop["file"][:11] for crop in facts["crops"]] == ["crops/0001_", "crops/0002_", "crops/0003_"]
    told = []
    done = write_review([result], folder / "two", selection=Selection(side=256, most=2), progress=_into(told))
    assert (done.crops, done.left_out, told) == (2, 1, [(1, 2), (2, 2)])


def _into(told):
    return lambda done, total: told.append((done, total))


def test_a_result_says_from_which_score_on_it_holds_any():
    result = result_of([(1, 1, 9, 9), (20, 1, 29, 9)], [0.5, 0.9])
    assert kept_from(result, 0.3) == 0.5
    assert kept_from(result, 0.47) is None
    for threshold, low, floor in (({"all": 0.45}, 0.3, 0.45), ({"all": 0.2}, 0.3, None), (None, 0.3, 0.5)):
        provenance = replace(result.provenance, options={"threshold": threshold})
        assert kept_from(replace(result, provenance=provenance), low) == floor
    assert kept_from(result_of([], []), 0.3) is None


def test_a_scene_is_found_where_a_folder_was_moved(tmp_path):
    for name in ("photos/a/1.tif", "photos/b/1.tif", "2.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_raster(tmp_path / name, scene_with_blobs(30, 20, []))
    assert scene_below(tmp_path, "/old/photos/b/1.tif") == tmp_path / "photos/b/1.tif"
    assert scene_below(tmp_path / "photos", "../photos/a/1.tif") == tmp_path / "photos/a/1.tif"
    assert scene_below(tmp_path, "C:\\old\\2.tif") == tmp_path / "2.tif"
    with pytest.raises(SodsliceError, match=r"holds no 3.tif; give the folder that 'x/3.tif' lies in now"):
        scene_below(tmp_path, "x/3.tif")
    assert moved_scene("gone/2.tif", tmp_path / "2.json") == tmp_path / "2.tif"
    assert moved_scene(str(tmp_path / "2.tif"), tmp_path / "2.json") is None


def test_a_scene_that_points_elsewhere_is_read_on_request(tmp_path):
    (tmp_path / "b").mkdir()
    write_raster(tmp_path / "b" / "a.tif", scene_with_blobs(300, 200, [(40, 40)]))
    vrt = tmp_path / "v" / "a.vrt"
    vrt.parent.mkdir()
    with rasterio.open(tmp_path / "b" / "a.tif") as source, WarpedVRT(source) as warped:
        copy(warped, vrt, driver="VRT")
    result = run(vrt, model="blobs", options={"allow_vrt": True})
    with pytest.raises(SodsliceError, match="`allow_vrt`"):
        write_review([Found(result)], tmp_path / "rv", selection=Selection((0.5, 1)))
    assert not (tmp_path / "rv").exists()
    done = write_review([result], tmp_path / "rv", selection=Selection((0.5, 1)), allow_vrt=True)
    assert done.crops == 1
    opened_scene(result, allow_vrt=True).close()


def test_the_command_reviews_files_and_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_raster(tmp_path / "in" / f"{name}.tif", scene_with_blobs(300, 200, [(40, 40)]))
    list(run_many("in", model="blobs", output="out"))
    done = CliRunner().invoke(group, ["review", "out", "-o", "rv", "--between", "0.9,1"])
    assert done.output == "2 doubtful detections in 2 crops -> rv\n"
    again = CliRunner().invoke(group, ["review", "out/a.tif.geojson", "-o", "none"])
    assert isinstance(again.exception, SodsliceError)
    assert "no detection has a score from 0.3 to 0.6; widen `between`" in str(again.exception)
    there = CliRunner().invoke(group, ["review", "out", "-o", "rv", "--between", "0.9,1"])
    assert "rv is here already, perhaps with corrections; name another folder" in str(there.exception)
    (tmp_path / "in" / "a.tif").rename(tmp_path / "moved.tif")
    gone = CliRunner().invoke(group, ["review", "out/a.tif.geojson", "-o", "rv2", "--between", "0.9,1"])
    assert "there is no file in/a.tif" in str(gone.exception)
    assert not (tmp_path / "rv2").exists()
    arguments = ["review", "out/a.tif.geojson", "-o", "rv2", "--between", "0.9,1", "--scene", "moved.tif"]
    assert CliRunner().invoke(group, arguments).output == "1 doubtful detection in 1 crop -> rv2\n"
    moved = ["review", "out", "-o", "rv3", "--between", "0.9,1", "--scene"]
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    (tmp_path / "moved.tif").rename(tmp_path / "elsewhere" / "a.tif")
    assert CliRunner().invoke(group, [*moved, "elsewhere"]).output.endswith("in 2 crops -> rv3\n")
    one = CliRunner().invoke(group, [*moved, "elsewhere/a.tif"])
    assert (one.exit_code, "is one scene for 2 results; give its folder" in one.output) == (2, True)
    backwards = CliRunner().invoke(group, ["review", "out", "-o", "x", "--between", "0.6,0.3"])
    assert (backwards.exit_code, "--between must be two scores" in backwards.output) == (2, True)
    assert "holds no results of a job" in str(
        CliRunner().invoke(group, ["review", "elsewhere", "-o", "x"]).exception
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
        ({"side": 10}, "`side` must be from 64 to 8192 pixels, got 10"),
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
