"""`ScaledScene`: another scene at another ground sample distance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from sodslice.errors import SceneError
from sodslice.georef import GeoRef
from sodslice.scene.resample import REACH, method_for, resampled
from sodslice.scene.stretch import Stretch

SMALLEST_SIDE = 1
LARGEST_SIDE = 2**31 - 1


class ScaledScene:
    """A scene resampled as it is read. Its pixels are square on the ground, and `scale` scene pixels large.

    Rasters are read at the scale wanted, so that overviews are used; any other scene is read as it is and
    resampled in memory.

    Args:
        scene: what is read.
        gsd: metres per pixel wanted.

    Raises:
        GeoRefError: the scene's own ground sample distance is not known.
        SceneError: so coarse that nothing would be left, or so fine that it cannot be counted.
    """

    def __init__(self, scene: Any, gsd: float) -> None:
        middle = np.array([scene.width / 2, scene.height / 2, scene.width / 2, scene.height / 2])
        pixel = scene.georef.ground_size_m((middle + (-0.5, -0.5, 0.5, 0.5))[None])[0]
        sides = scene.width * pixel[0] / gsd, scene.height * pixel[1] / gsd
        if not SMALLEST_SIDE <= min(sides) <= max(sides) <= LARGEST_SIDE:
            raise SceneError(
                f"{scene.name} would be {sides[0]:.3g} x {sides[1]:.3g} pixels at --gsd {gsd:g}; "
                f"its own pixels are {pixel[0]:.3g} x {pixel[1]:.3g} m"
            )
        self._scene = scene
        self.name: str = scene.name
        self.notes: tuple[str, ...] = tuple(scene.notes)
        self.width, self.height = round(sides[0]), round(sides[1])
        self.scale = scene.width / self.width, scene.height / self.height

    @property
    def georef(self) -> GeoRef:
        """That of the scene itself, whose pixels it counts."""
        georef: GeoRef = self._scene.georef
        return georef

    @property
    def companions(self) -> tuple[Path, ...]:
        """Files besides its own that the scene itself is made of."""
        return tuple(getattr(self._scene, "companions", ()))

    @property
    def stretch(self) -> Stretch | None:
        """That of the scene itself."""
        return getattr(self._scene, "stretch", None)

    def read(
        self, x: int, y: int, width: int, height: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Pixels `(height, width, 3)` uint8 and validity `(height, width)` bool of a window.

        Raises:
            SceneError: the window cannot be read.
        """
        corner = x * self.scale[0], y * self.scale[1]
        size = (
            min(width * self.scale[0], self._scene.width - corner[0]),
            min(height * self.scale[1], self._scene.height - corner[1]),
        )
        if hasattr(self._scene, "read_scaled"):
            pixels, valid = self._scene.read_scaled(corner, size, (height, width))
            return pixels, valid
        return _resampled(self._scene, corner, size, (height, width))

    def close(self) -> None:
        """Close the scene itself."""
        self._scene.close()


def _resampled(
    scene: Any, corner: tuple[float, float], size: tuple[float, float], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """A window of any scene at a shape (height, width), read as it is."""
    left, top = (max(0, int(c) - REACH) for c in corner)
    right = min(scene.width, int(np.ceil(corner[0] + size[0])) + REACH)
    bottom = min(scene.height, int(np.ceil(corner[1] + size[1])) + REACH)
    pixels, valid = scene.read(left, top, right - left, bottom - top)
    window = Window(corner[0] - left, corner[1] - top, *size)
    planes, hidden = resampled(pixels.transpose(2, 0, 1), ~valid, window, shape, method_for(size, shape))
    image = np.ascontiguousarray(planes.transpose(1, 2, 0))
    if hidden is None:
        return image, np.ones(shape, bool)
    image[hidden] = 0
    return image, ~hidden
