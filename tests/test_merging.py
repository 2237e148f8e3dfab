"""`merge` by name: what holds for every method, NMS, and SAHI's methods against SAHI itself."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import DeviceError, OptionError
from sodslice.merging import METHODS, merge, methods
from sodslice.tables.boxes import iou
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import plan_tiles

OWN = ("seam", "nms", "none")
TILES = plan_tiles(120, 60, tile=40, overlap=10)


def scene(seed: int, most: int = 40) -> Detections:
    """Boxes anywhere, in a few classes and tiles; scores that often tie."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, most))
    corners, sides = rng.integers(0, 60, (count, 2)), rng.integers(0, 25, (count, 2))
    return Detections(
        np.concatenate([corners, corners + sides], axis=1),
        rng.integers(0, 9, count) / 8,
        rng.integers(0, 3, count),
        rng.integers(-1, len(TILES), count),
    )


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=80, deadline=None)
@given(seeds, st.sampled_from([0.2, 0.5, 0.9]), st.sampled_from([False, True, [[0, 2], [1]]]))
def test_nms_keeps_the_best_boxes_one_by_one(seed, least, joined):
    found = scene(seed)
    found = found[found.canonical_order()]
    group = {False: [0, 1, 2], True: [0, 0, 0]}.get(joined if isinstance(joined, bool) else None, [0, 1, 0])
    kept: list[int] = []
    for row in range(len(found)):
        rivals = [k for k in kept if group[found.labels[k]] == group[found.labels[row]]]
        same = [k for k in kept if found[[k]] == found[[row]]]
        if not same and all(iou(found.boxes[[row]], found.boxes[[k]])[0] < least for k in rivals):
            kept.append(row)
    assert merge(found, TILES, method="nms", iou=least, class_agnostic=joined) == found[np.array(kept, int)]


@pytest.mark.parametrize("method", OWN)
@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_merging_again_changes_nothing(method, seed):
    merged = merge(scene(seed), TILES, method=method)
    assert merge(merged, TILES, method=method) == merged


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_the_order_of_rows_and_rows_given_twice_change_nothing(method, seed):
    found = scene(seed)
    rows = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(found)), 2))
    assert merge(found[rows], TILES, method=method) == merge(found, TILES, method=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("joined", [False, True, [[0, 2]]])
def test_a_table_of_many_rows_is_merged_group_by_group_with_the_same_result(method, joined):
    tables = [scene(seed) for seed in range(20)]
    expected = [merge(found, TILES, method=method, class_agnostic=joined) for found in tables]
    with mock.patch.object(methods, "ROWS_AT_ONCE", 0):
        for found, merged in zip(tables, expected, strict=True):
            assert merge(found, TILES, method=method, class_agnostic=joined) == merged


@pytest.mark.parametrize("method", METHODS)
def test_objects_that_do_not_touch_pass_untouched(method):
    inside = Detections([[4, 4, 20, 20], [70, 4, 80, 24]], [0.5, 0.75], [1, 0], [0, -1])
    assert merge(inside, TILES, method=method) == inside[[1, 0]]
    assert merge(Detections.empty(), TILES, method=method) == Detections.empty()


@pytest.mark.parametrize("method", METHODS)
def test_the_table_that_is_given_stays_as_it_is(method):
    found = scene(3)
    before = Detections.concatenate([found])
    merge(found, TILES, method=method)
    assert found == before


def test_none_only_orders_the_rows():
    found = scene(5)
    assert merge(found, TILES, method="none") == found[found.canonical_order()]


@settings(max_examples=30, deadline=None)
@given(seed=seeds, metric_level=st.sampled_from([0.3, 0.5]), agnostic=st.booleans())
def test_methods_of_sahi_give_what_sahi_gives(seed, metric_level, agnostic):
    from sahi.postprocess import combine
    from sahi.prediction import ObjectPrediction

    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 30))
    corners, sides = rng.integers(0, 60, (count, 2)), rng.integers(1, 25, (count, 2))
    scores = rng.permutation(count).astype(np.float32) / 32 + np.float32(0.01)
    found = Detections(
        np.concatenate([corners, corners + sides], axis=1), scores, rng.integers(0, 3, count), [-1] * count
    )
    found = found[
        found.canonical_order()
    ]  # SAHI's NMM depends on the order of rows; `merge` hands it this one
    for method, kind in (
        ("sahi-nms", combine.NMSPostprocess),
        ("sahi-nmm", combine.NMMPostprocess),
        ("sahi-greedy-nmm", combine.GreedyNMMPostprocess),
    ):
        ours = merge(found, TILES, method=method, iou=metric_level, class_agnostic=agnostic)
        listed = [
            ObjectPrediction(bbox=b.tolist(), score=float(s), category_id=int(c), category_name=str(c))
            for b, s, c in zip(found.boxes, found.scores, found.labels, strict=True)
        ]
        theirs = kind(match_threshold=metric_level, match_metric="IOS", class_agnostic=agnostic)(listed)
        expected = Detections(
            [p.bbox.to_xyxy() for p in theirs],
            [p.score.value for p in theirs],
            [p.category.id for p in theirs],
            [-1] * len(theirs),
        )
        assert ours == expected[expected.canonical_order()]


def test_the_names_of_the_methods_are_known_without_sahi_paddle_and_opencv():
    program = (
        "import sys; sys.modules.update({'sahi': None, 'cv2': None, 'paddle': None});"
        "from sodslice.merging import METHODS; print(*METHODS)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["seam", "nms", "none", "sahi-nms", "sahi-nmm", "sahi-greedy-nmm"]


def test_a_machine_without_libgl_is_told_in_one_line(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "sahi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        DeviceError, match=r"^SAHI cannot load \(.*cv2.*\); install the system's libGL"
    ) as caught:
        merge(Detections([[0, 0, 1, 1]], [0.5], [0], [0]), TILES, method="sahi-greedy-nmm")
    assert "\n" not in str(caught.value)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(OptionError) as caught:
        merge(Detections.empty(), TILES, method="seem")
    known = "seam, nms, none, sahi-nms, sahi-nmm, sahi-greedy-nmm"
    assert str(caught.value) == f"`merge` must be one of {known}, got 'seem' (did you mean 'seam'?)"


@pytest.mark.parametrize("least", [0.0, -0.1, 1.1, float("nan")])
def test_an_iou_outside_its_range_is_refused(least):
    with pytest.raises(OptionError, match="`iou` must be above 0 and at most 1, got"):
        merge(Detections.empty(), TILES, iou=least)


def test_a_class_in_two_groups_is_refused():
    with pytest.raises(OptionError) as caught:
        merge(Detections.empty(), TILES, class_agnostic=[[3, 4], [4, 5]])
    assert str(caught.value) == "a class can be in one group only, got [[3, 4], [4, 5]]; join those groups"
