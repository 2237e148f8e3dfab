from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sodslice import run
from tests.rasters import scene_with_blobs, write_raster

CORNERS = [(20, 30), (250, 150), (100, 90), (180, 20)]


def coco(path, corners, *, name="blob", image="scene.tif", size=(300, 200), side=10):
    document = {
        "images": [{"id": 1, "file_name": image, "width": size[0], "height": size[1]}],
        "categories": [{"id": 1, "name": name}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [x, y, side, side]} for x, y in corners],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def folder(tmp_path):
    """A scene with four bright squares, a finished run, and a truth of three of them and one that is dark."""
    scene = write_raster(tmp_path / "scene.tif", scene_with_blobs(300, 200, CORNERS))
    run(
        scene,
        model="blobs",
        options={"threshold": 0.01},
        output=[tmp_path / "run.json", tmp_path / "run.geojson"],
    )
    coco(tmp_path / "truth.json", [*CORNERS[:3], (60, 150)])
    return tmp_path


@pytest.mark.parametrize("name", ["run.json", "run.geojson"])
def test_a_run_is_measured_against_a_coco_truth(folder, evaluate, name):
    code, out, err = evaluate(folder / name, folder / "truth.json")
    assert (code, err) == (0, "")
    assert out.startswith("1 image, 4 objects, 4 detections on 0.06 megapixels\n")
    assert "    0.100      0.750   0.750   0.750       3       1       1      16.67\n" in out
    assert out.endswith("Median distance of matched centres: 0.00 px, 0.000 m\n")


def test_numbers_go_to_a_json_file_and_to_stdout(folder, evaluate):
    code, out, _ = evaluate(
        folder / "run.json", folder / "truth.json", "--json", "-o", folder / "numbers.json"
    )
    numbers = json.loads(out)
    assert code == 0
    assert numbers == json.loads((folder / "numbers.json").read_text())
    assert (numbers["objects"], numbers["best"]["right"], numbers["results"]) == (
        4,
        3,
        [str(folder / "run.json")],
    )
    code, _, err = evaluate(folder / "run.json", folder / "truth.json", "-o", folder / "numbers.txt")
    assert (code, err) == (
        1,
        f"error: {folder / 'numbers.txt'} must end in .json; the numbers are written as JSON\n",
    )


def test_a_truth_is_read_as_geojson_and_compared_on_the_map(folder, evaluate):
    truth = folder / "truth.geojson"
    document = json.loads((folder / "run.geojson").read_text())
    for member in ("run", "scene", "georef", "timings"):
        document.pop(member)
    for feature in document["features"]:
        feature["properties"] = {"label": "blob"}
    truth.write_text(json.dumps(document))
    for result in ("run.json", "run.geojson"):
        code, out, err = evaluate(folder / result, truth, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["ap"] == pytest.approx(1)
    assert evaluate(folder / "run.json", truth, "--coordinates", "pixel")[0] == 1


def test_a_model_is_measured_on_the_images_of_a_truth(folder, evaluate):
    images = folder / "set"
    images.mkdir()
    (folder / "scene.tif").rename(images / "scene.tif")
    (folder / "truth.json").rename(folder / "set.json")
    code, out, err = evaluate("--model", "blobs", folder / "set.json", "--at", 0.25, "--tile", 128)
    assert (code, err) == (0, "")
    assert "    0.250      0.750   0.750   0.750       3       1       1      16.67\n" in out
    assert out.count("the model's own") == 1
    numbers = json.loads(evaluate("--model", "blobs", folder / "set.json", "--data", images, "--json")[1])
    assert (numbers["model"]["name"], numbers["options"]["threshold"]) == ("blobs", {"all": 0.01})
    assert numbers["own_threshold"]["right"] == 3


def test_a_model_is_measured_on_a_scene(folder, evaluate):
    code, out, _ = evaluate("--model", "blobs", "--scene", folder / "scene.tif", folder / "truth.json")
    assert (code, out[:19]) == (0, "1 image, 4 objects,")


def test_false_alarms_on_images_without_objects(folder, evaluate):
    coco(folder / "empty.json", [])
    code, _, err = evaluate("--model", "blobs", "--scene", folder / "scene.tif", folder / "empty.json")
    assert (code, err) == (
        1,
        f"error: {folder / 'empty.json'} holds no object, so there is no AP; for images without objects, "
        "count the false alarms with --allow-empty\n",
    )
    code, out, _ = evaluate(
        "--model", "blobs", "--scene", folder / "scene.tif", folder / "empty.json", "--allow-empty"
    )
    assert code == 0
    assert "    0.100      0.000       -   0.000       0       4       0      66.67\n" in out


def test_roi_and_ignored_regions_are_files(folder, evaluate):
    ring = [[0, 0], [150, 0], [150, 200], [0, 200], [0, 0]]
    region = folder / "left.geojson"
    region.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    inside = evaluate(
        folder / "run.json", folder / "truth.json", "--roi", region, "--regions-in", "pixel", "--json"
    )[1]
    outside = evaluate(
        folder / "run.json", folder / "truth.json", "--ignore", region, "--regions-in", "pixel", "--json"
    )[1]
    assert [json.loads(text)["objects"] for text in (inside, outside)] == [3, 1]
    assert [json.loads(text)["detections"] for text in (inside, outside)] == [2, 2]


def test_pictures_are_drawn(folder, evaluate):
    code, _, err = evaluate(folder / "run.json", folder / "truth.json", "--plots", folder / "plots")
    assert (code, err) == (0, "")
    for name in ("curves.png", "mistakes.png"):
        assert (folder / "plots" / name).read_bytes().startswith(b"\x89PNG")


def test_false_alarms_alone_are_drawn_too(folder, evaluate):
    coco(folder / "empty.json", [])
    files = (folder / "run.json", folder / "empty.json")
    code, _, err = evaluate(*files, "--allow-empty", "--plots", folder / "plots")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (folder / "plots").iterdir()) == ["curves.png", "mistakes.png"]


