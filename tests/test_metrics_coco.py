from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely import box

from sodslice.errors import DataError
from sodslice.metrics import SIZE_BANDS, Region, Truth, coco_metrics, match
from sodslice.metrics.coco import EVERYTHING
from sodslice.tables.detections import Detections


def detections(boxes, scores, labels=None) -> Detections:
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    return Detections(
        boxes, scores, np.zeros(len(boxes)) if labels is None else labels, np.full(len(boxes), -1)
    )


def random_image(dice: np.random.Generator, classes: int = 2) -> tuple[Truth, Detections]:
    """Crowded integer boxes, so that overlaps of exactly 0.5, equal overlaps and equal scores all occur."""
    objects, found = int(dice.integers(0, 25)), int(dice.integers(0, 40))
    corner = dice.integers(0, 60, (objects, 2))
    boxes = np.concatenate([corner, corner + dice.integers(1, 14, (objects, 2))], axis=1).astype(float)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * dice.choice([0.5, 1.0, 40.0], objects)
    truth = Truth(boxes, dice.integers(0, classes, objects), dice.random(objects) < 0.15, areas)
    source = boxes if objects else np.array([[3.0, 3.0, 9.0, 9.0]])
    near = source[dice.integers(0, len(source), found)] + dice.integers(-2, 3, (found, 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    scores = np.round(dice.random(found), 1)
    return truth, detections(near, scores, dice.integers(0, classes, found))


def plain_pycocotools(truths, found, classes: int, ranges) -> COCOeval:
    """pycocotools on whole images, as its users call it; rows in canonical order, no cap."""
    objects, rows = [], []
    for image, (truth, table) in enumerate(zip(truths, found, strict=True), start=1):
        for edges, label, crowd, area in zip(
            truth.boxes, truth.labels, truth.crowd, truth.areas, strict=True
        ):
            objects.append(
                {
                    "id": len(objects) + 1,
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": [edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1]],
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
        for row in table.canonical_order():
            x0, y0, x1, y1 = table.boxes[row]
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image,
                    "category_id": int(table.labels[row]) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "score": float(table.scores[row]),
                    "iscrowd": 0,
                }
            )
    frame = {
        "images": [{"id": i + 1} for i in range(len(truths))],
        "categories": [{"id": k + 1} for k in range(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        ours, theirs = COCO(), COCO()
        ours.dataset, theirs.dataset = {**frame, "annotations": objects}, {**frame, "annotations": rows}
        ours.createIndex()
        theirs.createIndex()
        judge = COCOeval(ours, theirs, "bbox")
        judge.params.maxDets = [10**6]
        judge.params.areaRng = [list(r) for r in ranges]
        judge.params.areaRngLbl = [str(r) for r in ranges]
        judge.evaluate()
        judge.accumulate()
    return judge


def three(precision) -> list[float]:
    """AP, AP50, AP75 as pycocotools' summarize takes them from its precision `(T, R, K)`."""
    parts = (precision, precision[:1], precision[5:6])
    return [float(p[p > -1].mean()) if (p > -1).any() else math.nan for p in parts]


@pytest.mark.parametrize("seed", range(25))
def test_numbers_equal_those_of_pycocotools_on_whole_images(seed):
    dice = np.random.default_rng(seed)
    images = [random_image(dice) for _ in range(int(dice.integers(1, 5)))]
    truths, found = [i[0] for i in images], [i[1] for i in images]
    metrics = coco_metrics(truths, found, ["car", "van"], allow_empty=True)
    ranges = [EVERYTHING, *SIZE_BANDS.values()]
    expected = plain_pycocotools(truths, found, 2, ranges).eval["precision"][..., 0]
    np.testing.assert_allclose(
        [metrics.ap, metrics.ap50, metrics.ap75], three(expected[:, :, :, 0]), atol=1e-12
    )
    for column, band in enumerate(metrics.by_size.values(), start=1):
        np.testing.assert_allclose(
            [band.ap, band.ap50, band.ap75], three(expected[:, :, :, column]), atol=1e-12
        )
    for label, one in enumerate(metrics.by_class.values()):
        wanted = three(expected[:, :, label : label + 1, 0])
        np.testing.assert_allclose([one.ap, one.ap50, one.ap75], wanted, atol=1e-12)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(("iou", "step"), [(0.5, 0), (0.75, 5)])
def test_the_match_equals_that_of_pycocotools(seed, iou, step):
    truth, found = random_image(np.random.default_rng(100 + seed), classes=1)
    judge = plain_pycocotools([truth], [found], 1, [EVERYTHING])
    matching = match(truth, found, iou=iou)
    order = found.canonical_order()
    result = judge.evalImgs[0]
    if result is None:
        assert not len(truth)
        assert not len(found)
        return
    ids = result["dtMatches"][step].astype(int) - 1
    ignored = result["dtIgnore"][step]
    np.testing.assert_array_equal(matching.truth[order], ids)
    np.testing.assert_array_equal(matching.right[order], (ids >= 0) & ~ignored)
    np.testing.assert_array_equal(matching.wrong[order], (ids < 0) & ~ignored)


def test_a_scene_of_many_objects_is_not_capped_at_100_detections():
    x, y = np.meshgrid(np.arange(40) * 20.0, np.arange(40) * 20.0)
    boxes = np.stack([x.ravel(), y.ravel(), x.ravel() + 10, y.ravel() + 10], axis=1)
    metrics = coco_metrics(
        [Truth.of(boxes, np.zeros(1600))], [detections(boxes, np.linspace(1, 0.1, 1600))], ["car"]
    )
    assert [metrics.ap, metrics.ap50, metrics.ap75] == pytest.approx([1, 1, 1])
    assert metrics.best.recall == 1.0


def test_a_worked_example_by_hand():
    """Three objects; a hit (0.9), a false alarm (0.8), a second hit (0.7); one object is missed.

    Precision after each: 1/1, 1/2, 2/3; recall 1/3, 1/3, 2/3. Interpolated precision is 1 for the 34 of the
    101 recall steps up to 0.33, 2/3 for the 33 from 0.34 to 0.66, then 0: AP50 = (34 + 33 * 2/3) / 101.
    """
    truth = Truth.of([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], [0, 0, 0])
    found = detections([[0, 0, 10, 10], [60, 0, 70, 10], [20, 0, 30, 10]], [0.9, 0.8, 0.7])
    metrics = coco_metrics([truth], [found], ["car"])
    assert metrics.ap50 == pytest.approx((34 + 33 * 2 / 3) / 101, abs=1e-12)
    assert metrics.curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert metrics.curve.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert metrics.best.f1 == pytest.approx(2 * (2 / 3) * (2 / 3) / (4 / 3))
    assert metrics.best.threshold == pytest.approx(0.35)  # midway between the last hit and nothing
    assert metrics.curve.at(0.85)[1:] == (1.0, pytest.approx(1 / 3), pytest.approx(0.5), 1, 0, 2)


images = st.integers(0, 2**32 - 1).map(lambda seed: random_image(np.random.default_rng(seed)))


@settings(max_examples=40, deadline=None)
@given(images, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(image, dice):
    truth, found = image
    rows = list(range(len(found)))
    dice.shuffle(rows)
    one = coco_metrics([truth], [found], ["car", "van"], allow_empty=True)
    other = coco_metrics([truth], [found[np.array(rows, dtype=int)]], ["car", "van"], allow_empty=True)
    np.testing.assert_equal(
        [one.ap, one.ap50, one.ap75, one.best], [other.ap, other.ap50, other.ap75, other.best]
    )


@settings(max_examples=40, deadline=None)
@given(images)
def test_only_the_order_of_scores_counts_for_ap(image):
    truth, found = image
    squeezed = Detections(found.boxes, found.scores / 2 + np.float32(0.25), found.labels, found.tile_ids)
    one = coco_metrics([truth], [found], ["car", "van"], allow_empty=True)
    other = coco_metrics([truth], [squeezed], ["car", "van"], allow_empty=True)
    np.testing.assert_equal([one.ap, one.ap50, one.ap75], [other.ap, other.ap50, other.ap75])


@settings(max_examples=40, deadline=None)
@given(images)
def test_perfect_detections_have_ap_1(image):
    truth = image[0][~image[0].crowd]
    distinct = np.unique(np.column_stack([truth.boxes, truth.labels]), axis=0, return_index=True)[1]
    truth = truth[distinct]
    found = detections(truth.boxes, np.ones(len(truth)), truth.labels)
    metrics = coco_metrics([truth], [found], ["car", "van"], allow_empty=True)
    if len(truth):
        assert [metrics.ap, metrics.ap50, metrics.best.f1] == pytest.approx([1, 1, 1])
    else:
        assert math.isnan(metrics.ap)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 20), st.integers(1, 2**32 - 1))
def test_duplicates_cost_precision_and_find_nothing_more(hits, misses, seed):
    dice = np.random.default_rng(seed)
    x = np.arange(hits + misses) * 50.0
    boxes = np.stack([x, x * 0, x + 20, x * 0 + 20], axis=1)
    truth = Truth.of(boxes, np.zeros(len(boxes)))
    found = detections(boxes[:hits] + dice.uniform(-2, 2, (hits, 1)), dice.random(hits))
    once = coco_metrics([truth], [found], ["car"])
    twice = coco_metrics([truth], [Detections.concatenate([found, found])], ["car"])
    assert once.curve.recall[-1] == twice.curve.recall[-1] == hits / (hits + misses)
    assert (once.curve.precision[-1], twice.curve.precision[-1]) == (1.0, 0.5)
    assert twice.ap50 < once.ap50 or hits == 1


def test_what_lies_outside_the_roi_is_neither_right_nor_wrong():
    boxes = [[0, 0, 10, 10], [100, 0, 110, 10]]
    region = Region(roi=box(0, 0, 50, 50))
    truth = Truth.of(boxes, [0, 0], region=region)
    found = detections([*boxes, [20, 20, 30, 30], [200, 0, 210, 10]], [0.9, 0.8, 0.7, 0.95])
    matching = match(truth, found)
    assert matching.counted.tolist() == [True, False]
    assert matching.right.tolist() == [True, False, False, False]
    assert matching.wrong.tolist() == [False, False, True, False]
    metrics = coco_metrics([truth], [found], ["car"])
    assert (metrics.objects, metrics.detections) == (1, 2)
    assert metrics.ap50 == pytest.approx(1)  # the stray detection of 0.95 would halve it


def test_a_detection_whose_centre_slips_out_of_the_roi_still_finds_its_object():
    truth = Truth.of([[40, 0, 59, 10]], [0], region=Region(roi=box(0, 0, 50, 50)))
    found = detections([[42, 0, 61, 10]], [0.9])
    assert match(truth, found).right.tolist() == [True]
    assert coco_metrics([truth], [found], ["car"]).ap50 == pytest.approx(1)


def test_ignored_regions_take_away_objects_and_false_alarms():
    region = Region(ignored=box(90, -10, 300, 50))
    truth = Truth.of([[0, 0, 10, 10], [100, 0, 110, 10]], [0, 0], region=region)
    metrics = coco_metrics([truth], [detections([[0, 0, 10, 10], [200, 0, 210, 10]], [0.5, 0.9])], ["car"])
    assert (metrics.objects, metrics.ap50, metrics.best.precision) == (1, pytest.approx(1), 1.0)


def test_a_crowd_swallows_false_alarms_but_no_hits():
    truth = Truth.of([[0, 0, 100, 100], [10, 10, 20, 20]], [0, 0], crowd=[True, False])
    found = detections(
        [[10, 10, 20, 20], [40, 40, 50, 50], [60, 60, 70, 70], [200, 0, 210, 10]], [0.9, 0.8, 0.7, 0.6]
    )
    matching = match(truth, found)
    assert matching.right.tolist() == [True, False, False, False]
    assert matching.wrong.tolist() == [False, False, False, True]


def test_without_objects_only_false_alarms_are_counted():
    metrics = coco_metrics([Truth.of([], [])], [detections([[0, 0, 5, 5]], [0.4])], ["car"], allow_empty=True)
    assert math.isnan(metrics.ap)
    assert metrics.curve.at(0.3).wrong == 1
    assert metrics.curve.at(0.5).wrong == 0
    assert math.isnan(metrics.best.threshold)


@pytest.mark.parametrize(
    ("truths", "found", "names", "message"),
    [
        (
            [Truth.of([], [])],
            [Detections.empty()],
            ["car"],
            "the truth holds no object that counts; an AP needs at least one",
        ),
        ([], [], ["car"], "there is no image to compare; give at least one"),
        (
            [Truth.of([[0, 0, 1, 1]], [0])],
            [],
            ["car"],
            "got 1 truths and 0 tables of detections; give one of each an image",
        ),
        (
            [Truth.of([[0, 0, 1, 1]], [3])],
            [Detections.empty()],
            ["car", "van"],
            "the truth uses class 3, and there are 2 names: car, van",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused(truths, found, names, message):
    with pytest.raises(DataError) as error:
        coco_metrics(truths, found, names)
    assert str(error.value) == message


def test_a_truth_checks_its_columns():
    with pytest.raises(DataError, match=r"truth boxes must have shape \(N, 4\), got \(2, 3\)"):
        Truth(np.zeros((2, 3)), np.zeros(2), np.zeros(2), np.zeros(2))
    with pytest.raises(DataError, match=r"truth labels must have shape \(1,\) like its boxes, got \(2,\)"):
        Truth.of([[0, 0, 1, 1]], [0, 1])
    with pytest.raises(DataError, match="x0 <= x1"):
        Truth.of([[5, 0, 1, 1]], [0])
    with pytest.raises(ValueError, match="read-only"):
        Truth.of([[0, 0, 1, 1]], [0]).boxes[0, 0] = 3


def test_the_best_threshold_keeps_what_it_says():
    truth, found = random_image(np.random.default_rng(5), classes=1)
    curve = coco_metrics([truth], [found], ["car"]).curve
    best = curve.best()
    assert best == curve.at(round(best.threshold, 3))._replace(threshold=best.threshold)
    assert best.f1 == pytest.approx(np.nanmax(curve.f1))
