"""Registries: things that have a name, ours and those that other packages bring."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from sodslice.errors import OptionError, SodsliceError, did_you_mean

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name: our own, those of installed packages (entry points), and those added by `register`.

    Our own come first, then those added, then those of packages, by name. An entry is made when it is first
    asked for.

    Args:
        what: the word for an entry in messages, such as "format".
        group: of the entry points, such as "sodslice.formats". An entry point leads to an entry.
        own: makers of our own entries, by name.
    """

    def __init__(self, what: str, group: str, own: Mapping[str, Callable[[], Entry]]) -> None:
        self._what = what
        self._group = group
        self._makers: dict[str, Callable[[], Entry]] = dict(own)
        self._made: dict[str, Entry] = {}

    def register(self, name: str, entry: Entry) -> None:
        """Add an entry for this process; other processes know those of entry points only.

        Raises:
            OptionError: there is one of that name.
        """
        if name in self.names():
            raise OptionError(f"there is a {self._what} {name!r} already; give yours another name")
        self._makers[name] = lambda: entry

    def unregister(self, name: str) -> None:
        """Take back what `register` added."""
        del self._makers[name]
        self._made.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        foreign = sorted({point.name for point in self._points()} - set(self._makers))
        return (*self._makers, *foreign)

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[Entry]:
        return (self[name] for name in self.names())

    def __getitem__(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            OptionError: there is none.
            SodsliceError: the package that brings it cannot be loaded.
        """
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Entry:
        if name in self._makers:
            return self._makers[name]()
        point = next((point for point in self._points() if point.name == name), None)
        if point is None:
            known = self.names()
            raise OptionError(
                f"unknown {self._what} {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}"
            )
        try:
            entry: Entry = point.load()
        except (ImportError, AttributeError) as error:
            raise SodsliceError(
                f"the {self._what} {name!r} cannot be loaded from {point.value}: {error}; "
                "mend or remove the package that brings it"
            ) from None
        return entry

    def _points(self) -> tuple[EntryPoint, ...]:
        installed = _installed(tuple((folder, _changed(folder)) for folder in sys.path))
        return tuple(installed.select(group=self._group))


@lru_cache(maxsize=4)
def _installed(_searched: tuple[tuple[str, int], ...]) -> Any:
    """All entry points, to be selected from; reading what all packages say takes tens of milliseconds.

    Args:
        _searched: the folders where packages lie, each with the time when one came or went.
    """
    return entry_points()


def _changed(folder: str) -> int:
    """When something came into a folder or left it, in nanoseconds; 0 where there is none."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0
