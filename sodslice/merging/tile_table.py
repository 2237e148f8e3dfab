"""`TileTable`: the tiles of a run as columns, and how boxes lie in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.errors import DetectionsError
from sodslice.tables.boxes import Boxes, Labels, Mask, Rows, pieces, spread, touching_pairs
from sodslice.tables.detections import NO_TILE
from sodslice.tables.tiles import Tile

TOLERANCE_PX = 2.0
TOLERANCE_SHARE = 0.06
"""A box this near to a tile edge, in pixels or as a share of its side, counts as cut there. Of 1400
vehicles that a tile edge cut, the boxes of 99 % ended within one of the two (docs/merging.md)."""

_AT_ONCE = 1 << 18
"""Pairs of boxes and tiles looked at together; bounds the memory."""

_SLACK = 1e-3
"""Pixels by which a middle may be missed: asking a tile too many changes nothing."""


@dataclass(frozen=True, eq=False)
class TileTable:
    """Tiles as columns, in the order of y, x, height and width, whatever the order they were given in.

    Fields:
        ids: `(T,)` int64, `Tile.id`.
        edges: `(T, 4)` float64, x0, y0, x1, y1 in scene pixels.
        inner: `(T, 4)` bool, edges behind which the scene goes on: not the outermost ones.
        neighbours: for each edge of each tile the tiles that share area with it and go on behind the edge.
    """

    ids: npt.NDArray[np.int64]
    edges: Boxes
    inner: Mask
    neighbours: Neighbours

    @classmethod
    def of(
        cls,
        tiles: Sequence[Tile] | npt.NDArray[np.integer] | TileTable,
        *,
        outline: tuple[int, int, int, int] | None = None,
    ) -> TileTable:
        """From tiles, or from their fields as `(T, 5)` integers; a table stays as it is.

        Args:
            tiles: all of a run, or those that have a say.
            outline: x0, y0, x1, y1 of all tiles of the run; None takes that of those given.

        Raises:
            DetectionsError: the array has another shape, or an id comes twice.
        """
        if isinstance(tiles, TileTable):
            return tiles
        fields = np.asarray(tiles, dtype=np.int64)
        if not len(fields):
            fields = fields.reshape(0, 5)
        if fields.ndim != 2 or fields.shape[1] != 5:
            raise DetectionsError(
                f"tiles must have shape (T, 5): id, x, y, width, height; got {fields.shape}"
            )
        ids, x, y, width, height = fields[np.lexsort(fields.T[[0, 3, 4, 1, 2]])].T
        if len(np.unique(ids)) != len(ids):
            raise DetectionsError(
                f"each tile needs its own id, got {len(ids)} tiles with {len(set(ids))} ids"
            )
        edges = np.stack([x, y, x + width, y + height], axis=1).astype(np.float64)
        if outline is None:
            low, high = edges[:, :2].min(axis=0, initial=np.inf), edges[:, 2:].max(axis=0, initial=-np.inf)
            inner = edges != np.concatenate([low, high])
        else:
            inner = edges != np.array(outline, np.float64)
        return cls(ids, edges, inner, Neighbours.of(edges, inner))

    def rows_of(self, tile_ids: Labels) -> Rows:
        """Rows `(N,)` of the tiles with these ids; -1 stays -1.

        Raises:
            DetectionsError: an id is none of the tiles'.
        """
        known = tile_ids != NO_TILE
        order = np.argsort(self.ids)
        at = np.searchsorted(self.ids, tile_ids, sorter=order)
        rows = np.append(order, NO_TILE).take(at)
        wrong = known & (np.append(self.ids, NO_TILE)[rows] != tile_ids)
        if wrong.any():
            raise DetectionsError(
                f"tile id {tile_ids[wrong][0]} is none of the {len(self.ids)} tiles; "
                "give all tiles of the run, or -1 where the tile is not known"
            )
        rows[~known] = NO_TILE
        return rows

    def cut_sides(self, boxes: Boxes, rows: Labels) -> Mask:
        """Sides `(N, 4)` of boxes that end at an inner edge of their tile; none where the tile is not known.

        A side that lies clearly beyond the edge is no cut: such a box was put together from several tiles.
        """
        cut = np.zeros((len(boxes), 4), bool)
        if not len(self.ids):
            return cut
        near = tolerance(boxes)
        for side in range(4):
            gap = np.abs(boxes[:, side] - self.edges[:, side].take(rows))
            cut[:, side] = (gap <= near[side % 2]) & self.inner[:, side].take(rows) & (rows != NO_TILE)
        return cut

    def depth(self, boxes: Boxes, rows: Labels) -> npt.NDArray[np.float64]:
        """How far `(N,)` the centre lies from the nearest inner edge of a tile; below 0: outside."""
        return self._nearest_edge(boxes, rows)[0]

    def deepest(self, boxes: Boxes, rows: Labels, cut: Mask) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Of the tiles that see a box whole, the one in which its centre lies deepest, and how deep.

        Of several as deep it is the box's own, else the first.

        Args:
            boxes: `(N, 4)` float64, scene pixels.
            rows: `(N,)` the tile each box comes from, none unknown.
            cut: `(N, 4)` its `cut_sides`.

        Returns:
            `(N,)` row of the tile, -1 if none sees the box whole, and `(N,)` its depth (own depth for -1).
        """
        best = rows.astype(np.intp)
        depth, side = self._nearest_edge(boxes, rows)
        fragment = is_fragment(cut)
        side = np.where(fragment, cut.argmax(axis=1), side)
        # A tile that sees a centre deeper than its own begins before the middle of the overlap; one that sees
        # a fragment whole goes on behind the edge that cut it.
        asking = np.flatnonzero(fragment | (2 * depth <= self.neighbours.reach[rows, side] + _SLACK))
        astray = self._beyond(boxes, rows)
        best[fragment | astray] = NO_TILE
        asking, lost = asking[~astray[asking]], np.flatnonzero(astray)
        for box, tile in (*self.neighbours.pairs(asking, rows, side), *self._around(boxes, lost)):
            self._prefer(boxes, rows, box, tile, best=best, depth=depth)
        return best, depth

    def _prefer(
        self, boxes: Boxes, rows: Labels, box: Rows, tile: Rows, *, best: Rows, depth: npt.NDArray[np.float64]
    ) -> None:
        """Put the deepest of the tiles that see a box whole into `best` and `depth`, in place.

        All tiles that are to be compared for a box, but its own, come in one call.
        """
        whole = self._see_whole(boxes.take(box, axis=0), tile)
        box, tile = box[whole], tile[whole]
        deep = self.depth(boxes.take(box, axis=0), tile)
        order = np.lexsort((tile, tile != rows[box], -deep, box))
        order = order[np.diff(box[order], prepend=-1) != 0]
        box, tile, deep = box[order], tile[order], deep[order]
        better = (best[box] == NO_TILE) | (deep > depth[box])
        best[box[better]], depth[box[better]] = tile[better], deep[better]

    def _see_whole(self, boxes: Boxes, tiles: Rows) -> Mask:
        """Whether a tile `(N,)` holds a box `(N, 4)` without cutting it."""
        whole = np.ones(len(boxes), bool)
        near = tolerance(boxes)
        for side in range(4):
            gap = (boxes[:, side] - self.edges[:, side].take(tiles)) * (1 if side < 2 else -1)
            whole &= (gap > near[side % 2]) | ~self.inner[:, side].take(tiles)
        return whole

    def _beyond(self, boxes: Boxes, rows: Labels) -> Mask:
        """Boxes `(N,)` that reach beyond their tile."""
        beyond = np.zeros(len(boxes), bool)
        for side in range(4):
            edge = self.edges[:, side].take(rows)
            beyond |= boxes[:, side] < edge if side < 2 else boxes[:, side] > edge
        return beyond

    def _nearest_edge(self, boxes: Boxes, rows: Labels) -> tuple[npt.NDArray[np.float64], Rows]:
        """Distance `(N,)` of the centre from the nearest inner edge of a tile, and which edge that is."""
        nearest = np.full(len(boxes), np.inf)
        which = np.zeros(len(boxes), np.intp)
        for side in range(4):
            center = (boxes[:, side % 2] + boxes[:, side % 2 + 2]) / 2
            gap = (center - self.edges[:, side].take(rows)) * (1 if side < 2 else -1)
            closer = self.inner[:, side].take(rows) & (gap < nearest)
            nearest[closer], which[closer] = gap[closer], side
        return nearest, which

    def _around(self, boxes: Boxes, rows: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Pairs (box, tile) of some rows and of all tiles that share area with them."""
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            both = np.concatenate([boxes[part], self.edges])
            pairs = list(touching_pairs(both, askers=np.arange(len(both)) < len(part)))
            if pairs:
                box, tile = (np.concatenate(column) for column in zip(*pairs, strict=True))
                yield part[box], tile - len(part)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """For each edge of each tile the tiles that share area with it and go on behind the edge.

    Fields:
        tiles: `(K,)` rows of tiles, by tile and edge.
        starts: `(4 T + 1,)` where those of an edge begin, at 4 * tile + edge.
        reach: `(T, 4)` float64, how deep in the tile the furthest of them begins; infinite if its own near
            edge is an outermost one.
    """

    tiles: Rows
    starts: Rows
    reach: npt.NDArray[np.float64]

    @classmethod
    def of(cls, edges: Boxes, inner: Mask) -> Neighbours:
        """The neighbours of tiles `(T, 4)`."""
        places, others = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
        reach = np.full(edges.shape, -np.inf)
        for i, j in touching_pairs(edges):
            for tile, other in ((i, j), (j, i)):
                for side in range(4):
                    sign = 1 if side < 2 else -1
                    near = (side + 2) % 4
                    beyond = (edges[other, side] - edges[tile, side]) * sign < 0
                    width = (edges[other, near] - edges[tile, side]) * sign
                    width = np.where(inner[other, near], width, np.inf)[beyond]
                    np.maximum.at(reach[:, side], tile[beyond], width)
                    places.append(4 * tile[beyond] + side)
                    others.append(other[beyond])
        place, found = np.concatenate(places), np.concatenate(others)
        order = np.argsort(place, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=4 * len(edges)))])
        return cls(found[order], starts, reach)

    def pairs(self, asking: Rows, rows: Labels, side: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Pairs (box, tile) of boxes and the neighbours behind one edge of their tile, in pieces by box."""
        place = 4 * rows[asking].astype(np.intp) + side[asking]
        start = self.starts[place]
        count = self.starts[place + 1] - start
        for first, last in pieces(count, _AT_ONCE):
            which, at = spread(start[first:last], count[first:last])
            yield asking[first:last][which], self.tiles[at]


def is_fragment(cut: Mask) -> Mask:
    """Boxes `(N,)` that are cut at a side of `(N, 4)`."""
    return cut[:, 0] | cut[:, 1] | cut[:, 2] | cut[:, 3]


def tolerance(boxes: Boxes) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How near to a tile edge a side counts as cut, `(N,)` in pixels: along x, along y."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.maximum(TOLERANCE_PX, TOLERANCE_SHARE * width), np.maximum(
        TOLERANCE_PX, TOLERANCE_SHARE * height
    )
