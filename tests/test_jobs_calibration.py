import logging

import numpy as np
import pytest

from sodslice import SodsliceError
from sodslice.inference import InferenceChoice
from sodslice.jobs.calibration import draw_tiles
from sodslice.models import resolve_model
from sodslice.settings import Options
from tests.rasters import write_raster

TILES_OF_64 = Options().replace({"tile": 64})
BLOBS = resolve_model("blobs", InferenceChoice())


def numbered(columns, rows):
    """A scene of tiles of 64 pixels, each of a level of its own."""
    levels = np.arange(1, columns * rows + 1, dtype=np.uint8).reshape(rows, columns)
    return np.repeat(np.kron(levels, np.ones((64, 64), np.uint8))[None], 3, axis=0)


def levels_of(drawn):
    return [int(tile[0, 0, 0]) for tile in drawn.tiles]


def test_tiles_lie_side_by_side_and_none_comes_twice(tmp_path):
    write_raster(tmp_path / "a.tif", numbered(4, 3))
    drawn = draw_tiles(tmp_path / "a.tif", BLOBS, TILES_OF_64, count=99)
    assert sorted(levels_of(drawn)) == list(range(1, 13))
    assert all((tile == tile[0, 0]).all() and tile.shape == (64, 64, 3) for tile in drawn.tiles)
    assert drawn.scenes == ("a.tif",)


def test_the_same_scenes_give_the_same_tiles_and_they_are_spread(tmp_path):
    write_raster(tmp_path / "a.tif", numbered(10, 10))
    first, again = (draw_tiles(tmp_path / "a.tif", BLOBS, TILES_OF_64, count=20) for _ in range(2))
    assert levels_of(first) == levels_of(again)
    assert len(set(levels_of(first))) == 20
    assert levels_of(first) != sorted(levels_of(first))
    assert len({level // 10 for level in levels_of(first)}) > 5


def test_each_scene_of_a_folder_gives_about_as_many(tmp_path):
    for name, level in (("a", 100), ("b", 200)):
        write_raster(tmp_path / f"{name}.tif", np.full((3, 320, 320), level, np.uint8))
    write_raster(tmp_path / "small.tif", np.full((3, 64, 64), 30, np.uint8))
    drawn = draw_tiles(tmp_path, BLOBS, TILES_OF_64, count=15)
    counts = dict(zip(*np.unique(levels_of(drawn), return_counts=True), strict=True))
    assert counts == {30: 1, 100: 7, 200: 7}
    assert drawn.scenes == ("a.tif", "b.tif", "small.tif")
    assert len(draw_tiles(tmp_path, BLOBS, TILES_OF_64, count=2).scenes) == 2


def test_tiles_without_data_are_passed_over(tmp_path):
    image = numbered(4, 4)
    image[:, :, 64:] = 0
    write_raster(tmp_path / "a.tif", image, nodata=0)
    drawn = draw_tiles(tmp_path / "a.tif", BLOBS, TILES_OF_64, count=8)
    assert sorted(levels_of(drawn)) == [1, 5, 9, 13]
    write_raster(tmp_path / "b.tif", np.zeros((3, 128, 128), np.uint8), nodata=0)
    with pytest.raises(SodsliceError, match=r"no tile of .*b\.tif holds data; name other scenes"):
        draw_tiles(tmp_path / "b.tif", BLOBS, TILES_OF_64, count=8)


def test_a_broken_scene_is_left_out_where_there_are_others(tmp_path, caplog):
    write_raster(tmp_path / "a.tif", numbered(2, 2))
    (tmp_path / "b.tif").write_bytes(b"no raster")
    with caplog.at_level(logging.WARNING, "sodslice"):
        assert sorted(levels_of(draw_tiles(tmp_path, BLOBS, TILES_OF_64, count=9))) == [1, 2, 3, 4]
    assert "b.tif is left out: " in caplog.text
    with pytest.raises(SodsliceError, match=r"b\.tif"):
        draw_tiles(tmp_path / "b.tif", BLOBS, TILES_OF_64, count=9)


def test_scenes_smaller_than_a_tile_come_in_the_shape_that_runs_give_them(tmp_path):
    write_raster(tmp_path / "a.tif", np.full((3, 40, 50), 9, np.uint8))
    (tile,) = draw_tiles(tmp_path / "a.tif", BLOBS, TILES_OF_64, count=4).tiles
    assert tile.shape == (40, 50, 3)
