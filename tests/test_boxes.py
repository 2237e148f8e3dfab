"""Box arithmetic against shapely and hand-made numbers; the pair search against all pairs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.tables import boxes as box


def some_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes from points to a hundred pixels, some on whole pixels, so that many just touch."""
    decimals = int(rng.integers(0, 3))
    corners = rng.uniform(-50, 50, (count, 2)).round(decimals)
    sides = np.exp(rng.uniform(-2, 4.6, (count, 2))).round(decimals)
    return np.concatenate([corners, corners + sides], axis=1)


@given(st.integers(0, 2**32 - 1))
def test_areas_and_overlaps_are_those_of_shapely(seed):
    rng = np.random.default_rng(seed)
    one, other = some_boxes(rng, 20), some_boxes(rng, 20)
    shapes, others = shapely.box(*one.T), shapely.box(*other.T)
    shared, union = (
        shapely.area(shapely.intersection(shapes, others)),
        shapely.area(shapely.union(shapes, others)),
    )
    np.testing.assert_allclose(box.area(one), shapely.area(shapes), atol=1e-9)
    np.testing.assert_allclose(box.intersection(one, other), shared, atol=1e-8)
    np.testing.assert_allclose(
        box.iou(one, other), np.where(union > 0, shared / np.where(union > 0, union, 1), 0), atol=1e-9
    )


def test_overlaps_of_two_boxes_by_hand():
    one, other = np.array([[0.0, 0, 4, 2]]), np.array([[2.0, 0, 4, 4]])
    assert box.intersection(one, other) == [4]
    assert box.iou(one, other) == [pytest.approx(4 / 12)]
    assert box.ios(one, other) == [0.5]
    np.testing.assert_array_equal(box.centers(other), [[3, 2]])
    np.testing.assert_array_equal(box.clip(other, 3, 1), [[2, 0, 3, 1]])


def test_empty_boxes_overlap_nothing():
    empty = np.array([[1.0, 1, 1, 3]])
    assert box.iou(empty, empty) == [0]
    assert box.ios(empty, np.array([[0.0, 0, 4, 4]])) == [0]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_touching_pairs_are_all_pairs_that_share_area(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 50))
    boxes = some_boxes(rng, count)
    groups = rng.integers(-2, 2, count) if rng.random() < 0.7 else None
    owners = rng.integers(0, 4, count) if rng.random() < 0.7 else None
    askers = rng.random(count) < 0.4 if rng.random() < 0.5 else None
    found = []
    for i, j in box.touching_pairs(
        boxes, groups=groups, owners=owners, askers=askers, piece=int(rng.integers(1, 99))
    ):
        assert askers is None or (askers[i].all() and not askers[j].any())
        found += [tuple(sorted(pair)) for pair in zip(i.tolist(), j.tolist(), strict=True)]
    expected = [
        (i, j)
        for j in range(count)
        for i in range(j)
        if (groups is None or groups[i] == groups[j])
        and (owners is None or owners[i] != owners[j])
        and (askers is None or askers[i] != askers[j])
        and box.intersection(boxes[[i]], boxes[[j]])[0] > 0
    ]
    assert sorted(found) == sorted(expected)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.9, 1.0]))
def test_touching_pairs_leave_out_none_that_reaches_the_least_iou(seed, least):
    boxes = some_boxes(np.random.default_rng(seed), 40)

    def close(**options: float) -> set[tuple[int, int]]:
        pairs = [np.sort(np.stack(pair), axis=0) for pair in box.touching_pairs(boxes, **options)]
        kept = [pair[:, box.iou(boxes[pair[0]], boxes[pair[1]]) >= least] for pair in pairs]
        return {(int(i), int(j)) for pair in kept for i, j in pair.T}

    assert close(least_iou=least) == close()


@pytest.mark.parametrize("far", [0.0, 1e7])
def test_touching_pairs_do_not_lose_boxes_that_differ_in_the_last_bits(far):
    left = np.array([[far + 0.1, 0.0, far + 0.3, 1.0]])
    right = np.array([[np.nextafter(far + 0.3, -np.inf), 0.0, far + 0.5, 1.0]])
    boxes = np.concatenate([left, right])
    assert sum(len(i) for i, _ in box.touching_pairs(boxes)) == 1


def test_one_huge_box_among_many_small_ones_costs_what_it_covers():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 1e5, (100_000, 2))
    boxes = np.concatenate([corners, corners + 20], axis=1)
    boxes[7] = 0, 0, 1e5 + 20, 1e5 + 20
    tracemalloc.start()
    pairs = sum(int(((i == 7) | (j == 7)).sum()) for i, j in box.touching_pairs(boxes, piece=1 << 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs == len(boxes) - 1
    assert peak < 60e6


def test_boxes_all_in_one_place_take_bounded_memory():
    boxes = np.tile([10.0, 10, 30, 30], (3000, 1))
    tracemalloc.start()
    pairs = sum(len(i) for i, _ in box.touching_pairs(boxes, piece=1 << 14))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs == 3000 * 2999 // 2
    assert peak < 20e6
