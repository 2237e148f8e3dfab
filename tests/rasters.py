"""Small rasters for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

UTM = Affine(0.5, 0, 500_000, 0, -0.5, 5_300_000)


def write_raster(
    path: Path, pixels: np.ndarray, *, crs: str | None = "EPSG:32632", transform=UTM, colours=None, **profile
):
    """Write `(bands, H, W)` pixels as a GeoTIFF and return its path."""
    count, height, width = pixels.shape
    settings = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256} | profile
    with rasterio.open(
        path,
        "w",
        width=width,
        height=height,
        count=count,
        dtype=pixels.dtype,
        crs=crs,
        transform=transform,
        **settings,
    ) as dataset:
        if colours:
            dataset.colorinterp = colours
        dataset.write(pixels)
    return path


def scene_with_blobs(width: int, height: int, corners, side: int = 10, level: int = 255) -> np.ndarray:
    """Dark pixels `(3, H, W)` uint8 with bright squares whose top left corners are given."""
    pixels = np.full((3, height, width), 40, np.uint8)
    for x, y in corners:
        pixels[:, y : y + side, x : x + side] = level
    return pixels
