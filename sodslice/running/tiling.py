"""The grid that a scene is cut into: as asked, of a model's own size, or fitted to the scene."""

from __future__ import annotations

from math import ceil

from sodslice.inference import ModelInfo
from sodslice.place.coverage import Coverage
from sodslice.tables.fitting import fitted_tile
from sodslice.tables.tiles import Grid

USUAL_OVERLAP = 0.2
"""Share of a tile whose side is given, or is that of the model."""
ROOM = 1.5
"""Overlap over the length of the largest object: one at a seam is seen whole, with something around it."""
LEAST_OVERLAP_PX = 64
MOST_OVERLAP_PX = 128
OVERLAP_STEP_PX = 32


def chosen_grid(coverage: Coverage, info: ModelInfo, seen: tuple[int, int]) -> Grid:
    """The grid of a scene: it depends on the arguments alone, so the same ones give the same tiles anywhere.

    A window or an area does not change it, so that those side by side have the same tiles where they meet.

    Args:
        coverage: what is asked for.
        info: of the model.
        seen: width and height of the scene in pixels that are seen.

    Raises:
        OptionError: tile and overlap make no grid.
    """
    tile, overlap = coverage.tile, coverage.overlap
    if tile is None and info.input_size is not None:
        tile = info.input_size[1], info.input_size[0]
    if tile is None:
        overlap = needed_overlap_px(info) if overlap is None else overlap
        tile = fitted_tile(*seen, overlap=overlap, step=info.stride)
    width, height = (tile, tile) if isinstance(tile, int) else tile
    share = USUAL_OVERLAP if overlap is None else overlap
    return Grid(*seen, width, share, tile_height=None if height == width else height)


def needed_overlap_px(info: ModelInfo, resized: float = 1.0) -> int:
    """Overlap in pixels in which the largest object of a model is seen whole, as far as that is sane.

    Args:
        info: of the model; one that does not say how large its objects are gets the most.
        resized: pixels of a tile for each that the model sees.
    """
    if info.object_px is None:
        return MOST_OVERLAP_PX
    room = ceil(ROOM * resized * info.object_px[1] / OVERLAP_STEP_PX) * OVERLAP_STEP_PX
    return min(max(LEAST_OVERLAP_PX, room), MOST_OVERLAP_PX)
