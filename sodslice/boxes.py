"""Arithmetic on boxes: `(N, 4)` float64, pixel edges x0, y0, x1, y1; x right, y down, no classes.

A box of one pixel at column 3, row 5 is (3, 5, 4, 6): edges, not centres, so width is x1 - x0.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.integer]

_MOST_CELLS = 1 << 20
"""Resolution of the pair search along each axis; a coarser one only means more candidates."""

_NO_AREA = np.iinfo(np.int32).max


def area(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Areas `(N,)` in square pixels."""
    sides: npt.NDArray[np.float64] = boxes[:, 2:] - boxes[:, :2]
    return sides[:, 0] * sides[:, 1]


def centers(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Centres `(N, 2)` x, y in the frame of the boxes."""
    middle: npt.NDArray[np.float64] = (boxes[:, :2] + boxes[:, 2:]) / 2
    return middle


def clip(boxes: Boxes, width: float, height: float) -> Boxes:
    """Boxes `(N, 4)` cut to 0 <= x <= width, 0 <= y <= height; those outside become empty."""
    limit = np.array([width, height, width, height], dtype=np.float64)
    clipped: Boxes = np.clip(boxes, 0.0, limit)
    return clipped


def intersection(one: Boxes, other: Boxes) -> npt.NDArray[np.float64]:
    """Areas `(N,)` shared by one[i] and other[i], row by row; 0 where they do not touch."""
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    sides = np.maximum(high - low, 0.0)
    shared: npt.NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return shared


def iou(one: Boxes, other: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union `(N,)` of one[i] and other[i], row by row; 0 for two empty boxes."""
    shared = intersection(one, other)
    union = area(one) + area(other) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def ios(one: Boxes, other: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over the smaller area `(N,)` of one[i] and other[i], row by row; 0 for empty boxes."""
    shared = intersection(one, other)
    smaller = np.minimum(area(one), area(other))
    return np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)


def touching_pairs(
    boxes: Boxes,
    *,
    groups: Labels | None = None,
    owners: Labels | None = None,
    least_iou: float = 0.0,
    piece: int = 1 << 20,
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of boxes that share area, each pair once, in pieces of bounded size.

    Boxes of like size are sorted into horizontal strips and there by their left edge, so a box meets its
    near neighbours only, and one huge box costs no more than what it covers.

    Args:
        boxes: `(N, 4)` float64, pixel edges.
        groups: `(N,)` integers; only boxes of one group make a pair. None: all are of one group.
        owners: `(N,)` integers; only boxes of different owners make a pair. None: each has its own.
        least_iou: pairs whose sides alone rule out this intersection over union may be left out.
        piece: how many candidates are looked at together; bounds the memory, not the result.

    Yields:
        Rows `(i, j)`, each `(K,)`.
    """
    groups = np.zeros(len(boxes), np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    owners = np.arange(len(boxes)) if owners is None else owners
    levels = _levels(boxes, groups, owners)
    for k, level in enumerate(levels):
        for other in levels[k:]:
            if not level.may_overlap(other, least_iou):
                continue
            few, many = (level, other) if level.lookups(other) <= other.lookups(level) else (other, level)
            for i, j in few.candidates(many, piece):
                kept = intersection(boxes[i], boxes[j]) > 0
                kept &= owners[i] != owners[j]
                if few is many:  # both boxes may find each other: the one further left reports the pair
                    kept &= (boxes[i, 0] < boxes[j, 0]) | ((boxes[i, 0] == boxes[j, 0]) & (i < j))
                yield i[kept], j[kept]


class _Level:
    """Boxes of like size, sorted by group, then strip of y0, then step of x0.

    A strip is as high as the highest box, so a box reaches into the next strip at most.
    """

    def __init__(self, rows: Rows, boxes: Boxes, groups: Labels, owners: Labels) -> None:
        own = boxes[rows]
        sides = own[:, 2:] - own[:, :2]
        self.smallest, self.largest = sides.min(axis=0), sides.max(axis=0)
        self.origin = own[:, :2].min(axis=0)
        extent = own[:, :2].max(axis=0) - self.origin
        self.cell = np.maximum(self.largest * (1 / 32, 1), extent / _MOST_CELLS)
        self.columns, self.strips = (int(n) + 1 for n in extent // self.cell)
        keys = self._keys(groups[rows], self._cells(own[:, 1], 1), own[:, 0])
        order = np.argsort(keys, kind="stable")
        self.rows, self.keys, self.boxes = rows[order], keys[order], own[order]
        self.groups, self.owners = groups[self.rows], owners[self.rows]
        ends = np.append(np.flatnonzero(self.owners[1:] != self.owners[:-1]) + 1, len(rows))
        self.owner_ends = np.repeat(ends, np.diff(ends, prepend=0))

    def _cells(self, values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.int64]:
        """Steps (axis 0) or strips (axis 1) that hold coordinates `(K,)`, the outer ones clamped."""
        last = (self.columns, self.strips)[axis] - 1
        return np.clip((values - self.origin[axis]) // self.cell[axis], 0, last).astype(np.int64)

    def _keys(
        self, groups: Labels, strips: npt.NDArray[np.int64], x: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        return (groups * self.strips + strips) * self.columns + self._cells(x, 0)

    def may_overlap(self, other: _Level, least_iou: float) -> bool:
        """False when the sides rule out the IoU: no side of the union is longer than side / IoU."""
        return bool(
            (self.largest >= least_iou * other.smallest).all()
            and (other.largest >= least_iou * self.smallest).all()
        )

    def lookups(self, other: _Level) -> float:
        """About how many strips of the other level this level's boxes ask for."""
        return len(self.rows) * (2.0 + self.largest[1] / other.cell[1])

    def candidates(self, other: _Level, piece: int) -> Iterator[tuple[Rows, Rows]]:
        """Rows `(i, j)` of this level and of the other that may share area."""
        # Within a level it is enough that the box further left finds the other.
        reach = 0.0 if other is self else other.largest[0]
        per_box = 3 + int(self.largest[1] // other.cell[1])
        rows_at_once = max(1, piece // per_box)
        for start in range(0, len(self.rows), rows_at_once):
            part = slice(start, start + rows_at_once)
            box, owner = self.boxes[part], self.owners[part]
            top = other._cells(box[:, 1] - other.largest[1], 1)
            count = other._cells(box[:, 3], 1) - top + 1
            asker, strip = _expand(top, count)
            group = self.groups[part][asker]
            low = np.searchsorted(other.keys, other._keys(group, strip, box[asker, 0] - reach))
            high = np.searchsorted(other.keys, other._keys(group, strip, box[asker, 2]), side="right")
            one_owner = other.owner_ends.take(low, mode="clip") >= high
            same = other.owners.take(low, mode="clip") == owner[asker]
            wanted = (high > low) & ~(one_owner & same)
            asker, low, count = asker[wanted], low[wanted], (high - low)[wanted]
            for first, last in _pieces(count, piece):
                at, found = _expand(low[first:last], count[first:last])
                yield self.rows[part][asker[first:last]][at], other.rows[found]


def _levels(boxes: Boxes, groups: Labels, owners: Labels) -> list[_Level]:
    """The boxes that have an area, split by the power of two of their longer side."""
    sides = boxes[:, 2:] - boxes[:, :2]
    exponent = np.frexp(sides.max(axis=1, initial=0.0))[1]
    exponent[(sides <= 0).any(axis=1)] = _NO_AREA
    values = np.unique(exponent)
    return [_Level(np.flatnonzero(exponent == e), boxes, groups, owners) for e in values if e != _NO_AREA]


def _expand(start: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Each range start[k] .. start[k] + count[k] - 1 written out: `(k, value)`, both `(sum(count),)`."""
    which = np.repeat(np.arange(len(count)), count)
    before = np.cumsum(count) - count
    return which, np.arange(len(which)) + (start - before)[which]


def _pieces(count: npt.NDArray[np.int64], piece: int) -> Iterator[tuple[int, int]]:
    """Slices of the ranges that hold about `piece` values together, one range at least."""
    total = np.cumsum(count)
    first = 0
    while first < len(count):
        done = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, done + piece, side="right")))
        yield first, last
        first = last
