"""Looking at a whole scene's levels by some of its blocks, on scenes that note what is read of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import SceneError
from sodslice.scene import sample
from sodslice.scene.layout import Layout
from sodslice.scene.sample import sample_levels


class Picture:
    """Planes `(bands, H, W)` read window by window, and which pixels hide.

    Args:
        planes: of which each level says where it is.
        block: sides of a block.
        hidden: `(H, W)`; None: no pixel hides.
    """

    def __init__(self, planes: np.ndarray, block: tuple[int, int], hidden: np.ndarray | None = None) -> None:
        self.planes, self.hidden, self.windows = planes, hidden, []
        height, width = planes.shape[1:]
        self.layout = Layout(
            width=width, height=height, block_width=block[0], block_height=block[1], pixel_bytes=len(planes)
        )

    def read(self, window, shape):
        """Every second, third, ... pixel, where the shape is smaller than the window."""
        self.windows.append((window.col_off, window.row_off, window.width, window.height))
        rows = window.row_off + np.arange(shape[0]) * window.height // shape[0]
        columns = window.col_off + np.arange(shape[1]) * window.width // shape[1]
        if self.hidden is None:
            return self.planes[:, rows[:, None], columns], None
        hidden = self.hidden[rows[:, None], columns]
        return None if hidden.all() else (self.planes[:, rows[:, None], columns], hidden)

    def sampled(self, *, overviews=False, written=list):
        return sample_levels(self.layout, self.read, name="a.tif", overviews=overviews, written=written)


def numbered(width: int, height: int, dtype="uint32") -> np.ndarray:
    """Two bands of levels that tell the place: 0, 1, 2, ... and the same from the end on."""
    first = np.arange(width * height, dtype=dtype).reshape(height, width)
    return np.stack([first, first[::-1, ::-1]])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 90), st.integers(1, 90), st.sampled_from([(16, 16), (90, 1), (7, 31)]),
    st.none() | st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_of_few_blocks_every_pixel_with_data_is_seen_once(width, height, block, seed):
    hidden = None if seed is None else np.random.default_rng(seed).random((height, width)) < 0.8
    picture = Picture(numbered(width, height), block, hidden)
    shown = np.ones((height, width), bool) if hidden is None else ~hidden
    if not shown.any():
        return
    levels, words = picture.sampled()
    order = np.argsort(levels[0])
    np.testing.assert_array_equal(levels[:, order], picture.planes[:, shown])
    if hidden is None:
        assert words == f"all {-(-width // block[0]) * -(-height // block[1])} blocks"


def test_of_many_blocks_some_are_drawn_and_always_the_same():
    picture = Picture(numbered(800, 600), (8, 8))
    levels, words = picture.sampled()
    assert words == "256 of 7500 blocks, seed 0"
    assert len(picture.windows) == len(set(picture.windows)) == sample.MOST_BLOCKS
    assert all((x % 8, y % 8, width, height) == (0, 0, 8, 8) for x, y, width, height in picture.windows)
    assert levels.shape == (2, 256 * 64)
    again, _ = picture.sampled()
    np.testing.assert_array_equal(levels, again)
    rows, columns = np.divmod(levels[0].astype(int), 800)
    for places, side in ((rows, 600), (columns, 800)):
        assert np.histogram(places, 4, (0, side))[0].min() > 0.15 * len(places)


def test_large_blocks_are_looked_at_in_part_and_no_more_than_the_sample_is_kept():
    picture = Picture(numbered(3000, 2500, "uint32"), (3000, 2500))
    levels, _ = picture.sampled()
    assert max(width for _, _, width, _ in picture.windows) == sample.CELL_SIDE
    assert levels.shape[1] <= sample.SAMPLE_PIXELS
    assert levels.shape[1] > sample.SAMPLE_PIXELS / 3


def test_overviews_are_read_once_at_about_a_million_pixels():
    picture = Picture(numbered(2500, 1600), (256, 256))
    levels, words = picture.sampled(overviews=True)
    assert picture.windows == [(0, 0, 2500, 1600)]
    assert words == "overviews, read at 1280 x 819 pixels"
    assert levels.shape[1] == 1280 * 819 <= sample.SAMPLE_PIXELS


def test_overviews_that_show_no_data_are_not_believed():
    """An island of data may be smaller than their pixels."""
    hidden = np.ones((1600, 2500), bool)
    hidden[1, 1] = False
    picture = Picture(numbered(2500, 1600), (512, 512), hidden)
    levels, _ = picture.sampled(overviews=True)
    assert levels[0].tolist() == [2501]


def test_blocks_that_were_never_written_are_not_read():
    picture = Picture(numbered(800, 600), (8, 8))

    def left(windows):
        return [window for window in windows if window.col_off < 80]

    levels, words = picture.sampled(written=left)
    assert {x < 80 for x, *_ in picture.windows} == {True}
    assert words == "256 of 7500 blocks, seed 0"
    assert (levels[0] % 800 < 80).all()


def test_levels_that_are_no_numbers_are_left_out_in_all_bands():
    planes = numbered(20, 10, "float32")
    planes[0, 2, 3], planes[1, 4, 5], planes[0, 6, 7] = np.nan, np.inf, -np.inf
    levels, _ = Picture(planes, (16, 16)).sampled()
    assert np.isfinite(levels).all()
    assert levels.shape == (2, 200 - 3)


def test_the_search_for_data_ends(monkeypatch):
    monkeypatch.setattr(sample, "MOST_READS", 40)
    picture = Picture(numbered(800, 600), (8, 8), np.ones((600, 800), bool))
    with pytest.raises(SceneError) as caught:
        picture.sampled()
    assert len(picture.windows) == 40
    assert str(caught.value) == (
        "a.tif: no pixel with data was found in 40 places to measure a stretch by; "
        "give one with `stretch=minmax:A,B`"
    )


def test_a_worked_example_by_hand():
    """Blocks of 2 x 2 in 4 x 2 pixels: the left one first, row by row; the hidden pixel is not there."""
    planes = np.array([[[1, 2, 5, 6], [3, 4, 7, 8]]])
    hidden = np.array([[0, 0, 0, 1], [0, 0, 0, 0]], bool)
    levels, words = Picture(planes, (2, 2), hidden).sampled()
    assert levels.tolist() == [[1, 2, 3, 4, 5, 7, 8]]
    assert words == "all 2 blocks"
