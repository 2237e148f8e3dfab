"""Texture: smooth noise at several scales, a fixed function of the place, mixed by material."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.canvas import DrawnWindow, FloatImage, Plane
from sodslice.synthetic.sketch import Material
from sodslice.system.opencv import opencv

SCALES_M = (0.0, 0.3, 1.1, 5.0, 24.0)
"""Distance of the noise's nodes in metres; 0 is one node a pixel."""

HUE_SCALE_M = 3.2

# Standard deviation of the brightness at each scale, as a share of it.
STRENGTHS: dict[Material, tuple[float, ...]] = {
    Material.PLAIN: (0.008, 0.0, 0.0, 0.0, 0.0),
    Material.ASPHALT: (0.022, 0.026, 0.021, 0.033, 0.038),
    Material.PAVING: (0.020, 0.030, 0.023, 0.028, 0.033),
    Material.GRASS: (0.050, 0.079, 0.070, 0.070, 0.064),
    Material.SOIL: (0.040, 0.070, 0.064, 0.070, 0.076),
    Material.TILES: (0.030, 0.057, 0.023, 0.028, 0.0),
    Material.FLAT_ROOF: (0.014, 0.023, 0.028, 0.043, 0.023),
    Material.WATER: (0.012, 0.018, 0.028, 0.043, 0.064),
}
# How far the hue wanders from green to yellow: red up, blue down.
WANDER: dict[Material, float] = {Material.GRASS: 0.023, Material.SOIL: 0.018, Material.TILES: 0.015}

_EVEN, _ODD, _MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)


def grain(window: DrawnWindow, materials: Plane, gsd_m: float, seed: int) -> tuple[FloatImage, FloatImage]:
    """Factors of brightness and of hue `(H, W)` float32 for a window.

    Args:
        window: which scene pixels.
        materials: `(H, W)` material of each.
        gsd_m: metres a pixel.
        seed: the scene's seed.
    """
    light = np.ones(materials.shape, dtype=np.float32)
    for index, scale in enumerate(SCALES_M):
        field = smooth_noise(window, max(1, round(scale / gsd_m)), seed * 31 + index)
        field *= _of_material(materials, {material: STRENGTHS[material][index] for material in Material})
        light += field
    hue = smooth_noise(window, max(1, round(HUE_SCALE_M / gsd_m)), seed * 31 + len(SCALES_M))
    hue *= _of_material(materials, WANDER)
    return light, hue


def _of_material(materials: Plane, values: Mapping[Material, float]) -> FloatImage:
    """The value of each pixel's material `(H, W)`; 0 for materials that are not named."""
    table = np.zeros(256, dtype=np.float32)
    for material, value in values.items():
        table[material] = value
    return np.asarray(opencv().LUT(materials, table), dtype=np.float32)


def smooth_noise(window: DrawnWindow, step: int, seed: int) -> FloatImage:
    """Noise `(H, W)` of mean 0 and standard deviation near 1, nodes every `step` pixels, cubic between."""
    column, row = window.x // step - 2, window.y // step - 2
    columns = (window.x + window.width) // step + 3 - column
    rows = (window.y + window.height) // step + 3 - row
    nodes = _white(column, row, columns, rows, seed)
    if step > 1:
        cv2 = opencv()
        # Cubic interpolation smooths: this brings the standard deviation back to about 1.
        nodes = cv2.resize(
            nodes * np.float32(1.18), (columns * step, rows * step), interpolation=cv2.INTER_CUBIC
        )
    left, top = window.x - column * step, window.y - row * step
    return np.ascontiguousarray(nodes[top : top + window.height, left : left + window.width])


def _white(column: int, row: int, columns: int, rows: int, seed: int) -> FloatImage:
    """Uniform noise `(rows, columns)` of variance 1 on whole-numbered nodes: a hash of place and seed.

    The last steps are the finaliser of MurmurHash3 (Austin Appleby, public domain).
    """
    x = np.arange(column, column + columns, dtype=np.int64).astype(np.uint32)
    y = np.arange(row, row + rows, dtype=np.int64).astype(np.uint32)
    salt = np.uint32((seed * 0x27D4EB2F + 0x165667B1) & 0xFFFFFFFF)
    mixed: npt.NDArray[np.uint32] = (x * _EVEN)[None, :] ^ ((y * _ODD) + salt)[:, None]
    mixed ^= mixed >> np.uint32(16)
    mixed *= _ODD
    mixed ^= mixed >> np.uint32(13)
    mixed *= _MIX
    mixed ^= mixed >> np.uint32(16)
    white: FloatImage = mixed.astype(np.float32) * np.float32(2 * np.sqrt(3) / 2**32)
    white -= np.float32(np.sqrt(3))
    return white
