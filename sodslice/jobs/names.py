"""What the results of scenes are called: by the scene alone wherever that is possible."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sodslice.errors import OutputError


@dataclass(frozen=True, eq=False)
class Candidate:
    """A scene whose results are to be named.

    Args:
        source: path, array or object.
        parts: of its path, from the root on.
        least: so many of them, from the end on, make up its name at least.
        key: tells it from others.
        grows: whether folders may be put before its name, to tell it from others.
    """

    source: Any
    parts: tuple[str, ...]
    least: int
    key: str
    grows: bool = False

    def name(self, length: int | None = None) -> str:
        """Its name, of so many parts; suffixes are kept, so that `a.tif` and `a.png` differ."""
        return "/".join(self.parts[-(length or self.least) :])


def file_candidate(path: Path) -> Candidate:
    """A file that was named by itself: its results are called like it."""
    absolute = os.path.abspath(path)  # noqa: PTH100 -- keeps links
    parts = tuple(part.strip("/\\:") for part in Path(absolute).parts)
    return Candidate(path, tuple(filter(None, parts)), 1, absolute, grows=True)


def address_candidate(source: str | Path, shown: str) -> Candidate:
    """An image of the network: its results are called like the last part of its address.

    Args:
        source: the address as it was given.
        shown: the same without what may be secret.
    """
    parts = tuple(part for part in shown.partition("://")[2].split("/") if part not in ("", ".", ".."))
    return Candidate(source, parts, 1, str(source), grows=True)


def names_of(candidates: Sequence[Candidate]) -> list[str]:
    """A name for the results of each scene.

    What was found in a folder is called by its place in it, whatever else is there. Of files that were named
    one by one those that share a name get as many of their folders before it as tell them apart.

    Args:
        candidates: scenes, each once.

    Raises:
        OutputError: two still share one.
    """
    lengths = [one.least for one in candidates]
    while True:
        names = [one.name(length) for one, length in zip(candidates, lengths, strict=True)]
        often = Counter(names)
        growing = [
            row
            for row, one in enumerate(candidates)
            if one.grows and often[names[row]] > 1 and lengths[row] < len(one.parts)
        ]
        if not growing:
            break
        for row in growing:
            lengths[row] += 1
    for row, name in enumerate(names):
        if often[name] > 1:
            others = [str(candidates[k].source) for k in range(len(names)) if names[k] == name]
            raise OutputError(
                f"the results of {others[0]} and {others[-1]} would both be called {name}; run them apart, "
                f"each with an `output` of its own (the first is number {row + 1})"
            )
    return names
