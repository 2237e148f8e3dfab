"""RGB of levels: byte for byte the plain definition, with OpenCV and without."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import open_scene
from sodslice.errors import DeviceError
from sodslice.scene import rgb
from sodslice.scene.rgb import CHUNK_PIXELS, interleaved, looked_up
from sodslice.scene.stretch import FittedStretch
from tests.rasters import write_raster

SMALL = ["uint8", "int8", "uint16", "int16"]


class OldOpenCV:
    """OpenCV before 4.12, whose tables have 256 entries."""

    class error(Exception):  # noqa: N801, N818 -- OpenCV's word
        pass

    def __init__(self, cv2) -> None:
        self._cv2 = cv2
        self.merge = cv2.merge

    def LUT(self, plane, table):  # noqa: N802 -- OpenCV's word
        if len(table) != 256:
            raise self.error("the table has too many entries")
        return self._cv2.LUT(plane, table)


def missing():
    raise DeviceError("OpenCV cannot load")


@pytest.fixture(params=["as installed", "old", "missing"])
def opencv(request, monkeypatch):
    """Each OpenCV that may be there."""
    installed = rgb.opencv()
    fake = {"as installed": lambda: installed, "old": lambda: OldOpenCV(installed), "missing": missing}
    monkeypatch.setattr(rgb, "opencv", fake[request.param])
    for known in (rgb._opencv, rgb._looks_up):
        known.cache_clear()
    yield request.param
    for known in (rgb._opencv, rgb._looks_up):
        known.cache_clear()


def levelled(planes: np.ndarray, low, high) -> np.ndarray:
    """What levels of at most 16 bits become, by one operation after the other, in the precision of each."""
    holds = np.iinfo(planes.dtype)
    if low >= holds.max or high <= holds.min:
        return np.full(planes.shape, 0 if low >= holds.max else 255, np.uint8)
    slope = 127.5 / (high / 2 - low / 2)
    rise = 0.5 - low * slope
    most = int(min(high, holds.max))
    kind = np.float32 if max(abs(rise), abs(most * slope)) < 2**14 else np.float64
    cut = np.clip(planes.astype(np.int64), max(low, holds.min), most)
    return (cut.astype(kind) * kind(slope) + kind(rise)).astype(np.uint8)


def pairs(dtype):
    """Levels to stretch between, some of them outside of what the type holds."""
    holds = np.iinfo(dtype)
    whole = st.integers(holds.min - 500, holds.max + 500) | st.integers(-(10**12), 10**12)
    return st.tuples(whole, whole).filter(lambda pair: pair[0] != pair[1]).map(sorted)


@pytest.mark.parametrize("dtype", SMALL)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_level_of_up_to_16_bits_is_what_arithmetic_makes_of_it(dtype, data):
    low, high = data.draw(pairs(dtype))
    holds = np.iinfo(dtype)
    every = np.arange(holds.min, holds.max + 1).astype(dtype).reshape(1, 16, -1)
    assert np.array_equal(FittedStretch((low,), (high,), "", "").apply(every), levelled(every, low, high))


def test_each_band_has_limits_of_its_own():
    planes = np.random.default_rng(0).integers(0, 2**16, (3, 40, 50)).astype(np.uint16)
    seen = FittedStretch((0, 300, 5000), (65535, 4000, 5001), "", "").apply(planes)
    for band, (low, high) in enumerate(((0, 65535), (300, 4000), (5000, 5001))):
        assert np.array_equal(seen[band], levelled(planes[band], low, high))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_table_gives_its_entries(opencv, dtype):
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, np.iinfo(dtype).max + 1).astype(np.uint8)
    plane = rng.integers(0, len(table), (70, 90)).astype(dtype)
    for part in (plane, plane[3:40, 5:61], plane[::2, ::-1], plane[:1, :1]):
        assert np.array_equal(looked_up(part, table), table[part])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (33, 70), (5, CHUNK_PIXELS + 1), (CHUNK_PIXELS // 100 + 3, 100)])
def test_planes_are_interleaved_and_what_is_hidden_is_black(opencv, count, shape):
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    expected = np.dstack([planes[band % count] for band in range(3)])
    assert np.array_equal(interleaved(planes, None, list), expected)
    hidden = rng.random(shape) < 0.5
    seen = interleaved(planes, hidden, list)
    assert np.array_equal(seen, np.where(hidden[..., None], 0, expected))
    assert seen.flags.c_contiguous
    assert seen.dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("nodata", [None, 7])
@pytest.mark.parametrize("bands", [(1,), (3, 1, 2)])
def test_windows_are_stretched_and_hidden_by_the_plain_definition(opencv, tmp_path, dtype, nodata, bands):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 250, (3, 300, 500)).astype(dtype)
    pixels[:, 100:150, 200:330] = 7
    if dtype == "float32":
        pixels += rng.random(pixels.shape, np.float32) * (pixels != 7)
        pixels[:, 10:20, 10:20], pixels[0, 30, 30] = math.nan, math.inf
    path = write_raster(tmp_path / "a.tif", pixels, nodata=nodata)
    scene = open_scene(path, {"bands": bands, "stretch": "minmax:20,180"})
    chosen = pixels[[band - 1 for band in bands]]
    empty = chosen == 7 if nodata is not None else np.zeros(chosen.shape, bool)
    if dtype == "float32":
        empty |= ~np.isfinite(chosen)
        with np.errstate(invalid="ignore"):
            scaled = (chosen.astype(np.float64) - 20) * (255 / 160) + 0.5
        levels = np.minimum(np.fmax(scaled, 0), 255).astype(np.uint8)
    else:
        levels = levelled(chosen, 20, 180)
    hidden = empty.all(axis=0)
    whole = np.where(hidden[..., None], 0, np.dstack([levels[band % len(bands)] for band in range(3)]))
    for _ in range(20):
        x, y = int(rng.integers(0, 490)), int(rng.integers(0, 290))
        width, height = int(rng.integers(1, 500 - x + 1)), int(rng.integers(1, 300 - y + 1))
        window = np.s_[y : y + height, x : x + width]
        seen, valid = scene.read(x, y, width, height)
        assert np.array_equal(seen, whole[window])
        assert np.array_equal(valid, ~hidden[window])
        valid[:], seen[:] = False, 0  # what is given away is the reader's own
