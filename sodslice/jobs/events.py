"""`JobEvents`: how a job tells its watcher how it goes, also from several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sodslice.running import Events
from sodslice.system.notebook import Bar, in_notebook
from sodslice.system.saying import pixels_words, time_words


@dataclass(frozen=True)
class JobProgress:
    """How far a job has come.

    Args:
        scenes: how many there are; None where they come one by one.
        settled: of them, those that are done, failed or skipped.
        pixels: of all scenes together; None as long as that is not known.
        seen: pixels of those that are settled, and of the tiles that are done of others.
        skipped: pixels of those that were skipped.
    """

    scenes: int | None
    settled: int = 0
    pixels: int | None = None
    seen: int = 0
    skipped: int = 0


class JobEvents(Events):
    """What a job tells its watcher, beside what each run tells.

    It is told one thing at a time. Where scenes are done side by side, progress counts the tiles of all that
    are under way.
    """

    wants_pixels = False
    """Whether to find out ahead how many pixels all scenes have, which opens each of them."""

    def scene(self, path: Path, number: int, total: int | None) -> None:
        """A scene is begun: its path, its number from 1 on, and how many there are, if that is known."""

    def job(self, progress: JobProgress) -> None:
        """How far the job has come; after each scene, and while scenes are done."""


class JobBarEvents(JobEvents):
    """Events of which a bar of a notebook shows how far the job has come.

    Args:
        bar: that is moved.
    """

    wants_pixels = True

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._began = time.monotonic()

    def job(self, progress: JobProgress) -> None:
        """See `JobEvents`."""
        left = _left_words(progress, time.monotonic() - self._began)
        self._bar.move(share_of(progress), _done_words(progress), left)


@contextmanager
def watching(events: JobEvents | None) -> Iterator[JobEvents]:
    """The events that were given; where there are none, a notebook has a bar as long as it lasts."""
    if events is not None or not in_notebook():
        yield events or JobEvents()
        return
    with Bar() as bar:
        yield JobBarEvents(bar)


def share_of(progress: JobProgress) -> float:
    """How much of a job is settled, from 0 to 1: by pixels where they are known, else by images."""
    if progress.pixels:
        return min(1.0, progress.seen / progress.pixels)
    return progress.settled / progress.scenes if progress.scenes else 0.0


def progress_words(progress: JobProgress, seconds: float) -> str:
    """How far a job has come, and how long it will take.

    Args:
        progress: of the job.
        seconds: since it was begun.
    """
    return f"{_done_words(progress)}{_left_words(progress, seconds)}"


def _done_words(progress: JobProgress) -> str:
    of = "" if progress.scenes is None else f" of {progress.scenes}"
    return f"{progress.settled}{of} images, {pixels_words(progress.seen, progress.pixels)}"


def _left_words(progress: JobProgress, seconds: float) -> str:
    worked = progress.seen - progress.skipped
    if not progress.pixels or worked <= 0:
        return ""
    return f", about {time_words(seconds * max(0, progress.pixels - progress.seen) / worked)}"


class JobWatcher(JobEvents):
    """A watcher who hears one thing at a time, and each note once, however many scenes it is about.

    Outputs have all of their notes.

    Args:
        events: what is told.
        scenes: how many there are; None where nobody knows.
    """

    def __init__(self, events: JobEvents, scenes: int | None = None) -> None:
        self._events = events
        self._said: set[str] = set()
        self._under_way: dict[int, _UnderWay] = {}
        self._settled = JobProgress(scenes)
        self._stopped = False
        self._telling = threading.RLock()

    def scene(self, path: Path, number: int, total: int | None) -> None:
        """See `JobEvents`."""
        with self._telling:
            self._events.scene(path, number, total)

    def note(self, text: str) -> None:
        """See `Events`."""
        with self._telling:
            if text not in self._said:
                self._said.add(text)
                self._events.note(text)

    def cancelled(self) -> bool:
        """See `Events`; also when the job has ended, whoever ended it."""
        with self._telling:
            return self._stopped or self._events.cancelled()

    def stop(self) -> None:
        """Have all that is under way end soon."""
        self._stopped = True

    def pixels(self, total: int) -> None:
        """That all scenes have so many pixels."""
        with self._telling:
            self._settled = replace(self._settled, pixels=total)
            if not self._stopped:
                self._tell_job()

    def of_scene(self, number: int) -> SceneEvents:
        """Events of one of several scenes that are done side by side."""
        return SceneEvents(self, number)

    def opened(self, number: int, pixels: int) -> None:
        """A scene has so many pixels."""
        with self._telling:
            self._under_way[number] = _UnderWay(pixels)

    def together(self, number: int, done: int, total: int) -> None:
        """Tiles of one scene that are done, told as those of all that are under way."""
        with self._telling:
            before = self._under_way.get(number, _UnderWay())
            self._under_way[number] = replace(before, done=done, total=total)
            every = self._under_way.values()
            self._events.progress(sum(one.done for one in every), sum(one.total for one in every))
            self._tell_job()

    def settled(self, number: int, *, skipped: bool) -> None:
        """A scene is settled: it was done, or failed; or it was done before, or belongs to others."""
        with self._telling:
            pixels = self._under_way.pop(number, _UnderWay()).pixels
            now = self._settled
            self._settled = replace(
                now, settled=now.settled + 1, seen=now.seen + pixels, skipped=now.skipped + pixels * skipped
            )
            self._tell_job()

    def _tell_job(self) -> None:
        seen = sum(one.pixels * one.done // one.total for one in self._under_way.values())
        self._events.job(replace(self._settled, seen=self._settled.seen + seen))


@dataclass(frozen=True)
class _UnderWay:
    """A scene: its `pixels`, its tiles that are `done`, and the `total`."""

    pixels: int = 0
    done: int = 0
    total: int = 1


class SceneEvents(Events):
    """What one of several scenes tells.

    Args:
        watcher: of the job.
        number: of the scene, from 1 on.
    """

    def __init__(self, watcher: JobWatcher, number: int) -> None:
        self.number = number
        self._watcher = watcher

    def opened(self, pixels: int) -> None:
        """The scene is open, and has so many pixels."""
        self._watcher.opened(self.number, pixels)

    def progress(self, done: int, total: int) -> None:
        """See `Events`."""
        self._watcher.together(self.number, done, total)

    def note(self, text: str) -> None:
        """See `Events`."""
        self._watcher.note(text)

    def cancelled(self) -> bool:
        """See `Events`."""
        return self._watcher.cancelled()
