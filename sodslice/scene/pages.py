"""Files of several pictures: pages of a TIFF, parts of a container, frames of an animation."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

from sodslice.errors import SceneError

TIFF_DIRECTORY = re.compile(r"GTIFF_DIR:(\d+):")
_NAME = r'\w+:(?:\d+:)?"?{path}"?(?::.*)?'
"""How GDAL names a part of a file: a driver, the file, and which part."""

GIF_DRIVERS = ("GIF", "BIGGIF")


def pages_of(dataset: Any, path: Path) -> tuple[str, ...]:
    """What GDAL opens the pictures of a file by, in their order: the file itself, or parts of it.

    Args:
        dataset: of the file, open.
        path: of the file, absolute.
    """
    parts = tuple(dataset.subdatasets)
    if not dataset.count:
        return parts
    others = parts if len(parts) == 1 else parts[1:]  # of several parts the first is what was opened
    return (str(path), *others)


def chosen_page(pages: tuple[str, ...], path: Path, page: int | None) -> str:
    """What GDAL opens a picture by.

    Args:
        pages: of `pages_of`.
        path: of the file, absolute.
        page: which one, counted from 1; None for the only one, or the file's own.

    Raises:
        SceneError: there is no such picture, or it lies in another file.
    """
    if page is None:
        return str(path)
    if page > len(pages):
        raise SceneError(f"{path} has {_pictures(len(pages))}, got `page={page}`")
    name = pages[page - 1]
    if name != str(path) and not re.fullmatch(_NAME.format(path=re.escape(str(path))), name, re.DOTALL):
        raise SceneError(f"{path} names {name} as picture {page}, which is not in it; give another `page`")
    return name


def page_notes(name: str, count: int, page: int | None) -> tuple[str, ...]:
    """What the user should know of a file of several pictures."""
    if page is not None or count < 2:
        return ()
    return (f"{name} holds {_pictures(count)}, and the first is read; `page=2` reads the second",)


def page_hint(count: int, page: int | None) -> str:
    """What to say after an error about the first of several pictures; "" where there is one."""
    return "" if count < 2 or page else f"; it holds {_pictures(count)}, `page` chooses one"


def directory_of(name: str) -> int:
    """Which directory of a TIFF GDAL opens by a name, counted from 1."""
    found = TIFF_DIRECTORY.match(name)
    return 1 if found is None else int(found[1])


def animation_notes(path: Path, driver: str, page: int | None) -> tuple[str, ...]:
    """What the user should know of an animation, of which GDAL reads the first picture.

    Raises:
        SceneError: GDAL reads none of it, or another one is asked for.
    """
    moves = _MOVES.get(driver)
    if moves is None:
        return ()
    with path.open("rb") as file:
        if not moves(file):
            return ()
    if driver == "WEBP":
        raise SceneError(f"{path} is an animated WebP, which GDAL does not read; save one picture as PNG")
    if page is not None and page > 1:
        raise SceneError(
            f"{path} is animated, and its first picture alone is read, since others hold only what changes, "
            f"got `page={page}`; save the one you want as PNG"
        )
    return () if page else (f"{path} is animated, and its first picture is read",)


def _pictures(count: int) -> str:
    return "one picture" if count == 1 else f"{count} pictures"


def _gif_moves(file: BinaryIO) -> bool:
    """Whether there is a second picture in a GIF."""
    head = file.read(13)
    if len(head) < 13:
        return False
    _skip_colours(file, head[10])
    pictures = 0
    while kind := file.read(1):
        if kind == b"!":
            file.seek(1, io.SEEK_CUR)
        elif kind == b"," and len(place := file.read(9)) == 9:
            pictures += 1
            if pictures == 2:
                return True
            _skip_colours(file, place[8])
            file.seek(1, io.SEEK_CUR)
        else:
            return False
        while (size := file.read(1)) not in (b"", b"\0"):
            file.seek(size[0], io.SEEK_CUR)
    return False


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 * 2 ** ((flags & 7) + 1), io.SEEK_CUR)


def _webp_moves(file: BinaryIO) -> bool:
    head = file.read(21)
    return head[12:16] == b"VP8X" and len(head) == 21 and bool(head[20] & 2)


def _png_moves(file: BinaryIO) -> bool:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind in (b"acTL", b"IDAT"):
            return bool(kind == b"acTL" and int.from_bytes(file.read(4), "big") > 1)
        file.seek(size + 4, io.SEEK_CUR)
    return False


_MOVES = {**dict.fromkeys(GIF_DRIVERS, _gif_moves), "WEBP": _webp_moves, "PNG": _png_moves}
"""Whether a file is animated, by GDAL's word for its format."""
