"""SAHI's methods against SAHI's own classes, which take and give lists of `ObjectPrediction`."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sahi.postprocess import combine
from sahi.prediction import ObjectPrediction

from sodslice.errors import DeviceError
from sodslice.merging.rule import Rule
from sodslice.merging.sahi_modes import METRIC, sahi_greedy_nmm, sahi_nmm, sahi_nms
from sodslice.merging.table_order import distinct_detections
from sodslice.tables.detections import Detections

METHODS = {
    sahi_nms: combine.NMSPostprocess,
    sahi_nmm: combine.NMMPostprocess,
    sahi_greedy_nmm: combine.GreedyNMMPostprocess,
}
JOINED = {"no class with another": False, "all classes": True, "two of three": ((0, 2),)}


def by_sahi(postprocess, found: Detections, rule: Rule) -> list[tuple]:
    """Boxes, scores and labels as SAHI gives them; the group is the category, the label is its name."""
    listed = [
        ObjectPrediction(bbox=b.tolist(), score=float(s), category_id=int(g), category_name=str(label))
        for b, s, g, label in zip(found.boxes, found.scores, rule.groups(found), found.labels, strict=True)
    ]
    merged = postprocess(match_threshold=rule.iou, match_metric=METRIC, class_agnostic=False)(listed)
    return sorted((*p.bbox.to_xyxy(), np.float32(p.score.value), int(p.category.name)) for p in merged)


def rows_of(found: Detections) -> list[tuple]:
    columns = zip(found.boxes.tolist(), found.scores, found.labels.tolist(), strict=True)
    return sorted((*box, score, label) for box, score, label in columns)


def crowd(seed: int, *, whole: bool) -> Detections:
    """Boxes that pile up, of three classes; whole edges and eighths as scores make ties of every kind."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 25))
    corners, sides = rng.uniform(0, 50, (count, 2)), rng.uniform(1, 25, (count, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1)
    scores = rng.random(count).astype(np.float32)
    if whole:
        boxes, scores = np.rint(boxes), np.ceil(scores * 8) / 8
    return Detections(boxes, scores, rng.integers(0, 3, count), rng.integers(-1, 4, count))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("joined", JOINED.values(), ids=JOINED)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), whole=st.booleans(), least=st.sampled_from([0.1, 0.5, 0.8, 1.0]))
def test_a_method_gives_what_the_class_of_sahi_gives(method, joined, seed, whole, least):
    found, rule = crowd(seed, whole=whole), Rule(least, joined)
    merged = method(found, (), rule)
    assert rows_of(merged) == by_sahi(METHODS[method], distinct_detections(found), rule)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_box_keeps_the_tile_of_the_detection_that_it_grew_from(method, seed):
    found = crowd(seed, whole=False)
    merged = method(found, (), Rule(0.5, joined=True))
    assert len(merged) <= len(found)
    for box, tile in zip(merged.boxes, merged.tile_ids, strict=True):
        inside = (found.boxes[:, :2] >= box[:2]).all(axis=1) & (found.boxes[:, 2:] <= box[2:]).all(axis=1)
        assert tile in found.tile_ids[inside]


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_table_stays_empty(method):
    assert method(Detections.empty(), (), Rule(0.5)) == Detections.empty()


def chain() -> Detections:
    """A long car, a small one that lies half on it, a third that lies half on the second alone, and a bus.

    Boxes 0..10, 8..12 and 10.5..14.5 along x, all 10 high: the second shares 2 x 10 of its 4 x 10 with the
    first (0.5), the third 1.5 x 10 of its 4 x 10 with the second (0.375) and nothing with the first.
    """
    return Detections(
        [[0, 0, 10, 10], [8, 0, 12, 10], [10.5, 0, 14.5, 10], [8, 0, 12, 10]],
        [0.9, 0.8, 0.7, 0.6],
        [0, 0, 0, 1],
        [5, 6, 7, 8],
    )


def test_nms_drops_what_lies_on_a_better_box_and_then_no_longer_counts():
    """The second loses to the first, and so does not speak against the third."""
    found = chain()
    assert sahi_nms(found, (), Rule(0.375)) == found[[0, 2, 3]]


def test_greedy_nmm_grows_the_best_box_by_what_lies_on_it():
    merged = sahi_greedy_nmm(chain(), (), Rule(0.375))
    assert rows_of(merged) == rows_of(
        Detections(
            [[0, 0, 12, 10], [10.5, 0, 14.5, 10], [8, 0, 12, 10]],
            [0.9, 0.7, 0.6],
            [0, 0, 1],
            [5, 7, 8],
        )
    )


def test_nmm_goes_on_to_what_lies_on_the_box_as_it_grew():
    """The first has grown to x = 12, so the third shares 1.5 x 10 of its 4 x 10 with it."""
    merged = sahi_nmm(chain(), (), Rule(0.375))
    assert rows_of(merged) == rows_of(
        Detections([[0, 0, 14.5, 10], [8, 0, 12, 10]], [0.9, 0.6], [0, 1], [5, 8])
    )


def test_the_overlap_is_over_the_smaller_box():
    """A box that lies wholly in a large one is the same object, though their IoU is 1 / 100."""
    found = Detections([[0, 0, 100, 100], [10, 10, 20, 20]], [0.5, 0.4], [0, 0], [0, 0])
    for method in METHODS:
        assert method(found, (), Rule(1.0)) == found[[0]]


def test_without_opencvs_libraries_one_line_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "sahi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sahi.postprocess", None)
    with pytest.raises(DeviceError) as caught:
        sahi_nms(chain(), (), Rule(0.5))
    assert str(caught.value) == (
        "SAHI cannot load (import of sahi.postprocess halted; None in sys.modules); install the system's "
        "libGL, on Debian: apt install libgl1 libglib2.0-0, or take `merge=seam`"
    )
