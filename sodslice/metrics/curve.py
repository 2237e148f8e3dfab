"""Precision, recall and F1 at every score threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.metrics.matching import Matching
from sodslice.metrics.truth import Truth
from sodslice.tables.detections import Detections


class OperatingPoint(NamedTuple):
    """What one score threshold gives.

    Fields: `threshold`; `precision` (nan without detections), `recall` (nan without objects), `f1`; and the
    counts `right`, `wrong`, `missed`.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    right: int
    wrong: int
    missed: int


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall over the score threshold, for one class or all together.

    A detection is kept where its score is at least the threshold. COCO's greedy match of a subset of the
    best-scored detections is the same match cut off, so one matching serves all thresholds.

    Fields: `scores` `(K,)` float32, the distinct scores, falling; `right`, `wrong` `(K,)` int64, detections
    of at least that score that hit or miss; `objects`, how many should be found.
    """

    scores: npt.NDArray[np.float32]
    right: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.int64]
    objects: int

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Right share of the detections kept `(K,)`; nan where none counts."""
        return _share(self.right, self.right + self.wrong)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Found share of the objects `(K,)`; nan without objects."""
        return _share(self.right, np.full_like(self.right, self.objects))

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean of precision and recall `(K,)`: 2 right / (right + wrong + objects)."""
        return _share(2 * self.right, self.right + self.wrong + self.objects)

    def at(self, threshold: float) -> OperatingPoint:
        """What keeping the scores of at least `threshold` gives."""
        kept = int(np.count_nonzero(self.scores >= np.float32(threshold)))
        right = int(self.right[kept - 1]) if kept else 0
        wrong = int(self.wrong[kept - 1]) if kept else 0
        precision = right / (right + wrong) if right + wrong else float("nan")
        recall = right / self.objects if self.objects else float("nan")
        both = right + wrong + self.objects
        f1 = 2 * right / both if both else float("nan")
        return OperatingPoint(threshold, precision, recall, f1, right, wrong, self.objects - right)

    def best(self) -> OperatingPoint:
        """The threshold of the best F1, the highest one of equals.

        It lies midway between the lowest score kept and the next one (or 0), so that rounding it, or the
        scores, changes nothing. Without a hit there is none: threshold nan.
        """
        if not len(self.right) or not self.right[-1]:
            return self.at(float("nan"))
        last = int(np.argmax(self.f1))
        below = float(self.scores[last + 1]) if last + 1 < len(self.scores) else 0.0
        return self.at((float(self.scores[last]) + below) / 2)


def precision_recall_curve(
    truths: Sequence[Truth],
    found: Sequence[Detections],
    matched: Sequence[Matching],
    *,
    label: int | None = None,
) -> Curve:
    """The curve of all images together, of one class or, with None, of all classes as one."""
    right, wrong, objects = [], [], 0
    for truth, table, matching in zip(truths, found, matched, strict=True):
        mine = np.ones(len(table), dtype=bool) if label is None else table.labels == label
        right.append(table.scores[mine & matching.right])
        wrong.append(table.scores[mine & matching.wrong])
        objects += int((matching.counted & ((truth.labels == label) | (label is None))).sum())
    hits, alarms = _joined(right), _joined(wrong)
    scores = np.unique(np.concatenate([hits, alarms]))[::-1]
    return Curve(scores, _at_least(hits, scores), _at_least(alarms, scores), objects)


def _joined(columns: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """One column of all, rising."""
    return np.sort(np.concatenate(columns)) if columns else np.empty(0, dtype=np.float32)


def _at_least(rising: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """How many of the rising values reach each score."""
    return (len(rising) - np.searchsorted(rising, scores, side="left")).astype(np.int64)


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Quotients `(K,)`, nan where the whole is 0."""
    quotient = np.full(len(part), np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient
