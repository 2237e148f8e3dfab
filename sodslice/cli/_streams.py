"""Standard streams that never stop the work: closed ones, full disks, readers that went away."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class _Unfailing(io.RawIOBase):
    """A stream that keeps its first error and drops what comes after it.

    Args:
        raw: where bytes go; it is not closed.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The stream's own."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._raw.isatty()

    def write(self, data: Any) -> int | None:
        """Write, or drop."""
        if self.error is None:
            try:
                return self._raw.write(data)
            except OSError as error:
                self.error = error
        return len(data)


@contextmanager
def unfailing_streams() -> Iterator[Callable[[], OSError | None]]:
    """Keep stdout and stderr from raising, as long as it lasts: results count, not what is said of them.

    Yields:
        A function that tells why something that was said on stdout is not there; None where all is, and where
        nobody reads it.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    (sys.stdout, out), (sys.stderr, _) = map(_unfailing, before)

    def lost() -> OSError | None:
        sys.stdout.flush()
        error = None if out is None else out.error
        return None if isinstance(error, BrokenPipeError) else error

    try:
        yield lost
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _unfailing(stream: TextIO) -> tuple[TextIO, _Unfailing | None]:
    """A text stream to the same file; the stream itself where there is no file behind it."""
    try:
        stream.fileno()
        stream.flush()
        buffer: Any = stream.buffer
    except (OSError, AttributeError):
        return stream, None
    raw = _Unfailing(getattr(buffer, "raw", buffer))
    lines = getattr(stream, "line_buffering", True) or getattr(stream, "write_through", False)
    text = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=lines
    )
    return text, raw


def _open_closed() -> None:
    """Point standard streams that are closed to the void.

    Otherwise the next file that is opened would take the place of one, and get what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 -- takes no keyword
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 -- for good
