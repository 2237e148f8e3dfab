"""Non-maximum suppression as rounds over a list of conflicts: which box each one loses to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sodslice.tables.boxes import Boxes, Labels, Mask, Rows, iou, touching_pairs

_MOST_ROUNDS = 32
_CONFLICTS_A_BOX = 2
_SPARE_CONFLICTS = 1 << 21
"""Conflicts that are held at once: a real scene has less than one a box, since a box is seen by few tiles."""


def suppressed_by(
    boxes: Boxes, groups: Labels, owners: Labels | None, *, order: Rows, least_iou: float
) -> Rows:
    """Greedy non-maximum suppression.

    The definition: go through the boxes in their order; a box that no kept box of its group and of another
    owner overlaps with an IoU of at least `least_iou` is kept; any other loses to the first such box.

    Args:
        boxes: `(N, 4)` float64, pixel edges.
        groups: `(N,)` integers; boxes of different groups leave each other alone.
        owners: `(N,)` integers; so do boxes of one owner. None: each box has its own.
        order: `(N,)` rows, the one that wins first.
        least_iou: above 0.

    Returns:
        `(N,)` the row that each box loses to; a kept box's own row.
    """
    keepers = _decide(boxes[order], groups[order], None if owners is None else owners[order], least_iou)
    rows = np.empty(len(order), np.intp)
    rows[order] = order[keepers]
    return rows


def _decide(boxes: Boxes, groups: Labels, owners: Labels | None, least_iou: float) -> Rows:
    """As `suppressed_by`, for boxes that stand in their order.

    Where boxes crowd so much that their conflicts would fill the memory, the better half is decided first;
    what is left of the other half, mostly little, comes second.
    """
    size = len(boxes)
    conflicts = _conflicts(boxes, groups, owners, least_iou, most=_CONFLICTS_A_BOX * size + _SPARE_CONFLICTS)
    if conflicts is not None:
        kept = _independent(*conflicts, size)
        winners, losers = (ends[kept[conflicts[0]] & ~kept[conflicts[1]]] for ends in conflicts)
        return _first_winners(winners, losers, np.arange(size))
    half = size // 2
    keepers = np.arange(size)
    keepers[:half] = _decide(
        boxes[:half], groups[:half], None if owners is None else owners[:half], least_iou
    )
    strong = keepers == np.arange(size)
    strong[half:] = False
    open_ = strong | (np.arange(size) >= half)
    rows = np.flatnonzero(open_)
    pairs = touching_pairs(
        boxes[rows],
        groups=groups[rows],
        owners=None if owners is None else owners[rows],
        askers=strong[rows],
        least_iou=least_iou,
    )
    for i, j in pairs:
        close = iou(boxes[rows[i]], boxes[rows[j]]) >= least_iou
        _first_winners(rows[i[close]], rows[j[close]], keepers)
    rest = np.flatnonzero(keepers[half:] == np.arange(half, size)) + half
    keepers[rest] = rest[
        _decide(boxes[rest], groups[rest], None if owners is None else owners[rest], least_iou)
    ]
    return keepers


def _first_winners(winners: Rows, losers: Rows, keepers: Rows) -> Rows:
    """Note the first winner of each loser in `keepers`, in place; a row without one is its own."""
    np.minimum.at(keepers, losers, winners)
    return keepers


def _conflicts(
    boxes: Boxes, groups: Labels, owners: Labels | None, least_iou: float, *, most: int
) -> tuple[Rows, Rows] | None:
    """Pairs of boxes that cannot both be kept, the earlier one first; None if there are more than `most`."""
    earlier, later, count = [np.empty(0, np.intp)], [np.empty(0, np.intp)], 0
    for i, j in touching_pairs(boxes, groups=groups, owners=owners, least_iou=least_iou):
        close = iou(boxes.take(i, axis=0), boxes.take(j, axis=0)) >= least_iou
        i, j = i[close], j[close]
        count += len(i)
        if count > most:
            return None
        earlier.append(np.minimum(i, j))
        later.append(np.maximum(i, j))
    return np.concatenate(earlier), np.concatenate(later)


def _independent(winners: Rows, losers: Rows, size: int) -> Mask:
    """Greedy choice `(size,)` among rows 0 .. size - 1, where a chosen winner rules its losers out.

    In each round the rows that no undecided winner beats are chosen and their losers are ruled out; that is
    what going through them one by one decides, since nothing else could still change it. Only long chains of
    conflicts need more than a few rounds: they are finished one by one.
    """
    chosen = np.ones(size, bool)
    for _ in range(_MOST_ROUNDS):
        if not len(winners):
            return chosen
        beaten = np.zeros(size, bool)
        beaten[losers] = True
        ruled_out = np.zeros(size, bool)
        ruled_out[losers[~beaten[winners]]] = True
        chosen &= ~ruled_out
        undecided = beaten[winners] & ~ruled_out[winners] & ~ruled_out[losers]
        winners, losers = winners[undecided], losers[undecided]
    order = np.lexsort((losers, winners))
    for winner, loser in zip(winners[order].tolist(), losers[order].tolist(), strict=True):
        if chosen[winner]:
            chosen[loser] = False
    return chosen


def components(one: Rows, other: Rows, size: int) -> npt.NDArray[np.intp]:
    """The connected component `(size,)` of each row, named by its first row, from links one[k] - other[k]."""
    names = np.arange(size)
    while True:
        first, second = names[one], names[other]
        if np.array_equal(first, second):
            return names
        np.minimum.at(names, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(names, names[names]):
            names = names[names]
