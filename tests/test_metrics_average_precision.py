"""COCO's AP in islands against pycocotools' `COCOeval` on whole images."""

from __future__ import annotations

import contextlib
import io
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely import box

from sodslice.errors import DeviceError
from sodslice.metrics import Region, Truth
from sodslice.metrics import average_precision as module
from sodslice.metrics.average_precision import COCO_IOUS, average_precision
from sodslice.tables.detections import Detections

BANDS = ((0.0, 1e10), (0.0, 30.0), (30.0, 80.0), (1e6, 1e7))


def table(boxes, scores, labels=None) -> Detections:
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    labels = np.zeros(len(boxes)) if labels is None else labels
    return Detections(boxes, scores, labels, np.full(len(boxes), -1))


def image(dice: np.random.Generator) -> tuple[Truth, Detections]:
    """Boxes of whole edges that crowd, so that equal overlaps, overlaps of a threshold and ties occur."""
    objects, found = int(dice.integers(0, 20)), int(dice.integers(0, 30))
    corners = dice.integers(0, 40, (objects, 2))
    boxes = np.concatenate([corners, corners + dice.integers(1, 13, (objects, 2))], axis=1).astype(float)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * dice.choice([0.5, 1.0], objects)
    truth = Truth(boxes, dice.integers(0, 2, objects), dice.random(objects) < 0.2, areas)
    near = (boxes if objects else np.array([[3.0, 3, 9, 9]]))[dice.integers(0, max(objects, 1), found)]
    near = near + dice.integers(-2, 3, (found, 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    return truth, table(near, dice.integers(0, 8, found) / 8, dice.integers(0, 2, found))


def by_pycocotools(truths, found, label: int) -> np.ndarray:
    """AP `(10, bands)` as users of pycocotools get it, but for its cap of 100 detections an image."""
    objects = [
        {"image_id": k, "bbox": _xywh(edges), "area": area, "iscrowd": int(crowd)}
        for k, truth in enumerate(truths)
        for edges, own, crowd, area in zip(truth.boxes, truth.labels, truth.crowd, truth.areas, strict=True)
        if own == label
    ]
    rows = [
        {"image_id": k, "bbox": _xywh(one.boxes[row]), "score": float(one.scores[row])}
        for k, one in enumerate(found)
        for row in one.canonical_order()
        if one.labels[row] == label
    ]
    for row in rows:
        row["area"] = row["bbox"][2] * row["bbox"][3]
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(_coco(objects, len(truths)), _coco(rows, len(truths)), "bbox")
        judge.params.maxDets = [10**6]
        judge.params.areaRng = [list(band) for band in BANDS]
        judge.params.areaRngLbl = [str(band) for band in BANDS]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, 0, :, 0]
    return np.where(precision.min(axis=1) > -1, precision.mean(axis=1), np.nan)


def _xywh(edges) -> list[float]:
    return [edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1]]


def _coco(boxes, images: int) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": k} for k in range(images)],
        "categories": [{"id": 1}],
        "annotations": [{"id": k, "category_id": 1, **one} for k, one in enumerate(boxes, start=1)],
    }
    coco.createIndex()
    return coco


seeds = st.integers(0, 2**32 - 1)


def images(seed: int, count: int = 3) -> tuple[list[Truth], list[Detections]]:
    dice = np.random.default_rng(seed)
    pairs = [image(dice) for _ in range(count)]
    return [truth for truth, _ in pairs], [found for _, found in pairs]


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 3), st.integers(0, 1))
def test_the_numbers_are_those_of_pycocotools_on_whole_images(seed, count, label):
    truths, found = images(seed, count)
    expected = by_pycocotools(truths, found, label)
    np.testing.assert_allclose(average_precision(truths, found, label, BANDS), expected, atol=1e-12)


