"""Which detection is which object: COCO's greedy rule on the pairs that overlap.

The rule is that of COCO's `evaluateImg` (Lin et al. 2014, "Microsoft COCO: Common Objects in Context";
pycocotools' cocoeval.py): detections choose in order of score; each takes the free object of its class that
it overlaps most, if the overlap reaches the threshold; an object that does not count is taken only where no
counting one is left. Only pairs that touch are ever looked at, so a scene of 100 000 boxes costs seconds and
no matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.metrics.truth import Truth
from sodslice.tables import boxes as box_math
from sodslice.tables.detections import Detections

NOTHING = -1
"""The object of a detection that matches none."""

ALMOST_ONE = 1 - 1e-10
"""What COCO asks for where an IoU of 1 is wanted: equal boxes may fall short of it in the last bit."""


class Pairs(NamedTuple):
    """Detections and objects of one class that share area, row by row.

    Fields: `found` `(K,)` rows of the detections, `truth` `(K,)` rows of the objects, `overlap` `(K,)`
    float64: IoU, or, as COCO has it, the share of the detection's area that lies in a crowd.
    """

    found: npt.NDArray[np.intp]
    truth: npt.NDArray[np.intp]
    overlap: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Matching:
    """What became of each detection and each object of one image at one IoU.

    Fields: `truth` `(M,)` the object each detection took, -1 for none; `right` `(M,)` bool, it took one that
    counts; `wrong` `(M,)` bool, it took none and lies where things count (neither right nor wrong: outside,
    or on an object that does not count); `counted` `(N,)` bool, objects that must be found; `hit` `(N,)`
    bool, those that were.
    """

    truth: npt.NDArray[np.intp]
    right: npt.NDArray[np.bool_]
    wrong: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]
    hit: npt.NDArray[np.bool_]


def overlapping_pairs(truth: Truth, found: Detections, *, least: float) -> Pairs:
    """The pairs of one class that overlap by at least `least` (more than 0), by detection, then by object."""
    tree = shapely.STRtree(shapely.box(*truth.boxes.T))
    rows, objects = tree.query(shapely.box(*found.boxes.T))
    same = found.labels[rows] == truth.labels[objects]
    rows, objects = rows[same], objects[same]
    one, other = found.boxes[rows], truth.boxes[objects]
    shared = box_math.intersection(one, other)
    own = box_math.area(one)
    union = np.where(truth.crowd[objects], own, own + box_math.area(other) - shared)
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    kept = (overlap >= min(least, ALMOST_ONE)) & (overlap > 0)
    rows, objects, overlap = rows[kept], objects[kept], overlap[kept]
    order = np.lexsort((objects, rows))
    return Pairs(rows[order], objects[order], overlap[order])


def match(truth: Truth, found: Detections, *, iou: float = 0.5) -> Matching:
    """Match the detections of one image to its objects, class by class, as COCO does at one IoU.

    Args:
        truth: the objects; labels as in `found`.
        found: the detections, in any order; equal scores are ordered by `Detections.canonical_order`.
        iou: the least overlap of a match, above 0, at most 1.
    """
    counted = truth.counted()
    pairs = overlapping_pairs(truth, found, least=iou)
    taken = _choose(pairs, found.canonical_order(), counted, truth.crowd)
    right = np.zeros(len(found), dtype=bool)
    right[taken != NOTHING] = counted[taken[taken != NOTHING]]
    hit = np.zeros(len(truth), dtype=bool)
    hit[taken[right]] = True
    wrong = (taken == NOTHING) & truth.region.holds(found.boxes)
    return Matching(taken, right, wrong, counted, hit)


def _choose(
    pairs: Pairs, order: npt.NDArray[np.intp], counted: npt.NDArray[np.bool_], crowd: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """The object `(M,)` that each detection takes, -1 for none.

    Each detection's wishes are sorted first: objects that count before others, then by overlap, the later
    object where two are equal (as COCO's loop ends up). What is left is sequential by its nature: the first
    wish that is still free, in order of score.
    """
    turn = np.empty(len(order), dtype=np.intp)
    turn[order] = np.arange(len(order))
    wishes = np.lexsort((-pairs.truth, -pairs.overlap, ~counted[pairs.truth], turn[pairs.found]))
    free = [True] * len(counted)
    shared = crowd.tolist()
    taken = np.full(len(order), NOTHING, dtype=np.intp)
    done = NOTHING
    for row, wanted in zip(pairs.found[wishes].tolist(), pairs.truth[wishes].tolist(), strict=True):
        if row != done and free[wanted]:
            taken[row] = wanted
            free[wanted] = shared[wanted]
            done = row
    return taken
