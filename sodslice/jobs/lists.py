"""Lists of scenes: one a line of a text file, or in a column of a table."""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sodslice.errors import SceneError

LIST_SUFFIXES = frozenset({".txt", ".lst", ".csv", ".tsv"})

COLUMNS = frozenset({
    "path", "file", "filename", "filepath", "image", "imagepath", "imagefile", "scene", "source", "location",
})  # fmt: skip
"""What the column of the paths may be called, without spaces, dashes and underscores."""


def listed_in(path: Path) -> list[str]:
    """What a list holds, in its order. Names that are not here are looked for beside the list.

    Raises:
        SceneError: the list cannot be read, is empty, or is no list.
    """
    try:
        text = _text(path.read_bytes())
    except OSError as error:
        raise SceneError(f"the list {path} cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise SceneError(f"the list {path} holds null characters; give one path a line, as text")
    tables = {".csv": None, ".tsv": "\t"}
    suffix = path.suffix.lower()
    try:
        names = list(_column(text, tables[suffix]) if suffix in tables else lines_of(text))
    except csv.Error as error:
        raise SceneError(f"the table {path} cannot be read: {error}") from None
    if not names:
        raise SceneError(f"the list {path} holds no scene; give one path a line")
    return [_beside(path, name) for name in names]


def lines_of(text: str) -> Iterator[str]:
    """Paths, one a line; blank lines and comments are none. Or what stands between null characters."""
    if "\0" in text:
        return (part for part in text.split("\0") if part.strip())
    return (line for line in map(str.strip, _lines(text)) if line and not line.startswith("#"))


def _text(content: bytes) -> str:
    """Text by its byte order mark, else UTF-8; bytes that are no text are kept, as in names of files."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8", "surrogateescape")


def _lines(text: str) -> list[str]:
    """Lines by line ends alone: names may hold what else parts lines in Unicode."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _column(text: str, separator: str | None) -> Iterator[str]:
    """The column of a table that holds paths: by its name, else the first."""
    lines = _lines(text)
    first = lines[0] if lines else ""
    separator = separator or max(",;\t", key=first.count)
    rows = [row for row in csv.reader(lines, delimiter=separator) if any(map(str.strip, row))]
    names = ["".join(filter(str.isalnum, cell.lower())) for cell in (rows[0] if rows else [])]
    place = next((k for k, name in enumerate(names) if name in COLUMNS), None)
    wanted: Iterable[list[str]] = rows if place is None else rows[1:]
    cells = (row[place or 0].strip() for row in wanted if len(row) > (place or 0))
    return (cell for cell in cells if cell)


def _beside(path: Path, name: str) -> str:
    """A name as it stands where that is a file here, or nowhere; else from the folder of the list on."""
    beside = path.parent / name
    return str(beside) if not os.path.exists(name) and os.path.exists(beside) else name  # noqa: PTH110
