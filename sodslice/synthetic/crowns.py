"""Tree crowns: a stock of pictures, each lit by the scene's sun, pasted where trees stand."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sodslice.synthetic.canvas import DrawnWindow, FloatImage
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import Colour, Points
from sodslice.synthetic.spec import Sun
from sodslice.system.opencv import opencv

SIZE_STEP = 1.16
FORMS = 8
FINE = 2

LEAVES: tuple[Colour, ...] = (
    (74.0, 92.0, 58.0),
    (84.0, 102.0, 60.0),
    (62.0, 80.0, 54.0),
    (96.0, 110.0, 70.0),
    (70.0, 88.0, 66.0),
    (110.0, 116.0, 68.0),
    (66.0, 84.0, 50.0),
    (98.0, 94.0, 62.0),
)


class Crown(NamedTuple):
    """A picture of a crown: colour times cover `(n, n, 3)`, and cover `(n, n)` from 0 to 1; n is odd."""

    colour: FloatImage
    cover: FloatImage


class Crowns:
    """The crowns of one scene.

    Args:
        gsd_m: metres a pixel.
        sun: the scene's sun.
        seed: the scene's seed.
    """

    def __init__(self, gsd_m: float, sun: Sun, seed: int) -> None:
        self._gsd_m, self._sun, self._seed = gsd_m, sun, seed
        self._stock = lru_cache(maxsize=400)(self._grow)

    def of(self, radius: float, variety: float) -> Crown:
        """The crown of a tree: the nearest size in stock, of the form that the variety (0 to 1) names."""
        return self._stock(
            round(float(np.log(radius) / np.log(SIZE_STEP))), min(int(variety * FORMS), FORMS - 1)
        )

    def _grow(self, size: int, form: int) -> Crown:
        """Heap domes of leaves on a dome of branches, and light the heap."""
        dice = Dice(self._seed, "crown", size, form)
        radius, step = SIZE_STEP**size, self._gsd_m / FINE
        half = int(np.ceil(1.15 * radius / self._gsd_m)) + 1
        side = np.arange(-(half * FINE) - (FINE - 1) / 2, half * FINE + FINE / 2, dtype=np.float64) * step
        height, tint = _heap(side, radius, dice)
        cover = (height > 0).astype(np.float32)
        light = _light(height, step, radius, self._sun)
        leaf = np.array(LEAVES[form], dtype=np.float32) * np.float32(dice.between(0.88, 1.12))
        colour = leaf * (light * tint)[..., None].astype(np.float32) * cover[..., None]
        cv2 = opencv()
        size_px = (2 * half + 1, 2 * half + 1)
        small = cv2.resize(colour, size_px, interpolation=cv2.INTER_AREA)
        return Crown(small, cv2.resize(cover, size_px, interpolation=cv2.INTER_AREA))


def _heap(side: Points, radius: float, dice: Dice) -> tuple[Points, Points]:
    """Height in metres (0 outside) and tint of a crown on a square grid with the side `(n,)`."""
    count = int(np.clip(16 * radius**2, 20, 260))
    height, tint = np.zeros((len(side), len(side))), np.ones((len(side), len(side)))
    for throw in dice.many(count, 5):
        reach, turn = radius * 0.86 * np.sqrt(throw[0]), 2 * np.pi * throw[1]
        size = (0.10 + 0.10 * throw[2]) * radius**0.75 + 0.14
        middle = (reach * np.cos(turn), reach * np.sin(turn))
        columns, rows = (slice(*np.searchsorted(side, (at - size, at + size))) for at in middle)
        distance = (side[None, columns] - middle[0]) ** 2 + (side[rows, None] - middle[1]) ** 2
        base = 0.75 * np.sqrt(max(radius**2 - reach**2, 0.0)) + 0.45 * throw[3]
        dome = np.where(distance < size**2, base + np.sqrt(np.maximum(size**2 - distance, 0.0)), 0.0)
        here = (rows, columns)
        tint[here] = np.where(dome > height[here], 0.80 + 0.36 * throw[4], tint[here])
        height[here] = np.maximum(height[here], dome)
    return height, tint


def _light(height: Points, step: float, radius: float, sun: Sun) -> Points:
    """Brightness of a heap: the sun on its slopes, the sky from above, dark gaps."""
    down_y, down_x = np.gradient(height, step)
    limit = 2.2
    slope = np.clip(-down_x, -limit, limit) * sun.toward[0] + np.clip(-down_y, -limit, limit) * sun.toward[1]
    direct = np.clip((1.0 + slope * sun.reach) / np.sqrt(1.0 + down_x**2 + down_y**2), 0.0, 1.9)
    depth = np.clip(height / (0.75 * radius + 0.5), 0.0, 1.0)
    return np.asarray((0.42 + 0.5 * direct) * (0.55 + 0.45 * depth))


def paste(picture: FloatImage, crown: Crown, corner: tuple[int, int]) -> None:
    """Lay a crown over a picture `(H, W, 3)`, its upper left pixel at column, row; parts outside are cut."""
    here, there = _overlap(picture.shape[:2], crown.cover.shape, corner)
    picture[here] *= (1.0 - crown.cover[there])[..., None]
    picture[here] += crown.colour[there]


def darken(shade: FloatImage, crown: Crown, corner: tuple[int, int]) -> None:
    """Lay a crown's shadow over a mask `(H, W)`, where it is deeper than what is there."""
    here, there = _overlap(shade.shape, crown.cover.shape, corner)
    np.maximum(shade[here], crown.cover[there], out=shade[here])


def corner_of(x_m: float, y_m: float, crown: Crown, window: DrawnWindow, gsd_m: float) -> tuple[int, int]:
    """Column and row, within a window, of the upper left pixel of a crown around a place in scene metres."""
    half = crown.cover.shape[0] // 2
    return int(np.floor(x_m / gsd_m)) - half - window.x, int(np.floor(y_m / gsd_m)) - half - window.y


Slices = tuple[slice, slice]


def _overlap(size: tuple[int, ...], patch: tuple[int, ...], corner: tuple[int, int]) -> tuple[Slices, Slices]:
    """Where a patch at a corner and a picture overlap: rows and columns of the picture, then of the patch."""
    x, y = corner
    x0, x1 = max(x, 0), max(min(x + patch[1], size[1]), 0)
    y0, y1 = max(y, 0), max(min(y + patch[0], size[0]), 0)
    x0, y0 = min(x0, x1), min(y0, y1)
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
