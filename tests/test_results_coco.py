"""COCO JSON, read back by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
from pycocotools.coco import COCO

from sodslice import write
from sodslice.results import is_own
from sodslice.results.coco import combine_coco
from tests.placed_results import CLASSES, nothing, placed_result


def loaded(path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_pycocotools_reads_the_same_boxes(tmp_path):
    result = placed_result()
    coco = loaded(write(result, tmp_path / "a.coco.json"))
    rows = [coco.anns[number] for number in sorted(coco.anns)]
    boxes = np.array([row["bbox"] for row in rows])
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(boxes, np.round(result.detections.boxes, 3), atol=1e-9)
    assert [coco.cats[row["category_id"]]["name"] for row in rows] == result.labels
    np.testing.assert_allclose([row["score"] for row in rows], result.detections.scores, atol=1e-6)
    assert [row["area"] for row in rows] == [round(row["bbox"][2] * row["bbox"][3], 3) for row in rows]
    assert coco.imgs == {1: {"id": 1, "file_name": "a.tif", "width": 1000, "height": 800}}


def test_an_empty_result_has_its_image_and_its_classes(tmp_path):
    coco = loaded(write(nothing(), tmp_path / "a.coco.json"))
    assert (len(coco.anns), len(coco.imgs)) == (0, 1)
    assert [coco.cats[number]["name"] for number in (1, 2, 3)] == list(CLASSES)


def test_many_results_are_one_set_of_images_below_one_folder(tmp_path):
    results = [placed_result(count=3, path=f"/flights/{name}") for name in ("1/a.tif", "1/b.tif", "2/a.tif")]
    combine_coco(results, tmp_path / "all.coco.json")
    coco = loaded(tmp_path / "all.coco.json")
    assert [coco.imgs[i]["file_name"] for i in (1, 2, 3)] == ["1/a.tif", "1/b.tif", "2/a.tif"]
    assert [len(coco.getAnnIds(imgIds=[i])) for i in (1, 2, 3)] == [3, 3, 3]
    assert len(coco.cats) == len(CLASSES)


def test_our_own_sets_are_known_and_others_are_not(tmp_path):
    assert is_own(write(placed_result(), tmp_path / "a.coco.json"))
    (tmp_path / "b.coco.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    assert not is_own(tmp_path / "b.coco.json")


def test_a_detection_file_is_plain_json_too(tmp_path):
    document = json.loads(write(placed_result(), tmp_path / "a.coco.json").read_text())
    assert list(document) == ["info", "annotations", "images", "categories"]
    assert document["info"]["made_by"] == "sodslice"
