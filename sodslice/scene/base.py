"""What the inside of sodslice asks of every scene, with defaults for what a scene need not have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from sodslice.place.georef import GeoRef
from sodslice.place.plausible import examined
from sodslice.scene.layout import Layout
from sodslice.scene.photo import Photo
from sodslice.scene.resample import REACH, method_for, resampled
from sodslice.scene.stretch import FittedStretch

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]


@runtime_checkable
class Scene(Protocol):
    """What is asked of an image of somebody else's making; anyone's class fits."""

    @property
    def name(self) -> str:
        """What to call it in messages and outputs: a path, or a word."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def georef(self) -> GeoRef:
        """Where it lies on the map."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it is read, one sentence each."""

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Valid]:
        """Pixels `(height, width, 3)` uint8 RGB and their validity `(height, width)` bool.

        The window is in scene pixels and lies inside the scene. Invalid pixels (no-data, masked,
        transparent) are black. Safe to call from several threads.

        Raises:
            SceneError: the window cannot be read.
        """

    def close(self) -> None:
        """Give back what it holds open; reading afterwards opens it again."""


class SceneBase(ABC):
    """A scene with everything that sodslice may ask of one; see `Scene` for the rest."""

    name: str
    width: int
    height: int
    georef: GeoRef
    notes: tuple[str, ...] = ()
    companions: tuple[Path, ...] = ()
    """Files besides its own that it is made of."""
    orientation: int = 1
    """EXIF's, by which its picture is turned when it is read; 1: it is not turned."""
    photo: Photo | None = None
    """What it says of the ground that it shows, if it is a photo that no map holds."""

    @abstractmethod
    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Valid]:
        """See `Scene`."""

    @property
    def layout(self) -> Layout | None:
        """How it lies on disk; None where it is no raster."""
        return None

    @property
    def stretch(self) -> FittedStretch | None:
        """How levels become 8 bits; None where they are left alone.

        Raises:
            SceneError: that takes a look at the pixels, and they cannot be read.
        """
        return None

    def coarse_mask(self) -> Valid | None:
        """Where the scene holds data, `(h, w)` bool, much smaller than the scene; None where not cheap."""
        return None

    def read_scaled(
        self, corner: tuple[float, float], size: tuple[float, float], shape: tuple[int, int]
    ) -> tuple[Pixels, Valid]:
        """A window resampled to a shape; here read as it is, then resampled in memory.

        Args:
            corner: x, y of the window in scene pixels; fractions count.
            size: its width and height in scene pixels.
            shape: (height, width) of what is returned.

        Raises:
            SceneError: the window cannot be read.
        """
        left, top = (max(0, int(c) - REACH) for c in corner)
        right = min(self.width, int(np.ceil(corner[0] + size[0])) + REACH)
        bottom = min(self.height, int(np.ceil(corner[1] + size[1])) + REACH)
        pixels, valid = self.read(left, top, right - left, bottom - top)
        window = Window(corner[0] - left, corner[1] - top, *size)
        planes, hidden = resampled(pixels.transpose(2, 0, 1), ~valid, window, shape, method_for(size, shape))
        image = np.ascontiguousarray(planes.transpose(1, 2, 0))
        if hidden is None:
            return image, np.ones(shape, bool)
        image[hidden] = 0
        return image, ~hidden

    def close(self) -> None:  # noqa: B027 -- most hold nothing open
        """Give back what it holds open; reading afterwards opens it again."""


class ForeignScene(SceneBase):
    """A scene of somebody else's making, with defaults for what it does not have.

    Args:
        scene: whatever fits `Scene`; closing is its owner's affair.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.name = scene.name
        self.width, self.height = scene.width, scene.height
        self.georef, strange = examined(scene.georef, (scene.width, scene.height), scene.name)
        self.notes = (*scene.notes, *strange)

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Valid]:
        """See `Scene`."""
        return self._scene.read(x, y, width, height)
