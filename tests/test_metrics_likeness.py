import numpy as np
import pytest

from sodslice.metrics.likeness import likeness
from sodslice.tables.detections import Detections


def table(*rows):
    """Rows of x0, y0, x1, y1, score, label."""
    numbers = np.array(rows, np.float64).reshape(-1, 6)
    scores, labels = numbers[:, 4].astype(np.float32), numbers[:, 5].astype(np.int32)
    return Detections(numbers[:, :4], scores, labels, np.zeros(len(numbers), np.int32))


def test_a_model_is_like_itself():
    tables = [table((0, 0, 10, 10, 0.9, 0), (20, 0, 30, 10, 0.6, 1)), table()]
    found = likeness(tables, tables, threshold=0.5)
    assert (found.tiles, found.boxes, found.other_boxes) == (2, 2, 2)
    assert (found.kept, found.backed, found.f1) == (1, 1, 1)
    assert (found.box_px, found.box_px_most, found.score, found.score_most) == (0, 0, 0, 0)


def test_boxes_are_paired_by_class_and_overlap_above_the_threshold():
    """By hand: of three boxes one moved by a pixel, one changed its class, one fell below the threshold."""
    first = table((0, 0, 10, 10, 0.9, 0), (20, 0, 30, 10, 0.8, 0), (40, 0, 50, 10, 0.55, 0))
    other = table((1, 0, 11, 10, 0.7, 0), (20, 0, 30, 10, 0.8, 1), (40, 0, 50, 10, 0.45, 0))
    found = likeness([first], [other], threshold=0.5)
    assert (found.boxes, found.other_boxes) == (3, 2)
    assert found.kept == pytest.approx(1 / 3)
    assert found.backed == pytest.approx(1 / 2)
    assert found.f1 == pytest.approx(0.4)
    assert (found.box_px, found.box_px_most) == (1, 1)
    assert found.score_most == pytest.approx(0.2, abs=1e-6)
    assert found.as_dict()["kept"] == 0.3333


def test_the_nearest_of_several_is_the_pair():
    first = table((0, 0, 10, 10, 0.9, 0))
    other = table((0, 0, 10, 14, 0.9, 0), (0, 0, 10, 11, 0.6, 0))
    found = likeness([first], [other], threshold=0.5)
    assert (found.kept, found.backed, found.box_px) == (1, 1, 1)


def test_where_nothing_is_shown_nothing_is_lost():
    faint = [table((0, 0, 10, 10, 0.1, 0))]
    assert likeness(faint, faint, threshold=0.5).f1 == 1
    assert likeness([], [], threshold=0.5).f1 == 1
    shown = [table((0, 0, 10, 10, 0.9, 0))]
    assert likeness(shown, faint, threshold=0.5).f1 == 0
    assert likeness(faint, shown, threshold=0.5).f1 == 0
