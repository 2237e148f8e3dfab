"""`Format`: what it takes to be a file format of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sodslice.place.georef import GeoRef
from sodslice.results.result import RunResult
from sodslice.results.writing import Writing


@dataclass(frozen=True)
class Format:
    """A file format of results.

    Args:
        name: what it is called.
        suffixes: of its files, in lower case, each with its dot; the longest that fits a path chooses.
        write: from a result and a path (of another name in the same folder, which is renamed when all is
            written) to a file. Rows in pieces, so that memory does not grow with their number.
        why_not: from where a scene lies and the settings to why such a result cannot be written, as one
            sentence with what to do instead; "" where it can. By itself: any can.
        read: from a path to a result; None for a format that is only written.
        is_own: from a path to whether a file is of our making, so that a rerun may take its place; None:
            whether it can be read back, if that is possible at all.
        needs_scene: whether the scene is read once more, which must be a file then.
        heeds: names of the settings that change its files.
        combine: from results, as they come, and a path to one file of all of them, in which each row names
            its image; None for a format that cannot. Results are held one at a time.
    """

    name: str
    suffixes: tuple[str, ...]
    write: Callable[[RunResult, Path], None]
    why_not: Callable[[GeoRef, Writing], str] = lambda _georef, _writing: ""
    read: Callable[[Path], RunResult] | None = None
    is_own: Callable[[Path], bool] | None = None
    needs_scene: bool = False
    heeds: tuple[str, ...] = ()
    combine: Callable[[Iterable[RunResult], Path], None] | None = None
