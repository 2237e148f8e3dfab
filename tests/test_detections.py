from __future__ import annotations

import numpy as np
import pytest

from sodslice import Detections, SodsliceError


def table(n: int = 3) -> Detections:
    x = np.arange(n, dtype=np.float64)
    return Detections(
        np.stack([x, x, x + 2, x + 1], axis=1), np.linspace(0.9, 0.1, n), np.arange(n) % 2, np.zeros(n)
    )


def test_columns_have_fixed_dtypes_and_are_read_only():
    found = table()
    assert [c.dtype for c in (found.boxes, found.scores, found.labels, found.tile_ids)] == [
        "f8",
        "f4",
        "i4",
        "i4",
    ]
    with pytest.raises(ValueError, match="read-only"):
        found.scores[0] = 1


def test_the_callers_array_stays_writable_and_unshared():
    boxes = np.array([[0.0, 0, 1, 1]])
    found = Detections(boxes, [0.5], [0], [0])
    boxes[0, 0] = 0.5
    assert found.boxes[0, 0] == 0


def test_filtering_reads_as_numpy():
    found = table(5)
    assert len(found[found.scores > 0.5]) == 2
    assert found[1].boxes.tolist() == [[1, 1, 3, 2]]
    assert found[[3, 1]].boxes[:, 0].tolist() == [3, 1]
    assert len(found[2:]) == 3


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ((np.zeros((2, 3)), [0, 0], [0, 0], [0, 0]), r"boxes must have shape \(N, 4\), got \(2, 3\)"),
        ((np.zeros((2, 4)), [0], [0, 0], [0, 0]), r"scores must have shape \(2,\) like boxes, got \(1,\)"),
        (([[0, 0, np.nan, 1]], [0.5], [0], [0]), "must be finite"),
        (([[3, 0, 1, 1]], [0.5], [0], [0]), r"x0 <= x1 and y0 <= y1, row 0 is \[3.0, 0.0, 1.0, 1.0\]"),
        (([["a", 0, 1, 1]], [0.5], [0], [0]), "must hold numbers"),
    ],
)
def test_wrong_columns_are_refused_in_words(columns, words):
    with pytest.raises(SodsliceError, match=words):
        Detections(*columns)


def test_concatenation_keeps_order_and_empty_tables_vanish():
    found = table(3)
    assert Detections.concatenate([found[:1], Detections.empty(), found[1:]]) == found
    assert len(Detections.concatenate([])) == 0


def test_on_tile_moves_to_scene_pixels_and_sets_the_id():
    moved = table(1).on_tile(7, 100, 50)
    assert moved.boxes.tolist() == [[100, 50, 102, 51]]
    assert moved.tile_ids.tolist() == [7]


def test_canonical_order_is_by_score_then_label_then_place():
    found = Detections(
        [[5, 0, 6, 1], [1, 0, 2, 1], [0, 0, 1, 1], [9, 9, 10, 10]],
        [0.5, 0.5, 0.5, 0.9],
        [0, 0, 1, 1],
        [0, 0, 0, 0],
    )
    assert found.canonical_order().tolist() == [3, 1, 0, 2]
