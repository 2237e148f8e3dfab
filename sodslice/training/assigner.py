"""Which anchor points learn which object: task-aligned assignment on pairs that can match, in numpy.

The rule is TOOD's (Feng et al., "TOOD: Task-aligned One-stage Object Detection", 2021, section 3.2) with
the centre fallback that PP-YOLOE+ SOD adds: a small object that no anchor point falls into takes points
within one stride of its centre. A dense table of all objects times all anchors costs more than the network
itself; nearly all of its entries are zero, so only pairs that touch are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Targets(NamedTuple):
    """The truth of a batch, all images in one table.

    Attributes:
        image: `(G,)` int64, row of the image in the batch, ascending.
        boxes: `(G, 4)` float32, pixel edges x0, y0, x1, y1 in pixels of the network's input.
        labels: `(G,)` int64, class ids from 0.
    """

    image: Integers
    boxes: Floats
    labels: Integers


class Assignment(NamedTuple):
    """The anchor points that learn an object; P of them, ordered by (image, anchor).

    Attributes:
        image: `(P,)` int64, row of the image in the batch.
        anchor: `(P,)` int64, row of the anchor point.
        target: `(P,)` int64, row of the object in `Targets`.
        score: `(P,)` float32, 0 to 1: what the class score of this point should become.
    """

    image: Integers
    anchor: Integers
    target: Integers
    score: Floats


@dataclass(frozen=True)
class AssignerRule:
    """Numbers of the task-aligned assigner; the defaults are upstream's.

    Attributes:
        topk: how many anchor points an object gets at most.
        alpha: power of the class score in the alignment.
        beta: power of the IoU in the alignment.
        radius: half side of the square around an object's centre that counts as candidate, in strides.
    """

    topk: int = 13
    alpha: float = 1.0
    beta: float = 6.0
    radius: float = 1.0


class _Pairs(NamedTuple):
    """Object and anchor that touch; ordered by (target, anchor)."""

    target: Integers
    image: Integers
    anchor: Integers
    inside: npt.NDArray[np.bool_]
    near: npt.NDArray[np.bool_]


def assign(
    scores: Floats, boxes: Floats, points: Floats, strides: Floats, targets: Targets, rule: AssignerRule
) -> Assignment:
    """Give each object the anchor points whose predictions fit it best.

    Args:
        scores: `(N, A, classes)` float32 predicted class probabilities.
        boxes: `(N, A, 4)` float32 predicted boxes, pixel edges in pixels of the network's input.
        points: `(A, 2)` float32 anchor points x, y in the same pixels.
        strides: `(A, 1)` or `(A,)` float32 pixels.
        targets: the objects.
        rule: the numbers of the rule.
    """
    pairs = _touching_pairs(boxes, points, strides.reshape(-1), targets, rule.radius)
    overlap = _pair_iou(boxes[pairs.image, pairs.anchor], targets.boxes[pairs.target])
    chance = scores[pairs.image, pairs.anchor, targets.labels[pairs.target]]
    alignment = chance**rule.alpha * overlap**rule.beta
    has_point = np.zeros(len(targets.labels), dtype=bool)
    has_point[pairs.target[pairs.inside]] = True
    # An object without a point inside prefers the points near its centre, whatever they predict.
    rank = alignment + np.where(pairs.near & ~has_point[pairs.target], np.float32(1), np.float32(0))
    chosen = np.flatnonzero(_best_of_each(pairs.target, rank, rule.topk) & (pairs.inside | pairs.near))
    chosen = chosen[_one_object_for_each_anchor(pairs, overlap, chosen, boxes.shape[1])]
    target = pairs.target[chosen]
    best_alignment = np.zeros(len(targets.labels), dtype=np.float32)
    best_overlap = np.zeros(len(targets.labels), dtype=np.float32)
    np.maximum.at(best_alignment, target, alignment[chosen])
    np.maximum.at(best_overlap, target, overlap[chosen])
    score = alignment[chosen] / (best_alignment[target] + np.float32(1e-9)) * best_overlap[target]
    return Assignment(pairs.image[chosen], pairs.anchor[chosen], target, score.astype(np.float32))


def _touching_pairs(
    boxes: Floats, points: Floats, strides: Floats, targets: Targets, radius: float
) -> _Pairs:
    """Pairs whose predicted box overlaps the object, or whose point lies in it or near its centre."""
    found: list[tuple[npt.NDArray[np.intp], ...]] = []
    x, y = points[:, 0], points[:, 1]
    reach = strides * np.float32(radius)
    for image in range(len(boxes)):
        rows = np.flatnonzero(targets.image == image)
        x0, y0, x1, y1 = targets.boxes[rows].T[:, :, None]
        inside = np.minimum(np.minimum(x - x0, y - y0), np.minimum(x1 - x, y1 - y)) > 1e-9
        off_centre = np.maximum(abs(x - (x0 + x1) * np.float32(0.5)), abs(y - (y0 + y1) * np.float32(0.5)))
        near = reach - off_centre > 1e-9
        px0, py0, px1, py1 = boxes[image].T
        touching = (px1 > x0) & (px0 < x1) & (py1 > y0) & (py0 < y1)
        row, anchor = np.nonzero(touching | inside | near)
        found.append((rows[row], np.full(len(row), image), anchor, inside[row, anchor], near[row, anchor]))
    return _Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _pair_iou(one: Floats, other: Floats) -> Floats:
    """IoU `(P,)` float32, row by row; in float32 as the network's own values are."""
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = np.maximum(one[:, 2:] - one[:, :2], 0).prod(axis=1) + (other[:, 2:] - other[:, :2]).prod(axis=1)
    iou: Floats = shared / (areas - shared + np.float32(1e-9))
    return iou


def _best_of_each(group: Integers, rank: Floats, count: int) -> npt.NDArray[np.bool_]:
    """Mask `(P,)` of the `count` highest ranks of each group; ties go to the earlier row."""
    order = np.lexsort((-rank, group))
    sorted_group = group[order]
    first = np.searchsorted(sorted_group, sorted_group, side="left")
    best = np.zeros(len(group), dtype=bool)
    best[order[np.arange(len(group)) - first < count]] = True
    return best


def _one_object_for_each_anchor(
    pairs: _Pairs, overlap: Floats, chosen: npt.NDArray[np.intp], anchors: int
) -> npt.NDArray[np.intp]:
    """Rows of `chosen` that remain when an anchor keeps only the object it overlaps most."""
    place = pairs.image[chosen] * anchors + pairs.anchor[chosen]
    order = np.lexsort((pairs.target[chosen], -overlap[chosen], place))
    _, first = np.unique(place[order], return_index=True)
    kept: npt.NDArray[np.intp] = order[first]
    return kept
