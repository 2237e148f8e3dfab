"""Resampling against plain averages, against rasterio on a file, and with masks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.enums import Resampling
from rasterio.windows import Window

from sodslice.scene.resample import REACH, method_for, resampled
from tests.rasters import write_raster

DTYPES = ["uint8", "uint16", "int16", "float32"]
AVERAGE, CUBIC, NEAREST = Resampling.average, Resampling.cubic, Resampling.nearest


def whole(planes: np.ndarray) -> Window:
    return Window(0, 0, planes.shape[2], planes.shape[1])


def blocks(values: np.ndarray, factor: int) -> np.ndarray:
    """Values `(..., h, w)` as `(..., h / factor, w / factor, factor²)`: what falls into each new pixel."""
    *bands, height, width = values.shape
    cut = values.reshape(*bands, height // factor, factor, width // factor, factor)
    return np.moveaxis(cut, -3, -2).reshape(*bands, height // factor, width // factor, factor**2)


@st.composite
def pictures(draw, factor: int = 1):
    """Planes `(1 to 3, h, w)` of any pixel type, and which pixels hide, of sides that a factor divides."""
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 5)) * factor, draw(st.integers(1, 5)) * factor
    dtype = draw(st.sampled_from(DTYPES))
    seed = draw(st.integers(0, 2**32 - 1))
    planes = np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)
    hidden = draw(st.none() | arrays.arrays(bool, shape[1:]))
    return planes, hidden


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([2, 3, 4]).flatmap(lambda f: st.tuples(st.just(f), pictures(f))))
def test_fewer_pixels_are_the_averages_of_what_is_not_hidden(case):
    factor, (planes, hidden) = case
    shape = planes.shape[1] // factor, planes.shape[2] // factor
    seen, empty = resampled(planes, hidden, whole(planes), shape, AVERAGE)
    assert seen.dtype == planes.dtype
    assert seen.shape == (len(planes), *shape)
    counts = blocks(np.ones(planes.shape[1:]) if hidden is None else ~hidden, factor).astype(float)
    for row, column in np.argwhere(counts.sum(axis=-1) > 0):
        weights = counts[row, column]
        expected = np.average(blocks(planes, factor)[:, row, column].astype(float), axis=-1, weights=weights)
        rounding = 1e-4 * 250 if planes.dtype.kind == "f" else 0.5
        assert np.abs(seen[:, row, column] - expected).max() <= rounding + 1e-6
    if hidden is None:
        assert empty is None


@settings(max_examples=40, deadline=None)
@given(pictures(), st.sampled_from([AVERAGE, CUBIC, NEAREST]))
def test_at_its_own_shape_nothing_changes(picture, method):
    planes, hidden = picture
    seen, empty = resampled(planes, hidden, whole(planes), planes.shape[1:], method)
    if hidden is None:
        np.testing.assert_array_equal(seen, planes)
        assert empty is None
    else:
        np.testing.assert_array_equal(empty, hidden)
        np.testing.assert_array_equal(seen[:, ~hidden], planes[:, ~hidden])


@settings(max_examples=40, deadline=None)
@given(
    pictures(), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(0, 2**32 - 1),
    st.sampled_from([AVERAGE, CUBIC]),
)  # fmt: skip
def test_what_is_hidden_never_shows(picture, shape, seed, method):
    """Whatever lies below the mask, the pixels beside it are the same."""
    planes, hidden = picture
    hidden = np.zeros(planes.shape[1:], bool) if hidden is None else hidden
    other = planes.copy()
    other[:, hidden] = np.random.default_rng(seed).integers(0, 250, (len(planes), hidden.sum()))
    seen, empty = resampled(planes, hidden, whole(planes), shape, method)
    again, still = resampled(other, hidden, whole(planes), shape, method)
    np.testing.assert_array_equal(empty, still)
    np.testing.assert_array_equal(seen[:, ~empty], again[:, ~empty])


@settings(max_examples=40, deadline=None)
@given(
    pictures(), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.sampled_from([AVERAGE, CUBIC, NEAREST])
)
def test_all_bands_are_resampled_alike(picture, shape, method):
    planes, hidden = picture
    together, empty = resampled(planes, hidden, whole(planes), shape, method)
    for plane, seen in zip(planes, together, strict=True):
        alone, own = resampled(plane[None], hidden, whole(planes), shape, method)
        shown = np.ones(shape, bool) if empty is None else ~empty
        np.testing.assert_array_equal(alone[0][shown], seen[shown])
        np.testing.assert_array_equal(own, empty)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", [AVERAGE, CUBIC])
@pytest.mark.parametrize("window", [(0, 0, 40, 30), (3, 5, 20, 16), (2.25, 4.5, 21.5, 13.75)])
@pytest.mark.parametrize("shape", [(7, 9), (30, 40), (61, 83)])
def test_pixels_are_those_of_rasterio_on_a_file(tmp_path, dtype, method, window, shape):
    planes = np.random.default_rng(0).integers(0, 250, (2, 30, 40)).astype(dtype)
    with rasterio.open(write_raster(tmp_path / "a.tif", planes)) as dataset:
        expected = dataset.read(window=Window(*window), out_shape=(2, *shape), resampling=method)
    seen, empty = resampled(planes, None, Window(*window), shape, method)
    assert empty is None
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("method", [AVERAGE, CUBIC])
def test_masks_are_those_of_rasterio_on_a_file(tmp_path, method):
    dice = np.random.default_rng(1)
    planes, hidden = dice.integers(0, 250, (2, 30, 40)).astype(np.uint16), dice.random((30, 40)) < 0.3
    path = write_raster(tmp_path / "a.tif", planes)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(~hidden)
    with rasterio.open(path) as dataset:
        expected = dataset.read(out_shape=(2, 13, 17), resampling=method)
        mask = dataset.read_masks(1, out_shape=(13, 17))
    seen, empty = resampled(planes, hidden, whole(planes), (13, 17), method)
    np.testing.assert_array_equal(empty, mask == 0)
    np.testing.assert_array_equal(seen[:, ~empty], expected[:, ~empty])


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.7])
def test_cubic_interpolation_looks_no_further_than_the_reach(scale):
    """So a window with that many pixels around it is all that must be read."""
    planes = np.random.default_rng(2).integers(0, 250, (1, 40, 50)).astype(np.uint8)
    shape = round(12 * scale), round(15 * scale)
    expected, _ = resampled(planes, None, Window(20, 14, 15, 12), shape, CUBIC)
    around = planes[:, 14 - REACH : 26 + REACH, 20 - REACH : 35 + REACH]
    seen, _ = resampled(around, None, Window(REACH, REACH, 15, 12), shape, CUBIC)
    np.testing.assert_array_equal(seen, expected)


def test_a_worked_example_by_hand():
    """Four pixels become one: (10 + 60 + 20) / 3 where one is hidden, and nothing where all are.

    Whether the new pixel is hidden is what the pixel below its middle says, here the last of the four.
    """
    planes = np.array([[[10, 255, 1, 2], [60, 20, 3, 4]]], np.uint8)
    hidden = np.array([[0, 1, 1, 1], [0, 0, 1, 1]], bool)
    seen, empty = resampled(planes, hidden, whole(planes), (1, 2), AVERAGE)
    assert seen[0, 0, 0] == 30
    assert empty.tolist() == [[False, True]]
    seen, empty = resampled(planes, None, whole(planes), (1, 2), AVERAGE)
    assert seen.tolist() == [[[86, 3]]]  # 345 / 4 = 86.25, and 10 / 4 = 2.5 is rounded up
    assert empty is None


@pytest.mark.parametrize(
    ("size", "shape", "method"),
    [
        ((100, 100), (50, 50), AVERAGE),
        ((100.5, 100), (100, 100), AVERAGE),
        ((100, 100), (100, 100), CUBIC),
        ((99.5, 100), (100, 100), CUBIC),
        ((10, 40), (20, 20), CUBIC),
        ((10, 40), (20, 19), AVERAGE),
    ],
)
def test_averages_where_pixels_become_fewer_else_cubics(size, shape, method):
    assert method_for(size, shape) == method


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resampled(np.zeros((3, 4, 4), np.uint8), np.eye(4, dtype=bool), Window(0, 0, 4, 4), (2, 2), AVERAGE)
