"""`Limits`: what stops the NMS inside a graph, and which of its rows are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.inference.detector import just_above
from sodslice.inference.engines.session import Session
from sodslice.system.opencv import opencv

Columns = tuple[npt.NDArray[np.float64], npt.NDArray[np.float32], npt.NDArray[np.int32]]
"""Boxes `(N, 4)`, scores `(N,)` and labels `(N,)` of one tile."""

USUAL = 500
"""So many boxes of a tile are kept whatever their scores: what upstream's NMS gives, and what low scores say
when tiles are merged."""


FIRST_CANDIDATES = 4
"""Candidates for each box that is wanted, of which NMS is done first."""

LEAST_GROWTH = 1.25
"""By so much more candidates are taken where those gave too few boxes."""


@dataclass(frozen=True)
class Suppression:
    """The NMS that a graph would do for each tile, which is done here.

    Args:
        iou: two boxes of a class that overlap by more are one object.
        floor: score that boxes must exceed.
    """

    iou: float
    floor: float

    def __call__(self, columns: Columns, *, enough: int | None = None, lowest: float = 0.0) -> Columns:
        """The boxes that are kept, the best first; of equal scores the one that comes first.

        Whether a box is kept depends on better ones alone, so the best are decided first, and no more of them
        than are wanted: there may be ten thousand candidates a tile, of which most say nothing.

        Args:
            columns: candidates.
            enough: worse boxes may be missing where there are more than so many; None wants all.
            lowest: of that score or more none is missing.
        """
        above = columns[1] > np.float32(self.floor)
        boxes, scores, labels = (column[above] for column in columns)
        order = np.argsort(-scores, kind="stable")
        count = len(order) if enough is None else FIRST_CANDIDATES * enough
        count = max(count, int(np.count_nonzero(scores >= np.float32(lowest))))
        while True:
            best = order[:count]
            rows = best[self._kept(boxes[best], labels[best])]
            if enough is None or count >= len(order) or len(rows) > enough:
                return boxes[rows], scores[rows], labels[rows]
            count = int(count * max(LEAST_GROWTH, 1.1 * enough / max(1, len(rows))))

    def _kept(self, boxes: npt.NDArray[np.float64], labels: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
        """Rows, rising, that are kept of boxes that stand in their order."""
        sides = (boxes[:, 2:] - boxes[:, :2]).clip(min=0)
        rectangles = np.concatenate([boxes[:, :2], sides], axis=1)
        kept = [np.zeros(0, np.intp)]
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            falling = np.arange(len(rows), 0, -1, dtype=np.float32)  # they stand in their order, ties too
            found = opencv().dnn.NMSBoxes(rectangles[rows].tolist(), falling.tolist(), 0.0, self.iou)
            kept.append(rows[np.asarray(found, np.intp).reshape(-1)])
        return np.sort(np.concatenate(kept))


CANDIDATES_A_BOX = 256
"""Of a class of which fewer boxes are left than its candidates over this, none was left out: an object of
128 x 128 pixels holds so many anchors."""


@dataclass(frozen=True)
class Limits:
    """What stops the NMS inside a graph.

    Args:
        kept: the most boxes that it gives for a tile; None where nothing stops it.
        candidates: the most boxes of a class that it compares; None where that is all, or unknown.
        usual: boxes that are kept whatever their scores; None for all.
        deeper: loads the same graph without a limit of candidates, or gives None; None where there is none.
        suppression: the NMS, where the graph gives all anchors and leaves it to us.
    """

    kept: int | None = None
    candidates: int | None = None
    usual: int | None = None
    deeper: Callable[[], Session | None] | None = None
    suppression: Suppression | None = None

    def stopped(self, columns: Columns, lowest: float) -> bool:
        """Whether boxes of at least `lowest` were left out, since there were too many."""
        scores = columns[1]
        return self.kept is not None and len(scores) >= self.kept and bool(scores.min(initial=1) >= lowest)

    def may_lack(self, columns: Columns, lowest: float) -> bool:
        """Whether boxes of at least `lowest` may have been left out, of the result or of the candidates."""
        if self.stopped(columns, lowest):
            return True
        if self.candidates is None or not len(columns[1]):
            return False
        _, scores, labels = columns
        weakest = np.full(labels.max() + 1, np.inf, np.float32)
        np.minimum.at(weakest, labels, scores)
        many = np.bincount(labels) >= max(1, self.candidates // CANDIDATES_A_BOX)
        return bool((many & (weakest >= lowest)).any())

    def kept_of(self, columns: Columns, lowest: float) -> tuple[Columns, float]:
        """The rows that are kept: the usual number of best ones, and all of at least `lowest`.

        Returns:
            The rows in their order, and the score from which on they are all that there are.
        """
        scores = columns[1]
        whole_from = just_above(scores.min()) if self.stopped(columns, 0) else 0.0
        if self.usual is None or len(scores) <= self.usual:
            return columns, whole_from
        keep = scores >= np.float32(lowest)
        keep[np.argsort(-scores, kind="stable")[: self.usual]] = True
        if not keep.all():
            whole_from = max(whole_from, min(lowest, just_above(scores[keep].min())))
        boxes, scores, labels = columns
        return (boxes[keep], scores[keep], labels[keep]), whole_from
