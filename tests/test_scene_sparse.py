"""Blocks that were never written, against a plain list of those that were."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import RasterioError
from rasterio.windows import Window

from sodslice.scene import sparse
from sodslice.scene.layout import layout_of
from sodslice.scene.sparse import probe, without_blocks

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

SIDE, BLOCK = 100, 16
WRITTEN = {(0, 0), (2, 5), (3, 5), (6, 6)}
"""Row and column of the blocks that hold something; the last one is cut by the raster's edge."""


def sparse_file(path, count=2, **profile):
    """Blocks of 16 x 16; those that are written hold 7 in both bands."""
    shape = {"width": SIDE, "height": SIDE, "count": count, "dtype": "uint8"}
    how = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "SPARSE_OK": True}
    with rasterio.open(path, "w", **shape, **(how | profile)) as dataset:
        for row, column in WRITTEN:
            size = min(BLOCK, SIDE - column * BLOCK), min(BLOCK, SIDE - row * BLOCK)
            window = Window(column * BLOCK, row * BLOCK, *size)
            dataset.write(np.full((count, size[1], size[0]), 7, np.uint8), window=window)
    return path


@pytest.fixture(scope="module", params=["pixel", "band"])
def dataset(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("sparse") / "a.tif"
    with rasterio.open(sparse_file(path, interleave=request.param)) as opened:
        yield opened


def layout(dataset):
    return layout_of(dataset, (1, 2), dataset.name, masked=False)


corners = st.floats(0, SIDE - 0.5)
sizes = st.floats(0.25, SIDE)


@settings(max_examples=150, deadline=None)
@given(corners, corners, sizes, sizes)
def test_a_window_is_empty_if_it_touches_no_block_that_was_written(dataset, x, y, width, height):
    width, height = min(width, SIDE - x), min(height, SIDE - y)
    touched = any(
        x < (column + 1) * BLOCK and x + width > column * BLOCK
        and y < (row + 1) * BLOCK and y + height > row * BLOCK
        for row, column in WRITTEN
    )  # fmt: skip
    assert without_blocks(dataset, layout(dataset), (1, 2), Window(x, y, width, height)) == (not touched)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(1, SIDE), st.integers(1, SIDE))
def test_what_is_said_to_be_empty_reads_as_zeros(dataset, x, y, width, height):
    window = Window(x, y, min(width, SIDE - x), min(height, SIDE - y))
    if without_blocks(dataset, layout(dataset), (1, 2), window):
        assert not dataset.read(window=window).any()


def test_a_block_of_one_band_is_enough(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=2, dtype="uint8", tiled=True,
        blockxsize=16, blockysize=16, SPARSE_OK=True, interleave="band",
    ) as dataset:  # fmt: skip
        dataset.write(np.ones((16, 16), np.uint8), 2, window=Window(16, 0, 16, 16))
    with rasterio.open(path) as dataset:
        where = layout(dataset), Window(16, 0, 16, 16)
        assert not without_blocks(dataset, where[0], (1, 2), where[1])
        assert without_blocks(dataset, where[0], (1,), where[1])


def test_of_very_many_blocks_it_is_taken_that_one_was_written(dataset, monkeypatch):
    monkeypatch.setattr(sparse, "MOST_LOOKS", 3)
    empty = Window(32, 0, 48, 16)
    assert without_blocks(dataset, layout(dataset), (1, 2), empty)
    assert not without_blocks(dataset, layout(dataset), (1, 2), Window(32, 0, 64, 16))


def test_other_formats_hold_all_their_blocks(tmp_path):
    path = tmp_path / "a.png"
    with rasterio.open(path, "w", driver="PNG", width=SIDE, height=SIDE, count=1, dtype="uint8") as dataset:
        dataset.write(np.zeros((1, SIDE, SIDE), np.uint8))
    with rasterio.open(path) as dataset:
        whole = layout_of(dataset, (1,), dataset.name, masked=False)
        assert not without_blocks(dataset, whole, (1,), Window(0, 0, SIDE, SIDE))


def test_a_probe_of_a_block_that_was_never_written_is_no_error(dataset):
    probe(dataset, 1, Window(40.5, 2.25, 3, 3))


def test_a_probe_fails_where_the_index_of_blocks_is_damaged(tmp_path):
    """The places and sizes of the blocks (tags 324, 325) are said to stand beyond the file's end."""
    path = sparse_file(tmp_path / "a.tif", count=1)
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] in (324, 325):
            struct.pack_into("<I", content, entry + 8, 2 * len(content))
    path.write_bytes(content)
    window = Window(0, 0, 16, 16)
    with rasterio.open(path) as dataset:
        assert without_blocks(dataset, layout_of(dataset, (1,), "a", masked=False), (1,), window)
        with pytest.raises(RasterioError):
            probe(dataset, 1, window)
