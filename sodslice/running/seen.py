"""`Seen`: all that the tiles of a plan gave, as a few columns, however many tiles there are."""

from __future__ import annotations

from typing import Any

import numpy as np

from sodslice.errors import StoreError
from sodslice.running.records import Record, unpacked, whole_from
from sodslice.tables.boxes import area
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import Grid, TileIds

UNKNOWN, READ, EMPTY, FAILED = range(4)
"""What is known of a tile: nothing, its boxes, that it holds no data, that it cannot be read."""


class Seen:
    """What was seen in the tiles of a grid, in the order in which it came.

    The first word on a tile counts, but for a failure: who tries again may succeed.

    Args:
        tiles: how many the grid has.
    """

    def __init__(self, tiles: int) -> None:
        self.states = np.zeros(tiles, np.uint8)
        self.whole_from = np.zeros(tiles, np.float32)
        """Of each tile, the score from which on its boxes are all that the model would give."""
        self.failures: dict[int, str] = {}
        self.deadly: set[int] = set()
        """Tiles that failed since processes died at them."""
        self.under_way: set[int] = set()
        self.facts: dict[str, list[Any]] = {}
        """What those who looked at the pixels said, by name; several values where they differ."""
        self.last: dict[str, Any] | None = None
        self._boxes, self._scores, self._labels, self._tiles = (bytearray() for _ in range(4))
        self._counts = np.zeros(4, np.int64)
        self._counts[UNKNOWN] = tiles

    def take(self, record: Record) -> None:
        """Add a record.

        Raises:
            StoreError: it is about no tile of the grid.
        """
        taker = _TAKERS.get(record.kind)
        if taker is None:
            return
        if record.tile_id >= len(self.states):
            raise StoreError(
                f"a record is about the tile {record.tile_id}, of {len(self.states)} tiles; "
                "the raw store is of another grid"
            )
        taker(self, record)

    def count(self, state: int) -> int:
        """How many tiles are in a state."""
        return int(self._counts[state])

    @property
    def settled(self) -> int:
        """Tiles that need no more work."""
        return self.count(READ) + self.count(EMPTY)

    def open_tiles(self, ids: TileIds) -> TileIds:
        """Those of some tiles of which nothing is known, or that could not be read."""
        return ids[np.isin(self.states[ids], (UNKNOWN, FAILED))]

    def reopen(self, ids: TileIds) -> TileIds:
        """The open ones of some tiles, to be done: that some of them could not be read is forgotten."""
        todo = self.open_tiles(ids)
        for tile_id in todo[self.states[todo] == FAILED].tolist():
            self._put(tile_id, UNKNOWN)
        return todo

    def found(self) -> Detections:
        """All rows as the tiles reported them, in tile pixels."""
        boxes = np.frombuffer(self._boxes, "<f4").reshape(-1, 4)
        scores, labels = np.frombuffer(self._scores, "<f4"), np.frombuffer(self._labels, "<u2")
        return Detections(boxes, scores, labels, np.frombuffer(self._tiles, "<u4"))

    def on_grid(self, grid: Grid) -> Detections:
        """All boxes in the pixels of the grid, unmerged; empty ones are no objects."""
        found = self.found()
        found = found[area(found.boxes) > 0]
        corners = grid.corners(found.tile_ids.astype(np.int64))
        boxes = found.boxes + np.tile(corners, 2)
        return Detections(boxes, found.scores, found.labels, found.tile_ids)

    def forget_boxes(self) -> None:
        """Hold the boxes no more, only what is known of the tiles."""
        self._boxes, self._scores, self._labels, self._tiles = (bytearray() for _ in range(4))

    def cut_short(self, lowest: float) -> int:
        """Tiles in which boxes of at least `lowest` may be missing, since the model stopped there."""
        read = self.states == READ
        return int(np.count_nonzero(read & (self.whole_from > np.float32(lowest))))

    def _settle(self, tile_id: int, state: int) -> bool:
        """Note the state of a tile; False where it was settled before."""
        self.under_way.discard(tile_id)
        if self.states[tile_id] in (READ, EMPTY):
            return False
        self._put(tile_id, state)
        return True

    def _put(self, tile_id: int, state: int) -> None:
        self._counts[self.states[tile_id]] -= 1
        self._counts[state] += 1
        self.states[tile_id] = state
        self.failures.pop(tile_id, None)
        self.deadly.discard(tile_id)

    def _take_tile(self, record: Record) -> None:
        if not self._settle(record.tile_id, READ):
            return
        boxes, scores, labels = unpacked(record.payload)
        self._boxes += boxes.tobytes()
        self._scores += scores.tobytes()
        self._labels += labels.tobytes()
        self._tiles += np.full(len(boxes), record.tile_id, "<u4").tobytes()

    def _take_full(self, record: Record) -> None:
        """May come after the boxes that it is about; of a tile that has both, it is about others' boxes."""
        tile_id = record.tile_id
        if self.states[tile_id] != READ or not self.whole_from[tile_id]:
            self.whole_from[tile_id] = whole_from(record.payload)

    def _take_empty(self, record: Record) -> None:
        self._settle(record.tile_id, EMPTY)

    def _take_failure(self, record: Record) -> None:
        if self._settle(record.tile_id, FAILED):
            self.failures[record.tile_id] = record.payload.decode()

    def _take_death(self, record: Record) -> None:
        if self._settle(record.tile_id, FAILED):
            self.failures[record.tile_id] = record.payload.decode()
            self.deadly.add(record.tile_id)

    def _take_reading(self, record: Record) -> None:
        self.under_way.add(record.tile_id)

    def _take_facts(self, record: Record) -> None:
        for name, value in record.content.items():
            said = self.facts.setdefault(name, [])
            if value not in said:
                said.append(value)

    def _take_last(self, record: Record) -> None:
        self.last = record.content


_TAKERS = {
    b"TILE": Seen._take_tile,
    b"FULL": Seen._take_full,
    b"NONE": Seen._take_empty,
    b"FAIL": Seen._take_failure,
    b"DEAD": Seen._take_death,
    b"READ": Seen._take_reading,
    b"FACT": Seen._take_facts,
    b"LAST": Seen._take_last,
}
