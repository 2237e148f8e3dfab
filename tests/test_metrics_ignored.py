"""What nobody has to find: `iscrowd` and `ignore` in COCO and GeoJSON, by one rule."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sodslice.errors import DataError
from sodslice.metrics import Layer, evaluate, read_truth

RING = [[9, 50], [9.001, 50], [9.001, 50.001], [9, 50.001], [9, 50]]


def coco(*flags: dict) -> dict:
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 400, "height": 100}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": n + 1, "image_id": 1, "category_id": 1, "bbox": [40 * n, 10, 20, 20], **more}
            for n, more in enumerate(flags)
        ],
    }


def geojson(*flags: dict) -> dict:
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [RING]},
                "properties": {"label": "car", "bbox_px": [40 * n, 10, 40 * n + 20, 30], **more},
            }
            for n, more in enumerate(flags)
        ],
    }


@pytest.fixture(params=[coco, geojson])
def read(request, tmp_path):
    def layer(*flags: dict, **how) -> Layer:
        path = tmp_path / "truth.json"
        path.write_text(json.dumps(request.param(*flags)))
        (only,) = read_truth(path, **how)
        return only

    return layer


YES = (1, True, 1.0, "1", "1.0", "true", "TRUE", " 1 ")
NO = (0, False, 0.0, "0", "0.0", "false", "", " ", None)


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_yes_and_no_are_the_same_in_every_truth(read, key):
    layer = read(*({key: value} for value in (*YES, *NO)), {})
    assert layer.crowd.tolist() == [True] * len(YES) + [False] * (len(NO) + 1)


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
@pytest.mark.parametrize("value", [2, -1, 0.5, "yes", "2", [1], {}, "01"])
def test_nonsense_is_refused(read, key, value):
    with pytest.raises(DataError, match=rf"{key}.* must be 0 or 1, got "):
        read({key: value}, {})


@pytest.mark.parametrize("flags", [{"iscrowd": 1}, {"ignore": 1}, {"iscrowd": "1", "ignore": "0"}])
def test_an_ignored_area_need_not_be_found_and_makes_no_false_alarm(read, flags):
    layer = read({}, flags)
    boxes = np.array([[0.0, 10, 20, 30], [41, 11, 59, 29], [45, 12, 60, 30]])
    mine = Layer(
        "run.json", ("car",) * 3, ("car",), pixels=boxes, scores=np.array([0.9, 0.8, 0.7], np.float32)
    )
    metrics = evaluate([mine], [layer]).metrics
    assert (metrics.objects, metrics.ap50) == (1, pytest.approx(1))
    assert (metrics.best.right, metrics.best.wrong, metrics.best.missed) == (1, 0, 0)


def test_a_truth_of_nothing_else_is_refused_unless_false_alarms_are_asked_for(read):
    with pytest.raises(
        DataError, match=r"holds no object to find, all 2 are ignored areas \(iscrowd or ignore\)"
    ):
        read({"iscrowd": 1}, {"ignore": 1})
    assert len(read({"iscrowd": 1}, {"ignore": 1}, allow_empty=True)) == 2
