"""What the results of scenes are called: by the scene alone wherever that is possible."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from sodslice.errors import OutputError

MOST_BYTES = 200
"""Of the stem of a name; file systems take 255 with all that is put after it."""
LONGEST_SUFFIX = 20


@dataclass(frozen=True, eq=False)
class Candidate:
    """A scene whose results are to be named.

    Args:
        source: path, array or object.
        parts: of its path, from the root on.
        least: so many of them, from the end on, make up its name at least.
        key: tells it from others.
        grows: whether folders may be put before its name, to tell it from others.
        address: of the network, without what may be secret; "" for all else. Names of addresses are numbered
            where nothing else tells them apart.
    """

    source: Any
    parts: tuple[str, ...]
    least: int
    key: str
    grows: bool = False
    address: str = ""

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
    parts = [part for part in shown.partition("://")[2].split("/") if part not in ("", ".", "..")]
    return Candidate(source, tuple(map(_short, parts)), 1, str(source), grows=True, address=shown)


def short_stem(stem: str) -> str:
    """The beginning of a name, where it would be too long for a file with endings after it."""
    return stem.encode("utf-8", "surrogateescape")[:MOST_BYTES].decode("utf-8", "ignore")


def free_name(stem: str, taken: Collection[str], suffix: str = "") -> str:
    """A name itself, or the first of NAME-2, NAME-3, ... that is not taken."""
    numbered = (f"{stem}-{number}{suffix}" for number in count(2))
    return next(one for one in chain([f"{stem}{suffix}"], numbered) if one not in taken)


def names_of(candidates: Sequence[Candidate]) -> list[str]:
    """A name for the results of each scene.

    What was found in a folder is called by its place in it, whatever else is there. Of files that were named
    one by one those that share a name get as many of their folders before it as tell them apart. Addresses
    that differ in their query alone are numbered.

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
    names = _numbered(candidates, names)
    often = Counter(names)
    for row, name in enumerate(names):
        if often[name] > 1:
            alike = [one for one, other in zip(candidates, names, strict=True) if other == name]
            others = [one.address or str(one.source) for one in alike]
            raise OutputError(
                f"the results of {others[0]} and {others[-1]} would both be called {name}; run them apart, "
                f"each with an `output` of its own (the first is number {row + 1})"
            )
    return names


def _numbered(candidates: Sequence[Candidate], names: list[str]) -> list[str]:
    """Names of which those of addresses are numbered where something before them, or no address, has them."""
    taken = {name for one, name in zip(candidates, names, strict=True) if not one.address}
    reserved, numbered = taken.union(names), []
    for one, name in zip(candidates, names, strict=True):
        own = name
        if one.address and name in taken:
            suffix = PurePosixPath(name).suffix
            own = free_name(name.removesuffix(suffix), reserved, suffix)
        taken.add(own)
        reserved.add(own)
        numbered.append(own)
    return numbered


def _short(part: str) -> str:
    """A part of an address that can be part of a path here."""
    path = PurePosixPath(part)
    return f"{short_stem(path.stem)}{path.suffix[:LONGEST_SUFFIX]}"
