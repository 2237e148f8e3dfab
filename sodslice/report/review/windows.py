"""Windows of one size that show each of some boxes whole, and overlap little."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.tables.boxes import Boxes, Rows

CONTEXT = 1 / 16
"""Share of a window's side that is seen on each side of a box, at the least; less where the scene ends."""

Windows = npt.NDArray[np.int64]
Whole = npt.NDArray[np.int64]


class Cover(NamedTuple):
    """Windows around boxes.

    Fields: `windows` `(K, 4)` int64 edges x0, y0, x1, y1; `owners` `(N,)` the row of the one window that each
    box belongs to, in which it lies whole.
    """

    windows: Windows
    owners: Rows


def cover(boxes: Boxes, side: int, size: tuple[int, int]) -> Cover:
    """Windows that together show all boxes whole, with what is around them.

    Boxes are gathered from the top: a shelf, as high as a window, begins where the uppermost that is left
    does, and takes all that lie whole in it; along a shelf it is the same from the left. What a window has to
    spare is shared out on both sides of its boxes, as far as its neighbours are not reached. So windows
    overlap only by boxes that lie across their ends.

    Args:
        boxes: `(N, 4)` edges x0, y0, x1, y1 in pixels of the scene.
        side: of the windows in pixels; a larger one where a box needs it, a smaller one where the scene ends.
        size: width and height of the scene.
    """
    limits = np.array(size, dtype=np.int64)
    context = round(side * CONTEXT)
    low = np.clip(np.floor(boxes[:, :2]).astype(np.int64) - context, 0, limits)
    high = np.clip(np.ceil(boxes[:, 2:]).astype(np.int64) + context, 0, limits)
    lengths = np.minimum(side, limits)
    windows: list[Windows] = []
    owners = np.full(len(boxes), -1, dtype=np.intp)
    for row in np.flatnonzero((high - low > lengths).any(axis=1)):
        if owners[row] < 0:
            window = _around(low[row], high[row], lengths, limits)
            whole = (low >= window[:2]).all(axis=1) & (high <= window[2:]).all(axis=1)
            owners[whole & (owners < 0)] = len(windows)
            windows.append(window)
    rest = np.flatnonzero(owners < 0)
    shelf_of, tops = _spans(low[rest, 1], high[rest, 1], int(lengths[1]), int(limits[1]))
    for shelf, top in enumerate(tops.tolist()):
        rows = rest[shelf_of == shelf]
        span_of, lefts = _spans(low[rows, 0], high[rows, 0], int(lengths[0]), int(limits[0]))
        owners[rows] = len(windows) + span_of
        windows += [np.array([left, top, *(lengths + (left, top))]) for left in lefts.tolist()]
    return Cover(np.array(windows, dtype=np.int64).reshape(-1, 4), owners)


def _around(low: Whole, high: Whole, lengths: Whole, limits: Whole) -> Windows:
    """A square window, as far as the scene goes, in whose middle a box is."""
    needed = np.minimum(max(int((high - low).max()), int(lengths.max())), limits)
    corner = np.clip((low + high - needed) // 2, 0, limits - needed)
    return np.concatenate([corner, corner + needed])


def _spans(low: Whole, high: Whole, length: int, limit: int) -> tuple[Rows, Whole]:
    """Spans of one length on a line that hold intervals whole.

    Args:
        low: `(N,)` beginnings of the intervals.
        high: `(N,)` their ends, no farther than `length`.
        length: of a span.
        limit: end of the line, which begins at 0.

    Returns:
        For each interval the row of its span, `(N,)`; and where the spans begin, `(K,)`.
    """
    spans, count = np.full(len(low), -1, dtype=np.intp), 0
    left = np.argsort(low, kind="stable")
    while len(left):
        fits = high[left] <= low[left[0]] + length
        spans[left[fits]] = count
        left, count = left[~fits], count + 1
    first = np.array([low[spans == row].min() for row in range(count)], dtype=np.int64)
    last = np.array([high[spans == row].max() for row in range(count)], dtype=np.int64)
    return spans, _starts(first, last, length, limit)


def _starts(first: Whole, last: Whole, length: int, limit: int) -> Whole:
    """Where spans begin that hold what is between `first` and `last`: in their middle, if nobody is there."""
    starts, end = [], 0
    nexts = np.append(first[1:], limit)[: len(first)].tolist()
    for least, most, following in zip(first.tolist(), last.tolist(), nexts, strict=True):
        low = max(most - length, min(end, least))
        high = max(low, min(least, following - length))
        middle = min(max((least + most - length) // 2, low), high)
        starts.append(min(max(middle, 0), limit - length))
        end = starts[-1] + length
    return np.array(starts, dtype=np.int64)
