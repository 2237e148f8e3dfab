"""How far two engines that look at the same tiles agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SURE = 0.05
"""Boxes of at least that score count."""

NEAR_PX = 2.0
"""A box that lies farther from all others is one that only one of the two has."""


class Found(NamedTuple):
    """What was found in some tiles.

    Fields: `boxes` `(N, 4)` in pixels, `scores` `(N,)`, and `groups` `(N,)` of those that may be one object:
    one for each tile and label.
    """

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float32]
    groups: npt.NDArray[np.int64]


class Agreement(NamedTuple):
    """How far two tables agree.

    Fields: `gap_px`, the farthest that an edge of a box lies from that of the same object in the other;
    `gap_score`, the same of scores; `missing`, how many sure boxes the other does not have.
    """

    gap_px: float
    gap_score: float
    missing: int


def agreement_of(one: Found, other: Found) -> Agreement:
    """How far two tables agree, both ways, for boxes of at least `SURE`.

    The other may score a box below `SURE`: that is a gap of scores, and no missing box.
    """
    ways = [_one_way(one, other), _one_way(other, one)]
    gaps = np.concatenate([gaps for gaps, _ in ways])
    px, score = gaps.max(axis=0, initial=0).tolist()
    return Agreement(px, score, sum(missing for _, missing in ways))


def _one_way(one: Found, other: Found) -> tuple[npt.NDArray[np.float64], int]:
    """Gaps `(N, 2)` in pixels and score of the sure boxes that the other has, and how many it lacks."""
    gaps = [_nearest(one, other, row) for row in np.flatnonzero(one.scores >= SURE).tolist()]
    near = [gap for gap in gaps if gap[0] <= NEAR_PX]
    return np.array(near, np.float64).reshape(-1, 2), len(gaps) - len(near)


def _nearest(one: Found, other: Found, row: int) -> tuple[float, float]:
    """Gap in pixels and in score to the nearest box of the same group."""
    rows = np.flatnonzero(other.groups == one.groups[row])
    if not len(rows):
        return np.inf, 0.0
    apart = np.abs(other.boxes[rows] - one.boxes[row]).max(axis=1)
    place = int(np.argmin(apart))
    return float(apart[place]), abs(float(other.scores[rows[place]]) - float(one.scores[row]))
