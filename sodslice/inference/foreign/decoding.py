"""`read_answers`: what a model of a known layout gives, as columns of boxes, scores and labels, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.inference.answers import PLACE_SLACK_PX, SCORE_SLACK, check_rows
from sodslice.inference.detector import SCORE_FLOOR, ModelInfo
from sodslice.inference.foreign.layouts import Recognised
from sodslice.inference.foreign.letterbox import Place
from sodslice.inference.limits import Columns

SHARES = 1.5
"""Edges of boxes in pixels are larger than that; those of boxes in shares of the image are not."""

Floats = npt.NDArray[np.float32]
Answer = tuple[Floats, Floats, npt.NDArray[Any]]
"""Boxes `(B, n, 4)`, scores `(B, n)` and labels `(B, n)` of a batch."""


def read_answers(
    outputs: Sequence[npt.NDArray[Any]], recognised: Recognised, place: Place, info: ModelInfo
) -> list[Columns]:
    """Boxes in tile pixels, scores and labels of each tile, from `SCORE_FLOOR` on; all checked.

    A box has the one class that scores highest, as with the makers of these models.

    Args:
        outputs: of the graph, in its order.
        recognised: what the graph is.
        place: where the tiles lay in what it saw.
        info: facts about it.

    Raises:
        ModelError: the outputs are not those of the layout, or a number is none that can be.
    """
    key = recognised.layout.key
    given = [outputs[at] for at in recognised.outputs]
    try:
        boxes, scores, labels = _READERS[key](given, len(info.class_names))
    except (ValueError, IndexError):
        shapes = ", ".join(f"{one.dtype} {one.shape}" for one in given)
        raise ModelError(
            f"the model {info.name} was recognised as {recognised.layout.words}, and gave {shapes}; "
            "export it again"
        ) from None
    if key == "detr":
        boxes = boxes * np.array((recognised.size or (1, 1))[::-1] * 2, np.float32)
    return [_of_tile(one, key, place, info) for one in zip(boxes, scores, labels, strict=True)]


def _of_tile(answer: Answer, key: str, place: Place, info: ModelInfo) -> Columns:
    """The columns of one tile, of which those that score too low to matter are left out.

    Raises:
        ModelError: a number is none that can be.
    """
    boxes, scores, labels = answer
    if (scores < -SCORE_SLACK).any():
        raise ModelError(
            f"the model {info.name} gave the score {np.nanmin(scores):g}, so it gives logits; "
            "export it with the sigmoid"
        )
    kept = ~(scores < SCORE_FLOOR)  # what is no number is kept, and refused
    found, sure = boxes[kept].astype(np.float64), scores[kept] >= info.threshold
    check_rows(found, scores[kept], labels[kept], info)
    if key == "sized":
        in_tile = found
    else:
        _check_places(found[sure], place, info, in_pixels=key != "detr")
        in_tile = place.back(found)
    return in_tile, scores[kept].clip(max=1), labels[kept].astype(np.int32)


def _check_places(boxes: npt.NDArray[np.float64], place: Place, info: ModelInfo, *, in_pixels: bool) -> None:
    """Refuse boxes of which nothing lies in what the model saw.

    Args:
        boxes: `(N, 4)` pixel edges in what the model saw, of scores that count.
        place: says how large that was.
        info: of the model.
        in_pixels: whether the model itself gives pixels.

    Raises:
        ModelError: there is one, or all are shares of the image where pixels are due.
    """
    height, width = place.shown
    shares = in_pixels and len(boxes) > 0 and bool((np.abs(boxes) <= SHARES).all())
    low, high = boxes[:, :2], boxes[:, 2:]
    outside = ((high < -PLACE_SLACK_PX) | (low > np.array((width, height)) + PLACE_SLACK_PX)).any(axis=1)
    if shares or outside.any():
        box = ", ".join(f"{edge:g}" for edge in boxes[0 if shares else np.argmax(outside)])
        what = "shares, not pixels" if shares else "outside of it"
        wanted = "pixels" if in_pixels else "shares of the image"
        raise ModelError(
            f"the model {info.name} gave the box {box} in an image of {width} x {height} pixels, {what}; "
            f"export it with boxes in {wanted}"
        )


def _v5(outputs: Sequence[npt.NDArray[Any]], classes: int) -> Answer:
    """`(B, n, 5 + C)`: centre, size, objectness, scores."""
    rows = _plane(outputs[0], 2, 5 + classes)
    return _corners(rows[..., :4]), *_best(rows[..., 4:5] * rows[..., 5:])


def _v8(outputs: Sequence[npt.NDArray[Any]], classes: int) -> Answer:
    """`(B, 4 + C, n)`: centre, size, scores."""
    rows = _plane(outputs[0], 1, 4 + classes).transpose(0, 2, 1)
    return _corners(rows[..., :4]), *_best(rows[..., 4:])


def _rows(outputs: Sequence[npt.NDArray[Any]], _: int) -> Answer:
    """`(B, n, 6)`: corners, score, class."""
    rows = _plane(outputs[0], 2, 6)
    return rows[..., :4], rows[..., 4], rows[..., 5]


def _detr(outputs: Sequence[npt.NDArray[Any]], classes: int) -> Answer:
    """`(B, n, 4 + C)`: centre and size in shares of the image, scores."""
    rows = _plane(outputs[0], 2, 4 + classes)
    return _corners(rows[..., :4]), *_best(rows[..., 4:])


def _sized(outputs: Sequence[npt.NDArray[Any]], classes: int) -> Answer:
    """Boxes `(B, n, 4)` of corners; scores and labels `(B, n)`, or scores `(B, n, C)` of all classes."""
    boxes = _plane(outputs[0], 2, 4)
    if len(outputs) == 2:
        return boxes, *_best(_plane(outputs[1], 2, classes))
    scores, labels = outputs[1].astype(np.float32), outputs[2]
    if not boxes.shape[:2] == scores.shape == labels.shape:
        raise ValueError
    return boxes, scores, labels


_READERS: Mapping[str, Callable[[Sequence[npt.NDArray[Any]], int], Answer]] = {
    "v5": _v5,
    "v8": _v8,
    "rows": _rows,
    "detr": _detr,
    "sized": _sized,
}


def _plane(given: npt.NDArray[Any], axis: int, length: int) -> Floats:
    """An output as float32, of which an axis has a length.

    Raises:
        ValueError: it has another.
    """
    if given.ndim != 3 or given.shape[axis] != length:
        raise ValueError
    return given.astype(np.float32)


def _corners(boxes: Floats) -> Floats:
    """Corners `(..., 4)` from centres and sizes."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def _best(scores: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The highest score of each box, and its class; what is no number counts as the highest."""
    labels = scores.argmax(axis=-1)
    return np.take_along_axis(scores, labels[..., None], axis=-1)[..., 0], labels
