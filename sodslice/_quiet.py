"""Keeps what native code prints out of the user's sight."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_native_output() -> Iterator[None]:
    """Send the file descriptors of stdout and stderr to the void, as long as it lasts.

    Paddle's C++ prints while it loads a graph, past `sys.stdout`. Errors come as exceptions and are not
    touched.
    """
    saved = []
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        if stream is not None:
            stream.flush()
        saved.append((number, os.dup(number)))
    with open(os.devnull, "wb") as void:  # noqa: PTH123 -- os.devnull is no path to join
        try:
            for number, _ in saved:
                os.dup2(void.fileno(), number)
            yield
        finally:
            for number, copy in saved:
                os.dup2(copy, number)
                os.close(copy)
