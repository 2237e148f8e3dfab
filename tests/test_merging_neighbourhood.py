"""sodslice.merging.neighbourhood: which boxes hang together, by a plain definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import Detections
from sodslice.merging.neighbourhood import hulls_of_neighbours
from sodslice.merging.tile_table import TOLERANCE_PX


def table(boxes, labels=None) -> Detections:
    count = len(boxes)
    return Detections(np.array(boxes, float), [0.5] * count, labels or [0] * count, [0] * count)


def grown(box: list[float]) -> list[float]:
    x, y = (max(2.0, 0.06 * (box[side + 2] - box[side])) for side in (0, 1))
    return [box[0] - x, box[1] - y, box[2] + x, box[3] + y]


def touch(one, other) -> bool:
    a, b = grown(one[0]), grown(other[0])
    return one[1] == other[1] and a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def by_definition(boxes: list[list[float]], labels: list[int]) -> list[list[float]]:
    """Join hulls that touch, each grown by the room around it, until none do."""
    groups = [(box, label, [row]) for row, (box, label) in enumerate(zip(boxes, labels, strict=True))]
    while True:
        pairs = ((i, j) for i in range(len(groups)) for j in range(i) if touch(groups[i], groups[j]))
        pair = next(pairs, None)
        if pair is None:
            break
        (a, label, rows), (b, _, more) = groups.pop(pair[0]), groups.pop(pair[1])
        hull = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
        groups.append((hull, label, rows + more))
    hull_of = {row: grown(box) for box, _, rows in groups for row in rows}
    return [hull_of[row] for row in range(len(boxes))]


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14))
def test_hulls_are_those_of_the_definition(seed, count):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 120, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 40, (count, 2))], axis=1)
    labels = rng.integers(0, 2, count).tolist()
    found = hulls_of_neighbours(table(boxes, labels))
    np.testing.assert_allclose(found, by_definition(boxes.tolist(), labels))


def test_boxes_that_hang_together_through_others_share_a_hull_and_those_of_other_classes_do_not():
    boxes = [[0, 0, 10, 10], [9, 9, 30, 12], [26, 0, 31, 8], [100, 0, 110, 10], [8, 0, 12, 5]]
    hulls = hulls_of_neighbours(table(boxes, [0, 0, 0, 0, 1]))
    near = TOLERANCE_PX
    assert hulls[0].tolist() == hulls[1].tolist() == hulls[2].tolist() == [-near, -near, 31 + near, 12 + near]
    assert hulls[3].tolist() == [100 - near, -near, 110 + near, 10 + near]
    assert hulls[4].tolist() == [8 - near, -near, 12 + near, 5 + near]
    together = hulls_of_neighbours(table(boxes, [0, 0, 0, 0, 1]), joined=[[0, 1]])
    assert together[4].tolist() == together[0].tolist()
    assert hulls_of_neighbours(Detections.empty()).shape == (0, 4)
