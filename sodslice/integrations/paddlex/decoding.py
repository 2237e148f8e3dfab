"""JPEGs as OpenCV decodes them, where images are looked at as PaddleX does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sodslice.scene import ArrayScene, RasterScene, Rendering, SceneBase
from sodslice.scene.temporary import TemporaryScene
from sodslice.system.opencv import opencv

BEGINNING = b"\xff\xd8\xff"
"""Of a JPEG."""


def as_opencv_decodes(scene: SceneBase, rendering: Rendering) -> SceneBase:
    """A JPEG in memory as OpenCV decodes it; any other scene, or one with settings of its own, as it is.

    Decoders agree on all of a JPEG but colours of less than full resolution, which GDAL's may spread in
    another way. PaddleX and the training of its models have them from OpenCV.

    Args:
        scene: that is looked at as a whole.
        rendering: how it is read.
    """
    file = _file_of(scene)
    if file is None or rendering != Rendering() or scene.companions:
        return scene
    decoded = _decoded(file)
    if decoded is None or decoded.shape != (scene.height, scene.width, 3):
        return scene
    seen = ArrayScene(decoded[:, :, ::-1], georef=scene.georef, name=scene.name)
    seen.notes, seen.photo, seen.orientation = scene.notes, scene.photo, scene.orientation
    return seen


def _decoded(file: Path) -> Any:
    """Pixels `(H, W, 3)` uint8 BGR, turned by EXIF; None where OpenCV cannot, or has its limits."""
    cv2 = opencv()
    try:
        return cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None


def _file_of(scene: SceneBase) -> Path | None:
    """The file of a JPEG; None where there is none."""
    if not isinstance(scene, RasterScene):
        return None
    path = scene.file if isinstance(scene, TemporaryScene) else Path(scene.name)
    with path.open("rb") as opened:
        return path if opened.read(len(BEGINNING)) == BEGINNING else None
