"""Scenes below the folder that jobs may name, and names of files that strangers choose."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from heapq import nsmallest
from pathlib import Path
from typing import NamedTuple

from sodslice.jobs.sources import picture_suffixes
from sodslice.service.envelope import Refusal

HARMLESS = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST_NAME = 100
MOST_LISTED = 2000
MOST_SHOWN = 200


class Entry(NamedTuple):
    """Something in a folder: its `path` from the root, whether it is a folder, and the `bytes` of a file."""

    path: str
    folder: bool
    bytes: int


class Root:
    """The folder below which jobs may name scenes.

    Args:
        folder: None for no such folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else folder.resolve()

    def scene(self, path: str) -> Path:
        """The file that a path from the root means, links followed.

        Raises:
            Refusal: it is none, or lies outside.
        """
        found = self._within(path)
        if not _is_file(found):
            raise Refusal(404, f"there is no scene {_shown(path)} below the root of this service")
        return found

    def entries(self, path: str = "") -> list[Entry]:
        """Images and folders in a folder below the root, by name; the first of very many.

        Raises:
            Refusal: it is none, or lies outside.
        """
        folder = self._within(path)
        try:
            with os.scandir(folder) as found:
                names = nsmallest(MOST_LISTED, (entry.name for entry in found if _may_be_shown(entry)))
        except OSError:
            raise Refusal(404, f"there is no folder {_shown(path)} below the root of this service") from None
        return [entry for name in names if (entry := self._entry(folder / name)) is not None]

    def _entry(self, path: Path) -> Entry | None:
        """What lies there; None for what is neither folder nor image, or lies outside of the root."""
        assert self.folder is not None
        with suppress(OSError, RuntimeError):
            real = path.resolve()
            if not real.is_relative_to(self.folder):
                return None
            inside = path.relative_to(self.folder).as_posix()
            if real.is_dir():
                return Entry(inside, folder=True, bytes=0)
            if real.is_file() and path.suffix.lower() in picture_suffixes():
                return Entry(inside, folder=False, bytes=real.stat().st_size)
        return None

    def _within(self, path: str) -> Path:
        """A path below the root; the same answer for all that is not, whether it is there or not.

        Raises:
            Refusal: it is outside.
        """
        if self.folder is None:
            raise Refusal(
                403, "this service has no root: scenes are uploaded, or it is started with a `root`"
            )
        if "\x00" in path or "\\" in path or Path(path).is_absolute() or ".." in Path(path).parts:
            raise Refusal(403, f"{_shown(path)} is no path below the root of this service")
        try:
            found = (self.folder / path).resolve()
        except (OSError, RuntimeError, ValueError):
            found = Path("/")
        if not found.is_relative_to(self.folder):
            raise Refusal(403, f"{_shown(path)} is no path below the root of this service")
        return found


def harmless_name(name: str) -> str:
    """A name for an uploaded file: its own as far as its letters are plain, without any folder.

    It ends as images do: other files in a folder where work is done may be taken for settings, or for code.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = HARMLESS.sub("_", last)[-LONGEST_NAME:].lstrip(".-")
    return plain if Path(plain).suffix.lower() in picture_suffixes() else f"{plain or 'scene'}.tif"


def without_folders(text: str, *folders: Path | None) -> str:
    """A text for clients, in which files are called as from the folder in which they lie.

    Args:
        text: of an error or a note.
        folders: of which clients are not told where they are.
    """
    for folder in folders:
        text = text if folder is None else text.replace(f"{folder}{os.sep}", "")
    return text


def _may_be_shown(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder may be an image or a folder, and has a name that JSON can hold."""
    if entry.name.startswith(".") or not _is_text(entry.name):
        return False
    if Path(entry.name).suffix.lower() in picture_suffixes():
        return True
    with suppress(OSError):
        return entry.is_dir()
    return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # of bytes that are no UTF-8
        return False
    return True


def _is_file(path: Path) -> bool:
    """Whether there is such a file; what cannot be looked at, such as a name that is too long, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _shown(path: str) -> str:
    return repr(path[:MOST_SHOWN])
