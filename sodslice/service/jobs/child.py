"""A process that does one thing for a job, and says on stderr how it goes: a line of JSON an event.

What it is told is a JSON, with paths: `{"do": "run", "lock", "scene", "options", "result"}`, or
`{"do": "report", "result", "scene", "page"}`. stdin is a pipe from the service: when it ends, however the
service ended, so does this process, as by SIGTERM, and the journal of the run has all that was seen. The lock
keeps a process of the next service waiting while this one is still at it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from sodslice.errors import SodsliceError
from sodslice.running import Events
from sodslice.system.locks import alone

FAILED, SOME_TILES_FAILED, TERMINATED = 1, 3, 143
PIECE = 4096
TOLD_S = 0.2
"""Progress is told at most so often."""


def main(task: Mapping[str, str]) -> int:
    """Do a task; its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_end_with_service, daemon=True).start()
    logging.getLogger("sodslice").handlers[:] = [_Notes(logging.WARNING)]
    try:
        return DOES[task["do"]](task)
    except SodsliceError as error:
        tell("error", text=" ".join(str(error).split()))
    except MemoryError:
        tell("error", text="there is not enough memory; take a smaller `tile`")
    return FAILED


def tell(event: str, **facts: Any) -> None:
    """Say what has happened."""
    sys.stderr.write(json.dumps({"event": event, **facts}, default=str) + "\n")
    sys.stderr.flush()


class Told(Events):
    """Events of a run, as lines; notes come by the log."""

    def __init__(self) -> None:
        self._told = 0.0

    def progress(self, done: int, total: int) -> None:
        """See `Events`."""
        now = time.monotonic()
        if now - self._told > TOLD_S or done == total:
            self._told = now
            tell("progress", tiles_done=done, tiles=total)


class _Notes(logging.Handler):
    """What the library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        tell("note", text=" ".join(record.getMessage().split()))


def _run(task: Mapping[str, str]) -> int:
    from sodslice.running import run
    from sodslice.settings import load_options

    with alone(Path(task["lock"])):
        options = load_options(Path(task["options"]))
        result = run(task["scene"], options=options, output=task["result"], events=Told())
    counts, classes = result.provenance.counts, Counter(result.labels)
    tell(
        "done",
        objects=len(result),
        classes=dict(classes.most_common()),
        tiles=counts.tiles,
        failed=counts.failed,
    )
    return SOME_TILES_FAILED if counts.failed else 0


def _report(task: Mapping[str, str]) -> int:
    from sodslice.report.page import write_report
    from sodslice.results import load_result

    write_report(load_result(task["result"]), task["page"], scene=task["scene"])
    return 0


DOES: Mapping[str, Callable[[Mapping[str, str]], int]] = {"run": _run, "report": _report}


def _end_with_service() -> None:
    while os.read(0, PIECE):  # of the descriptor: sys.stdin would be locked when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)
