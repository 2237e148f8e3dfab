"""What a process and its workers say to each other: records over pipes, in the layout of the raw store.

To a worker:

    PLAN   number of a plan, and the plan, pickled
    WORK   number of a plan: ids of some of its tiles, int64
    OVER   there is no more work for now: finish what is under way
    STOP   number of a sitting: drop what is left of it
    DROP   number of a plan that is done with

From a worker:

    HELO   it is ready
    NEXT   it has begun with the last work that it has
    READ   id of a tile that is about to be read
    SEEN   records of the raw store
    SAID   JSON: a line for the log
    OOPS   JSON: the error at which it gave up; it waits for STOP
    OVER   it has done, or dropped, all that it was given

A sitting is all work of one plan from one WORK until OVER; a worker and the process that started it count
them from 1 on.
"""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sodslice import errors
from sodslice.errors import SodsliceError
from sodslice.running.plan import RunPlan
from sodslice.running.records import Record, json_record, next_record
from sodslice.tables.tiles import TileIds

GREETING = b"\nsodslice worker\n"
"""What a worker says first: whatever was printed before it is noise."""


class RemoteError(Exception):
    """Where in a worker an error came from: its traceback, as the cause of the error here."""

    def __str__(self) -> str:
        return f"in a worker process\n\n{self.args[0]}"


def plan_message(number: int, plan: RunPlan) -> Record:
    """A plan, under a number."""
    return Record(b"PLAN", number, pickle.dumps(plan, protocol=pickle.HIGHEST_PROTOCOL))


def plan_in(message: Record) -> RunPlan:
    """The plan of a message of this process's own parent."""
    plan: RunPlan = pickle.loads(message.payload)
    return plan


def work_message(number: int, ids: TileIds) -> Record:
    """Tiles of the plan of that number."""
    return Record(b"WORK", number, ids.astype("<i8").tobytes())


def work_in(message: Record) -> TileIds:
    """Ids `(N,)` of the tiles of a message."""
    return np.frombuffer(message.payload, "<i8").astype(np.int64)


def seen_message(records: Iterable[Record]) -> Record:
    """Records of the raw store that belong together."""
    return Record(b"SEEN", 0, b"".join(record.encoded() for record in records))


def seen_in(message: Record) -> Sequence[Record]:
    """The records of a message."""
    content, records = io.BytesIO(message.payload), list[Record]()
    while (record := next_record(content)) is not None:
        records.append(record)
    return records


def error_message(error: BaseException) -> Record:
    """An error at which a worker gave up."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return json_record(b"OOPS", {"kinds": kinds, "text": str(error), "trace": trace})


def error_in(message: Record) -> Exception:
    """The error of a message, of the class that it had, if it is one that sodslice raises on purpose."""
    content = message.content
    error = _of_its_class(content["kinds"], content["text"])
    error.__cause__ = RemoteError(content["trace"])
    return error


def _of_its_class(kinds: Sequence[str], text: str) -> Exception:
    if "MemoryError" in kinds:
        return MemoryError(text)
    for name in kinds:
        kind: Any = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, SodsliceError):
            return kind(text)
    return SodsliceError(f"a worker process failed: {kinds[0]}: {' '.join(text.split())}")
