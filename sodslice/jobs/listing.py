"""Which scenes a job is about, from folders, patterns, lists, files and arrays."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from sodslice.errors import SceneError
from sodslice.jobs.lists import LIST_SUFFIXES, listed_in
from sodslice.jobs.names import Candidate, address_candidate, file_candidate, names_of
from sodslice.jobs.sources import Found, find_scenes, picture_suffixes
from sodslice.scene import Scene, SceneBase
from sodslice.scene.fetching import is_address, shown_address
from sodslice.scene.given import ENCODED, is_picture

if TYPE_CHECKING:
    from PIL.Image import Image

Source: TypeAlias = "str | Path | bytes | npt.NDArray[Any] | Image | Scene | SceneBase"
Sources: TypeAlias = "Source | Iterable[Source]"
"""A scene, a folder, a pattern or a list; several of them; or scenes that come one by one."""


@dataclass(frozen=True, eq=False)
class JobScene:
    """A scene of a job.

    Args:
        source: its path, its array, or itself.
        name: of its results, below the folder for them, without the suffix of their format.
    """

    source: Source
    name: str

    @property
    def is_local(self) -> bool:
        """Whether opening it fetches nothing."""
        return not (isinstance(self.source, (str, Path)) and is_address(self.source))

    @property
    def path(self) -> Path:
        """Where it is; of an array or an address the name of its results."""
        if isinstance(self.source, (str, Path)):
            return Path(self.name if is_address(self.source) else self.source)
        return Path(str(getattr(self.source, "name", self.name)))


@dataclass(frozen=True)
class Listing:
    """The scenes of a job, in their order.

    Args:
        scenes: all of them, or as they come.
        total: how many there are; None where nobody knows.
        notes: what the user should know, one sentence each.
    """

    scenes: Iterable[JobScene]
    total: int | None
    notes: tuple[str, ...] = ()


def stands_for_many(word: str) -> bool:
    """Whether a word of the user names scenes, not one: a folder, a list or a pattern."""
    path = Path(word)
    if is_address(word):
        return False
    pattern = glob.has_magic(word) and not os.path.lexists(path)
    return os.path.isdir(path) or _is_list(path) or pattern  # noqa: PTH112 -- which raises nothing


def list_scenes(given: Sources, *, without: Path | None = None) -> Listing:
    """The scenes that are meant, each with the name of its results.

    A folder is searched; a pattern (`photos/*.jpg`, `**` for folders below) is filled in; a text or table
    file holds one of them a line. One that comes twice is done once. What comes one by one, from a
    generator, is not waited for.

    Args:
        given: what the user names.
        without: folder that is not searched: that of the results.

    Raises:
        SceneError: a name is empty, a folder or list holds no scene, or a pattern fits none.
        OutputError: the results of two scenes would have one name.
    """
    if _is_one(given) or not isinstance(given, Iterable):
        given = [given]
    if not isinstance(given, Sequence):
        return Listing(_as_they_come(given), None)
    notes: list[str] = []
    words = _Words(notes, without, alone=len(given) == 1)
    found = [
        candidate for number, one in enumerate(given, start=1) for candidate in words.meant_by(one, number)
    ]
    first: dict[str, Candidate] = {}
    for candidate in found:
        first.setdefault(candidate.key, candidate)
    once = list(first.values())
    if len(once) < len(found):
        notes.append(f"{len(found) - len(once)} of {len(found)} scenes are named twice; each is done once")
    names = names_of(once)
    scenes = [JobScene(one.source, name) for one, name in zip(once, names, strict=True)]
    return Listing(scenes, len(scenes), tuple(dict.fromkeys(notes)))


def _is_one(given: Sources) -> TypeGuard[Source]:
    """Whether something that could be gone through is one scene."""
    return isinstance(given, (str, Path, np.ndarray, SceneBase, *ENCODED)) or is_picture(given)


def _as_they_come(given: Iterable[Source]) -> Iterator[JobScene]:
    """Scenes from a generator, whose results are called by their file names, or numbered.

    A file whose name has come before gets as many of its folders before it as tell it apart.
    """
    taken: set[str] = set()
    for number, one in zip(count(1), given, strict=False):
        name = _number(number)
        if isinstance(one, (str, Path)):
            file = _candidate(one)
            lengths = range(1, len(file.parts) + 1)
            name = next((n for n in map(file.name, lengths) if n not in taken), f"{name}/{file.name()}")
        taken.add(name)
        yield JobScene(one, name)


@dataclass
class _Words:
    """How words of the user are understood.

    Args:
        notes: what the user should know, added to.
        without: folder that is not searched.
        alone: whether there is one word and no other.
        listed: whether they stand in a list.
    """

    notes: list[str]
    without: Path | None
    alone: bool
    listed: bool = False

    def meant_by(self, one: Source, number: int) -> Iterator[Candidate]:
        """What one of several words, or objects, stands for.

        Raises:
            SceneError: it is empty, or stands for nothing.
        """
        if not isinstance(one, (str, Path)):
            yield Candidate(one, (_number(number),), 1, f"#{number}")
            return
        if not str(one).strip():
            raise SceneError("the name of the scene or folder is empty; is a variable not set?")
        path = Path(one)
        if is_address(one):
            yield _candidate(one)
        elif os.path.isdir(path):  # noqa: PTH112 -- which raises nothing
            found = find_scenes(path, without=self.without)
            yield from _in_folder(path, found, self.notes, alone=self.alone)
        elif _is_list(path):
            yield from self._in_list(path, number)
        elif glob.has_magic(str(one)) and not os.path.lexists(path):
            yield from _of_pattern(str(one), self.notes)
        else:
            yield _candidate(one)

    def _in_list(self, path: Path, number: int) -> Iterator[Candidate]:
        """What the lines of a list stand for.

        Raises:
            SceneError: it stands in a list itself.
        """
        if self.listed:
            raise SceneError(f"{path} is a list that is named in a list; name the scenes themselves there")
        inner = replace(self, alone=False, listed=True)
        for place, line in enumerate(listed_in(path)):
            yield from inner.meant_by(line, number + place)


def _candidate(one: str | Path) -> Candidate:
    """A file or an address that was named by itself."""
    return address_candidate(one, shown_address(one)) if is_address(one) else file_candidate(Path(one))


def _is_list(path: Path) -> bool:
    return path.suffix.lower() in LIST_SUFFIXES and os.path.isfile(path)  # noqa: PTH113 -- raises nothing


def _in_folder(folder: Path, found: Found, notes: list[str], *, alone: bool) -> Iterator[Candidate]:
    """The images of a folder, named by their place in it, and by the folder where there are others."""
    notes += found.notes
    above = () if alone else (folder.resolve().name,)
    for path in found.scenes:
        parts = (*above, *path.relative_to(folder).parts)
        yield Candidate(path, parts, len(parts), os.path.abspath(path))  # noqa: PTH100 -- keeps links


def _of_pattern(pattern: str, notes: list[str]) -> Iterator[Candidate]:
    """Files that fit a pattern, named by their place below the folder that it begins with.

    Raises:
        SceneError: none does.
    """
    root = Path(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    fitting = [path for path in map(Path, _matches(pattern)) if os.path.isfile(path)]  # noqa: PTH113
    named = not glob.has_magic(Path(pattern).suffix) and Path(pattern).suffix
    scenes = [path for path in fitting if named or path.suffix.lower() in picture_suffixes()]
    if not scenes:
        raise SceneError(f"no image fits the pattern {pattern}")
    left_out = Counter(path.suffix.lower() for path in fitting if path not in set(scenes))
    notes += Found(tuple(scenes), left_out).notes
    for path in scenes:
        parts = path.relative_to(root).parts
        yield Candidate(path, parts, len(parts), os.path.abspath(path))  # noqa: PTH100 -- keeps links


def _matches(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 -- a pattern may be absolute


def _number(number: int) -> str:
    return f"scene-{number:06d}"
