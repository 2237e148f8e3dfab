"""What a JPEG file says before its pixels come: its segments, and the memory that decoding it takes."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sodslice.errors import SceneError

MEBI = 2**20
ALLOWED = 500 * MEBI
"""What libjpeg may take at once, unless `JPEGMEM` says otherwise."""
SPARE = 8 * MEBI
"""What libjpeg takes besides the coefficients."""
NOTED = 64 * MEBI
COEFFICIENTS_BYTES = 64 * 2
"""Of a block of 8 x 8 pixels."""

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset([0xC2, 0xC6, 0xCA, 0xCE])
SCAN = 0xDA
_ALONE = frozenset([0x01, *range(0xD0, 0xD9)])
_MEMORY = re.compile(r"\s*(\d+)(.?)")


class Segment(NamedTuple):
    """A part of a JPEG file: `marker` is its second byte, `content` what follows its length."""

    marker: int
    content: bytes


def segments(file: BinaryIO) -> Iterator[Segment]:
    """The segments of a JPEG file up to its first scan; of a damaged file those before the damage."""
    if file.read(2) != b"\xff\xd8":
        return
    while True:
        head = file.read(2)
        while head[1:] == b"\xff":  # fill bytes
            head = b"\xff" + file.read(1)
        if len(head) < 2 or head[0] != 0xFF:
            return
        if head[1] in _ALONE:
            continue
        length = file.read(2)
        if len(length) < 2 or (size := int.from_bytes(length, "big")) < 2:
            return
        yield Segment(head[1], file.read(size - 2))
        if head[1] == SCAN:
            return


def decoding_bytes(path: Path) -> int:
    """Memory that holds all coefficients of a JPEG whose picture comes in several scans; 0 where it does not.

    A progressive file tells every pixel a little more with each scan, so that none is known before the last.
    """
    with path.open("rb") as file:
        found = {segment.marker: segment.content for segment in segments(file)}
    frame = next((marker for marker in found if marker in FRAMES), None)
    if frame is None or not found.get(SCAN):
        return 0
    try:
        height, width, count = struct.unpack_from(">HHB", found[frame], 1)
        factors = [divmod(found[frame][7 + 3 * i], 16) for i in range(count)]
    except (struct.error, IndexError):
        return 0
    if frame not in PROGRESSIVE and found[SCAN][0] == count:
        return 0
    across, down = (8 * max([1, *(pair[axis] for pair in factors)]) for axis in (0, 1))
    units = -(-width // across) * -(-height // down)
    blocks: int = units * sum(h * v for h, v in factors)
    return blocks * COEFFICIENTS_BYTES


def check_decoding(path: Path) -> tuple[str, ...]:
    """What the user should know of the memory that a JPEG takes.

    Raises:
        SceneError: it is more than libjpeg allows.
    """
    need = decoding_bytes(path)
    allowed = _allowed()
    if need + SPARE > allowed > 0:
        megabytes = (need + 2 * SPARE) // 10**6 + 1
        raise SceneError(
            f"{path} is a progressive JPEG: reading any pixel takes {need / MEBI:.0f} MB at once, and "
            f"libjpeg allows {allowed / MEBI:.0f} MB; set the environment variable JPEGMEM={megabytes}M, or "
            f"convert it with JPEGMEM={megabytes}M gdal_translate -co TILED=YES in.jpg out.tif"
        )
    if need < NOTED:
        return ()
    return (
        f"{path} is a progressive JPEG, and reading any pixel takes about {need / MEBI:.0f} MB; "
        "gdal_translate -co TILED=YES makes a file that needs less",
    )


def _allowed() -> int:
    """Bytes that libjpeg may take; it reads `JPEGMEM` as thousands, or with an M behind as millions."""
    found = _MEMORY.match(os.environ.get("JPEGMEM", ""))
    if found is None:
        return ALLOWED
    return int(found[1]) * (10**6 if found[2] in ("m", "M") else 10**3)
