"""Results read back: what is malformed is said in one line, whatever it is."""

from __future__ import annotations

import copy
import json
import random
from contextlib import suppress

import numpy as np
import pytest

from sodslice import SodsliceError, load_result, run
from sodslice.metrics import read_results
from sodslice.results import is_own
from tests.rasters import scene_with_blobs, write_raster


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    scene = write_raster(folder / "a.tif", scene_with_blobs(200, 100, [(30, 40), (90, 20)]))
    run(scene, model="blobs", output=[folder / "a.json", folder / "a.geojson"])
    return {name: json.loads((folder / name).read_text()) for name in ("a.json", "a.geojson")}


def save(folder, content, name="b.json"):
    path = folder / name
    path.write_text(json.dumps(content))
    return path


CHANGES = [
    (lambda c: c["boxes"][0].pop("score"), "box 0 needs coordinate, score and cls_id"),
    (lambda c: c["boxes"].append("text"), "box 2 needs coordinate"),
    (
        lambda c: c["boxes"][0].update(coordinate=[1, 2, 3]),
        "coordinate of each of its boxes must be 4 numbers",
    ),
    (
        lambda c: c["boxes"][0].update(coordinate=[1, 2, 3, None]),
        "coordinate of each of its boxes must be 4 numbers",
    ),
    (lambda c: c["boxes"][0].update(score="high"), "score of each of its boxes must be numbers"),
    (lambda c: c["boxes"][0].update(cls_id=7), "cls_id 7 is none of its 1 classes"),
    (lambda c: c["boxes"][0].update(cls_id=-1), "cls_id -1 is none of its 1 classes"),
    (lambda c: c["boxes"][0].update(coordinate=[9, 9, 1, 1]), "boxes must have x0 <= x1"),
    (lambda c: c.update(boxes={}), "boxes must be a list"),
    (lambda c: c.pop("boxes"), "boxes must be a list"),
    (lambda c: c["run"].pop("class_names"), "run.class_names must be a list, got None"),
    (lambda c: c["run"].update(class_names=["a", None]), r"run.class_names\[1\] must be a text"),
    (lambda c: c["run"].update(counts=[1]), "run.counts must be a mapping"),
    (lambda c: c["run"].update(model=None), "run.model must be a mapping"),
    (lambda c: c["scene"].update(width="wide"), "scene.width must be a whole number, got 'wide'"),
    (lambda c: c["scene"].pop("path"), "scene has no 'path'"),
    (lambda c: c.update(timings={"started": 5}), "timings.started must be a text"),
    (lambda c: c.update(georef={"transform": [1]}), "six transform numbers"),
    (lambda c: c.update(run=None), "was not written by `sodslice run`"),
    (lambda c: c["run"].update(schema=99, version="9.0"), r"by sodslice 9.0 \(schema 99\)"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES, ids=range(len(CHANGES)))
def test_a_malformed_result_is_refused_in_one_line_also_by_eval(tmp_path, written, change, words):
    content = copy.deepcopy(written["a.json"])
    change(content)
    path = save(tmp_path, content)
    with pytest.raises(SodsliceError, match=words) as caught:
        load_result(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if "run" in words or "schema" in words or content.get("run") is None or "boxes" not in content:
        return
    with pytest.raises(SodsliceError, match=words):
        read_results([path])


@pytest.mark.parametrize("name", ["a.json", "a.geojson"])
def test_no_mutation_of_a_result_gives_a_traceback(tmp_path, written, name):
    dice = random.Random(1)
    junk = [None, "", "x", -1, 1e400, [], {}, [None], {"a": 1}, True, 2**70, "1"]

    def mutate(value):
        if isinstance(value, dict) and value:
            key = dice.choice(list(value))
            if dice.random() < 0.3:
                del value[key]
            elif dice.random() < 0.4:
                value[key] = dice.choice(junk)
            else:
                mutate(value[key])
        elif isinstance(value, list) and value:
            row = dice.randrange(len(value))
            value[row] = dice.choice(junk) if dice.random() < 0.5 else value[row]
            mutate(value[row])

    for _ in range(300):
        content = copy.deepcopy(written[name])
        mutate(content)
        path = save(tmp_path, content, name)
        with suppress(SodsliceError):
            result = load_result(path)
            assert len(result.labels) == len(result)


def test_whether_a_file_is_ours_does_not_depend_on_the_order_of_keys(tmp_path, written):
    for name, content in written.items():
        turned = dict(reversed(list(content.items())))
        turned["run"] = dict(reversed(list(turned["run"].items())))
        assert is_own(save(tmp_path, turned, name))
    assert not is_own(save(tmp_path, {"boxes": [], "input_path": "a"}))
    assert not is_own(tmp_path / "missing.json")


def test_a_result_without_a_schema_was_written_by_the_former_version_and_is_read(tmp_path, written):
    content = copy.deepcopy(written["a.json"])
    del content["run"]["schema"]
    del content["timings"]["plan"]
    former = load_result(save(tmp_path, content))
    assert np.array_equal(
        former.detections.boxes, load_result(save(tmp_path, written["a.json"])).detections.boxes
    )
    assert former.timings.plan == ""
