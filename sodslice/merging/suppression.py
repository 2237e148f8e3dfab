"""Non-maximum suppression as rounds over a list of conflicts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sodslice.boxes import Boxes, Labels, Rows, iou, touching_pairs

_MOST_ROUNDS = 32


def suppress(
    boxes: Boxes, groups: Labels, owners: Labels, *, priority: Rows, least_iou: float
) -> npt.NDArray[np.bool_]:
    """Which boxes survive greedy non-maximum suppression.

    The definition: go through the boxes by priority and keep each one that no kept box of the same group and
    of another owner overlaps with an IoU of at least `least_iou`.

    Args:
        boxes: `(N, 4)` float64, pixel edges.
        groups: `(N,)` integers; boxes of different groups leave each other alone.
        owners: `(N,)` integers; so do boxes of one owner.
        priority: `(N,)` rows, the most important first.
        least_iou: above 0.

    Returns:
        `(N,)`, true where the box is kept.
    """
    rank = np.empty(len(boxes), np.int64)
    rank[priority] = np.arange(len(boxes))
    winners, losers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for i, j in touching_pairs(boxes, groups=groups, owners=owners, least_iou=least_iou):
        close = iou(boxes[i], boxes[j]) >= least_iou
        i, j = rank[i[close]], rank[j[close]]
        winners.append(np.minimum(i, j))
        losers.append(np.maximum(i, j))
    kept = _independent(np.concatenate(winners), np.concatenate(losers), len(boxes))
    return kept[rank]


def _independent(winners: Rows, losers: Rows, size: int) -> npt.NDArray[np.bool_]:
    """Greedy choice `(size,)` among ranks 0 .. size - 1, where a chosen winner rules its losers out.

    In each round the ranks that no undecided winner beats are chosen and their losers are ruled out; that is
    what going through them one by one decides, since nothing else could still change it. Only long chains of
    conflicts need more than a few rounds: they are finished one by one.
    """
    chosen = np.ones(size, bool)
    for _ in range(_MOST_ROUNDS):
        if not len(winners):
            return chosen
        beaten = np.zeros(size, bool)
        beaten[losers] = True
        out = np.zeros(size, bool)
        out[losers[~beaten[winners]]] = True
        chosen &= ~out
        undecided = beaten[winners] & ~out[winners] & ~out[losers]
        winners, losers = winners[undecided], losers[undecided]
    order = np.lexsort((losers, winners))
    for winner, loser in zip(winners[order].tolist(), losers[order].tolist(), strict=True):
        if chosen[winner]:
            chosen[loser] = False
    return chosen
