"""`Task`: the tiles of one plan as they are handed out to workers, and given back by those that die."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from sodslice.errors import SodsliceError
from sodslice.running.plan import RunPlan
from sodslice.running.records import Record, deadly_record
from sodslice.tables.tiles import TileIds

PIECE_TILES = 16
"""About as many tiles are handed out at once, and fewer towards the end, so that all workers end together."""

PIECES = 8
"""At least so many pieces make up what a worker has left."""

SUSPECT_FROM = 2
"""Deaths of workers that had begun with a tile, after which it is handed out alone."""

DEADLY_FROM = 2
"""Deaths of workers that had nothing but this tile, after which it is given up."""

MOST_BARREN = 3
"""So often in a row each worker may die before any of them begins with a tile; then the plan is given up."""


class Work(NamedTuple):
    """Tiles that are handed out together: `ids`, and whether nothing else may be under way beside them."""

    ids: TileIds
    alone: bool = False


class Task:
    """The tiles of one plan.

    Each worker has a span of its own of the reading order, so that blocks of the file that neighbouring tiles
    share are decoded by one of them; who has done his own takes half of the longest that is left.

    Args:
        number: of the plan.
        plan: that is carried out.
        ids: `(N,)` tiles to do, in reading order.
        crew: how many workers there are.
    """

    def __init__(self, number: int, plan: RunPlan, ids: TileIds, *, crew: int = 1) -> None:
        self.number = number
        self.plan = plan
        self.left = len(ids)
        """Tiles that nobody has said a word on."""
        self.hands = 0
        """Workers that sit at it."""
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        """What these say: (worker, message), or an error."""
        self.said: set[bytes] = set()
        """Facts that were said before."""
        self._ids = ids
        self._batch = max(1, plan.model.batch)
        self._spans: dict[int, tuple[int, int]] = {}
        self._rest = (0, len(ids))
        self._again: deque[int] = deque()
        self._suspects: deque[int] = deque()
        self._deaths: Counter[int] = Counter()
        self._lone_deaths: Counter[int] = Counter()
        self._barren = 0
        self._most_barren = MOST_BARREN * crew

    @property
    def waiting(self) -> int:
        """Tiles that are in nobody's hands."""
        spans = (self._rest, *self._spans.values())
        return len(self._again) + len(self._suspects) + sum(end - start for start, end in spans)

    @property
    def going(self) -> bool:
        """Whether there is anything to wait for."""
        return self.left > 0 or self.hands > 0

    def take(self, owner: int, *, fresh: bool = False) -> Work | None:
        """Some tiles for a worker; None where there are none, or none for a worker that has others.

        Args:
            owner: number of the worker.
            fresh: whether it has no others.
        """
        if self._again:
            count = min(len(self._again), self._batch)
            return Work(np.array([self._again.popleft() for _ in range(count)], np.int64))
        start, end = self._spans.get(owner, (0, 0))
        if start == end:
            start, end = self._more()
        if start < end:
            cut = min(end, start + self._piece(end - start))
            self._spans[owner] = (cut, end)
            return Work(self._ids[start:cut])
        if self._suspects and fresh:
            return Work(np.array([self._suspects.popleft()], np.int64), alone=True)
        return None

    def begun(self) -> None:
        """A worker began with a tile, so workers can."""
        self._barren = 0

    def give_back(self, held: Mapping[int, bool], *, alone: bool, end: str) -> list[Record]:
        """Take back what a worker had that died.

        Args:
            held: its tiles, and whether it had begun with each.
            alone: whether it was given one tile and nothing else.
            end: how it ended, in words.

        Returns:
            Records of tiles that are given up.

        Raises:
            SodsliceError: workers die before they begin with a tile.
        """
        self._again.extend(tile for tile, began in held.items() if not (began or alone))
        self._suspects.extend(tile for tile, began in held.items() if alone and not began)
        guilty = [tile for tile, began in held.items() if began]
        if not guilty:
            self._barren += 1
            if self._barren == self._most_barren:
                raise SodsliceError(
                    f"{self._barren} worker processes died before they looked at a tile of "
                    f"{self.plan.scene.name} ({end}); try `workers=1` to see more of it"
                )
        given_up = [tile for tile in guilty if self._is_deadly(tile, alone=alone)]
        self.left -= len(given_up)
        return [
            deadly_record(tile, f"{DEADLY_FROM} worker processes died that looked at this tile alone ({end})")
            for tile in given_up
        ]

    def _is_deadly(self, tile: int, *, alone: bool) -> bool:
        """Count a death against a tile; True if it is to be given up, else it is to be handed out again."""
        deaths = self._lone_deaths if alone else self._deaths
        deaths[tile] += 1
        if alone and deaths[tile] >= DEADLY_FROM:
            return True
        (self._suspects if alone or deaths[tile] >= SUSPECT_FROM else self._again).append(tile)
        return False

    def _more(self) -> tuple[int, int]:
        """A new span for a worker whose own is done: what nobody has, or half of the longest."""
        if self._rest[0] < self._rest[1]:
            span, self._rest = self._rest, (0, 0)
            return span
        if not self._spans:
            return 0, 0
        other = max(self._spans, key=lambda one: self._spans[one][1] - self._spans[one][0])
        start, end = self._spans[other]
        cut = start if end - start <= self._batch else end - (end - start) // 2
        self._spans[other] = (start, cut)
        return cut, end

    def _piece(self, left: int) -> int:
        """Tiles to hand out at once: whole batches."""
        wanted = min(PIECE_TILES, left // PIECES)
        return max(1, wanted // self._batch) * self._batch
