"""Stitching: the parts of one object that several tiles reported."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.merging.suppression import components
from sodslice.merging.tile_table import TileTable, is_fragment, tolerance
from sodslice.tables.boxes import Boxes, Labels, Mask, Rows, iou, touching_pairs
from sodslice.tables.detections import Detections

COMPARABLE = 0.5
"""A box can speak for or against another one from this share of its score on: detectors report noise, too."""

CONTINUES = 0.6
"""Least IoU between a part and what its tile would see of the stitched box."""

_MOST_LINKS = 1 << 20
"""Pairs that may be links and are held at once, beside some for each fragment; bounds the memory."""

Scores = npt.NDArray[np.float64]


def stitch(found: Detections, cut: Mask, groups: Labels, tiles: TileTable) -> tuple[Detections, Rows]:
    """Boxes put together from the fragments that continue each other.

    Two fragments of one group and of two tiles continue each other when the box around both, seen by each
    tile, is about what that tile reported, and their scores are comparable. Each fragment is linked to the
    one of another tile that continues it best, if that holds for both; what is linked becomes one box. A
    side of it is the mean, by score, of the sides that are not cut.

    Args:
        found: boxes in scene pixels, in canonical order; tile_ids are rows of `tiles`.
        cut: `(N, 4)` sides that end at an inner edge of their tile.
        groups: `(N,)`.
        tiles: the tiles.

    Returns:
        The stitched boxes with score, label and tile of their best part, and the rows that became parts.
    """
    rows = np.flatnonzero(is_fragment(cut))
    one, other = _links(found[rows], cut[rows], groups[rows], tiles)
    names = components(one, other, len(rows))
    linked = np.zeros(len(rows), bool)
    linked[one], linked[other] = True, True
    parts = rows[linked]
    first, number = np.unique(names[linked], return_inverse=True)
    boxes = _joined_boxes(found[parts], cut[parts], number.reshape(-1), len(first))
    best = rows[first]  # rows are in canonical order, so the first part is the best one
    return Detections(boxes, found.scores[best], found.labels[best], found.tile_ids[best]), parts


def _links(parts: Detections, cut: Mask, groups: Labels, tiles: TileTable) -> tuple[Rows, Rows]:
    """Pairs of fragments each of which continues the other best of all that the other's tile reported."""
    boxes, scores, own = parts.boxes, parts.scores, parts.tile_ids
    # Without overlap the parts only meet at the edge of their tiles, within the tolerance.
    near_x, near_y = tolerance(boxes)
    grown = boxes + cut * np.stack([-near_x, -near_y, near_x, near_y], axis=1)
    links = Links.empty()
    for i, j in touching_pairs(grown, groups=groups, owners=own):
        weaker, stronger = np.minimum(scores[i], scores[j]), np.maximum(scores[i], scores[j])
        around = np.concatenate(
            [np.minimum(boxes[i, :2], boxes[j, :2]), np.maximum(boxes[i, 2:], boxes[j, 2:])], axis=1
        )
        agreement = np.minimum(
            _agreement(around, boxes[i], tiles.edges[own[i]]),
            _agreement(around, boxes[j], tiles.edges[own[j]]),
        )
        kept = (agreement >= CONTINUES) & (weaker >= COMPARABLE * stronger)
        links = links.with_(i[kept], j[kept], agreement[kept])
        if len(links.one) > _MOST_LINKS + 8 * len(parts):
            first, second = links.best_of_each(own)
            links = links.chosen(first | second)  # what is best for neither end can be no link and beats none
    first, second = links.best_of_each(own)
    links = links.chosen(first & second)
    return links.one, links.other


def _agreement(around: Boxes, boxes: Boxes, tile: Boxes) -> Scores:
    """IoU `(K,)` of what tiles `(K, 4)` would see of the boxes around and of what they saw of the parts."""
    return iou(_within(around, tile), _within(boxes, tile))


def _within(boxes: Boxes, tile: Boxes) -> Boxes:
    low, high = tile[:, [0, 1, 0, 1]], tile[:, [2, 3, 2, 3]]
    return np.clip(boxes, low, high)


class Links(NamedTuple):
    """Pairs of fragments that may continue each other, `(K,)` each: two rows, and how well."""

    one: Rows
    other: Rows
    agreement: Scores

    @classmethod
    def empty(cls) -> Links:
        """No pairs."""
        return cls(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))

    def with_(self, one: Rows, other: Rows, agreement: Scores) -> Links:
        """These and more pairs."""
        return Links(
            np.append(self.one, one), np.append(self.other, other), np.append(self.agreement, agreement)
        )

    def chosen(self, mask: Mask) -> Links:
        """Some of the pairs."""
        return Links(self.one[mask], self.other[mask], self.agreement[mask])

    def best_of_each(self, tiles: Labels) -> tuple[Mask, Mask]:
        """Whether a pair is the best that its one row, and its other row, has with the tile of the partner.

        Where two are equal it is the one with the earlier partner.
        """
        rows, partners = np.append(self.one, self.other), np.append(self.other, self.one)
        of = tiles[partners]
        order = np.lexsort((partners, -np.append(self.agreement, self.agreement), of, rows))
        best = np.zeros(len(rows), bool)
        best[order] = (np.diff(rows[order], prepend=-1) != 0) | (np.diff(of[order], prepend=-1) != 0)
        return best[: len(self.one)], best[len(self.one) :]


def _joined_boxes(parts: Detections, cut: Mask, number: Rows, count: int) -> Boxes:
    """One box `(count, 4)` for the parts of each number."""
    joined = np.empty((count, 4))
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    for side in range(4):
        edge = parts.boxes[:, side]
        weight = np.where(cut[:, side], 0.0, parts.scores.astype(np.float64))
        total = np.bincount(number, weight, count)
        mean = np.bincount(number, weight * edge, count) / np.where(total > 0, total, 1.0)
        outermost = low.copy() if side < 2 else high.copy()
        (np.minimum if side < 2 else np.maximum).at(outermost, number, edge)
        joined[:, side] = np.where(total > 0, mean, outermost)
    return np.concatenate(
        [np.minimum(joined[:, :2], joined[:, 2:]), np.maximum(joined[:, :2], joined[:, 2:])], axis=1
    )
