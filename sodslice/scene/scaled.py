"""`ScaledScene`: another scene at another scale, and the scale that is wanted in pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.errors import GeoRefError, SceneError
from sodslice.scene.base import SceneBase
from sodslice.scene.stretch import FittedStretch

SMALLEST_SIDE = 1
LARGEST_SIDE = 2**31 - 1


class ScaleWish(NamedTuple):
    """At which scale a scene is to be seen: its own without a wish.

    Fields: `gsd`, metres per pixel; `scale`, pixels for each of the scene; one of them at most.
    """

    gsd: float | None = None
    scale: float | None = None


NO_WISH = ScaleWish()


def seen_size(scene: SceneBase, wish: ScaleWish = NO_WISH) -> tuple[int, int]:
    """Width and height in pixels at which a scene is seen.

    Args:
        scene: open.
        wish: metres are square on the ground, also where the pixels of the scene are not.

    Raises:
        GeoRefError: metres are wanted, and the scene's own are not known.
        SceneError: so coarse that nothing would be left, or so fine that it cannot be counted.
    """
    gsd, scale = wish
    if gsd is not None:
        x, y = pixel_size_m(scene)
        sides = scene.width * x / gsd, scene.height * y / gsd
        words, own = f"`gsd={gsd:g}`", f"its own pixels are {x:.3g} x {y:.3g} m"
    elif scale is not None:
        sides = scene.width * scale, scene.height * scale
        words, own = f"`scale={scale:g}`", f"it has {scene.width} x {scene.height}"
    else:
        return scene.width, scene.height
    if not SMALLEST_SIDE <= min(sides) <= max(sides) <= LARGEST_SIDE:
        raise SceneError(f"{scene.name} would be {sides[0]:.3g} x {sides[1]:.3g} pixels at {words}; {own}")
    return round(sides[0]), round(sides[1])


def pixel_size_m(scene: SceneBase) -> tuple[float, float]:
    """Width and height in metres on the ground of the pixel in the middle.

    Raises:
        GeoRefError: they are not known.
    """
    photo = scene.photo
    if not scene.georef.measurable and photo is not None and photo.gsd_m is not None:
        return photo.gsd_m, photo.gsd_m
    middle = np.array([scene.width / 2, scene.height / 2, scene.width / 2, scene.height / 2])
    reason = scene.georef.why_not_measurable
    if not reason:
        x, y = scene.georef.ground_size_m((middle + (-0.5, -0.5, 0.5, 0.5))[None])[0].tolist()
        if np.isfinite((x, y)).all():
            return x, y
        reason = "its CRS does not reach its middle"
    raise GeoRefError(
        f"{scene.name}: `gsd` needs a scene whose metres are known: {reason}; `scale` takes any scene"
    )


class ScaledScene(SceneBase):
    """A scene resampled as it is read. Each of its pixels is `scale` scene pixels large.

    Rasters are read at the scale wanted, so that overviews are used; any other scene is read as it is and
    resampled in memory.

    Args:
        scene: what is read.
        size: width and height at which it is seen, as `seen_size` gives them.
    """

    def __init__(self, scene: SceneBase, size: tuple[int, int]) -> None:
        self._scene = scene
        self.name = scene.name
        self.georef = scene.georef
        self.notes = scene.notes
        self.companions = scene.companions
        self.width, self.height = size
        self.scale = scene.width / self.width, scene.height / self.height

    @property
    def stretch(self) -> FittedStretch | None:
        """That of the scene itself."""
        return self._scene.stretch

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
        return self._scene.read_scaled(corner, size, (height, width))

    def close(self) -> None:
        """Close the scene itself."""
        self._scene.close()


def seen_at(scene: SceneBase, size: tuple[int, int]) -> SceneBase:
    """A scene at a size; itself where that is its own."""
    return scene if size == (scene.width, scene.height) else ScaledScene(scene, size)
