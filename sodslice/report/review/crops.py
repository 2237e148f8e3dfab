"""Which windows of a scene people look at: each doubtful detection lies whole in one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.results import RunResult
from sodslice.tables.boxes import Boxes, area, clip
from sodslice.tables.detections import Detections

MARGIN = 0.25
"""Share of a box's longer side that is seen around it, at the least."""
MOSTLY_SEEN = 0.5
"""Share of a box that must lie in a crop for it to be labelled there."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Crop:
    """A window of a scene, and what was found in it.

    Args:
        x: of its upper left corner, in scene pixels.
        y: likewise.
        width: in pixels.
        height: in pixels.
        found: all detections that lie mostly in it, in pixels of the crop, clipped to it.
        doubt: how near the most doubtful of them is to the middle of the doubtful scores: 1 is in it, 0 at
            its ends.
        doubtful: how many it is there for.
    """

    x: int
    y: int
    width: int
    height: int
    found: Detections
    doubt: float
    doubtful: int


def crops_of(result: RunResult, between: tuple[float, float], side: int) -> list[Crop]:
    """Windows that together show every doubtful detection whole, the most doubtful first.

    A window is put around the most doubtful detection that is in none yet, and takes in those near it. All
    that was found in a window is told with it, doubtful or sure: what is left unlabelled would be learned as
    background. What is less than doubtful is not. An object between two windows can be in both.

    Args:
        result: of a run.
        between: lowest and highest score that is in doubt.
        side: of the windows in pixels; a larger one where a box needs it, a smaller one where the scene ends.
    """
    low, high = between
    scores, boxes = result.detections.scores, result.detections.boxes
    doubts = _doubts(scores, low, high)
    doubtful = np.flatnonzero((scores >= low) & (scores <= high))
    order = doubtful[np.lexsort((doubtful, -doubts[doubtful]))]
    likely = result[scores >= low]
    crops, waiting = [], np.zeros(len(scores), bool)
    waiting[order] = True
    for row in order.tolist():
        if not waiting[row]:
            continue
        window = _window(boxes[row], side, result.scene.width, result.scene.height)
        inside = _whole_in(boxes, window) & waiting
        inside[row] = True
        waiting[inside] = False
        crops.append(_crop(likely, window, float(doubts[row]), int(inside.sum())))
    return crops


def _doubts(scores: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float64]:
    """1 for scores in the middle of a range, 0 at its ends, `(N,)`."""
    half = max((high - low) / 2, 1e-9)
    return 1 - np.abs(scores.astype(np.float64) - (low + high) / 2) / half


def _window(box: npt.NDArray[np.float64], side: int, width: int, height: int) -> npt.NDArray[np.int64]:
    """x0, y0, x1, y1 of a window around a box, moved into the scene."""
    sides = box[2:] - box[:2]
    needed = int(np.ceil(max(side, sides.max() * (1 + 2 * MARGIN))))
    limits = np.array([width, height])
    size = np.minimum(needed, limits)
    corner = np.clip(np.rint((box[:2] + box[2:] - size) / 2), 0, limits - size).astype(np.int64)
    window: npt.NDArray[np.int64] = np.concatenate([corner, corner + size])
    return window


def _whole_in(boxes: Boxes, window: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    inside = (boxes[:, :2] >= window[:2]) & (boxes[:, 2:] <= window[2:])
    return np.asarray(inside.all(axis=1), np.bool_)


def _crop(result: RunResult, window: npt.NDArray[np.int64], doubt: float, doubtful: int) -> Crop:
    x, y, x1, y1 = window.tolist()
    boxes = result.detections.boxes
    moved = boxes - (x, y, x, y)
    seen = clip(moved, x1 - x, y1 - y)
    rows = np.flatnonzero(area(seen) >= MOSTLY_SEEN * np.maximum(area(moved), 1e-9))
    rows = rows[area(seen[rows]) > 0]
    chosen = result.detections[rows]
    found = Detections(seen[rows], chosen.scores, chosen.labels, chosen.tile_ids)
    return Crop(x, y, x1 - x, y1 - y, found, doubt, doubtful)


def most_doubtful(crops: list[list[Crop]], most: int | None) -> Iterator[tuple[int, Crop]]:
    """Crops of several scenes with the number of their scene, the most doubtful first; so many at most."""
    flat = [(number, place, crop) for number, some in enumerate(crops) for place, crop in enumerate(some)]
    ordered = sorted(flat, key=lambda item: (-item[2].doubt, item[0], item[1]))
    kept = sorted(ordered[:most], key=lambda item: (item[0], item[1]))
    return ((number, crop) for number, _, crop in kept)
