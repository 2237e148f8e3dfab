"""`JobEvents`: how a job tells its watcher how it goes, also from several threads."""

from __future__ import annotations

import threading
from pathlib import Path

from sodslice.running import Events


class JobEvents(Events):
    """What a job tells its watcher, beside what each run tells.

    It is told one thing at a time. Where scenes are done side by side, progress counts the tiles of all that
    were begun.
    """

    def scene(self, path: Path, number: int, total: int) -> None:
        """A scene is begun: its path, its number from 1 on, and how many there are."""


class JobWatcher(JobEvents):
    """A watcher who hears one thing at a time, and each note once, however many scenes it is about.

    Outputs have all of their notes.

    Args:
        events: what is told.
    """

    def __init__(self, events: JobEvents) -> None:
        self._events = events
        self._said: set[str] = set()
        self._counts: dict[int, tuple[int, int]] = {}
        self._telling = threading.Lock()

    def scene(self, path: Path, number: int, total: int) -> None:
        """See `JobEvents`."""
        with self._telling:
            self._events.scene(path, number, total)

    def progress(self, done: int, total: int) -> None:
        """See `Events`."""
        with self._telling:
            self._events.progress(done, total)

    def note(self, text: str) -> None:
        """See `Events`."""
        with self._telling:
            if text not in self._said:
                self._said.add(text)
                self._events.note(text)

    def cancelled(self) -> bool:
        """See `Events`."""
        with self._telling:
            return self._events.cancelled()

    def of_scene(self, number: int) -> Events:
        """Events of one of several scenes that are done side by side."""
        return _SceneEvents(self, number)

    def together(self, number: int, done: int, total: int) -> None:
        """Tiles of one scene that are done, told as those of all that were begun."""
        with self._telling:
            self._counts[number] = (done, total)
            self._events.progress(*(sum(column) for column in zip(*self._counts.values(), strict=True)))


class _SceneEvents(Events):
    """What one of several scenes tells.

    Args:
        watcher: of the job.
        number: of the scene.
    """

    def __init__(self, watcher: JobWatcher, number: int) -> None:
        self._watcher = watcher
        self._number = number

    def progress(self, done: int, total: int) -> None:
        """See `Events`."""
        self._watcher.together(self._number, done, total)

    def note(self, text: str) -> None:
        """See `Events`."""
        self._watcher.note(text)

    def cancelled(self) -> bool:
        """See `Events`."""
        return self._watcher.cancelled()
