"""Fitted tiles: of all sides that a model takes, those that show it the fewest pixels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import OptionError
from sodslice.tables.fitting import NEAR, SIDES, fitted_tile, padded
from sodslice.tables.tiles import Grid

STEP = 32
ALL_SIDES = range(SIDES[0], SIDES[1] + 1, STEP)
lengths = st.integers(1, 9000)


def grid_of(size: tuple[int, int], tile: tuple[int, int], overlap: float) -> Grid:
    return Grid(*size, tile[0], overlap, tile_height=tile[1])


def cost(grid: Grid, tiles: int | None = None) -> float:
    """Pixels that a model sees for each of the scene."""
    width, height = (padded(side, STEP) for side in grid.tile_size)
    return (len(grid) if tiles is None else tiles) * width * height / (grid.width * grid.height)


@settings(deadline=None, max_examples=25)
@given(lengths, lengths, st.sampled_from([0, 64, 96, 128, 500]))
def test_no_tile_wastes_much_less(width, height, overlap):
    chosen = fitted_tile(width, height, overlap=overlap, step=STEP)
    assert all(side in ALL_SIDES for side in chosen)
    columns = {side: len(grid_of((width, 1), (side, side), overlap)) for side in ALL_SIDES}
    rows = {side: len(grid_of((1, height), (side, side), overlap)) for side in ALL_SIDES}
    across = {w: columns[w] * padded(min(w, width), STEP) for w in ALL_SIDES}
    down = {h: rows[h] * padded(min(h, height), STEP) for h in ALL_SIDES}
    costs = {(w, h): across[w] * down[h] for w, h in product(ALL_SIDES, ALL_SIDES)}
    assert costs[chosen] <= NEAR * min(costs.values())
    near = [tile for tile, pixels in costs.items() if pixels <= NEAR * min(costs.values())]
    square = [w * h for w, h in near if w == h]
    assert np.prod(chosen) == (min(square) if square else min(w * h for w, h in near))


@pytest.mark.parametrize(
    "size", [(6144, 6144), (10_000, 10_000), (3000, 4000), (3072, 3072), (20_000, 20_000), (30_011, 17_003)]
)
def test_scenes_cost_little_more_than_their_own_pixels(size):
    tile = fitted_tile(*size, overlap=96, step=STEP)
    assert cost(grid_of(size, tile, 96)) <= 1.15
    assert cost(Grid(*size, 1024, 0.2)) > 1.5


def test_a_tile_as_worked_out_by_hand():
    """5 x 1312 are 416 pixels more than 6144: 4 overlaps of 104. 4 x 1632 waste 1 % less and are larger."""
    assert fitted_tile(6144, 6144, overlap=96, step=STEP) == (1312, 1312)
    assert fitted_tile(3000, 4000, overlap=96, step=STEP) == (1568, 2048)


@pytest.mark.parametrize("size", [(1, 1), (100, 100), (640, 640), (641, 2000), (2048, 2048)])
def test_a_scene_that_a_tile_holds_is_one_tile(size):
    tile = fitted_tile(*size, overlap=96, step=STEP)
    assert len(grid_of(size, tile, 96)) == 1
    assert tile == (max(640, padded(max(size), STEP)),) * 2


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([0.1, 0.2, 0.5]), lengths, lengths)
def test_a_share_makes_square_tiles(share, width, height):
    wide, high = fitted_tile(width, height, overlap=share, step=STEP)
    assert wide == high
    best = min(cost(Grid(width, height, side, share)) for side in ALL_SIDES)
    assert cost(Grid(width, height, wide, share)) <= NEAR * best * (1 + 1e-12)


@pytest.mark.parametrize(("step", "multiple"), [(1, 32), (7, 35), (32, 32), (128, 128), (3000, 3000)])
def test_sides_are_multiples_of_what_a_model_steps_by(step, multiple):
    tile = fitted_tile(5000, 7000, overlap=64, step=step)
    assert all(side % step == side % multiple == 0 for side in tile)


def test_an_overlap_larger_than_the_largest_tile_is_refused():
    with pytest.raises(OptionError, match="`overlap` must be smaller than the tile, got 2048 pixels"):
        fitted_tile(5000, 5000, overlap=2048, step=STEP)
    assert fitted_tile(5000, 5000, overlap=2000, step=STEP) == (2048, 2048)
