"""Files by the names that other programs wrote down for them."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath


class NamedFiles:
    """The files of a folder by their names in somebody's list.

    A name is the path from the folder. It is understood too with backslashes, with the folder's own name (and
    those above it) in front, and with letters that Unicode composes in another way than the disk does. A name
    that is there as it is written goes before all of that.

    Args:
        folder: of the files; there need be none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path | None:
        """The file that a name means; None where there is none, or none that alone could be meant."""
        path = self.folder / name
        if _is_file(path):
            return path
        parts = PurePosixPath(name.replace("\\", "/")).parts
        above = self.folder.absolute().parts
        shorter = (parts[count:] for count in range(len(parts)) if _same(parts[:count], above[-count:]))
        return next((file for names in shorter if (file := self._below(names)) is not None), None)

    def _below(self, names: tuple[str, ...]) -> Path | None:
        """The file some steps below the folder, each of them by the letters that one sees."""
        path = self.folder
        for name in names:
            here = path / name
            alike = [] if _exists(here) else self._listing(path).get(_seen(name), [])
            if len(alike) > 1:
                return None
            path = path / alike[0] if alike else here
        return path if _is_file(path) else None

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        """Names in a folder by what one sees of them."""
        if folder not in self._listed:
            found: dict[str, list[str]] = {}
            for name in sorted(_names_in(folder)):
                found.setdefault(_seen(name), []).append(name)
            self._listed[folder] = found
        return self._listed[folder]


def _same(parts: tuple[str, ...], end: tuple[str, ...]) -> bool:
    return not parts or [_seen(part) for part in parts] == [_seen(part) for part in end]


def _seen(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError):
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for the disk, or with a letter that no disk knows
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
