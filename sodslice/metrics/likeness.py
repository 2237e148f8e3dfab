"""`likeness`: how alike the answers of two models to the same tiles are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from sodslice.tables.boxes import iou
from sodslice.tables.detections import Detections

LEAST_IOU = 0.5
"""Two boxes of a class that overlap by so much are about the same object."""


@dataclass(frozen=True)
class Likeness:
    """What two models have in common in what they show.

    Fields: `tiles`; `boxes` and `other_boxes`, those of at least the threshold; `kept`, the share of the
    first model's that the other shows too; `backed`, the share of the other's that the first one shows; of
    boxes that both show `box_px`, the largest distance of an edge, on average, and `box_px_most`; `score`,
    the difference of scores, on average, and `score_most`.
    """

    tiles: int
    boxes: int
    other_boxes: int
    kept: float
    backed: float
    box_px: float
    box_px_most: float
    score: float
    score_most: float

    @property
    def f1(self) -> float:
        """Harmonic mean of `kept` and `backed`; 1 where nothing is shown."""
        both = self.kept + self.backed
        return 2 * self.kept * self.backed / both if both else 0.0

    def as_dict(self) -> dict[str, float]:
        """For a file, rounded."""
        return {name: round(value, 4) for name, value in {**asdict(self), "f1": self.f1}.items()}


def likeness(first: Sequence[Detections], other: Sequence[Detections], *, threshold: float) -> Likeness:
    """How alike two models' answers are.

    Args:
        first: of one model, a table a tile.
        other: of the other model, to the same tiles.
        threshold: score from which boxes are shown.
    """
    shown = [[one[one.scores >= np.float32(threshold)] for one in tables] for tables in (first, other)]
    pairs = [_gaps(mine, its) for mine, its in zip(*shown, strict=True)]
    gaps = np.concatenate([found for found, _ in pairs]) if pairs else np.empty((0, 2))
    boxes, other_boxes = (sum(map(len, tables)) for tables in shown)
    backed = sum(count for _, count in pairs)
    mean, most = (gaps.mean(axis=0), gaps.max(axis=0)) if len(gaps) else (np.zeros(2), np.zeros(2))
    return Likeness(
        len(pairs),
        boxes,
        other_boxes,
        kept=len(gaps) / boxes if boxes else 1.0,
        backed=backed / other_boxes if other_boxes else 1.0,
        box_px=float(mean[0]),
        box_px_most=float(most[0]),
        score=float(mean[1]),
        score_most=float(most[1]),
    )


def _gaps(mine: Detections, its: Detections) -> tuple[npt.NDArray[np.float64], int]:
    """Of each of one table's boxes that has a like one how far it is, `(K, 2)` in pixels and score.

    Second comes how many boxes of the other table have a like one.
    """
    pairs = np.repeat(mine.boxes, len(its), axis=0), np.tile(its.boxes, (len(mine), 1))
    overlap = iou(*pairs).reshape(len(mine), len(its)) * (mine.labels[:, None] == its.labels[None])
    alike = overlap >= LEAST_IOU
    rows = np.flatnonzero(alike.any(axis=1))
    best = overlap[rows].argmax(axis=1) if len(rows) else rows
    boxes = np.abs(mine.boxes[rows] - its.boxes[best]).max(axis=1, initial=0)
    scores = np.abs(mine.scores[rows] - its.scores[best])
    return np.stack([boxes, scores], axis=1), int(alike.any(axis=0).sum())