def test_without_the_image_only_curves_are_drawn(folder, evaluate):
    (folder / "scene.tif").unlink()
    code, _, err = evaluate(folder / "run.json", folder / "truth.json", "--plots", folder / "plots")
    assert code == 0
    assert err == (
        "note: no picture of the mistakes: scene.tif is not here; "
        "give it with --scene, or its folder with --data\n"
    )
    assert [path.name for path in (folder / "plots").iterdir()] == ["curves.png"]


def test_class_names_that_differ_are_listed_and_mapped(folder, evaluate):
    truth = coco(folder / "cars.json", CORNERS, name="car")
    code, out, err = evaluate(folder / "run.json", truth)
    assert (code, out) == (1, "")
    assert err == (
        "error: the truth has the classes car, the result blob: none in common; "
        "use --class-map blob=car or --class-agnostic\n"
    )
    for flags in (["--class-map", "blob=car"], ["--class-agnostic"]):
        assert json.loads(evaluate(folder / "run.json", truth, *flags, "--json")[1])["ap"] == pytest.approx(1)


def test_a_folder_of_results_is_measured_against_a_set(tmp_path, evaluate):
    images, annotations = [], []
    for number in range(3):
        scene = write_raster(tmp_path / f"{number}.tif", scene_with_blobs(300, 200, CORNERS[: number + 1]))
        run(scene, model="blobs", output=tmp_path / "results" / f"{number}.json")
        images.append({"id": number, "file_name": f"{number}.tif", "width": 300, "height": 200})
        annotations += [
            {"image_id": number, "category_id": 1, "bbox": [x, y, 10, 10]} for x, y in CORNERS[: number + 1]
        ]
    document = {"images": images, "categories": [{"id": 1, "name": "blob"}], "annotations": annotations}
    (tmp_path / "set.json").write_text(json.dumps(document))
    code, out, _ = evaluate(tmp_path / "results", tmp_path / "set.json")
    assert (code, out.splitlines()[0]) == (0, "3 images, 6 objects, 6 detections on 0.18 megapixels")
    (tmp_path / "results" / "1.json").unlink()
    code, _, err = evaluate(tmp_path / "results", tmp_path / "set.json")
    assert (code, err.count("have no result: 1.tif")) == (1, 1)
    code, out, err = evaluate(tmp_path / "results", tmp_path / "set.json", "--partial")
    assert (code, out[:19]) == (0, "2 images, 4 objects")
    assert "note: 1 of 3 images have no result and are left out\n" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["truth.json"], 2, "give RESULT and TRUTH, or --model and TRUTH"),
        (["--model", "blobs", "run.json", "truth.json"], 2, "give RESULT and TRUTH, or --model and TRUTH"),
        (["run.json", "truth.json", "--class-map", "car"], 2, "--class-map takes NAME=NAME, got 'car'"),
        (
            ["run.json", "truth.json", "--iou", "0"],
            1,
            "--iou must be a number above 0 up to 1, got 0.0",
        ),
        (["run.json", "gone.json"], 1, "gone.json cannot be read: No such file or directory"),
        (["scene.tif", "truth.json"], 1, "scene.tif is not JSON"),
        (["truth.json", "truth.json"], 1, "truth.json holds no detections"),
        (
            ["--model", "blobs", "away.json"],
            1,
            "1 of 1 images of away.json are not in .: away.tif; name their folder",
        ),
        (["--model", "blobs", "run.geojson"], 1, "run.geojson names no images; give the raster"),
    ],
)
def test_usage_is_explained_in_one_line(folder, evaluate, monkeypatch, arguments, code, words):
    monkeypatch.chdir(folder)
    coco(folder / "away.json", CORNERS, image="away.tif")
    document = json.loads((folder / "run.geojson").read_text())
    document.pop("scene")
    (folder / "run.geojson").write_text(json.dumps(document))
    exit_code, out, err = evaluate(*arguments)
    assert (exit_code, out) == (code, "")
    assert words in err.splitlines()[-1]


def test_help_needs_no_pycocotools_or_engine():
    blocked = (
        "import sys; sys.modules.update(dict.fromkeys(['paddle', 'pycocotools', 'matplotlib', 'sahi']));"
    )
    code = f"{blocked} from sodslice.cli import main; main(['eval', '--help'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "RESULT" in done.stdout


def test_without_pycocotools_one_line_says_what_to_install(folder):
    arguments = ["eval", str(folder / "run.json"), str(folder / "truth.json")]
    blocked = "import sys; sys.modules['pycocotools.cocoeval'] = None;"
    code = f"{blocked} from sodslice.cli import main; main({arguments!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "error: AP needs pycocotools, which is not installed; pip install 'sodslice[train]'\n"
    )


def test_the_sheet_shows_the_biggest_misses_and_the_surest_false_alarms(folder):
    from sodslice.metrics import evaluate, read_results, read_truth
    from sodslice.report import false_alarms, worst_misses

    coco(folder / "truth.json", [(60, 150), (200, 100)], side=12)
    evaluation = evaluate(read_results([folder / "run.json"]), read_truth(folder / "truth.json"))
    misses = worst_misses(evaluation, 0.1, 10)
    assert [miss.box.tolist() for miss in misses] == [[60, 150, 72, 162], [200, 100, 212, 112]]
    alarms = false_alarms(evaluation, 0.1, 3)
    assert [alarm.weight for alarm in alarms] == sorted((alarm.weight for alarm in alarms), reverse=True)
    assert len(alarms) == 3
    assert false_alarms(evaluation, 1.01, 3) == []


def test_crops_stay_inside_the_scene():
    from sodslice.report.sheet import window_around

    for box in ([0, 0, 4, 4], [290, 190, 300, 200], [100, 90, 110, 130]):
        x, y, width, height = window_around(box, 120, 300, 200)
        assert x >= 0
        assert y >= 0
        assert x + width <= 300
        assert y + height <= 200
        assert x <= box[0]
        assert y + height >= box[3]
    assert window_around([1.0, 1, 5, 5], 48, 30, 20) == (0, 0, 30, 20)


@pytest.mark.shared
@pytest.mark.slow
def test_the_default_model_on_the_mosaic_through_both_truths(shared, tmp_path, evaluate):
    """The prototype's AP50 of 0.89 in this scene is the floor; both truths must give the same number."""
    scene = shared / "data" / "scenes" / "madison_mosaic.tif"
    result = tmp_path / "mosaic.json"
    run(scene, options={"tile": 640, "threshold": 0.01}, output=result)
    numbers = []
    for truth in ("madison_mosaic.truth.coco.json", "madison_mosaic.truth.geojson"):
        code, out, _ = evaluate(result, scene.parent / truth, "--json")
        assert code == 0
        numbers.append(json.loads(out))
    assert numbers[0]["ap50"] == numbers[1]["ap50"] >= 0.88
    assert numbers[0]["center_distance"]["m"] <= 0.25
