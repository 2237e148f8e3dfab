"""OpenCV comes with sahi; where it cannot load, one line says why."""

from __future__ import annotations

from typing import Any

from sodslice.errors import DeviceError


def opencv() -> Any:
    """The `cv2` module.

    Raises:
        DeviceError: a system library that it needs is missing, as on slim images.
    """
    try:
        import cv2
    except ImportError as error:
        raise DeviceError(
            f"OpenCV cannot load ({error}); install the system's libGL, "
            "on Debian: apt install libgl1 libglib2.0-0"
        ) from None
    return cv2
