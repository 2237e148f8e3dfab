"""`Child`: one worker process, as the process sees it that started it."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO, BinaryIO, cast

from sodslice.errors import SodsliceError
from sodslice.running.messages import GREETING
from sodslice.running.records import Record, next_record
from sodslice.system.starting import python_command, python_environment

log = logging.getLogger("sodslice")

START = "answers = os.dup(1); os.dup2(2, 1); from sodslice.running.worker import main; main(answers)"
"""What a worker runs: what is printed must be out of the way before anything is imported."""

LAST_WORDS = 20
REAP_SECONDS = 5.0
"""So long may a process take to end that said its last word."""

Heard = Callable[[Record | None], None]
"""Told of each message of a worker, and of its end (None), from a thread of its own."""


class Child:
    """A worker process: a direct child, that ends when this process does, however that ends.

    Args:
        heard: told of what it says.

    Raises:
        SodsliceError: no process can be started.
    """

    def __init__(self, heard: Heard) -> None:
        self.greeted = False
        self._heard = heard
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._process = _started()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._listen, self._collect)]
        for thread in self._threads:
            thread.start()

    @property
    def process_id(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.poll()
        if code is None:
            return "ended by us"
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"

    @property
    def last_words(self) -> str:
        """The last line that it printed; "" if it printed none."""
        return self._words[-1] if self._words else ""

    def say(self, message: Record) -> None:
        """Tell it something; one that died is told nothing, its end is heard by itself."""
        with suppress(OSError, ValueError):
            _pipe(self._process.stdin).write(message.encoded())
            _pipe(self._process.stdin).flush()

    def terminate(self) -> None:
        """Ask the system to end it."""
        with suppress(OSError):
            self._process.terminate()

    def bury(self, seconds: float) -> None:
        """Wait for its end, and enforce it after some seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(OSError, ValueError):
            _pipe(self._process.stdin).close()

    def _listen(self) -> None:
        """Hand on what it says, until its end."""
        pipe = _pipe(self._process.stdout)
        while (line := pipe.readline()) and line != GREETING.lstrip():
            self._words.append(_text(line))
        while (message := next_record(pipe)) is not None:
            self.greeted = True
            self._heard(message)
        self._reap()
        self._heard(None)

    def _reap(self) -> None:
        """See it end; one whose words make no sense is ended."""
        try:
            self._process.wait(REAP_SECONDS if self._process.stdin else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._threads[1].join(1.0)  # for its last words
        _pipe(self._process.stdout).close()

    def _collect(self) -> None:
        """Keep the last lines of what it prints."""
        with _pipe(self._process.stderr) as pipe:
            for line in pipe:
                self._words.append(_text(line))
                log.debug("worker %s: %s", self._process.pid, self._words[-1])


def _started() -> subprocess.Popen[bytes]:
    """A new process.

    A subprocess, since forking after engines have started threads hangs, and spawning would run the caller's
    script again.

    Raises:
        SodsliceError: there is none to be had.
    """
    if not sys.executable:
        raise SodsliceError(
            "this Python does not know its own program, so it has no workers; use `workers=1`"
        )
    try:
        return subprocess.Popen(
            python_command(START),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=python_environment(),
            start_new_session=True,  # Ctrl-C is for this process, which ends its workers itself
        )
    except OSError as error:
        raise SodsliceError(f"no worker process can be started: {error.strerror}; use `workers=1`") from None


def _pipe(pipe: IO[bytes] | None) -> BinaryIO:
    return cast(BinaryIO, pipe)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").strip()
