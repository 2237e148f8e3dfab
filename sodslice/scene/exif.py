"""How a picture is to be turned, by the EXIF of JPEG, PNG and WebP files and the tags of TIFF."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from sodslice.scene.jpeg import segments

ORIENTATION = 0x112
AS_STORED = 1
ORIENTATIONS = range(1, 9)
EXIF_SEGMENT = 0xE1
LARGEST_BLOCK = 2**24
"""Bytes of an EXIF block; of a JPEG it has at most 2^16."""

MOST_TAGS = 2**12

_PREFIX = b"Exif\0\0"
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}
"""By TIFF's number of a type, as `struct` writes them."""


def orientation_of(path: Path, driver: str, directory: int = 1) -> int:
    """EXIF's orientation of a picture, from 1 to 8; 1, as it is stored, where there is none that makes sense.

    Args:
        path: of the file.
        driver: of GDAL, that opened it.
        directory: of a TIFF, the one that holds the picture, counted from 1.
    """
    find = _FINDERS.get(driver)
    if find is None:
        return AS_STORED
    try:
        with path.open("rb", buffering=0) as file:  # a buffer would be filled anew after each jump
            block = find(file)
            return AS_STORED if block is None else _orientation(block, directory)
    except (OSError, struct.error, ValueError):
        return AS_STORED


def _in_jpeg(file: BinaryIO) -> BinaryIO | None:
    for marker, content in segments(file):
        if marker == EXIF_SEGMENT and content.startswith(_PREFIX):
            return io.BytesIO(content[len(_PREFIX) :])
    return None


def _in_png(file: BinaryIO) -> BinaryIO | None:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            return io.BytesIO(file.read(min(size, LARGEST_BLOCK)))
        file.seek(size + 4, io.SEEK_CUR)
    return None


def _in_webp(file: BinaryIO) -> BinaryIO | None:
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind == b"EXIF":
            return io.BytesIO(file.read(min(size, LARGEST_BLOCK)).removeprefix(_PREFIX))
        file.seek(size + size % 2, io.SEEK_CUR)
    return None


def _in_tiff(file: BinaryIO) -> BinaryIO | None:
    return file


_FINDERS: dict[str, Callable[[BinaryIO], BinaryIO | None]] = {
    "JPEG": _in_jpeg,
    "PNG": _in_png,
    "WEBP": _in_webp,
    "GTiff": _in_tiff,
}
"""From a file, by GDAL's word for its format, to what holds the tags as a TIFF does."""


class _Tags:
    """The tags of a TIFF, classic or big, or of an EXIF block, which is built like one.

    Raises:
        ValueError: it is none.
        struct.error: it is cut short.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        order = {b"II": "<", b"MM": ">"}.get(file.read(2))
        if order is None:
            raise ValueError("no byte order")
        self._order = order
        self._big = self._numbers("H") == (43,)
        self._count, self._offset, self._entry = ("Q", "Q", 20) if self._big else ("H", "I", 12)
        self.first = self._numbers("4x" + self._offset if self._big else self._offset)[0]

    def after(self, place: int) -> int:
        """Where the next directory begins; 0 after the last."""
        self._file.seek(place)
        (entries,) = self._numbers(self._count)
        self._file.seek(entries * self._entry, io.SEEK_CUR)
        return int(self._numbers(self._offset)[0])

    def number(self, place: int, wanted: int) -> int | None:
        """A tag of a directory that is one whole number; None without it."""
        self._file.seek(place)
        (entries,) = self._numbers(self._count)
        for _ in range(min(entries, MOST_TAGS)):
            entry = self._file.read(self._entry)
            tag, kind = struct.unpack_from(self._order + "HH", entry)
            if tag == wanted:
                form = _WHOLE_NUMBERS.get(kind)
                at = 12 if self._big else 8
                return None if form is None else int(struct.unpack_from(self._order + form, entry, at)[0])
        return None

    def _numbers(self, form: str) -> tuple[int, ...]:
        form = self._order + form
        return struct.unpack(form, self._file.read(struct.calcsize(form)))


def _orientation(block: BinaryIO, directory: int) -> int:
    tags = _Tags(block)
    place = tags.first
    for _ in range(directory - 1):
        place = tags.after(place)
    found = tags.number(place, ORIENTATION)
    return AS_STORED if found not in ORIENTATIONS else int(found or AS_STORED)
