from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import orjson
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.enums import Resampling
from rasterio.windows import Window

from sodslice import SodsliceError, open_scene
from sodslice.scene.rendering import parse_stretch
from sodslice.scene.rgb import interleaved
from sodslice.scene.stretch import FittedStretch, fixed_stretch, percentile_stretch
from tests.rasters import write_raster

WHOLE = ["uint8", "uint16", "int8", "int16", "uint32", "int32"]


def plainly(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """The definition: cut to low and high, scale to 0..255, round half up."""
    cut = np.clip(plane.astype(object), low, high)
    return np.array([[int((v - low) * 255 / (high - low) + 0.5) for v in row] for row in cut], np.uint8)


@pytest.mark.parametrize("dtype", WHOLE)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whole_numbers_are_stretched_by_the_plain_definition(dtype, data):
    plane = data.draw(arrays.arrays(dtype, (3, 4)))
    limits = np.iinfo(dtype)
    low = data.draw(st.integers(limits.min - 10, limits.max - 1))
    high = data.draw(st.integers(low + 1, limits.max + 10))
    seen = FittedStretch((low,), (high,), "", "").apply(plane[None])[0]
    assert np.abs(seen.astype(int) - plainly(plane, low, high)).max() <= 1
    assert (seen[plane <= low] == 0).all()
    assert (seen[plane >= high] == 255).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_floats_are_stretched_by_the_plain_definition(dtype, data):
    width = 32 if dtype == "float32" else 64
    plane = data.draw(
        arrays.arrays(dtype, (3, 4), elements=st.floats(-1e6, 1e6, width=width) | st.just(float("nan")))
    )
    low = data.draw(st.floats(-1e6, 1e6))
    high = low + data.draw(st.floats(1e-3, 1e6))
    seen = FittedStretch((low,), (high,), "", "").apply(plane[None])[0]
    known = ~np.isnan(plane)
    expected = plainly(np.where(known, plane, 0), low, high).astype(int)
    assert (np.abs(seen - expected)[known] <= 1).all()
    assert (seen[~known] == 0).all()


@given(arrays.arrays("float64", (2, 3)))
@settings(max_examples=60)
def test_no_float_is_too_wild(plane):
    seen = FittedStretch((0.0,), (1e-9,), "", "").apply(plane[None])[0]
    assert (seen[plane >= 1e-9] == 255).all()
    assert (seen[plane <= 0] == 0).all()


FINITE = st.floats(allow_nan=False, allow_infinity=False)
EDGES = st.sampled_from([0, 1, 255, 256, 65535, 2**31, 2**53 + 2, 2**64, 1e-300, 1e99, 1.7e308])
LEVELS = (
    FINITE
    | st.floats(-1e5, 1e5)
    | st.builds(lambda edge, sign: float(sign * edge), EDGES, st.sampled_from([-1, 1]))
)


@pytest.mark.parametrize("dtype", [*WHOLE, "uint64", "int64", "float32", "float64"])
@settings(deadline=None, max_examples=200)
@given(data=st.data(), limits=st.tuples(LEVELS, LEVELS).filter(lambda pair: pair[0] != pair[1]))
def test_any_finite_levels_span_a_straight_line(dtype, data, limits):
    low, high = sorted(limits)
    plane = data.draw(arrays.arrays(dtype, (3, 4), elements=pixels_of(dtype, low, high)))
    stretch = fixed_stretch(parse_stretch(f"minmax:{low!r},{high!r}"), plane.dtype, 1, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = stretch.apply(plane[None])[0]
    if plane.dtype.kind != "f":
        low, high = math.floor(low), math.ceil(high)
    lines = [on_the_line(level, Fraction(low), Fraction(high)) for level in plane.ravel().tolist()]
    assert np.abs(seen.ravel() - lines).max() <= 0.501
    assert orjson.loads(orjson.dumps(stretch.as_dict()))["low"] == [float(low)]


def pixels_of(dtype, low, high):
    """Any pixels, and more of those at the limits and between them than chance would give."""
    if np.dtype(dtype).kind == "f":
        width = 32 if dtype == "float32" else 64
        most = float(np.finfo(dtype).max)
        near = [float(np.dtype(dtype).type(min(max(level, -most), most))) for level in (low, high)]
        return st.floats(allow_nan=False, allow_infinity=False, width=width) | st.sampled_from(near)
    holds = np.iinfo(dtype)
    near = [int(min(max(level, holds.min), holds.max)) for level in (low, high)]
    return st.integers(holds.min, holds.max) | st.integers(*near)


def on_the_line(level, low, high):
    """The place of a level between two others on a scale of 0 to 255, cut to it."""
    return float(min(max((Fraction(level) - low) / (high - low), 0), 1) * 255)


@settings(max_examples=200)
@given(limits=st.tuples(LEVELS, LEVELS).filter(lambda pair: pair[0] != pair[1]))
def test_a_rule_is_spelt_so_that_its_levels_come_back(limits):
    low, high = sorted(limits)
    rule = parse_stretch(f"minmax:{low!r},{high!r}")
    assert parse_stretch(str(rule)) == rule == ("minmax", low, high)


def test_bytes_that_are_left_alone_are_only_interleaved():
    planes = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    assert np.array_equal(interleaved(planes, None, list), planes.transpose(1, 2, 0))
    assert np.array_equal(interleaved(planes[:1], None, list)[..., 2], planes[0])


def test_percentiles_are_those_of_numpy_by_band():
    values = np.random.default_rng(0).integers(0, 4000, (3, 9999)).astype(np.uint16)
    stretch = percentile_stretch(values, parse_stretch("1,97"), "a sample")
    assert stretch.low == tuple(round(np.percentile(band, 1)) for band in values)
    assert stretch.high == tuple(round(np.percentile(band, 97)) for band in values)
    assert stretch.as_dict()["rule"] == "1,97"


def test_a_flat_scene_with_a_few_bright_things_keeps_them():
    values = np.full((1, 10_000), 400, np.uint16)
    values[0, :5] = 3000
    stretch = percentile_stretch(values, parse_stretch("auto"), "")
    assert (stretch.low, stretch.high) == ((400,), (3000,))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_scene_of_one_level_is_black(dtype):
    values = np.full((1, 100), 7, dtype)
    stretch = percentile_stretch(values, parse_stretch("auto"), "")
    assert stretch.apply(values[None])[0].max() == 0


def test_few_bits_are_spread_over_eight():
    stretch = fixed_stretch(parse_stretch("auto"), np.dtype("uint8"), 1, bits=4)
    assert stretch.apply(np.array([[[0, 15]]], np.uint8))[0].tolist() == [[0, 255]]


def sixteen(folder, side=700, blocks=64, **profile):
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(side), np.arange(side)) * 3
    pixels = (ramp + rng.integers(0, 50, (3, side, side)) + 300).astype(np.uint16)
    settings = {"blockxsize": blocks, "blockysize": blocks} | profile
    return write_raster(folder / "a.tif", pixels, **settings), pixels


def test_all_windows_look_alike(tmp_path):
    path, _ = sixteen(tmp_path)
    scene = open_scene(path)
    whole, _ = scene.read(0, 0, 700, 700)
    again = open_scene(path)
    for x, y in ((600, 600), (0, 0), (310, 17)):
        assert np.array_equal(again.read(x, y, 100, 100)[0], whole[y : y + 100, x : x + 100])
    assert scene.stretch == again.stretch


def test_few_blocks_are_all_looked_at_and_many_are_sampled(tmp_path):
    path, pixels = sixteen(tmp_path, side=300)
    stretch = open_scene(path).stretch
    assert stretch.sample == "all 25 blocks"
    assert stretch.low == tuple(round(np.percentile(band, 2)) for band in pixels)
    path, pixels = sixteen(tmp_path, side=1400, blocks=16)
    stretch = open_scene(path).stretch
    assert stretch.sample == "256 of 7744 blocks, seed 0"
    share = [np.mean(band <= level) for band, level in zip(pixels, stretch.high, strict=True)]
    assert share == pytest.approx([0.98] * 3, abs=0.02)


def test_overviews_are_looked_at_where_there_are_some(tmp_path):
    path, pixels = sixteen(tmp_path, side=1400, blocks=256)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2], Resampling.nearest)
    stretch = open_scene(path).stretch
    assert stretch.sample == "overviews, read at 1024 x 1024 pixels"
    assert stretch.high[0] == pytest.approx(np.percentile(pixels[0], 98), rel=0.01)


