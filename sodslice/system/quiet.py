"""Keeps what native code prints out of the user's sight."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_native_output() -> Iterator[None]:
    """Send the file descriptors of stdout and stderr to the void, as long as it lasts.

    Paddle's C++ prints while it loads a graph, past `sys.stdout`. Errors come as exceptions and are not
    touched. The descriptors are the process's: where other threads are about, which may have something to
    say, they are left alone, and of several that ask for this the last one gives them back.
    """
    away = _OUTPUT.take_away()
    try:
        yield
    finally:
        if away:
            _OUTPUT.give_back()


class _Output:
    """The descriptors of stdout and stderr, and how many want them away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self._kept: list[tuple[int, int]] = []

    def take_away(self) -> bool:
        """Point them to the void; False if they are left alone."""
        with self._lock:
            if not self._asking:
                if _others_about():
                    return False
                self._to_void()
            self._asking += 1
            return True

    def give_back(self) -> None:
        """Point them to where they were, unless others want them away."""
        with self._lock:
            self._asking -= 1
            if not self._asking:
                for number, copy in self._kept:
                    os.dup2(copy, number)
                    os.close(copy)
                self._kept = []

    def _to_void(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        self._kept = [(number, os.dup(number)) for number in (1, 2)]
        with open(os.devnull, "wb") as void:  # noqa: PTH123 -- os.devnull is no path to join
            for number, _ in self._kept:
                os.dup2(void.fileno(), number)


def _others_about() -> bool:
    """Whether there are other threads, but for the one that redraws a bar."""
    here = threading.current_thread()
    return any(
        one is not here and not type(one).__module__.startswith("tqdm") for one in threading.enumerate()
    )


_OUTPUT = _Output()
