"""The seam rule: what each tile could see decides what its boxes are worth.

1. A box that ends at an inner edge of its tile is a fragment. It loses to a whole box of another tile that
   holds half of it and is at least half as sure.
2. Fragments of several tiles are stitched when the box around them, seen by each tile, is what that tile
   reported.
3. Of boxes that overlap the best one is kept, and depth in the tile decides among the near-equal. Its sides
   become means with those of the boxes that other tiles lose to it.
4. The tile that sees an object deepest decides: an object of which it reported nothing, whole or in part,
   loses up to half its score.

This goes on until nothing changes, so merging again changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sodslice.merging.rule import Rule, Tiles, tile_sources
from sodslice.merging.stitching import COMPARABLE, stitch
from sodslice.merging.suppression import suppressed_by
from sodslice.merging.table_order import canonical_rows, descending, distinct_rows
from sodslice.merging.tile_table import TileTable, is_fragment
from sodslice.tables.boxes import Boxes, Mask, Rows, area, intersection, iou, touching_pairs
from sodslice.tables.detections import NO_TILE, Detections

COVERED = 0.5
"""A fragment is covered by a whole box that holds at least this share of it."""

DEPTH = 1.0
"""A box in the deepest tile wins against one at the very edge of another, even if that is twice as sure."""

DISSENT = 0.5
"""What is left of a score when the tile that sees the object deepest reported nothing there."""


def seam(found: Detections, tiles: Tiles, rule: Rule) -> Detections:
    """Merge by the seam rule.

    Args:
        found: boxes in scene pixels, cut to their tiles.
        tiles: the tiles that were detected on.
        rule: what counts as one object.

    Returns:
        One box an object, inside the hull of the boxes it stands for; its tile is the one that sees it
        deepest, or that of its best part where no tile sees it whole.
    """
    table = TileTable.of(tiles)
    reported = replace(found, tile_ids=table.rows_of(found.tile_ids).astype(np.int32))
    if _is_alone(table, reported):
        return _of_one_tile(found, rule)
    active, settled = reported, Detections.empty()
    while True:
        active = active[canonical_rows(active)]
        after, moved = _one_pass(active, reported, table, rule)
        everything = Detections.concatenate([settled, after])
        if len(after) == len(active) and not moved.any():
            ids = np.append(table.ids, NO_TILE)[everything.tile_ids]
            return replace(everything, tile_ids=ids.astype(np.int32))
        open_ = _may_change(everything, np.append(np.zeros(len(settled), bool), moved), table, rule)
        settled, active = everything[~open_], everything[open_]


def _is_alone(tiles: TileTable, reported: Detections) -> bool:
    """Whether all boxes are of one tile that is all of the scene."""
    return len(tiles.ids) == 1 and not tiles.inner.any() and not (reported.tile_ids == NO_TILE).any()


def _of_one_tile(found: Detections, rule: Rule) -> Detections:
    """The same where there are no fragments, and no others to average with or to yield to: step 3, once."""
    found = found[canonical_rows(found)]
    x0, y0, x1, y1 = found.boxes.T
    found = found[distinct_rows(x0, y0, x1, y1, found.labels, found.tile_ids)]
    keepers = suppressed_by(
        found.boxes,
        rule.groups(found),
        rule.sources(found),
        order=descending(found.scores),
        least_iou=rule.iou,
    )
    return found[keepers == np.arange(len(found))]


def _may_change(found: Detections, moved: Mask, tiles: TileTable, rule: Rule) -> Mask:
    """Boxes that a further pass could treat differently: those that moved, what they touch, and fragments.

    Two boxes that are as they were have been compared already; only links between fragments also depend on
    others that may be gone.
    """
    near = moved | is_fragment(tiles.cut_sides(found.boxes, found.tile_ids))
    for _, j in touching_pairs(found.boxes, groups=rule.groups(found), askers=moved):
        near[j] = True
    return near


def _one_pass(
    found: Detections, reported: Detections, tiles: TileTable, rule: Rule
) -> tuple[Detections, Mask]:
    """The four steps once.

    Args:
        found: what is left so far, in canonical order.
        reported: what the tiles reported.
        tiles: the tiles.
        rule: what counts as one object.

    Returns:
        What is left, and which of its rows are new or have changed.
    """
    x0, y0, x1, y1 = found.boxes.T
    found = found[distinct_rows(x0, y0, x1, y1, found.labels, found.tile_ids)]
    cut = tiles.cut_sides(found.boxes, found.tile_ids)
    left = ~_covered(found, cut, rule)
    found, cut = found[left], cut[left]
    stitched, parts = stitch(found, cut, rule.groups(found), tiles)
    moved = np.zeros(len(found), bool)
    if len(parts):
        whole = np.ones(len(found), bool)
        whole[parts] = False
        moved = np.append(moved[whole], np.ones(len(stitched), bool))
        cut = np.concatenate([cut[whole], tiles.cut_sides(stitched.boxes, stitched.tile_ids)])
        found = Detections.concatenate([found[whole], stitched])
        order = canonical_rows(found)
        found, cut, moved = found[order], cut[order], moved[order]
    chosen, keepers = _choose(found, cut, tiles, rule)
    kept = keepers == np.arange(len(found))
    granted, handed = _grant(chosen[kept], reported, tiles, rule)
    changed = handed | (chosen.boxes != found.boxes).any(axis=1)[kept]
    return granted, moved[kept] | changed


def _covered(found: Detections, cut: Mask, rule: Rule) -> Mask:
    """Step 1: fragments `(N,)` that a whole box of another tile covers."""
    covered = np.zeros(len(found), bool)
    pairs = touching_pairs(
        found.boxes, groups=rule.groups(found), owners=tile_sources(found), askers=is_fragment(cut)
    )
    for i, j in pairs:
        part, whole = found.boxes.take(i, axis=0), found.boxes.take(j, axis=0)
        loses = intersection(part, whole) >= COVERED * area(part)
        loses &= found.scores[j] >= COMPARABLE * found.scores[i]
        covered[i[loses]] = True
    return covered


def _choose(found: Detections, cut: Mask, tiles: TileTable, rule: Rule) -> tuple[Detections, Rows]:
    """Step 3: the table with the sides of the boxes that are kept averaged, and whom each box loses to."""
    order = descending(found.scores * (1.0 + DEPTH * _standing(found, cut, tiles)))
    keepers = suppressed_by(
        found.boxes, rule.groups(found), rule.sources(found), order=order, least_iou=rule.iou
    )
    return replace(found, boxes=_averaged(found, cut, keepers)), keepers


def _standing(found: Detections, cut: Mask, tiles: TileTable) -> Boxes:
    """How deep its own tile sees each box, as a share `(N,)` of how deep the deepest tile does.

    A box that no tile sees whole, or whose tile is not known, has nobody to yield to: 1.
    """
    standing = np.ones(len(found))
    known = np.flatnonzero((found.tile_ids != NO_TILE) & (area(found.boxes) > 0))
    boxes, own = found.boxes[known], found.tile_ids[known]
    deepest, depth = tiles.deepest(boxes, own, cut[known])
    yields = (deepest != NO_TILE) & (deepest != own)
    share = np.maximum(tiles.depth(boxes[yields], own[yields]), 1.0) / np.maximum(depth[yields], 1.0)
    standing[known[yields]] = np.minimum(share, 1.0)
    return standing


def _averaged(found: Detections, cut: Mask, keepers: Rows) -> Boxes:
    """Boxes `(N, 4)`; a keeper's sides become means, by score, with those that other tiles lost to it.

    From each tile the best box counts that is at least half as sure as the keeper, and only sides that are
    cut in neither.
    """
    source = tile_sources(found)
    lost = np.flatnonzero(keepers != np.arange(len(found)))
    to = keepers[lost]
    counts = (source[lost] != source[to]) & (found.scores[lost] >= COMPARABLE * found.scores[to])
    lost, to = lost[counts], to[counts]
    order = np.lexsort((lost, source[lost], to))
    lost, to = lost[order], to[order]
    best = (np.diff(to, prepend=-1) != 0) | (np.diff(source[lost], prepend=-1) != 0)
    lost, to = lost[best], to[best]
    keeper, number = np.unique(to, return_inverse=True)
    rows = np.concatenate([keeper, lost])
    number = np.concatenate([np.arange(len(keeper)), number.reshape(-1)])
    boxes: Boxes = found.boxes.copy()
    for side in range(4):
        weight = found.scores[rows].astype(np.float64)
        weight[cut[rows, side] | cut[keeper[number], side]] = 0.0
        weight[: len(keeper)] = found.scores[keeper]
        total = np.bincount(number, weight, len(keeper))
        mean = np.bincount(number, weight * found.boxes[rows, side], len(keeper))
        boxes[keeper, side] = np.where(total > 0, mean / np.where(total > 0, total, 1.0), boxes[keeper, side])
    return boxes


def _grant(kept: Detections, reported: Detections, tiles: TileTable, rule: Rule) -> tuple[Detections, Mask]:
    """Step 4: boxes handed to the tile that sees them deepest, with the score that it grants them.

    Args:
        kept: the boxes that are left.
        reported: what the tiles reported.
        tiles: the tiles.
        rule: what counts as one object.

    Returns:
        The same rows, and which of them went to another tile.
    """
    deepest = kept.tile_ids.astype(np.intp)
    known = np.flatnonzero((deepest != NO_TILE) & (area(kept.boxes) > 0))
    boxes, own = kept.boxes[known], kept.tile_ids[known]
    deepest[known] = tiles.deepest(boxes, own, tiles.cut_sides(boxes, own))[0]
    handed = (deepest != kept.tile_ids) & (deepest != NO_TILE)
    support = _support(kept[handed], deepest[handed], reported, rule)
    scores, tile_ids = kept.scores.copy(), np.where(handed, deepest, kept.tile_ids)
    scores[handed] = np.minimum(scores[handed], DISSENT * scores[handed] + support)
    return replace(kept, scores=scores, tile_ids=tile_ids), handed


def _support(boxes: Detections, tiles: Rows, reported: Detections, rule: Rule) -> npt.NDArray[np.float32]:
    """The best score `(N,)` with which a tile `(N,)` reported the object of each box; 0 if it did not."""
    support = np.zeros(len(boxes), np.float32)
    if not len(boxes):
        return support
    both = Detections.concatenate([boxes, reported])
    pairs = touching_pairs(
        both.boxes,
        groups=rule.groups(both),
        askers=np.arange(len(both)) < len(boxes),
        least_iou=rule.iou,
    )
    for i, j in pairs:
        same = both.tile_ids[j] == tiles[i]
        i, j = i[same], j[same]
        same = iou(both.boxes[i], both.boxes[j]) >= rule.iou
        np.maximum.at(support, i[same], both.scores[j[same]])
    return support
