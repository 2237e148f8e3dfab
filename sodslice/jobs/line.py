"""Outcomes of scenes that are done side by side, in the order of the scenes."""

from __future__ import annotations

import logging
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from sodslice.errors import HeldError, OutputError
from sodslice.jobs.listing import JobScene
from sodslice.jobs.outcomes import Outcome

log = logging.getLogger(__name__)

PAUSE_S = 0.5
"""Between two looks at scenes that another process is at."""

HELD_RESULTS = 16
"""Results that wait in memory for those before them; more wait on the disk."""

Doing = Callable[[int, JobScene], Outcome | None]
"""Does a scene, of that number from 1 on, from a thread; None of a scene that is none of ours."""


def in_order(
    scenes: Iterator[JobScene], do: Doing, *, at_once: int, stop: Callable[[], None]
) -> Iterator[Outcome]:
    """Outcomes in the order of the scenes, however long each takes.

    Scenes that another process is at are tried again when there is nothing else to do.

    Args:
        scenes: as they come.
        do: does one of them.
        at_once: so many are under way.
        stop: called at the end, however it comes: what is under way then is to end soon.

    Raises:
        SodsliceError: whatever `do` raises; what is under way has ended then.
    """
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(at_once, thread_name_prefix="sodslice-scene"))
        kept = stack.enter_context(closing(_Kept()))
        stack.callback(stop)
        line = _Line(enumerate(scenes, start=1), do, pool)
        number = 1
        while line.advance(at_once):
            for place, outcome in line.arrived():
                kept.put(place, outcome)
            while number in kept:
                outcome = kept.take(number)
                number += 1
                if outcome is not None:
                    yield outcome


class _Line:
    """Scenes that wait, that are under way, and that others are at."""

    def __init__(self, coming: Iterator[tuple[int, JobScene]], do: Doing, pool: ThreadPoolExecutor) -> None:
        self._coming = coming
        self._do = do
        self._pool = pool
        self._under_way: dict[Future[Outcome | None], tuple[int, JobScene]] = {}
        self._held: deque[tuple[int, JobScene]] = deque()
        self._tried = 0.0
        self._holder = ""
        self._waiting_said = False

    def advance(self, at_once: int) -> bool:
        """Begin with scenes as there is room; False when all are done."""
        for number, scene in islice(self._coming, at_once - len(self._under_way)):
            self._begin(number, scene)
        room = at_once - len(self._under_way)
        if self._held and room and time.monotonic() - self._tried > PAUSE_S:
            self._tried = time.monotonic()
            for _ in range(min(room, len(self._held))):
                self._begin(*self._held.popleft())
        return bool(self._under_way or self._held)

    def arrived(self) -> Iterator[tuple[int, Outcome | None]]:
        """Numbers and outcomes of scenes that are done since, if only after a while."""
        if not self._under_way:
            self._say_waiting()
            time.sleep(PAUSE_S / 4)
        done, _ = wait(self._under_way, PAUSE_S, FIRST_COMPLETED)
        for future in done:
            number, scene = self._under_way.pop(future)
            try:
                yield number, future.result()
            except HeldError as error:
                self._held.append((number, scene))
                self._holder = str(error)

    def _say_waiting(self) -> None:
        """Say once that all that is left is in the hands of others."""
        if self._held and not self._waiting_said:
            self._waiting_said = True
            log.warning("waiting for %d scenes that others are at: %s", len(self._held), self._holder)

    def _begin(self, number: int, scene: JobScene) -> None:
        self._under_way[self._pool.submit(self._do, number, scene)] = number, scene


class _Kept:
    """Outcomes that wait for those before them: a few in memory, more of them on the disk."""

    def __init__(self) -> None:
        self._here: dict[int, Outcome | None] = {}
        self._away: dict[int, Path] = {}
        self._results = 0
        self._folder: TemporaryDirectory[str] | None = None

    def __contains__(self, number: int) -> bool:
        return number in self._here

    def put(self, number: int, outcome: Outcome | None) -> None:
        """Keep an outcome."""
        if outcome is not None and outcome.result is not None:
            self._results += 1
        if outcome is not None and outcome.result is not None and self._results > HELD_RESULTS:
            try:
                path = self._place(number)
                path.write_bytes(pickle.dumps(outcome.result, protocol=pickle.HIGHEST_PROTOCOL))
            except OSError as error:
                raise OutputError(
                    f"results that wait for earlier ones cannot be kept in {gettempdir()}: {error.strerror}; "
                    "make room there, or set TMPDIR"
                ) from None
            self._away[number], outcome = path, replace(outcome, result=None)
            self._results -= 1
        self._here[number] = outcome

    def _place(self, number: int) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="sodslice-")
        return Path(self._folder.name) / str(number)

    def take(self, number: int) -> Outcome | None:
        """Give an outcome away."""
        outcome, path = self._here.pop(number), self._away.pop(number, None)
        if outcome is None or path is None:
            self._results -= outcome is not None and outcome.result is not None
            return outcome
        result = pickle.loads(path.read_bytes())
        path.unlink()
        return replace(outcome, result=result)

    def close(self) -> None:
        """Forget what waits."""
        if self._folder is not None:
            self._folder.cleanup()
