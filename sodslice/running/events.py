"""`Events`: how work tells its watcher how it goes, and is told to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sodslice.system.notebook import Bar, in_notebook
from sodslice.system.saying import time_words

log = logging.getLogger(__name__)


class Events:
    """What a run tells its watcher. A terminal, a notebook, a service or a log overrides what it shows.

    By default notes go to the log `sodslice` as warnings, and progress is not shown.
    """

    def progress(self, done: int, total: int) -> None:
        """Tiles that are done, and all tiles.

        Called when batches are done, never twice with the same number; first with what is resumed, if any.
        """

    def note(self, text: str) -> None:
        """Something that the user should know, one sentence; settings in it are spelt as in errors."""
        log.warning("%s", text)

    def cancelled(self) -> bool:
        """Whether to stop after the tiles that are under way; asked after each batch."""
        return False


class ProgressEvents(Events):
    """Events of which a function is told the progress.

    Args:
        show: called with the number of tiles that are done and of all tiles.
    """

    def __init__(self, show: Callable[[int, int], None]) -> None:
        self._show = show

    def progress(self, done: int, total: int) -> None:
        """See `Events`."""
        self._show(done, total)


class BarEvents(Events):
    """Events of which a bar of a notebook shows the progress.

    Args:
        bar: that is moved.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._first: tuple[float, int] | None = None

    def progress(self, done: int, total: int) -> None:
        """See `Events`; how long it will take is known from the second time on."""
        now = time.monotonic()
        began, before = self._first = self._first or (now, done)
        left = ""
        if done > before:
            left = f", about {time_words((now - began) * (total - done) / (done - before))}"
        self._bar.move(done / total, f"{done} of {total} tiles", left)


@contextmanager
def watching(events: Events | None) -> Iterator[Events]:
    """The events that were given; where there are none, a notebook has a bar as long as it lasts."""
    if events is not None or not in_notebook():
        yield events or Events()
        return
    with Bar() as bar:
        yield BarEvents(bar)
