"""`ArrayScene`: an image that is already in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sodslice.errors import SceneError
from sodslice.place.georef import GeoRef
from sodslice.place.plausible import examined
from sodslice.scene.base import SceneBase


class ArrayScene(SceneBase):
    """A scene over an array; nothing is copied until it is read.

    Args:
        pixels: `(H, W)` grey, `(H, W, 1)` grey or `(H, W, 3)` RGB, uint8.
        valid: `(H, W)` bool, False where there is no data; None where all of it is.
        georef: where it lies on the map.
        name: what to call it in messages and outputs.

    Raises:
        SceneError: the array is not an image of that kind.
    """

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        *,
        valid: npt.NDArray[np.bool_] | None = None,
        georef: GeoRef | None = None,
        name: str = "array",
    ) -> None:
        if pixels.dtype != np.uint8:
            raise SceneError(f"an array scene must be uint8, got {pixels.dtype}; scale it to 0..255 first")
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
            raise SceneError(
                f"an array scene must have shape (H, W), (H, W, 1) or (H, W, 3), got {pixels.shape}"
            )
        if valid is not None and (valid.shape != pixels.shape[:2] or valid.dtype != np.bool_):
            raise SceneError(
                f"valid must be bool of shape {pixels.shape[:2]}, got {valid.dtype} {valid.shape}"
            )
        self._pixels = pixels
        self._valid = valid
        self.name = name
        self.height, self.width = pixels.shape[:2]
        self.georef, self.notes = examined(georef or GeoRef(), (self.width, self.height), name)

    def read(
        self, x: int, y: int, width: int, height: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Pixels `(height, width, 3)` uint8 and validity `(height, width)` bool of a window, as copies."""
        window = np.s_[y : y + height, x : x + width]
        pixels = np.broadcast_to(self._pixels[window], (height, width, 3)).copy()
        valid = np.ones((height, width), bool) if self._valid is None else self._valid[window].copy()
        pixels[~valid] = 0
        return pixels, valid
