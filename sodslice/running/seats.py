"""`Seat`: what is known of a worker: what it sits at, and what it was given."""

from __future__ import annotations

from collections.abc import Sequence

from sodslice.running.child import Child
from sodslice.running.records import Record
from sodslice.running.tasks import Task

SETTLES = frozenset((b"TILE", b"NONE", b"FAIL"))


class Seat:
    """What is known of a worker.

    Args:
        number: of the worker, from 0; one that takes the place of another has its number.
    """

    child: Child

    def __init__(self, number: int) -> None:
        self.number = number
        self.idle = False
        self.task: Task | None = None
        self.sitting = 0
        """How many times it sat down to a task."""
        self.held: dict[int, bool] = {}
        """Tiles that it was given and has said nothing of, and whether it has begun with each."""
        self.alone = False
        """Whether it was given one tile and is given no more beside it."""
        self.plans: set[int] = set()
        """Numbers of the plans that it has."""


def noted(task: Task, seat: Seat, records: Sequence[Record]) -> list[Record]:
    """Records as they came, but for facts that are known."""
    for record in records:
        if record.kind in SETTLES and seat.held.pop(record.tile_id, None) is not None:
            task.left -= 1
    fresh = [record for record in records if record.kind != b"FACT" or record.payload not in task.said]
    task.said.update(record.payload for record in fresh if record.kind == b"FACT")
    return fresh
