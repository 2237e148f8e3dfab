"""Scenes: images of any size, read window by window as uint8 RGB with a validity mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from sodslice.errors import SceneError
from sodslice.georef import GeoRef
from sodslice.scene.array import ArrayScene
from sodslice.scene.raster import RasterScene, Rendering

__all__ = ["ArrayScene", "RasterScene", "Rendering", "Scene", "open_scene"]


@runtime_checkable
class Scene(Protocol):
    """What the pipeline asks of an image; anyone's class fits."""

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

    def read(
        self, x: int, y: int, width: int, height: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Pixels `(height, width, 3)` uint8 RGB and their validity `(height, width)` bool.

        The window is in scene pixels and lies inside the scene. Invalid pixels (no-data, masked,
        transparent) are black. Safe to call from several threads.

        Raises:
            SceneError: the window cannot be read.
        """

    def close(self) -> None:
        """Give back what it holds open; reading afterwards opens it again."""


def open_scene(
    source: Any,
    *,
    bands: tuple[int, ...] | None = None,
    stretch: str = "auto",
    nodata: float | str | None = None,
    rpc_height: float | None = None,
    allow_vrt: bool = False,
) -> Scene:
    """A scene from a path, an array `(H, W)` or `(H, W, 3)` uint8, or an object that already is one.

    All but the source is about rasters from files.

    Args:
        source: path of a raster that GDAL reads, an array, or a `Scene`.
        bands: one or three bands of the raster to read as grey or RGB, counted from 1.
        stretch: how levels become 8 bits: `auto` leaves uint8 as it is and takes the percentiles 2,98 of a
            sample of the scene for others; `none` cuts at 0 and 255; `LOW,HIGH` are percentiles,
            `minmax:A,B` levels.
        nodata: the value that hides pixels instead of the file's; "nan"; or "none" for no value at all.
        rpc_height: metres above the ellipsoid at which a scene lies that is placed by RPCs only.
        allow_vrt: whether a file may point to images outside its own folder.

    Raises:
        SceneError: it cannot be opened, or its bands or pixel type are not those of an image.
        OptionError: the stretch is no stretch, or not one for this image.
    """
    if isinstance(source, (str, Path)):
        return RasterScene(source, Rendering(bands, stretch, nodata, rpc_height, allow_vrt))
    if isinstance(source, Scene):
        return source
    if isinstance(source, np.ndarray):
        return ArrayScene(source)
    raise SceneError(f"a scene must be a path, an array or a Scene, got {type(source).__name__}")
