"""Palettes of any pixel type, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import open_scene, run
from sodslice.scene.palette import Palette
from tests.rasters import UTM

COLOURS = {0: (20, 20, 20, 255), 1: (250, 240, 230, 255), 7: (5, 6, 7, 0)}
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64", "float32", "float64"]


def plain(colours, plane: np.ndarray) -> np.ndarray:
    """The colours of levels by the plain definition."""
    rows = [colours.get(int(v), (0, 0, 0, 255)) if v >= 0 else (0, 0, 0, 255) for v in plane.flat]
    return np.array(rows, np.uint8).reshape(*plane.shape, 4)


def assert_looks_up(palette: Palette, plane: np.ndarray, expected: np.ndarray) -> None:
    assert np.array_equal(np.dstack(palette.colours(plane)), expected[..., :3])
    clear = palette.clear(plane)
    assert np.array_equal(np.zeros(plane.shape, bool) if clear is None else clear, expected[..., 3] == 0)


@pytest.mark.parametrize("dtype", TYPES)
def test_levels_become_their_colours_and_others_black(dtype):
    kind = np.dtype(dtype)
    limits = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    plane = np.array([[0, 1, 2, 7, 8, limits.max, limits.min]]).astype(kind)
    assert_looks_up(Palette(COLOURS, kind), plane, plain(COLOURS, plane))


@given(
    levels=st.lists(st.integers(0, 300), min_size=1),
    colours=st.dictionaries(st.integers(-3, 70_000), st.tuples(*[st.integers(0, 255)] * 4), max_size=5),
    dtype=st.sampled_from(["uint8", "uint16", "uint32", "int32"]),
)
@settings(deadline=None)
def test_any_palette_is_looked_up_by_the_plain_definition(levels, colours, dtype):
    plane = np.array([levels]).astype(dtype)
    assert_looks_up(Palette(colours, plane.dtype), plane, plain(colours, plane))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_palette_takes_little_memory(dtype):
    tracemalloc.start()
    Palette(COLOURS, np.dtype(dtype))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**20


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int32"])
def test_a_palette_of_imagine_is_read(tmp_path, dtype):
    path = tmp_path / "a.img"
    pixels = np.zeros((1, 100, 120), dtype)
    pixels[:, 40:60, 30:70] = 1
    profile = {"driver": "HFA", "width": 120, "height": 100, "count": 1, "dtype": dtype, "transform": UTM}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
        dataset.write_colormap(1, {k: v for k, v in COLOURS.items() if k < 2})
        dataset.colorinterp = [rasterio.enums.ColorInterp.palette]
    with open_scene(path) as scene:
        assert np.unique(scene.read(0, 0, 120, 100)[0].reshape(-1, 3), axis=0).tolist() == [
            [20, 20, 20],
            [250, 240, 230],
        ]
    assert np.abs(run(path, model="blobs").detections.boxes - [30, 40, 70, 60]).max() < 1


@pytest.mark.shared
def test_the_case_is_read_in_bounded_memory(shared):
    tracemalloc.start()
    with open_scene(shared / "cases" / "scenes" / "f5_palette_u32.img") as scene:
        assert scene.read(0, 0, 120, 100)[0].max() == 250
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * 2**20
