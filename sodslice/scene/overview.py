"""`overview`: a whole scene as one picture, smaller where it must be."""

from __future__ import annotations

import numpy as np

from sodslice.scene.base import Pixels, SceneBase
from sodslice.scene.scaled import ScaledScene

BAND = 2048
"""Rows that are read together."""


def overview(scene: SceneBase, scale: float) -> Pixels:
    """Pixels `(h, w, 3)` uint8 RGB of a scene, each about `scale` scene pixels large; 1 is the scene itself.

    Raises:
        SceneError: it cannot be read.
    """
    size = max(1, round(scene.width / scale)), max(1, round(scene.height / scale))
    seen = ScaledScene(scene, size) if size != (scene.width, scene.height) else scene
    picture = np.empty((size[1], size[0], 3), np.uint8)
    for top in range(0, size[1], BAND):
        height = min(BAND, size[1] - top)
        picture[top : top + height] = seen.read(0, top, size[0], height)[0]
    return picture
