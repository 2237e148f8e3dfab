"""Whether a written graph gives a network's answers: what to ask, how to run it, how near is near enough."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.inference.engines import Device, Request
from sodslice.inference.engines.paddle import PaddleSession
from sodslice.ppyoloe.config import CANDIDATES, IOU, KEPT, SCORE_FLOOR
from sodslice.tables.boxes import iou

Floats = npt.NDArray[np.float32]
Answers = list[npt.NDArray[Any]]

BOX_TOLERANCE_PX = 1e-2
SCORE_TOLERANCE = 1e-4
_IOU_ROUNDING = 0.01
"""By how much the overlap of two small boxes may change when their edges move within the tolerance."""

CHECK_SCALE = np.array([[2.0, 1.0]], np.float32)
"""The `scale_factor` of the check images: as if their tiles were half as high."""


class Agreement(NamedTuple):
    """How far an exported graph's answers to the check images are from the network's, at most.

    Attributes:
        box_px: pixels.
        score: of 0..1.
    """

    box_px: float
    score: float


def check_images(input_size: tuple[int, int] | None) -> list[Floats]:
    """Two images `(1, 3, H, W)` RGB 0..255 to compare answers on; of two shapes where any size is taken.

    They are noise with rectangles, so that there is something to find.
    """
    sizes = [input_size] * 2 if input_size else [(320, 416), (416, 320)]
    images = []
    for seed, (height, width) in enumerate(sizes):
        random = np.random.default_rng(seed)
        image = random.integers(0, 256, (1, 3, height, width)).astype(np.float32)
        for _ in range(24):
            y, x = random.integers(0, height - 8), random.integers(0, width - 8)
            tall, wide = random.integers(8, 64, 2)
            image[0, :, y : y + tall, x : x + wide] = random.integers(0, 256, (3, 1, 1))
        images.append(image)
    return images


def run_folder(folder: Path, feeds: Sequence[Mapping[str, Floats]]) -> list[Answers]:
    """What a written graph answers to each of the feeds, on the CPU, through the engine that will run it."""
    graph, parameters = folder / "inference.json", folder / "inference.pdiparams"
    session = PaddleSession(Request(graph, parameters, Device("cpu"), os.cpu_count() or 1, feeds[0]))
    try:
        return [session.run(feed) for feed in feeds]
    finally:
        session.close()


def compare(found: Answers, wanted: Answers) -> Agreement:
    """How far boxes `(N, A, 4)` and scores `(N, classes, A)` are from those wanted.

    Raises:
        ModelError: shapes differ, or values by more than the tolerances.
    """
    shapes = [answer.shape for answer in found]
    if shapes != [answer.shape for answer in wanted]:
        raise ModelError(f"the exported graph answers in the shapes {shapes}; the export was given up")
    gaps = Agreement(*(float(np.abs(one - other).max()) for one, other in zip(found, wanted, strict=True)))
    if not (gaps.box_px <= BOX_TOLERANCE_PX and gaps.score <= SCORE_TOLERANCE):  # not-a-number is refused too
        raise ModelError(
            f"the exported graph differs from the network by {gaps.box_px:.3g} px and {gaps.score:.3g} "
            f"score, more than {BOX_TOLERANCE_PX} and {SCORE_TOLERANCE}; the export was given up"
        )
    return gaps


def check_suppressed(found: Answers, boxes: npt.NDArray[Any], scores: npt.NDArray[Any]) -> None:
    """Refuse rows that NMS of one image's anchors would not keep.

    They are held against what greedy NMS is: every row is an anchor, no two rows of a class overlap too
    much, and every other anchor is covered by a better row of its class, or comes after the 500 best. What
    lies at a limit within rounding may fall on either side, so no order of near ties can fail.

    Args:
        found: rows `(M, 6)` of class, score, x0, y0, x1, y1 in pixels of the tile, and counts `(1,)`; the
            graph was told `CHECK_SCALE`.
        boxes: `(1, A, 4)` before NMS, in pixels of the image.
        scores: `(1, classes, A)` before NMS.

    Raises:
        ModelError: some rows or anchors contradict that.
    """
    rows, counts = found[0].astype(np.float64), found[1]
    anchors = boxes[0] / CHECK_SCALE[0, [1, 0, 1, 0]].astype(np.float64)
    floor = max(SCORE_FLOOR, rows[:, 1].min()) if len(rows) == KEPT else SCORE_FLOOR
    odd = 0 if counts.tolist() == [len(rows)] and len(rows) <= KEPT else 1
    for label, anchor_scores in enumerate(scores[0]):
        kept = rows[rows[:, 0] == label]
        odd += sum(not _is_anchor(row, anchors, anchor_scores) for row in kept)
        odd += int((np.triu(_overlaps(kept[:, 2:], kept[:, 2:]), 1) > IOU + _IOU_ROUNDING).sum())
        wanted = anchor_scores >= floor + SCORE_TOLERANCE
        wanted &= (anchors[:, 2:] > anchors[:, :2]).all(axis=1)  # NMS has no rule for boxes turned inside out
        best = np.flatnonzero(wanted)[np.argsort(-anchor_scores[wanted], kind="stable")][:CANDIDATES]
        for part in np.array_split(best, len(best) // 1000 + 1):
            covered = _overlaps(anchors[part], kept[:, 2:]) >= IOU - _IOU_ROUNDING
            covered &= kept[None, :, 1] >= anchor_scores[part, None] - SCORE_TOLERANCE
            odd += int((~covered.any(axis=1)).sum())
    if odd:
        raise ModelError(
            f"the exported graph keeps {len(rows)} boxes that are not what NMS keeps ({odd} contradictions); "
            "the export was given up"
        )


def _is_anchor(row: npt.NDArray[Any], anchors: npt.NDArray[Any], scores: npt.NDArray[Any]) -> bool:
    near = np.flatnonzero(np.abs(scores - row[1]) <= SCORE_TOLERANCE)
    return bool((np.abs(anchors[near] - row[2:]) <= BOX_TOLERANCE_PX).all(axis=1).any())


def _overlaps(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Intersection over union of each of `one` `(N, 4)` with each of `other` `(M, 4)`: `(N, M)`."""
    pairs = np.repeat(one, len(other), axis=0), np.tile(other, (len(one), 1))
    return iou(*pairs).reshape(len(one), len(other))
