"""From whatever a caller gives to an open scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import SceneError
from sodslice.scene.base import ForeignScene, Scene, SceneBase
from sodslice.scene.fetching import is_address, scene_of_address
from sodslice.scene.given import ENCODED, is_picture, scene_of_array, scene_of_picture
from sodslice.scene.raster import RasterScene
from sodslice.scene.rendering import Rendering
from sodslice.scene.temporary import scene_of_bytes
from sodslice.values.setting import named_values, settings_of


def as_scene(source: Any, rendering: Rendering | None = None) -> SceneBase:
    """A scene from whatever a caller gives.

    Args:
        source: path of a raster that GDAL reads, an http or https address of one, the bytes of one, an array
            (see `scene_of_array`), an image of Pillow, or a `Scene`, which stays as it is.
        rendering: how a raster is read.

    Raises:
        SceneError: it cannot be opened, or its bands or pixel type are not those of an image.
    """
    if is_address(source):
        return scene_of_address(source, rendering)
    if isinstance(source, (str, Path)):
        return RasterScene(source, rendering)
    if isinstance(source, ENCODED):
        return scene_of_bytes(source, rendering)
    return _scene_of_object(source)


def _scene_of_object(source: Any) -> SceneBase:
    if isinstance(source, SceneBase):
        return source
    if isinstance(source, np.ndarray):
        return scene_of_array(source)
    if is_picture(source):
        return scene_of_picture(source)
    if isinstance(source, Scene):
        return ForeignScene(source)
    many = "; `run_many` takes several" if isinstance(source, (list, tuple, dict)) else ""
    raise SceneError(
        "a scene must be a path, an address, bytes of an image, an array, a picture of Pillow or a Scene, "
        f"got {type(source).__name__}{many}"
    )


def open_scene(source: Any, rendering: Rendering | Mapping[str, Any] | None = None) -> SceneBase:
    """A scene from a path, an address, bytes, an array, a picture, or an object that already is one.

    Args:
        source: as `sodslice.run` takes it: path of a raster that GDAL reads, its http or https address or
            its bytes, an array `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, an image of Pillow, or a `Scene`.
        rendering: how a raster from a file is read: a `Rendering`, or some of its settings by name, such as
            `{"bands": (3, 2, 1), "nodata": 0}`; docs/settings.md tells them all under "Pixels".

    Raises:
        SceneError: it cannot be opened, or its bands or pixel type are not those of an image.
        OptionError: a setting is unknown or malformed, or not one for this image.
    """
    if rendering is None or isinstance(rendering, Rendering):
        return as_scene(source, rendering)
    return as_scene(source, Rendering(**named_values(rendering, settings_of(Rendering), where="a scene")))
