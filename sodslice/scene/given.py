"""What people have in hand as scenes: arrays of several kinds, pictures of Pillow, encoded images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import SceneError
from sodslice.scene.array import ArrayScene

if TYPE_CHECKING:
    from PIL.Image import Image

ENCODED = (bytes, bytearray, memoryview)
"""Types of the bytes of an encoded image: those of a JPEG, a PNG, a GeoTIFF."""

DARK = 16.0
"""Floats whose greatest is above 1 and not above this may be of 0..1 that overshoot, or of a black 0..255."""

BRIGHTEST = 255

DIRECT_MODES = ("L", "LA", "RGB", "RGBA")
CONVERTED_MODES = ("1", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "RGBX", "RGBa", "La")


def is_picture(given: object) -> bool:
    """Whether something is an image of Pillow, which is not loaded for that."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(given, pillow.Image)


def scene_of_array(pixels: npt.NDArray[Any], *, name: str = "array") -> ArrayScene:
    """A scene of an array in memory.

    Args:
        pixels: `(H, W)` or `(H, W, 1)` grey, `(H, W, 2)` grey and alpha, `(H, W, 3)` RGB or `(H, W, 4)` RGB
            and alpha. uint8 as it is; floats are 0..1 if none is above 1, else 0..255. Alpha hides where it
            is 0 and never multiplies.
        name: what to call it in messages and outputs.

    Raises:
        SceneError: it is no image of that kind, or its range could be meant in two ways.
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        first = pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4)
        hint = "; channels come last: give array.transpose(1, 2, 0)" if first else ""
        raise SceneError(
            "an array must have shape (H, W) for grey, (H, W, 3) for RGB or (H, W, 4) for RGB and alpha, "
            f"got {pixels.shape}{hint}"
        )
    colours = 3 if pixels.shape[2] >= 3 else 1
    levels = _levels(pixels[:, :, :colours])
    if pixels.shape[2] == colours:
        return ArrayScene(levels, name=name)
    return ArrayScene(levels, valid=pixels[:, :, colours] != 0, name=name)


def scene_of_picture(picture: Image) -> ArrayScene:
    """A scene of an image of Pillow, its pixels as they are: nothing is turned by EXIF.

    Raises:
        SceneError: its levels are not of 8 bits, or it was closed, or its file is cut short.
    """
    try:
        pixels = _pixels_of(picture)
    except SceneError:
        raise
    except (OSError, ValueError, SyntaxError, AttributeError) as error:  # as Pillow's decoders do
        words = " ".join(str(error).split())
        raise SceneError(
            f"the picture cannot be read: {words}; give it open and whole, or give its file"
        ) from None
    return scene_of_array(pixels, name="picture")


def _pixels_of(picture: Image) -> npt.NDArray[Any]:
    """Pixels of 8 bits as `scene_of_array` takes them.

    Raises:
        SceneError: its levels are not of 8 bits.
    """
    mode = picture.mode
    if mode in CONVERTED_MODES:
        clear = mode in ("PA", "RGBa", "La") or "transparency" in picture.info
        picture = picture.convert("RGBA" if clear else "RGB")
    elif mode not in DIRECT_MODES:
        raise SceneError(
            f"a picture of mode {mode} has levels of more than 8 bits, of which nobody knows what is white; "
            'convert it with picture.convert("RGB"), or give its file, which is stretched'
        )
    elif "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return np.asarray(picture)


def _levels(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Levels 0..255 of the same shape.

    Raises:
        SceneError: see `scene_of_array`.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise SceneError(
            f"an array must be uint8, or floats of 0..1 or 0..255, got {pixels.dtype}; "
            "scale it to 0..255 and give array.astype(numpy.uint8), or give its file, which is stretched"
        )
    least, greatest = float(pixels.min()), float(pixels.max())
    if not (least >= 0 and greatest <= BRIGHTEST):
        raise SceneError(
            f"an array of {pixels.dtype} must hold 0..1 or 0..255, got {least:g}..{greatest:g}; scale or "
            "clip it first"
        )
    if 1 < greatest <= DARK:
        raise SceneError(
            f"an array of {pixels.dtype} up to {greatest:g} may be of 0..1 that overshoots or of a dark "
            "0..255; clip it to 1, or give array.astype(numpy.uint8)"
        )
    scaled = pixels * BRIGHTEST if greatest <= 1 else pixels
    levels: npt.NDArray[np.uint8] = np.round(scaled).astype(np.uint8)
    return levels
