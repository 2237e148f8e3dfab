"""Files that were cut short, of formats whose missing pixels GDAL takes for black without a word."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import SceneError

TGA_HEAD = 18
RUN_LENGTH_KINDS = 8
"""Of TGA, and above."""
PCIDSK_BLOCK = 512
PCRASTER_HEAD = 256


def check_whole(dataset: Any, path: Path) -> None:
    """Refuse a file that holds fewer bytes than its header speaks of.

    Args:
        dataset: of the file, open.
        path: of the file.

    Raises:
        SceneError: it was cut short.
    """
    find = _NEEDS.get(dataset.driver)
    if find is None:
        return
    try:
        need, have = find(dataset, path), path.stat().st_size
    except (OSError, ValueError, struct.error) as error:
        raise SceneError(f"{path} is damaged: {error}") from None
    if have < need:
        raise SceneError(
            f"{path} is cut short: it has {have} bytes, and its header speaks of at least {need}; "
            "copy it again from where it came"
        )


def _pixel_bytes(dataset: Any) -> int:
    if any(word.startswith("complex") for word in dataset.dtypes):
        return 0  # some of these have no numpy name, and none is a picture
    return int(dataset.width * dataset.height * sum(np.dtype(word).itemsize for word in dataset.dtypes))


def _of_envi(dataset: Any, _path: Path) -> int:
    header = dataset.tags(ns="ENVI")
    if header.get("file_compression", "0").strip() not in ("0", ""):
        return 0
    offset = header.get("header_offset", "0").strip()
    return _pixel_bytes(dataset) + (int(offset) if offset.isdigit() else 0)


def _of_pcraster(dataset: Any, _path: Path) -> int:
    return PCRASTER_HEAD + _pixel_bytes(dataset)


def _of_pcidsk(_dataset: Any, path: Path) -> int:
    """The header counts the file's blocks in sixteen characters."""
    with path.open("rb") as file:
        text = file.read(32)[16:].strip()
    return int(text) * PCIDSK_BLOCK if text.isdigit() else 0


def _of_tga(_dataset: Any, path: Path) -> int:
    with path.open("rb") as file:
        content = file.read()
    name, coloured, kind, colours, depth = struct.unpack_from("<BBB2xHB", content)
    width, height, bits = struct.unpack_from("<HHB", content, 12)
    at = TGA_HEAD + name + (colours * -(-depth // 8) if coloured else 0)
    pixel, left = -(-bits // 8), width * height
    if kind < RUN_LENGTH_KINDS:
        return int(at + left * pixel)
    while left > 0 and at < len(content):  # runs of one pixel, or of as many pixels as they are long
        count = (content[at] & 127) + 1
        at += 1 + (pixel if content[at] & 128 else count * pixel)
        left -= count
    return int(at) if left <= 0 else max(at, len(content) + 1)


_NEEDS: dict[str, Callable[[Any, Path], int]] = {
    "ENVI": _of_envi,
    "PCIDSK": _of_pcidsk,
    "PCRaster": _of_pcraster,
    "TGA": _of_tga,
}
"""Bytes that a file has at least if it is whole, by GDAL's word for its format."""
