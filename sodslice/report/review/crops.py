"""Which crops of a scene people look at, and what is labelled in them before they do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sodslice.report.review.windows import Windows, cover
from sodslice.results import RunResult
from sodslice.tables.boxes import Boxes, Rows, area, clip, intersection, touching_pairs
from sodslice.tables.detections import Detections

MOSTLY_SEEN = 0.35
"""Share of a box that must lie in a crop for it to be labelled there: a training's `visible_share`."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A window of a scene, and what was found in it.

    Args:
        x: of its upper left corner, in pixels of the scene as the model saw it.
        y: likewise.
        width: in such pixels.
        height: in such pixels.
        found: all likely detections that lie mostly in it, in pixels of the crop, clipped to it.
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

    Each doubtful detection is there for one of them; see `cover` for which. All that was found in a window
    is told with it, doubtful or sure: what is left unlabelled would be learned as background. What is less
    than doubtful is not.

    Args:
        result: of a run.
        between: lowest and highest score that is in doubt.
        side: of the windows in pixels; a larger one where a box needs it, a smaller one where the scene ends.
    """
    low, high = between
    size, likely = _as_seen(result, low)
    doubtful = np.flatnonzero(likely.scores <= high)
    if not len(doubtful):
        return []
    windows, owners = cover(likely.boxes[doubtful], side, size)
    doubts = np.zeros(len(windows))
    np.maximum.at(doubts, owners, _doubts(likely.scores[doubtful], low, high))
    counts = np.bincount(owners, minlength=len(windows))
    seen = _seen_in(windows, likely.boxes)
    crops = [
        _crop(window, likely[rows], float(doubt), int(count))
        for window, rows, doubt, count in zip(windows, seen, doubts, counts, strict=True)
    ]
    return sorted(crops, key=lambda crop: (-crop.doubt, crop.y, crop.x))


def seen_size_of(result: RunResult) -> tuple[int, int]:
    """Width and height at which a run saw its scene; the scene's own where it does not say."""
    seen = result.provenance.seen_px
    return seen if min(seen) > 0 else (result.scene.width, result.scene.height)


def _as_seen(result: RunResult, low: float) -> tuple[tuple[int, int], Detections]:
    """The size at which the scene was seen, and what was found from a score on, in pixels of that size."""
    size = seen_size_of(result)
    likely = result.detections[result.detections.scores >= low]
    ratio = np.array([size[0] / result.scene.width, size[1] / result.scene.height])
    boxes = clip(likely.boxes * np.tile(ratio, 2), *size)
    return size, replace(likely, boxes=boxes)


def _doubts(scores: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float64]:
    """1 for scores in the middle of a range, 0 at its ends, `(N,)`."""
    half = max((high - low) / 2, 1e-9)
    return np.clip(1 - np.abs(scores.astype(np.float64) - (low + high) / 2) / half, 0, 1)


def _seen_in(windows: Windows, boxes: Boxes) -> list[Rows]:
    """For each window the rows of the boxes that lie mostly in it, in their order."""
    both = np.concatenate([windows.astype(np.float64), boxes])
    askers = np.arange(len(both)) < len(windows)
    owners, rows = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for one, other in touching_pairs(both, askers=askers):
        mostly = intersection(both[one], both[other]) >= MOSTLY_SEEN * area(both[other])
        owners.append(one[mostly])
        rows.append(other[mostly] - len(windows))
    owner, row = np.concatenate(owners), np.concatenate(rows)
    order = np.lexsort((row, owner))
    ends = np.searchsorted(owner[order], np.arange(len(windows) + 1))
    return [row[order][start:end] for start, end in itertools.pairwise(ends)]


def _crop(window: npt.NDArray[np.int64], inside: Detections, doubt: float, doubtful: int) -> Crop:
    x, y, x1, y1 = window.tolist()
    boxes = clip(inside.boxes - (x, y, x, y), x1 - x, y1 - y)
    return Crop(x, y, x1 - x, y1 - y, replace(inside, boxes=boxes), doubt, doubtful)


def most_doubtful(crops: Sequence[Sequence[Crop]], most: int | None) -> list[tuple[int, Crop]]:
    """Crops of several scenes with the number of their scene, the most doubtful first; so many at most."""
    flat = [(number, crop) for number, some in enumerate(crops) for crop in some]
    return sorted(flat, key=lambda item: -item[1].doubt)[:most]
