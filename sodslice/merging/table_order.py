"""Ordering a table, and finding the rows that stand in it twice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sodslice.tables.boxes import Mask, Rows
from sodslice.tables.detections import Detections

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: Knuth's multiplier for hashing (The Art of Computer Programming, 6.4)."""


def descending(values: npt.NDArray[np.floating]) -> Rows:
    """The order `(N,)` of values from the highest on; equal ones as they stand."""
    order = np.argsort(-values)  # quicker than a stable sort, even with the repair of equal values
    tied = _in_runs(values[order])
    rows = order[tied]
    order[tied] = rows[np.lexsort((rows, -values[rows]))]
    return order


def canonical_rows(found: Detections) -> Rows:
    """`Detections.canonical_order`, quicker: only rows of one score are sorted by all columns."""
    order = np.argsort(-found.scores)
    tied = _in_runs(found.scores[order])
    rows = order[tied]
    order[tied] = rows[found[rows].canonical_order()]
    return order


def _in_runs(values: npt.NDArray[np.generic]) -> Mask:
    """Which of sorted values are equal to a neighbour."""
    same: Mask = values[1:] == values[:-1]
    return np.append(same, False) | np.append(False, same) if len(values) else same


def distinct_detections(found: Detections) -> Detections:
    """The table in canonical order, each of several equal rows once."""
    found = found[canonical_rows(found)]
    x0, y0, x1, y1 = found.boxes.T
    return found[distinct_rows(x0, y0, x1, y1, found.scores, found.labels, found.tile_ids)]


def distinct_rows(*columns: npt.NDArray[np.generic]) -> Rows:
    """Rows, ascending, of which no earlier row is equal in all columns.

    Args:
        columns: `(N,)` each, of 4 or 8 bytes an entry.
    """
    # Equal rows have equal hashes; only rows that share a hash are compared in full.
    hashes = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        bits = (column + column.dtype.type(0)).view(f"u{column.dtype.itemsize}").astype(np.uint64)
        hashes = (hashes ^ (hashes >> np.uint64(29)) ^ bits) * _ODD
    order = np.argsort(hashes)
    suspects = np.sort(order[_in_runs(hashes[order])])
    order = suspects[np.lexsort([column[suspects] for column in columns])]
    repeated = np.ones(max(0, len(order) - 1), bool)
    for column in columns:
        repeated &= column[order[1:]] == column[order[:-1]]
    distinct = np.ones(len(hashes), bool)
    distinct[order[1:][repeated]] = False
    return np.flatnonzero(distinct)
