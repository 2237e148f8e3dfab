"""Which tiles waste least: sides that fit a scene, so that few pixels are seen twice."""

from __future__ import annotations

from sodslice.tables.limits import SMALLEST_TILE
from sodslice.tables.tiles import overlap_px, tile_starts

SIDES = (640, 2048)
"""Least and greatest side in pixels: smaller ones have many seams, larger ones take much memory."""
NEAR = 1.02
"""Up to so many times the least cost a square tile is preferred to others, and a small one to a large one."""


def fitted_tile(width: int, height: int, *, overlap: float, step: int) -> tuple[int, int]:
    """Width and height of the tiles that show a model the fewest pixels; the same for the same arguments.

    Args:
        width: of the scene in pixels.
        height: of the scene in pixels.
        overlap: of neighbouring tiles: pixels, or below 1 a share of the side, and then tiles are square.
        step: tile sides are multiples of it, and smaller tiles are padded to such.

    Raises:
        OptionError: the overlap is as large as the largest tile.
    """
    sides = _sides(overlap, step)
    across, down = (
        {side: _shown(length, side, overlap, step) for side in sides} for length in (width, height)
    )
    costs = {
        (w, h): across[w] * down[h] for w in sides for h in (sides if overlap >= 1 or overlap == 0 else [w])
    }
    enough = NEAR * min(costs.values())
    near = [(w != h, w * h, cost, w, h) for (w, h), cost in costs.items() if cost <= enough]
    return min(near)[3:]


def padded(side: int, step: int) -> int:
    """The next multiple of a step."""
    return -(-side // step) * step


def _shown(length: int, side: int, overlap: float, step: int) -> int:
    """Pixels along one axis that a model is shown by tiles of a side."""
    return len(tile_starts(length, side, overlap_px(side, overlap))) * padded(min(side, length), step)


def _sides(overlap: float, step: int) -> list[int]:
    """Sides to choose from, increasing: multiples of the step that are larger than the overlap."""
    coarse = padded(SMALLEST_TILE, step)
    least, most = (padded(side, coarse) for side in SIDES)
    sides = range(least, max(least, SIDES[1]) + 1, coarse)
    return [side for side in sides if side > overlap] or [most]
