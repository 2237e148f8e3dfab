"""The command line within the tests' own process: as quick as the work that it does.

Tests that are about processes (signals, closed streams, limits on memory, what is imported) start one.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple, TextIO

from sodslice.cli import main

UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings that Python shows nobody."""


class Done(NamedTuple):
    """How a command line ended, and all that it and the libraries below it said."""

    returncode: int
    stdout: str
    stderr: str


def sodslice(*arguments: object, cwd: Path) -> Done:
    """Run the command line in a folder."""
    with _in_folder(cwd), _process_put_back(), _seen_warnings() as warned, _streams() as (out, err):
        try:
            main([*map(str, arguments)])
        except SystemExit as end:
            code = end.code
    said = "".join(f"{one.category.__name__}: {one.message}\n" for one in warned)
    return Done(int(code or 0), _content(out), _content(err) + said)


def _content(file: TextIO) -> str:
    with file:
        file.seek(0)
        return file.read()


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _process_put_back() -> Iterator[None]:
    """What the command line changes of its process: handlers of the log and of SIGTERM."""
    logger, handler = logging.getLogger("sodslice"), signal.getsignal(signal.SIGTERM)
    before = logger.handlers[:], logger.propagate, logger.level
    try:
        yield
    finally:
        logger.handlers[:], logger.propagate, logger.level = before
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _seen_warnings() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        for category in UNSEEN:
            warnings.simplefilter("ignore", category)
        yield warned


@contextmanager
def _streams() -> Iterator[tuple[TextIO, TextIO]]:
    """Files for stdout and stderr, those of native code too."""
    before = sys.stdout, sys.stderr
    with ExitStack() as kept:
        files = []
        for number, stream in enumerate(before, start=1):
            stream.flush()
            file = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 -- read and closed by the caller
            copy = os.dup(number)
            kept.callback(os.close, copy)
            kept.callback(os.dup2, copy, number)
            os.dup2(file.fileno(), number)
            files.append(file)
        sys.stdout, sys.stderr = (
            kept.enter_context(open(number, "w", encoding="utf-8", buffering=1, closefd=False))
            for number in (1, 2)
        )
        try:
            yield files[0], files[1]
        finally:
            sys.stdout, sys.stderr = before
