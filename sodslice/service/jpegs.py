"""JPEGs of the common kind, decoded from memory as PaddleX's decoder does; all others are left to GDAL."""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

from sodslice.scene.jpeg import FRAMES, SCAN, segments
from sodslice.scene.turning import Turn

HEAD_BYTES = 1 << 20
"""In which the first scan of a common JPEG begins."""

SEQUENTIAL = (0xC0, 0xC1)
"""Frames whose pixels are told once, from top to bottom."""

ORIENTATION = 0x112

_OF_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error)
"""What Pillow raises about broken files."""


def stored_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG of 8 bits whose picture comes in one scan; None of anything else.

    Where it comes in many, a few bytes can keep a decoder busy for hours; GDAL has a limit for them.
    """
    found = list(segments(io.BytesIO(content[:HEAD_BYTES])))
    frames = [one for one in found if one.marker in FRAMES]
    if len(frames) != 1 or frames[0].marker not in SEQUENTIAL or found[-1].marker != SCAN:
        return None
    try:
        bits, height, width, parts = struct.unpack_from(">BHHB", frames[0].content)
    except struct.error:
        return None
    common = bits == 8 and parts in (1, 3) and found[-1].content[:1] == bytes([parts])
    return (width, height) if common and width and height else None


def decoded(content: bytes, size: tuple[int, int]) -> npt.NDArray[np.uint8] | None:
    """Pixels `(H, W, 3)` RGB of a JPEG, turned by its EXIF; None where it is damaged, or no RGB or grey.

    Args:
        content: the file.
        size: that `stored_size` gave.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
            turn = picture.getexif().get(ORIENTATION, 1)
            if picture.size != size or picture.mode not in ("L", "RGB"):
                return None
            pixels = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    except _OF_DAMAGE:
        return None
    return Turn(turn).image(pixels) if turn in range(2, 9) else pixels
