"""`Letterbox`: tiles in the size that a model takes, and its boxes back in tile pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.inference.detector import Pixels
from sodslice.system.opencv import opencv

GREY = 114
"""Level of what is not the tile, with which YOLOs are trained."""


class Place(NamedTuple):
    """Where a tile lies in what a model sees.

    Fields: `scale`, what x and y are multiplied by; `corner`, x and y of the tile's upper left corner there;
    `tile`, its height and width; `shown`, those of what the model sees.
    """

    scale: tuple[float, float]
    corner: tuple[int, int]
    tile: tuple[int, int]
    shown: tuple[int, int]

    def back(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Boxes `(N, 4)` of x0, y0, x1, y1 in pixels of what the model sees, in pixels of the tile."""
        moved: npt.NDArray[np.float64] = (boxes - np.array(self.corner * 2)) / np.array(self.scale * 2)
        return moved


@dataclass(frozen=True)
class Letterbox:
    """How tiles come to the size that a model takes.

    Args:
        size: height and width; None where it takes any multiple of the stride: tiles keep their scale.
        stride: in pixels.
        stretched: tiles fill the size, whatever their shape, rather than keep their ratio with grey around.
    """

    size: tuple[int, int] | None
    stride: int = 32
    stretched: bool = False

    def __call__(self, tiles: Pixels) -> tuple[Pixels, Place]:
        """Tiles in the size of the model.

        Args:
            tiles: `(B, H, W, 3)` uint8 RGB.

        Returns:
            `(B, h, w, 3)` uint8 RGB, and where each of them lies in it.
        """
        own = tiles.shape[1], tiles.shape[2]
        size = self.size or (self._whole(own[0]), self._whole(own[1]))
        inner = size if self.stretched else self._fitting(own, size)
        top, left = ((whole - part) // 2 for whole, part in zip(size, inner, strict=True))
        place = Place((inner[1] / own[1], inner[0] / own[0]), (left, top), own, size)
        resized = tiles if inner == own else np.stack([_resized(tile, inner) for tile in tiles])
        if inner == size:
            return resized, place
        canvas = np.full((len(tiles), *size, 3), GREY, np.uint8)
        canvas[:, top : top + inner[0], left : left + inner[1]] = resized
        return canvas, place

    def describe(self) -> tuple[str, ...]:
        """One word for each thing that is done to tiles, for people."""
        shaped = "Stretch" if self.stretched else f"Letterbox{GREY}" if self.size else f"Pad{GREY}"
        return shaped, "Scale0to1"

    def _whole(self, side: int) -> int:
        return -(-side // self.stride) * self.stride

    def _fitting(self, own: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of a tile as large as it fits; as it is where any size goes."""
        if self.size is None:
            return own
        factor = min(size[0] / own[0], size[1] / own[1])
        height, width = (max(1, round(side * factor)) for side in own)
        return height, width


def _resized(tile: Pixels, size: tuple[int, int]) -> Pixels:
    resized: Pixels = opencv().resize(tile, size[::-1], interpolation=opencv().INTER_LINEAR)
    return resized
