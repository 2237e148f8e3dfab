from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import SodsliceError, plan_tiles
from sodslice.tables.tiles import Grid, overlap_px

sizes = st.integers(1, 1500)
tile_sides = st.integers(32, 700)
shares = st.floats(0, 0.95)


@settings(deadline=None, max_examples=200)
@given(sizes, sizes, tile_sides, shares)
def test_the_grid_equals_sahis(width, height, tile, overlap):
    from sahi.slicing import get_slice_bboxes

    expected = get_slice_bboxes(
        height,
        width,
        tile,
        tile,
        auto_slice_resolution=False,
        overlap_height_ratio=overlap,
        overlap_width_ratio=overlap,
    )
    tiles = plan_tiles(width, height, tile=tile, overlap=overlap)
    assert [[t.x, t.y, t.x + t.width, t.y + t.height] for t in tiles] == expected
    assert [t.id for t in tiles] == list(range(len(tiles)))


@settings(deadline=None, max_examples=100)
@given(sizes, sizes, tile_sides, tile_sides, st.integers(0, 31))
def test_the_grid_of_tiles_that_are_not_square_equals_sahis(width, height, tile, high, overlap):
    from sahi.slicing import get_slice_bboxes

    shares = {"overlap_width_ratio": (overlap + 0.5) / tile, "overlap_height_ratio": (overlap + 0.5) / high}
    expected = get_slice_bboxes(height, width, high, tile, auto_slice_resolution=False, **shares)
    grid = Grid(width, height, tile, overlap, tile_height=high)
    assert grid.boxes(np.arange(len(grid))).tolist() == expected


def test_a_share_is_one_of_the_shorter_side():
    assert Grid(2000, 2000, 640, 0.2, tile_height=320).strides == (576, 256)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(32, 120), st.integers(0, 31), st.data())
def test_every_pixel_is_seen_and_no_tile_leaves_the_scene_whatever_the_origin(
    width, height, tile, overlap, data
):
    stride = tile - overlap
    origin = data.draw(st.tuples(st.integers(0, stride - 1), st.integers(0, stride - 1)))
    seen = np.zeros((height, width), bool)
    tiles = plan_tiles(width, height, tile=tile, overlap=overlap, origin=origin)
    for t in tiles:
        assert t.x >= 0
        assert t.x + t.width <= width
        assert t.y >= 0
        assert t.y + t.height <= height
        assert (t.width, t.height) == (min(tile, width), min(tile, height))
        seen[t.y : t.y + t.height, t.x : t.x + t.width] = True
    assert seen.all()
    assert len({t[1:] for t in tiles}) == len(tiles)


def test_the_last_tile_is_flush_with_the_edge():
    last = plan_tiles(1000, 700, tile=640, overlap=0.2)[-1]
    assert (last.x, last.y, last.width, last.height) == (360, 60, 640, 640)


def test_the_origin_shifts_the_seams():
    assert sorted({t.x for t in plan_tiles(2000, 100, tile=640, overlap=0, origin=(100, 0))}) == [
        0,
        540,
        1180,
        1360,
    ]


def test_overlap_is_a_share_below_one_and_pixels_from_one():
    assert overlap_px(640, 0.2) == 128
    assert overlap_px(640, 100) == 100
    assert overlap_px(640, 0) == 0


@pytest.mark.parametrize(
    ("tile", "overlap", "words"),
    [
        (31, 0.2, "`tile` must be at least 32 pixels, got 31"),
        (640, -0.1, "`overlap` must not be negative, got -0.1"),
        (640, 640, "`overlap` must be smaller than the tile, got 640 pixels for a tile of 640"),
        (640, float("nan"), "`overlap` must not be negative, got nan"),
    ],
)
def test_impossible_grids_are_refused_in_words(tile, overlap, words):
    with pytest.raises(SodsliceError, match=words):
        plan_tiles(1000, 1000, tile=tile, overlap=overlap)


def test_an_empty_scene_and_a_wild_origin_are_refused():
    with pytest.raises(SodsliceError, match="at least one pixel"):
        plan_tiles(0, 10, tile=64)
    with pytest.raises(SodsliceError, match="origin must lie between 0 and the stride - 1 = 63, got 64"):
        plan_tiles(1000, 1000, tile=64, overlap=0, origin=(64, 0))
