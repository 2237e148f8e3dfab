"""What training minimises: class, box and distance losses of PP-YOLOE+ as one differentiable number.

Varifocal loss (Zhang et al., "VarifocalNet", 2021, equation 2), generalised IoU loss (Rezatofighi et al.,
2019, algorithm 1) and distribution focal loss (Li et al., "Generalized Focal Loss", 2020, equation 6),
each divided by the sum of the assigned scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it

from sodslice.training.assigner import AssignerRule, Assignment, Targets, assign

if TYPE_CHECKING:
    from paddle import Tensor

    from sodslice.ppyoloe.network import Network, RawPredictions


@dataclass(frozen=True)
class LossWeights:
    """Weights of the three losses and the shape of the class loss; the defaults are upstream's.

    Attributes:
        classes: weight of the varifocal loss.
        iou: weight of the generalised IoU loss.
        distances: weight of the distribution focal loss.
        alpha: weight of background points in the varifocal loss.
        gamma: power by which easy background points lose weight.
        assigner: which points learn which object.
    """

    classes: float = 1.0
    iou: float = 2.5
    distances: float = 0.5
    alpha: float = 0.75
    gamma: float = 2.0
    assigner: AssignerRule = field(default_factory=AssignerRule)


class Losses(NamedTuple):
    """The weighted sum, which is differentiated, and its parts before weighting; scalars."""

    total: Tensor
    classes: Tensor
    iou: Tensor
    distances: Tensor


def detection_losses(
    network: Network,
    raw: RawPredictions,
    targets: Targets,
    ignore: Targets,
    *,
    weights: LossWeights,
    score_sum_of_all: Callable[[float], float] = float,
) -> Losses:
    """Losses of a batch.

    Args:
        network: knows how to decode its predictions.
        raw: predictions `(N, A, ...)` of the batch.
        targets: the objects to be found.
        ignore: areas where finding something is neither right nor wrong; their labels are not used.
        weights: of the losses.
        score_sum_of_all: sums the assigned scores over the processes that learn together, so that the sum of
            their losses is the loss of the whole batch.
    """
    boxes = network.decode(raw)
    points, strides = raw.points.numpy(), raw.strides.numpy()
    chosen = assign(
        F.sigmoid(raw.logits).numpy(), boxes.detach().numpy(), points, strides, targets, weights.assigner
    )
    goal, known = class_goal(raw.logits.shape, points, targets, ignore, chosen)
    score_sum = max(score_sum_of_all(float(chosen.score.sum())), 1.0)
    class_loss = _varifocal(raw.logits, goal, known, weights) / score_sum
    if not len(chosen.anchor):
        # Every parameter needs a gradient on every process, also where a batch holds no object.
        nothing = raw.distances.sum() * 0.0
        return Losses(class_loss * weights.classes + nothing, class_loss, nothing, nothing)
    anchors = raw.points.shape[0]
    flat = paddle.to_tensor(chosen.image * anchors + chosen.anchor)
    importance = paddle.to_tensor(chosen.score)
    wanted = targets.boxes[chosen.target]
    predicted = paddle.gather(boxes.reshape([-1, 4]), flat)
    iou_loss = (_giou_loss(predicted, paddle.to_tensor(wanted)) * importance).sum() / score_sum
    bins = network.config.bins
    distances = paddle.gather(raw.distances.reshape([-1, 4 * bins]), flat).reshape([-1, bins])
    sides = _sides_in_strides(points[chosen.anchor], strides.reshape(-1)[chosen.anchor], wanted)
    spread = _distribution_focal(distances, sides, network.config.reg_range)
    distance_loss = (spread.reshape([-1, 4]).mean(axis=1) * importance).sum() / score_sum
    total = weights.classes * class_loss + weights.iou * iou_loss + weights.distances * distance_loss
    return Losses(total, class_loss, iou_loss, distance_loss)


def class_goal(
    shape: list[int],
    points: npt.NDArray[np.float32],
    targets: Targets,
    ignore: Targets,
    chosen: Assignment,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What each class score should become, and where that is known.

    Args:
        shape: N, A, classes.
        points: `(A, 2)` anchor points, input pixels.
        targets: the objects.
        ignore: areas without verdict.
        chosen: points that learn an object; they keep their verdict inside an ignored area too.

    Returns:
        goal `(N, A, classes)` and known `(N, A, 1)` (1, or 0 inside an ignored area), float32.
    """
    goal = np.zeros(shape, dtype=np.float32)
    goal[chosen.image, chosen.anchor, targets.labels[chosen.target]] = chosen.score
    known = np.ones((shape[0], shape[1], 1), dtype=np.float32)
    x, y = points.T
    for image, (x0, y0, x1, y1) in zip(ignore.image, ignore.boxes, strict=True):
        known[image, (x > x0) & (x < x1) & (y > y0) & (y < y1)] = 0
    known[chosen.image, chosen.anchor] = 1
    return goal, known


def _varifocal(
    logits: Tensor,
    goal: npt.NDArray[np.float32],
    known: npt.NDArray[np.float32],
    weights: LossWeights,
) -> Tensor:
    """Sum of the varifocal loss over the points whose verdict is known."""
    score = F.sigmoid(logits)
    background = paddle.to_tensor((goal == 0) * known * np.float32(weights.alpha))
    wanted = paddle.to_tensor(goal)
    importance = background * score**weights.gamma + wanted
    return (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * importance).sum()


def _giou_loss(one: Tensor, other: Tensor) -> Tensor:
    """1 - generalised IoU `(P,)` of boxes `(P, 4)`, row by row."""
    shared = _areas(
        F.relu(paddle.minimum(one[:, 2:], other[:, 2:]) - paddle.maximum(one[:, :2], other[:, :2]))
    )
    hull = _areas(paddle.maximum(one[:, 2:], other[:, 2:]) - paddle.minimum(one[:, :2], other[:, :2]))
    union = _areas(one[:, 2:] - one[:, :2]) + _areas(other[:, 2:] - other[:, :2]) - shared
    return 1 - shared / (union + 1e-10) + (hull - union) / (hull + 1e-10)


def _areas(sides: Tensor) -> Tensor:
    """Products `(P,)` of sides `(P, 2)`; Paddle's `prod` has no gradient where a side is 0."""
    return sides[:, 0] * sides[:, 1]


def _sides_in_strides(
    points: npt.NDArray[np.float32], strides: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Distances `(P, 4)` left, top, right, bottom from a point to its object's edges, in strides."""
    sides = np.concatenate([points - boxes[:, :2], boxes[:, 2:] - points], axis=1)
    return (sides / strides[:, None]).astype(np.float32)


def _distribution_focal(logits: Tensor, sides: npt.NDArray[np.float32], reg_range: tuple[int, int]) -> Tensor:
    """Cross entropy `(4P,)` against the two bins around each distance, weighted by nearness."""
    first, end = reg_range
    place = np.clip(sides.reshape(-1).astype(np.float64), first, end - 1 - 0.01) - first
    low = np.floor(place).astype(np.int64)
    high_share = (place - low).astype(np.float32)
    rows = np.arange(len(place))
    wanted = np.zeros((len(place), end - first), dtype=np.float32)
    wanted[rows, low] = 1 - high_share
    wanted[rows, low + 1] = high_share
    return -(F.log_softmax(logits, axis=1) * paddle.to_tensor(wanted)).sum(axis=1)
