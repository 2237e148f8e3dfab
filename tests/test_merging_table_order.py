"""Ordering and doublets against the plain ways to find them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.merging import table_order
from sodslice.merging.table_order import canonical_rows, descending, distinct_rows
from sodslice.tables.detections import Detections

seeds = st.integers(0, 2**32 - 1)


def many_alike(seed: int) -> Detections:
    """A table in which scores, and whole rows, come often twice."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 60))
    corners = rng.integers(0, 2, (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 2, (count, 2))], axis=1)
    return Detections(
        boxes, rng.integers(0, 4, count) / 4, rng.integers(0, 2, count), rng.integers(-1, 2, count)
    )


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_canonical_rows_are_the_canonical_order(seed):
    found = many_alike(seed)
    assert found[canonical_rows(found)] == found[found.canonical_order()]


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_descending_values_keep_their_order_where_they_are_equal(seed):
    values = np.random.default_rng(seed).integers(0, 5, 50) / 4
    assert descending(values).tolist() == sorted(range(50), key=lambda row: -values[row])


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_distinct_rows_are_the_first_of_their_kind(seed):
    assert_first_of_their_kind(many_alike(seed))


@pytest.mark.parametrize("seed", range(20))
def test_rows_with_one_hash_are_told_apart(seed, monkeypatch):
    monkeypatch.setattr(table_order, "_ODD", np.uint64(0))
    assert_first_of_their_kind(many_alike(seed))


def assert_first_of_their_kind(found: Detections) -> None:
    columns = (*found.boxes.T, found.labels, found.tile_ids)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert distinct_rows(*columns).tolist() == [k for k, row in enumerate(rows) if row not in rows[:k]]


def test_minus_zero_is_zero():
    assert distinct_rows(np.array([0.0, -0.0])).tolist() == [0]
