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
Mask = npt.NDArray[np.bool_]

_MOST_CELLS = 1 << 20
"""Resolution of the pair search along each axis; a coarser one only means more candidates."""


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
    askers: Mask | None = None,
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
        askers: `(N,)`; only pairs (i, j) of which i is an asker and j is not. None: all pairs.
        least_iou: pairs whose sides alone rule out this intersection over union may be left out.
        piece: how many candidates are looked at together; bounds the memory, not the result.

    Yields:
        Rows `(i, j)`, each `(K,)`, in no particular order.
    """
    if groups is not None:
        groups = np.unique(groups, return_inverse=True)[1].reshape(-1)
    for few, many in _level_pairs(boxes, groups, owners, askers, least_iou=least_iou):
        for i, j in few.touching(many, piece):
            yield (j, i) if askers is not None and len(i) and not askers[i[0]] else (i, j)


class _Level:
    """Boxes of like size, sorted by group, then strip of y0, then step of x0.

    A strip is as high as the highest box, so a box reaches into the next strip at most.
    """

    def __init__(self, rows: Rows, boxes: Boxes, groups: Labels | None, owners: Labels | None) -> None:
        own = boxes.take(rows, axis=0)
        x, y = own[:, 0], own[:, 1]
        width, height = own[:, 2] - x, own[:, 3] - y
        # The last bits of a side may be lost; a slack keeps the boxes that just touch.
        slack = 4 * np.spacing(np.abs(own).max())
        self.smallest = np.array([width.min(), height.min()])
        self.largest = np.array([width.max(), height.max()]) + slack
        self.origin = np.array([x.min(), y.min()])
        extent = np.array([x.max(), y.max()]) - self.origin
        bits = 31 if groups is None else (62 - int(groups.max()).bit_length()) // 2
        self.cell = np.maximum(self.largest * (1 / 32, 1), extent / min(1 << bits, _MOST_CELLS))
        self.columns, self.strips = (int(n) + 1 for n in extent // self.cell)
        group = None if groups is None else groups[rows]
        keys = self.keys_of(group, self.cells(y, 1), x)
        order = np.argsort(keys)
        self.rows, self.keys, self.boxes = rows[order], keys[order], own.take(order, axis=0)
        self.groups = None if group is None else group[order]
        self.owners = None if owners is None else owners[self.rows]
        self.owner_ends = None if self.owners is None else _run_ends(self.owners)

    def cells(self, values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.int64]:
        """Steps (axis 0) or strips (axis 1) that hold coordinates `(K,)`, the outer ones clamped."""
        last = (self.columns, self.strips)[axis] - 1
        steps: npt.NDArray[np.float64] = (values - self.origin[axis]) * (1 / self.cell[axis])
        return steps.clip(0, last).astype(np.int64)

    def keys_of(
        self, groups: Labels | None, strips: npt.NDArray[np.int64], x: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        """Sort keys `(K,)` of places, ascending with x within a strip of a group."""
        keys = strips * self.columns + self.cells(x, 0)
        return keys if groups is None else keys + groups * (self.strips * self.columns)

    def may_overlap(self, other: _Level, least_iou: float) -> bool:
        """False when the sides rule out the IoU: no side of the union is longer than side / IoU."""
        return bool(
            (self.largest >= least_iou * other.smallest).all()
            and (other.largest >= least_iou * self.smallest).all()
        )

    def lookups(self, other: _Level) -> float:
        """About how many strips of the other level this level's boxes ask for."""
        return len(self.rows) * float(2.0 + self.largest[1] / other.cell[1])

    def touching(self, other: _Level, piece: int) -> Iterator[tuple[Rows, Rows]]:
        """Rows `(i, j)` of this level and of the other that share area and have different owners."""
        at_once = max(1, piece // (3 + int(self.largest[1] / other.cell[1])))
        for start in range(0, len(self.rows), at_once):
            asker, low, count = self._ranges(other, slice(start, start + at_once))
            asker += start
            for first, last in pieces(count, piece):
                at, found = spread(low[first:last], count[first:last])
                at = asker[first:last].take(at)
                kept = self._touch(other, at, found)
                yield self.rows.take(at[kept]), other.rows.take(found[kept])

    def _touch(self, other: _Level, at: Rows, found: Rows) -> Mask:
        """Which places `(K,)` of this level and of the other make a pair; near places are near in memory."""
        one, two = self.boxes.take(at, axis=0), other.boxes.take(found, axis=0)
        touch = intersection(one, two) > 0
        if self.owners is not None and other.owners is not None:
            touch &= self.owners.take(at) != other.owners.take(found)
        if other is self:  # both boxes may find each other: the one further left reports the pair
            touch &= (one[:, 0] < two[:, 0]) | ((one[:, 0] == two[:, 0]) & (at < found))
        return touch

    def _ranges(self, other: _Level, part: slice) -> tuple[Rows, Rows, Rows]:
        """Where the neighbours of some boxes lie in the other level: box of the part, first row, count."""
        # Within a level it is enough that the box further left finds the other.
        reach = 0.0 if other is self else other.largest[0]
        box = self.boxes[part]
        top = other.cells(box[:, 1] - other.largest[1], 1)
        asker, strip = spread(top, other.cells(box[:, 3], 1) - top + 1)
        group = None if self.groups is None else self.groups[part].take(asker)
        low = np.searchsorted(other.keys, other.keys_of(group, strip, (box[:, 0] - reach).take(asker)))
        high = np.searchsorted(other.keys, other.keys_of(group, strip, box[:, 2].take(asker)), side="right")
        wanted = high > low
        if self.owners is not None and other.owners is not None and other.owner_ends is not None:
            # Most boxes deep inside a tile have neighbours of their own tile only.
            of_one = other.owner_ends.take(low, mode="clip") >= high
            wanted &= ~(of_one & (other.owners.take(low, mode="clip") == self.owners[part].take(asker)))
        return asker[wanted], low[wanted], (high - low)[wanted]


def _level_pairs(
    boxes: Boxes, groups: Labels | None, owners: Labels | None, askers: Mask | None, *, least_iou: float
) -> Iterator[tuple[_Level, _Level]]:
    """The levels to compare, the one that needs fewer lookups first."""
    everything = np.ones(len(boxes), bool)
    ones = _levels(boxes, groups, owners, everything if askers is None else askers)
    others = ones if askers is None else _levels(boxes, groups, owners, ~askers)
    for k, one in enumerate(ones):
        for other in others[k:] if askers is None else others:
            if one.may_overlap(other, least_iou):
                yield (one, other) if one.lookups(other) <= other.lookups(one) else (other, one)


def _levels(boxes: Boxes, groups: Labels | None, owners: Labels | None, chosen: Mask) -> list[_Level]:
    """Those of the chosen boxes that have an area, split by the power of two of their longer side."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    exponent = np.frexp(np.maximum(width, height))[1]
    chosen = chosen & (width > 0) & (height > 0)
    split = [np.flatnonzero(chosen & (exponent == e)) for e in np.unique(exponent[chosen])]
    return [_Level(rows, boxes, groups, owners) for rows in split]


def _run_ends(values: Labels) -> Rows:
    """For each position the end of its run of equal values."""
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]) + 1, len(values))
    return np.repeat(ends, np.diff(ends, prepend=0))


def spread(start: Rows, count: Rows) -> tuple[Rows, Rows]:
    """Ranges start[k] .. start[k] + count[k] - 1 written out: k and value, both `(sum(count),)`."""
    which = np.repeat(np.arange(len(count)), count)
    before = np.cumsum(count) - count
    return which, np.arange(len(which)) + (start - before).take(which)


def pieces(count: Rows, piece: int) -> Iterator[tuple[int, int]]:
    """First and last + 1 of ranges that hold at most `piece` values together, but at least one range."""
    total = np.cumsum(count)
    first = 0
    while first < len(count):
        done = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, done + piece, side="right")))
        yield first, last
        first = last
