"""Which windows of a scene people look at: each doubtful detection lies whole in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.results import RunResult
from sodslice.tables.boxes import area, clip
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


class Window(NamedTuple):
    """A window of a scene to look at.

    Fields: `edges`, x0, y0, x1, y1 in scene pixels; `doubt`, how near the most doubtful detection in it is to
    the middle of the doubtful scores: 1 is in it, 0 at its ends; `doubtful`, how many it is there for.
    """

    edges: tuple[int, int, int, int]
    doubt: float
    doubtful: int


def windows_of(result: RunResult, between: tuple[float, float], side: int) -> list[Window]:
    """Windows that together show every doubtful detection whole, the most doubtful first.

    A window is put around the most doubtful detection that is in none yet, and takes in those near it. An
    object between two windows can be in both.

    Args:
        result: of a run.
        between: lowest and highest score that is in doubt.
        side: of the windows in pixels; a larger one where a box needs it, a smaller one where the scene ends.
    """
    low, high = between
    scores = result.detections.scores
    rows = np.flatnonzero((scores >= low) & (scores <= high))
    boxes, doubts = result.detections.boxes[rows], _doubts(scores[rows], low, high)
    corners: Any = shapely.points(boxes[:, :2])
    tree = shapely.STRtree(corners)
    waiting, windows = np.ones(len(rows), bool), []
    for at in np.lexsort((rows, -doubts)).tolist():
        if not waiting[at]:
            continue
        window = _window(boxes[at], side, result.scene.width, result.scene.height)
        near = tree.query(shapely.box(*window))
        inside = near[waiting[near] & (boxes[near, 2:] <= window[2:]).all(axis=1)]
        count = len(inside) + (at not in inside)
        waiting[inside], waiting[at] = False, False
        x0, y0, x1, y1 = window.tolist()
        windows.append(Window((x0, y0, x1, y1), float(doubts[at]), count))
    return windows


def crops_of(result: RunResult, windows: Sequence[Window], lowest: float) -> list[Crop]:
    """What was found in windows of a scene.

    All with at least the lowest score is told, doubtful or sure: what is left unlabelled would be learned as
    background.
    """
    likely = result[result.detections.scores >= lowest]
    tree = shapely.STRtree(shapely.box(*likely.detections.boxes.T))
    return [_crop(likely, window, np.sort(tree.query(shapely.box(*window.edges)))) for window in windows]


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


def _crop(likely: RunResult, window: Window, near: Rows) -> Crop:
    """A crop, of the detections that may lie in it."""
    x, y, x1, y1 = window.edges
    moved = likely.detections.boxes[near] - (x, y, x, y)
    seen = clip(moved, x1 - x, y1 - y)
    mostly = (area(seen) >= MOSTLY_SEEN * np.maximum(area(moved), 1e-9)) & (area(seen) > 0)
    chosen = likely.detections[near[mostly]]
    found = Detections(seen[mostly], chosen.scores, chosen.labels, chosen.tile_ids)
    return Crop(x, y, x1 - x, y1 - y, found, window.doubt, window.doubtful)


def most_doubtful(windows: Sequence[Sequence[Window]], most: int | None) -> list[list[Window]]:
    """The most doubtful windows of several scenes, so many at most, by scene and each in its order."""
    flat = [(number, place, one) for number, some in enumerate(windows) for place, one in enumerate(some)]
    kept = sorted(flat, key=lambda item: (-item[2].doubt, item[0], item[1]))[:most]
    chosen: list[list[Window]] = [[] for _ in windows]
    for number, _, one in sorted(kept, key=lambda item: item[:2]):
        chosen[number].append(one)
    return chosen
