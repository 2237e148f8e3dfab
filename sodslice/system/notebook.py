"""`Bar`: what a notebook shows while work is under way."""

from __future__ import annotations

import html
import os
import sys
import time
from importlib import import_module
from types import TracebackType
from typing import Any
from uuid import uuid4

SHOWN_AFTER_S = 1.0
"""Work that takes less time shows nothing."""
REDRAWN_S = 0.2
CHARACTERS = 30
"""Length of a bar of text."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; a script, a test and a terminal are not."""
    return _kernel_shell() is not None


class Bar:
    """A bar below the cell that is running.

    It is gone when the work is done; words are left where that was broken off. No widgets are needed: pages
    show HTML, all others a line of text. Bars that a cell shows one after another have one place. Any thread
    may move it, one at a time.
    """

    def __init__(self) -> None:
        self._drawn = time.monotonic()
        self._place: _Place | None = None
        self._words = ""

    def move(self, share: float, words: str, left: str = "") -> None:
        """Show how far the work has come, if it is time to.

        Args:
            share: that is done, 0 to 1.
            words: beside the bar.
            left: how long it will take; after the words as long as the work is under way.
        """
        now, self._words = time.monotonic(), words
        if share < 1 and now - self._drawn > (SHOWN_AFTER_S if self._place is None else REDRAWN_S):
            self._drawn = now
            self._place = self._place or _PLACES.take()
            self._place.show(_bar_html(share, words + left), _bar_text(share, words + left))

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._place is None:
            return
        if kind is None or issubclass(kind, GeneratorExit):
            self._place.show("", "")
            _PLACES.give_back(self._place)
        else:
            words = f"stopped at {self._words}"
            self._place.show(html.escape(words), words)


class _Place:
    """An output of a cell that can be replaced.

    Args:
        cell: number of the execution that it belongs to.
    """

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self._name = uuid4().hex
        self._new = True

    def show(self, page: str, text: str) -> None:
        """Replace what is there by HTML, or by text where there is no page."""
        display = import_module("IPython.display").display
        display(
            {"text/html": page, "text/plain": text}, raw=True, display_id=self._name, update=not self._new
        )
        self._new = False


class _Places:
    """Places that bars have left empty, in the cell that is running."""

    def __init__(self) -> None:
        self._free: list[_Place] = []

    def take(self) -> _Place:
        """An empty one."""
        shell = _kernel_shell()
        cell = 0 if shell is None else int(shell.execution_count)
        self._free = [place for place in self._free if place.cell == cell]
        return self._free.pop() if self._free else _Place(cell)

    def give_back(self, place: _Place) -> None:
        """Leave one to the next bar."""
        self._free.append(place)


_PLACES = _Places()


def _kernel_shell() -> Any:
    """The shell of a kernel, None elsewhere; whoever is in one has loaded IPython.

    A fork of a kernel has its shell, and must not speak in its name.
    """
    loaded = sys.modules.get("IPython")
    shell = None if loaded is None else loaded.get_ipython()
    kernel = getattr(shell, "kernel", None)
    return shell if kernel is not None and kernel.session.pid == os.getpid() else None


def _bar_html(share: float, words: str) -> str:
    style = "width:20em;max-width:50%;vertical-align:middle"
    return f'<progress max="1" value="{share:.4f}" style="{style}"></progress> {html.escape(words)}'


def _bar_text(share: float, words: str) -> str:
    return f"[{'#' * int(share * CHARACTERS):{CHARACTERS}}] {words}"
