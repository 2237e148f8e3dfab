"""Broken files of every kind that people and other programs write: read all the same, or refused in one line.

COCO and GeoJSON have their own such tests beside the tests of their readers.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from sodslice.metrics import Comparison, evaluate, read_results, read_truth
from sodslice.place.georef import GeoRef
from sodslice.results import Provenance, RunResult, SceneFacts, read_result, write
from sodslice.settings import Options, load_options
from sodslice.tables.class_lists import names_in
from sodslice.tables.detections import Detections
from sodslice.training.settings import TrainSettings, load_training
from sodslice.training.source_settings import SourceSettings
from sodslice.values import plain_values
from tests.broken_documents import refusals, text_refusals

COUNT = 400
RUN = RunResult(
    Detections(np.array([[1.0, 2, 13, 14], [20, 30, 40, 50]]), [0.9, 0.4], [0, 1], [-1, -1]),
    ("car", "van"),
    GeoRef((0.5, 0, 500_000, 0, -0.5, 5_300_000), "EPSG:32632"),
    SceneFacts("a.tif", 100, 80, 0.5, ("a note",), {"rule": "2,98", "low": [1], "high": [9]}),
    Provenance(options={"threshold": {"all": 0.25}, "tile": 640}),
)
PADDLEX = {
    "input_path": "a.tif",
    "page_index": None,
    "boxes": [{"cls_id": 0, "label": "car", "score": 0.5, "coordinate": [1, 2, 3, 4]}] * 2,
}
TRUTH = {
    "images": [{"id": 1, "file_name": "a.tif", "width": 100, "height": 80}],
    "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "van"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 12, 12]}],
}
_SHAPE = {"x": 1, "y": 2, "width": 30, "height": 40, "rotation": 10, "rectanglelabels": ["car"]}
_POLYGON = {"points": [[1, 2], [30, 4], [5, 60]], "polygonlabels": ["van"]}
_SIZES = {"original_width": 100, "original_height": 80, "image_rotation": 0}
LABEL_STUDIO = [
    {
        "id": 1,
        "data": {"image": "/data/local-files/?d=a/b.png", "note": "n"},
        "annotations": [
            {"id": 3, "was_cancelled": False, "ground_truth": False, "updated_at": "2026", "result": [
                {"id": "p", "type": "rectanglelabels", "value": _SHAPE, **_SIZES},
                {"id": "q", "type": "polygonlabels", "value": _POLYGON, **_SIZES},
            ]},
        ],
    },
    {"id": 2, "data": {"image": "http://host/c.png"}, "annotations": []},
]  # fmt: skip
JSON_MIN = [
    {"id": 1, "image": "a.png", "label": [{**_SHAPE, **_SIZES}], "annotator": 1, "annotation_id": 5},
    {"id": 2, "image": "b.png", "label": [{**_POLYGON, **_SIZES}], "annotator": 1, "annotation_id": 6},
]
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>car</name></label></labels></task></meta>
<image id="0" name="a.png" width="100" height="80">
<box label="car" occluded="0" xtl="1.50" ytl="2.00" xbr="30.00" ybr="40.25" rotation="12.5" z_order="0">
<attribute name="score">0.5</attribute></box>
<polygon label="car" points="1.0,2.0;30.5,4.0;5.0,60.0"></polygon>
<ellipse label="car" cx="50" cy="40" rx="10" ry="5"></ellipse>
</image></annotations>
"""
TRAINING = TrainSettings(
    class_names=("car",),
    sources=(SourceSettings(images="a", annotations="a.json"), SourceSettings(synthetic=3, background=True)),
    validation=(SourceSettings(images="b", annotations="b.json"),),
)
SETTINGS = {
    "a run": (yaml.safe_dump(Options().as_dict()), load_options),
    "a run in two lines": ("tile: 640\nthreshold: {car: 0.5, van: 0.3}\n", load_options),
    "a training": (yaml.safe_dump(plain_values(TRAINING)), load_training),
    "a training in a few lines": (
        "model: vehicle-t\nclass_names: [car]\nsources:\n  - {images: a, annotations: b}\nsteps: 5\n",
        load_training,
    ),
}
LISTS = {
    "list.txt": "car\nbus\ntruck\n",
    "list.yml": "mode: paddle\nlabel_list:\n- car\n- bus\n- truck\n",
    "list.json": json.dumps({"categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}]}, indent=1),
}


def check(said: list[str]) -> None:
    assert 0 < len(said) < COUNT
    assert not any("\n" in message for message in said)


@pytest.mark.parametrize("kind", SETTINGS)
def test_broken_settings(tmp_path, kind):
    text, read = SETTINGS[kind]
    read(_saved(tmp_path / "good.yaml", text))
    check(text_refusals(text, tmp_path / "broken.yaml", read, COUNT))


@pytest.mark.parametrize("name", LISTS)
def test_broken_lists_of_classes(tmp_path, name):
    assert names_in(_saved(tmp_path / name, LISTS[name]))[:2] == ("car", "bus")
    check(text_refusals(LISTS[name], tmp_path / f"broken-{name}", names_in, COUNT))


@pytest.mark.parametrize("suffix", [".json", ".geojson"])
@pytest.mark.parametrize("read", [read_result, load_options, lambda path: read_results([path])])
def test_broken_results_of_a_run(tmp_path, suffix, read):
    document = json.loads(write(RUN, tmp_path / f"good{suffix}").read_text())
    read(tmp_path / f"good{suffix}")
    check(refusals(document, tmp_path / f"broken{suffix}", read, COUNT))


@pytest.mark.parametrize(
    "document", [PADDLEX, [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]]
)
def test_broken_results_of_others(tmp_path, document):
    truth = _saved(tmp_path / "truth.json", json.dumps(TRUTH))
    check(refusals(document, tmp_path / "broken.json", lambda path: read_results([path], truth=truth), COUNT))


@pytest.mark.parametrize("kind", ["run", "PaddleX"])
def test_what_is_read_of_broken_results_can_be_compared(tmp_path, kind):
    truth = read_truth(_saved(tmp_path / "truth.json", json.dumps(TRUTH)))
    good = PADDLEX if kind == "PaddleX" else json.loads(write(RUN, tmp_path / "good.json").read_text())
    how = Comparison(allow_empty=True)
    check(
        refusals(
            good, tmp_path / "broken.json", lambda path: evaluate(read_results([path]), truth, how), COUNT
        )
    )


@pytest.mark.parametrize("document", [LABEL_STUDIO, JSON_MIN])
def test_broken_exports_of_label_studio(tmp_path, document):
    assert read_truth(_saved(tmp_path / "good.json", json.dumps(document)))
    check(refusals(document, tmp_path / "broken.json", read_truth, COUNT))


def test_broken_exports_of_cvat(tmp_path):
    assert len(read_truth(_saved(tmp_path / "good.xml", CVAT))[0]) == 3
    check(text_refusals(CVAT, tmp_path / "broken.xml", read_truth, COUNT))


def _saved(path, text):
    path.write_text(text, encoding="utf-8")
    return path
