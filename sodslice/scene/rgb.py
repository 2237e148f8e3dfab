"""From planes of levels to interleaved RGB, a few rows at a time: by OpenCV where it can, else by NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DeviceError
from sodslice.system.opencv import opencv

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

CHUNK_PIXELS = 2**16
"""Pixels that are taken at a time: what is in between stays in the processor's cache.

It needs no memory that the system would take back after each window, and OpenCV keeps to the calling thread.
"""

VISIBLE = 255


def interleaved(
    planes: npt.NDArray[Any], hidden: Mask | None, levelled: Callable[[npt.NDArray[Any]], Sequence[Pixels]]
) -> Pixels:
    """RGB `(H, W, 3)` of planes.

    Args:
        planes: `(bands, H, W)`.
        hidden: `(H, W)`, pixels that become black; None: there are none.
        levelled: makes three planes `(h, w)` uint8, or one for all three, of a part `(bands, h, w)`.
    """
    height, width = planes.shape[1:]
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, CHUNK_PIXELS // width)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        levels = levelled(planes[:, part])
        if hidden is not None:
            keep = np.where(hidden[part], np.uint8(0), np.uint8(VISIBLE))
            levels = [plane & keep for plane in levels]
        _merge([*levels] * (3 // len(levels)), pixels[part])
    return pixels


def looked_up(plane: npt.NDArray[Any], table: Pixels) -> Pixels:
    """Entries `(H, W)` uint8 of a table, by levels.

    Args:
        plane: `(H, W)` uint8 or uint16.
        table: `(256,)` or `(65536,)`, an entry for each level.
    """
    found: Pixels = _opencv().LUT(plane, table) if _looks_up(plane.itemsize) else table.take(plane)
    return found


def _merge(planes: list[Pixels], pixels: Pixels) -> None:
    """Write three planes `(h, w)` into RGB `(h, w, 3)`."""
    cv2 = _opencv()
    if cv2 is not None:
        cv2.merge(planes, pixels)
        return
    for band, plane in enumerate(planes):
        pixels[..., band] = plane


@cache
def _opencv() -> Any:
    """OpenCV's module; None where it cannot load: scenes are read without it."""
    try:
        return opencv()
    except DeviceError:
        return None


@cache
def _looks_up(pixel_bytes: int) -> bool:
    """Whether OpenCV takes tables as long as pixels have levels; before 4.12 they had 256 entries."""
    cv2 = _opencv()
    if cv2 is None:
        return False
    try:
        cv2.LUT(np.zeros((1, 1), f"u{pixel_bytes}"), np.zeros(2 ** (8 * pixel_bytes), np.uint8))
    except cv2.error:
        return False
    return True
