"""The main job on real imagery with truth."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sodslice import GeoRef, load_result, run
from sodslice.place.georef import corners
from tests.written import box_of

pytestmark = pytest.mark.shared


def ap50(result: Path, truth: Path) -> float:
    """COCO's AP50 of a JSON result, by pycocotools, without a cap on the number of detections."""
    boxes = json.loads(result.read_text())["boxes"]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        image, category = coco.getImgIds()[0], coco.getCatIds()[0]
        rows = []
        for box in boxes:
            x0, y0, x1, y1 = box["coordinate"]
            rows.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "score": box["score"],
                }
            )
        evaluation = COCOeval(coco, coco.loadRes(rows), "bbox")
        evaluation.params.maxDets = [len(rows)]
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"][0, :, 0, 0, 0].mean())


@pytest.fixture(scope="module")
def madison(shared, tmp_path_factory):
    """The mosaic's results at tile 640 and 1024, and with fitted tiles, as files."""
    folder = tmp_path_factory.mktemp("madison")
    for tile, overlap in ((640, 0.2), (1024, 0.2), ("auto", "auto")):
        run(
            shared / "data/scenes/madison_mosaic.tif",
            options={"tile": tile, "overlap": overlap, "threshold": 0.01},
            output=[folder / f"{tile}.json", folder / f"{tile}.geojson"],
        )
    return folder


def test_ap50_on_the_mosaic(madison, shared):
    truth = shared / "data/scenes/madison_mosaic.truth.coco.json"
    at_640, at_1024 = (ap50(madison / f"{tile}.json", truth) for tile in (640, 1024))
    assert at_640 >= 0.88
    assert abs(at_640 - at_1024) <= 0.02
    assert ap50(madison / "auto.json", truth) >= at_1024 - 0.001


def test_every_polygon_is_its_own_bbox_through_affine_and_crs(madison):
    content = json.loads((madison / "640.geojson").read_text())
    georef = GeoRef.from_dict(content["georef"])
    boxes = np.array([box_of(f) for f in content["features"]])
    rings = np.array([f["geometry"]["coordinates"][0][:4] for f in content["features"]])
    expected = georef.to_lonlat(corners(boxes).reshape(-1, 2)).reshape(-1, 4, 2)
    distance = np.abs(rings[:, :, None] - expected[:, None]).max(axis=3).min(axis=2)
    assert distance.max() <= 1e-7


def test_centres_are_where_the_truth_says(madison, shared):
    truth = json.loads((shared / "data/scenes/madison_mosaic.truth.geojson").read_text())["features"]
    georef = load_result(madison / "640.geojson").georef
    corners_of = [np.array(f["geometry"]["coordinates"][0])[:-1] for f in truth]
    true_px = np.array([georef.from_lonlat(ring).mean(axis=0) for ring in corners_of])
    found = json.loads((madison / "640.geojson").read_text())["features"]
    sure = [np.array(f["geometry"]["coordinates"][0])[:-1] for f in found if f["properties"]["score"] >= 0.6]
    found_px = np.array([georef.from_lonlat(ring).mean(axis=0) for ring in sure])
    nearest = np.hypot(*(true_px[:, None] - found_px[None]).transpose(2, 0, 1)).min(axis=1)
    matched_m = nearest[nearest < 15] * 0.12
    assert len(matched_m) > 0.8 * len(true_px)
    assert np.median(matched_m) <= 0.25
