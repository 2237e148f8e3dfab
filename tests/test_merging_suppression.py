"""Suppression against going through the boxes one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.merging import suppression
from sodslice.merging.suppression import components, suppressed_by
from sodslice.tables.boxes import iou


def one_by_one(boxes, groups, owners, order, least_iou) -> list[int]:
    """The definition."""
    loses_to = list(range(len(boxes)))
    kept: list[int] = []
    for row in order.tolist():
        for winner in kept:
            told_apart = owners is not None and owners[row] == owners[winner]
            if (
                groups[row] == groups[winner]
                and not told_apart
                and iou(boxes[[row]], boxes[[winner]])[0] >= least_iou
            ):
                loses_to[row] = winner
                break
        else:
            kept.append(row)
    return loses_to


def crowd(seed: int, most: int = 40):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, most))
    corners, sides = rng.integers(0, 12, (count, 2)), rng.integers(0, 9, (count, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(float)
    owners = rng.integers(0, 3, count) if rng.random() < 0.5 else None
    return boxes, rng.integers(0, 2, count), owners, rng.permutation(count)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.3, 0.5, 1.0]))
def test_suppress_is_going_through_the_boxes_one_by_one(seed, least_iou):
    boxes, groups, owners, order = crowd(seed)
    assert suppressed_by(boxes, groups, owners, order=order, least_iou=least_iou).tolist() == one_by_one(
        boxes, groups, owners, order, least_iou
    )


@pytest.mark.parametrize("seed", range(30))
def test_a_crowd_whose_conflicts_would_fill_the_memory_is_decided_in_halves_alike(seed, monkeypatch):
    boxes, groups, owners, order = crowd(seed, most=120)
    expected = one_by_one(boxes, groups, owners, order, 0.1)
    monkeypatch.setattr(suppression, "_SPARE_CONFLICTS", 0)
    monkeypatch.setattr(suppression, "_CONFLICTS_A_BOX", 0)
    assert suppressed_by(boxes, groups, owners, order=order, least_iou=0.1).tolist() == expected


@pytest.mark.parametrize("rounds", [1, 32])
def test_a_chain_of_conflicts_is_decided_alike_in_few_rounds_or_many(rounds, monkeypatch):
    monkeypatch.setattr(suppression, "_MOST_ROUNDS", rounds)
    left = np.arange(200) * 4.0
    boxes = np.stack([left, left * 0, left + 20, left * 0 + 20], axis=1)
    everyone = np.zeros(200, int)
    keepers = suppressed_by(boxes, everyone, None, order=np.arange(200), least_iou=0.5)
    assert keepers.tolist() == [row - row % 2 for row in range(200)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=25))
def test_components_are_named_by_their_first_row(links):
    sets = [{row} for row in range(20)]
    for one, other in links:
        joined = [s for s in sets if one in s or other in s]
        sets = [s for s in sets if s not in joined] + [set().union(*joined)]
    expected = {row: min(s) for s in sets for row in s}
    one, other = np.array(links, dtype=np.intp).reshape(-1, 2).T
    assert components(one, other, 20).tolist() == [expected[row] for row in range(20)]


def test_a_long_chain_is_one_component():
    rows = np.arange(100_000)
    names = components(np.random.default_rng(0).permutation(rows[:-1]), np.zeros(99_999, int), 100_000)
    assert not names[:-1].any()
    assert not components(rows[:-1], rows[1:], 100_000).any()
