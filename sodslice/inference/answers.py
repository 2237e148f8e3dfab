"""What goes into detectors and what they answer, checked: what is wrong is said, never dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.inference.detector import ModelInfo, Pixels
from sodslice.tables.detections import Detections

SCORE_SLACK = 1e-3
"""Arithmetic of half precision may give a score that much above 1 or below 0."""

PLACE_SLACK_PX = 1.0
"""Rounding may put a box that far outside of its tile."""

PLACE_SLACK_SHARE = 0.5
"""An object that a tile cuts may be guessed to go on behind the edge, by that share of the tile's side."""


def check_pixels(pixels: Any) -> None:
    """Refuse what is no batch of tiles.

    Args:
        pixels: `(B, H, W, 3)` uint8 RGB; B may be 0.

    Raises:
        ModelError: it is something else.
    """
    if not isinstance(pixels, np.ndarray):
        raise ModelError(f"tiles must be an array (B, H, W, 3) of uint8 RGB, got {type(pixels).__name__}")
    right = pixels.ndim == 4 and pixels.shape[3] == 3 and min(pixels.shape[1:3]) > 0
    if right and pixels.dtype == np.uint8:
        return
    hint = "; put a single tile into a batch with pixels[None]" if pixels.ndim == 3 else ""
    raise ModelError(
        f"tiles must be an array (B, H, W, 3) of uint8 RGB, got {pixels.dtype} {pixels.shape}{hint}"
    )


def check_rows(
    boxes: npt.NDArray[np.floating],
    scores: npt.NDArray[np.floating],
    labels: npt.NDArray[np.number],
    info: ModelInfo,
) -> None:
    """Refuse rows that could only be dropped, or would mislead.

    Args:
        boxes: `(N, 4)` pixel edges.
        scores: `(N,)`.
        labels: `(N,)` ids of classes.
        info: of the model, which names the classes.

    Raises:
        ModelError: a label has no name, a score is none of 0..1, or a number is not finite.
    """
    for name, column in (("box", boxes), ("score", scores), ("class id", labels)):
        finite = np.isfinite(column)
        if not finite.all():
            row = int(np.argmin(finite.reshape(len(column), -1).all(axis=1)))
            raise ModelError(
                f"the model {info.name} gave the {name} {column[row].tolist()}, which is not finite; "
                "run it in full precision, or export it again"
            )
    wrong = (scores < -SCORE_SLACK) | (scores > 1 + SCORE_SLACK)
    if wrong.any():
        raise ModelError(
            f"the model {info.name} gave the score {scores[np.argmax(wrong)]:g}; scores are from 0 to 1, "
            "so give probabilities, not percents or logits"
        )
    count = len(info.class_names)
    wrong = (labels < 0) | (labels >= count) | (labels != np.floor(labels))
    if wrong.any():
        raise ModelError(
            f"the model {info.name} gave the class id {labels[np.argmax(wrong)]:g}, which has no name: it "
            f"names {count}, the ids 0 to {count - 1} ({_few(info.class_names)}); name all of its classes "
            "(class_names, or label_list in its yml), and count from 0"
        )


def checked_tables(found: Any, info: ModelInfo, pixels: Pixels) -> list[Detections]:
    """The tables that a detector gave for a batch `(B, H, W, 3)`, scores cut to 0..1.

    Raises:
        ModelError: these are not one table a tile, or a row is one that could only be dropped: a label
            without a name, a score that is none, a box that lies outside of its tile.
    """
    if not isinstance(found, (list, tuple)):
        raise ModelError(
            f"the model {info.name} must give a list with one table (sodslice.Detections) per tile, "
            f"got {type(found).__name__}"
        )
    if len(found) != len(pixels):
        raise ModelError(
            f"the model {info.name} gave {len(found)} tables for {len(pixels)} tiles; one per tile is needed"
        )
    for table in found:
        if not isinstance(table, Detections):
            raise ModelError(
                f"the model {info.name} must give a table (sodslice.Detections) for each tile, "
                f"got {type(table).__name__}; an empty one is Detections.empty()"
            )
    height, width = pixels.shape[1:3]
    for table in found:
        check_rows(table.boxes, table.scores, table.labels, info)
        _check_places(table, info, (width, height))
    return [_cut_scores(table) for table in found]


def sticks_out(table: Detections, width: int, height: int) -> bool:
    """Whether a box reaches beyond its tile by more than rounding."""
    limit = np.array([width, height]) + PLACE_SLACK_PX
    return bool((table.boxes[:, :2] < -PLACE_SLACK_PX).any() or (table.boxes[:, 2:] > limit).any())


def _check_places(table: Detections, info: ModelInfo, size: tuple[int, int]) -> None:
    """Refuse boxes of which nothing lies in the tile, or that reach far beyond it.

    Raises:
        ModelError: there is one; it was taken from another frame, such as that of the scene.
    """
    low, high = table.boxes[:, :2], table.boxes[:, 2:]
    far = PLACE_SLACK_SHARE * np.array(size)
    outside = (high < -PLACE_SLACK_PX) | (low > np.array(size) + PLACE_SLACK_PX)
    wrong = (outside | (low < -far) | (high > size + far)).any(axis=1)
    if wrong.any():
        box = ", ".join(f"{edge:g}" for edge in table.boxes[np.argmax(wrong)])
        raise ModelError(
            f"the model {info.name} gave the box {box} in a tile of {size[0]} x {size[1]} pixels; "
            "give boxes in pixels of the tile, x0, y0, x1, y1 from its upper left corner"
        )


def _cut_scores(table: Detections) -> Detections:
    if not len(table) or (table.scores.min() >= 0 and table.scores.max() <= 1):
        return table
    return Detections(table.boxes, table.scores.clip(0, 1), table.labels, table.tile_ids)


def _few(names: tuple[str, ...]) -> str:
    """The names of some classes, not a page of them."""
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