@pytest.mark.parametrize("boxes", [1, 2, 5, 10**6])
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_the_size_of_a_batch_changes_nothing(boxes, seed):
    truths, found = images(seed)
    expected = average_precision(truths, found, 0, BANDS)
    with mock.patch.object(module, "BOXES_A_BATCH", boxes):
        np.testing.assert_array_equal(average_precision(truths, found, 0, BANDS), expected)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_only_the_order_of_the_scores_counts(seed):
    truths, found = images(seed)
    lower = [table(one.boxes, one.scores**3 / 2, one.labels) for one in found]
    np.testing.assert_array_equal(
        average_precision(truths, lower, 0, BANDS), average_precision(truths, found, 0, BANDS)
    )


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_what_lies_outside_the_region_counts_as_if_it_were_not_there(seed):
    """Objects and detections of a second image are moved aside, where nothing counts."""
    (inside, outside), (found, aside) = images(seed, 2)
    away = (1000.0, 0.0, 1000.0, 0.0)
    truth = Truth(
        np.concatenate([inside.boxes, outside.boxes + away]),
        np.concatenate([inside.labels, outside.labels]),
        np.concatenate([inside.crowd, outside.crowd]),
        np.concatenate([inside.areas, outside.areas]),
        Region(roi=box(-100, -100, 500, 500)),
    )
    both = Detections.concatenate([found, table(aside.boxes + away, aside.scores, aside.labels)])
    np.testing.assert_array_equal(
        average_precision([truth], [both], 0, BANDS), average_precision([inside], [found], 0, BANDS)
    )


def test_a_long_chain_of_boxes_that_overlap_is_one_island():
    """Each overlaps its neighbours by 7 / 9, so none can be judged without the others."""
    left = np.arange(80.0)
    boxes = np.stack([left, left * 0, left + 8, left * 0 + 8], axis=1)
    truth = Truth.of(boxes, np.zeros(80))
    found = table(boxes + (0.5, 0, 0.5, 0), np.random.default_rng(0).random(80))
    np.testing.assert_allclose(
        average_precision([truth], [found], 0, BANDS), by_pycocotools([truth], [found], 0), atol=1e-12
    )


def test_a_worked_example_by_hand():
    """Four objects in two images; of the three best detections one hits at any IoU, one below 0.8 only.

    At an IoU of 0.5 to 0.75 precision is 1, 1, 2/3 at a recall of 1/4, 2/4, 2/4: of the 101 steps of recall
    the 51 up to 0.5 have a precision of 1. Above, the second is a false alarm: 26 steps have 1.
    """
    first = Truth.of([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])
    second = Truth.of([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])
    found = table([[0, 0, 10, 10], [50, 0, 60, 10]], [0.9, 0.7])
    loose = table([[0, 0, 10, 12.6]], [0.8])  # 100 / 126 = 0.79
    precision = average_precision([first, second], [found, loose], 0, [(0, 1e10)])
    assert COCO_IOUS.tolist() == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
    assert precision[:, 0].tolist() == pytest.approx([51 / 101] * 6 + [26 / 101] * 4)


def test_sizes_go_by_the_areas_of_the_objects_and_both_ends_count():
    truth = Truth([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0], [False, False], [40.0, 100.0])
    found = table([[0, 0, 10, 10]], [0.9])
    precision = average_precision([truth], [found], 0, [(40, 60), (60, 100), (101, 200)])
    np.testing.assert_allclose(precision[0], [1, 0, np.nan])


def test_without_objects_or_detections_there_is_no_number_or_none_is_found():
    nothing, one = Truth.of([], []), Truth.of([[0, 0, 9, 9]], [0])
    assert np.isnan(average_precision([nothing], [Detections.empty()], 0, BANDS)).all()
    assert np.isnan(average_precision([nothing], [table([[0, 0, 9, 9]], [0.5])], 0, BANDS)).all()
    assert average_precision([one], [Detections.empty()], 0, BANDS)[:, 0].tolist() == [0.0] * 10
    assert average_precision([one], [table([[0, 0, 9, 9]], [0.5], [1])], 0, BANDS)[0, 0] == 0.0


def test_nothing_is_printed(capfd):
    average_precision(*images(0), 0, BANDS)
    assert capfd.readouterr() == ("", "")


def test_without_pycocotools_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(DeviceError) as caught:
        average_precision([Truth.of([], [])], [Detections.empty()], 0, BANDS)
    assert str(caught.value) == "AP needs pycocotools, which is not installed; pip install 'sodslice[train]'"