def test_only_pixels_with_data_count(tmp_path):
    pixels = np.random.default_rng(0).integers(1000, 2000, (3, 400, 400)).astype(np.uint16)
    pixels[:, :300] = 0
    stretch = open_scene(write_raster(tmp_path / "a.tif", pixels, nodata=0)).stretch
    assert min(stretch.low) >= 1000


def test_a_corner_of_data_in_a_huge_empty_scene_is_found(tmp_path):
    path = tmp_path / "a.tif"
    settings = {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 64, "SPARSE_OK": True}
    with rasterio.open(path, "w", width=8000, height=8000, count=1, dtype="uint16", **settings) as dataset:
        dataset.write(np.full((1, 64, 64), 500, np.uint16), window=Window(4032, 4032, 64, 64))
    scene = open_scene(path)
    assert scene.stretch.low == (500,)


def test_a_scene_without_any_data_runs_and_has_no_stretch(tmp_path):
    from sodslice import run

    path = write_raster(tmp_path / "a.tif", np.zeros((1, 200, 200), np.uint16), nodata=0)
    with pytest.raises(
        SodsliceError, match="no pixel with data was found .* give one with `stretch=minmax:A,B`"
    ):
        open_scene(path).stretch  # noqa: B018 -- it is measured when it is asked for
    result = run(path, model="blobs")
    assert result.provenance.counts.skipped_nodata == 1
    assert result.scene.stretch is None
    assert "stretch" not in result.scene.as_dict()


def test_what_was_done_is_recorded(tmp_path):
    from sodslice import run

    path, _ = sixteen(tmp_path, side=300)
    scene = run(path, model="blobs", options={"stretch": "minmax:100,2500"}).scene
    assert (
        scene.stretch
        == scene.as_dict()["stretch"]
        == {
            "rule": "minmax:100,2500",
            "low": [100, 100, 100],
            "high": [2500, 2500, 2500],
            "sample": "none: the levels were given",
        }
    )


def test_a_palette_is_not_stretched(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=60, height=50, count=1, dtype="uint8", photometric="palette"
    ) as dataset:
        dataset.write_colormap(1, {0: (1, 2, 3, 255)})
    with pytest.raises(SodsliceError, match="colours of a palette, no levels; leave it at `stretch=auto`"):
        open_scene(path, {"stretch": "2,98"})


def test_a_wrong_stretch_is_refused():
    with pytest.raises(SodsliceError, match="`stretch` must be auto, none, two percentiles such as 2,98"):
        open_scene(__file__, {"stretch": "98,2"})
