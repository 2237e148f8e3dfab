"""From whatever a caller gives to an open scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import SceneError
from sodslice.scene.array import ArrayScene
from sodslice.scene.base import ForeignScene, Scene, SceneBase
from sodslice.scene.raster import RasterScene
from sodslice.scene.rendering import Rendering
from sodslice.values.setting import named_values, settings_of


def as_scene(source: Any, rendering: Rendering | None = None) -> SceneBase:
    """A scene from whatever a caller gives.

    Args:
        source: path of a raster that GDAL reads, an array, or a `Scene`, which stays as it is.
        rendering: how a raster is read.

    Raises:
        SceneError: it cannot be opened, or its bands or pixel type are not those of an image.
    """
    if isinstance(source, (str, Path)):
        return RasterScene(source, rendering)
    if isinstance(source, SceneBase):
        return source
    if isinstance(source, Scene):
        return ForeignScene(source)
    if isinstance(source, np.ndarray):
        return ArrayScene(source)
    raise SceneError(f"a scene must be a path, an array or a Scene, got {type(source).__name__}")


def open_scene(source: Any, rendering: Rendering | Mapping[str, Any] | None = None) -> SceneBase:
    """A scene from a path, an array `(H, W)` or `(H, W, 3)` uint8, or an object that already is one.

    Args:
        source: path of a raster that GDAL reads, an array, or a `Scene`.
        rendering: how a raster from a file is read: a `Rendering`, or some of its settings by name, such as
            `{"bands": (3, 2, 1), "nodata": 0}`; docs/settings.md tells them all under "Pixels".

    Raises:
        SceneError: it cannot be opened, or its bands or pixel type are not those of an image.
        OptionError: a setting is unknown or malformed, or not one for this image.
    """
    if rendering is None or isinstance(rendering, Rendering):
        return as_scene(source, rendering)
    return as_scene(source, Rendering(**named_values(rendering, settings_of(Rendering), where="a scene")))
