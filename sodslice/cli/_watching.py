"""What a terminal, or a log, is told of work under way: bars, or JSON lines."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import in_flags

if TYPE_CHECKING:
    from pathlib import Path

    from sodslice.jobs import JobEvents, JobProgress

LOG_SECONDS = 10.0
"""At most so often the log says how far the work has come; in the first minute more often."""
FIRST_MINUTE, OFTEN_SECONDS = 60.0, 1.0


@contextmanager
def watching(*, quiet: bool, as_json: bool = False) -> Iterator[JobEvents]:
    """Events of a run or of a job, for stderr: JSON lines, bars on a terminal, or nothing but notes."""
    from sodslice.jobs import JobEvents

    if as_json:
        yield _json_events()
    elif quiet or sys.stderr is None or not sys.stderr.isatty():
        yield JobEvents()
    else:
        with _bars() as events:
            yield events


def log_event(event: str, **facts: Any) -> None:
    """One line of JSON on stderr: when, what, and its facts."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "event": event, **facts}, ensure_ascii=False, default=str)
    click.echo(line.encode("utf-8", "backslashreplace"), err=True)


class JsonLines(logging.Handler):
    """What the library logs, as JSON lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        level = "note" if record.levelno == logging.WARNING else record.levelname.lower()
        log_event(level, text=in_flags(record.getMessage()))


def log_as_json() -> None:
    """Have the library's log be JSON lines from now on."""
    logging.getLogger("sodslice").handlers[:] = [JsonLines()]


def _json_events() -> JobEvents:
    from sodslice.jobs import JobEvents

    class Told(JobEvents):
        """Scenes that are begun, and now and then how far the work has come."""

        wants_pixels = True

        def __init__(self) -> None:
            self._began = self._said = time.monotonic()
            self._jobs = False

        def scene(self, path: Path, number: int, total: int | None) -> None:
            """See `JobEvents`."""
            self._jobs = True
            log_event("scene", path=str(path), number=number, total=total)

        def job(self, progress: JobProgress) -> None:
            """See `JobEvents`."""
            self._jobs = True
            last = progress.settled == progress.scenes
            self._tell({k: v for k, v in vars(progress).items() if v is not None}, last=last)

        def progress(self, done: int, total: int) -> None:
            """See `Events`; of a job all images together are told."""
            if not self._jobs:
                self._tell({"tiles_done": done, "tiles": total}, last=done == total)

        def _tell(self, facts: dict[str, Any], *, last: bool) -> None:
            now = time.monotonic()
            gap = OFTEN_SECONDS if now - self._began < FIRST_MINUTE else LOG_SECONDS
            if last or now - self._said > gap:
                self._said = now
                log_event("progress", **facts)

    return Told()


@contextmanager
def _bars() -> Iterator[JobEvents]:
    """Two bars: over all images and their pixels, where there are several, and over the tiles under way."""
    from tqdm import tqdm

    from sodslice.jobs import JobEvents, JobProgress
    from sodslice.jobs.events import progress_words, share_of

    class Shown(JobEvents):
        """See `JobEvents`."""

        wants_pixels = True

        def __init__(self) -> None:
            self._began = time.monotonic()
            self._whole: Any = None
            self._tiles: Any = None

        def scene(self, path: Path, number: int, total: int | None) -> None:
            """See `JobEvents`."""
            if number == 1:
                self.job(JobProgress(total))
            self._bar().set_description_str(path.name)

        def job(self, progress: JobProgress) -> None:
            """See `JobEvents`."""
            if self._whole is None:
                self._whole = tqdm(total=1, bar_format="{desc} |{bar}|", dynamic_ncols=True, leave=False)
            self._whole.set_description_str(
                progress_words(progress, time.monotonic() - self._began), refresh=False
            )
            self._whole.n = share_of(progress)
            self._whole.refresh()

        def progress(self, done: int, total: int) -> None:
            """See `Events`."""
            bar = self._bar()
            bar.total, bar.n = total, done
            bar.refresh()

        def close(self) -> None:
            """Take the bars off the screen."""
            for bar in filter(None, (self._tiles, self._whole)):
                bar.close()

        def _bar(self) -> Any:
            if self._tiles is None:
                several = "{desc}: {n_fmt} of {total_fmt} tiles |{bar}|"
                form: dict[str, Any] = {} if self._whole is None else {"bar_format": several}
                self._tiles = tqdm(unit="tile", dynamic_ncols=True, leave=False, **form)
            return self._tiles

    shown = Shown()
    try:
        yield shown
    finally:
        shown.close()
