"""The scene as the page shows it: an overview pyramid of JPEGs, bounded in size."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sodslice.scene.base import SceneBase
from sodslice.scene.overview import overview

MOST_PX = 20_000_000
"""Pixels of the finest level: about 8 MB of JPEG, and a third more as text."""
TILE = 512
"""Side of a picture of a level."""
QUALITY = 78
CROP_PX = 160
MOST_CROPS = 200
"""Crops of single detections at the scene's own scale, where the pyramid is coarser."""

Pixels = npt.NDArray[np.uint8]


def base_of(scene: SceneBase) -> dict[str, Any]:
    """Levels of a scene, the finest first: `scale` scene pixels a pixel, and its pictures row by row.

    Raises:
        SceneError: the scene cannot be read.
    """
    scale = max(1.0, math.sqrt(scene.width * scene.height / MOST_PX))
    picture = overview(scene, scale)
    levels = []
    while True:
        levels.append(_level(picture, scene.width / picture.shape[1]))
        if max(picture.shape[:2]) <= TILE:
            return {"levels": levels}
        half = max(1, -(-picture.shape[1] // 2)), max(1, -(-picture.shape[0] // 2))
        picture = np.asarray(Image.fromarray(picture).resize(half, Image.Resampling.BOX))


def crops_of(scene: SceneBase, boxes: npt.NDArray[np.float64], scale: float) -> dict[str, Any]:
    """Crops of the first detections at the scene's own scale, by row; {} where the pyramid has that.

    Args:
        scene: open.
        boxes: `(N, 4)` edges x0, y0, x1, y1, the most interesting first.
        scale: scene pixels a pixel of the finest level.
    """
    if scale <= 1.01:
        return {}
    crops = {}
    for row, (x0, y0, x1, y1) in enumerate(boxes[:MOST_CROPS].tolist()):
        reach = max(x1 - x0, y1 - y0, 16) * 1.5
        left, top = max(0, math.floor((x0 + x1) / 2 - reach)), max(0, math.floor((y0 + y1) / 2 - reach))
        right = min(scene.width, math.ceil((x0 + x1) / 2 + reach))
        bottom = min(scene.height, math.ceil((y0 + y1) / 2 + reach))
        pixels, _ = scene.read(left, top, right - left, bottom - top)
        small = Image.fromarray(pixels)
        small.thumbnail((CROP_PX, CROP_PX))
        crops[str(row)] = {"window": [left, top, right, bottom], "image": as_data(np.asarray(small))}
    return crops


def as_data(pixels: Pixels) -> str:
    """A picture as a data URI."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _level(picture: Pixels, scale: float) -> dict[str, Any]:
    height, width = picture.shape[:2]
    columns, rows = -(-width // TILE), -(-height // TILE)
    images = [
        as_data(picture[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE])
        for row in range(rows)
        for column in range(columns)
    ]
    return {"scale": scale, "tile": TILE, "columns": columns, "rows": rows, "images": images}
