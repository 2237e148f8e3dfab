"""Scenes at another ground sample distance: what hides pixels is the same as at their own."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from sodslice import SodsliceError, open_scene, run
from sodslice.scene.scaled import ScaledScene, ScaleWish, seen_size
from tests.rasters import scene_with_blobs, write_raster

OWN_GSD = 0.5  # of write_raster


def seen(path, gsd: float, **how) -> tuple[np.ndarray, np.ndarray]:
    """All of a scene at a ground sample distance: pixels and validity."""
    with open_scene(path, how) as scene:
        scaled = ScaledScene(scene, seen_size(scene, ScaleWish(gsd)))
        return scaled.read(0, 0, scaled.width, scaled.height)


def red_beside_grey() -> np.ndarray:
    """Columns of red (200, 0, 0) and grey (200, 200, 200) by turns."""
    pixels = np.full((3, 80, 80), 200, np.uint8)
    pixels[1:, :, ::2] = 0
    return pixels


@pytest.mark.parametrize("profile", [{}, {"nodata": 0}])
def test_black_in_one_band_is_a_colour_when_pixels_are_averaged_too(tmp_path, profile):
    path = write_raster(tmp_path / "a.tif", red_beside_grey(), **profile)
    pixels, valid = seen(path, 2 * OWN_GSD)
    assert valid.all()
    assert (pixels == (200, 100, 100)).all()


@pytest.mark.parametrize("build", [False, True])
@pytest.mark.parametrize("gsd", [0.31, 1.0, 1.7, 2.6])
@pytest.mark.parametrize(("declared", "asked"), [(7, None), (None, 7)])
def test_hidden_pixels_do_not_darken_their_neighbours(tmp_path, gsd, declared, asked, build):
    pixels = np.full((3, 120, 120), 160, np.uint8)
    pixels[:, 37:75, 20:61] = 7
    path = write_raster(tmp_path / "a.tif", pixels, **({} if declared is None else {"nodata": declared}))
    if build and declared is not None:
        with rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2, 4], Resampling.nearest)
    image, valid = seen(path, gsd, nodata=asked)
    assert (image[valid] == 160).all()
    share = 38 * 41 / 120**2
    assert (~valid).mean() == pytest.approx(share, abs=0.02)


def test_without_any_value_all_pixels_count(tmp_path):
    pixels = np.full((3, 80, 80), 100, np.uint8)
    pixels[:, :, ::2] = 0
    path = write_raster(tmp_path / "a.tif", pixels, nodata=0)
    image, valid = seen(path, 2 * OWN_GSD, nodata="none")
    assert valid.all()
    assert (image == 50).all()


def test_interpolation_that_reaches_the_value_hides_nothing(tmp_path):
    blobs = scene_with_blobs(400, 300, [(40, 50), (200, 120), (300, 33)])
    path = write_raster(tmp_path / "a.tif", np.minimum(blobs, 250))
    plain = run(path, model="blobs", options={"nodata": 255})
    finer = run(path, model="blobs", options={"nodata": 255, "gsd": OWN_GSD / 4})
    assert len(finer) == len(plain) == 3
    np.testing.assert_allclose(
        np.sort(finer.detections.boxes, axis=0), np.sort(plain.detections.boxes, axis=0), atol=0.5
    )


def test_overviews_give_about_what_the_pixels_themselves_give(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(50, 200, (3, 20, 25)), np.ones((1, 16, 16))).astype(np.uint8)
    smooth[:, 100:200, 37:190] = 0

    plain = write_raster(tmp_path / "a.tif", smooth, nodata=0)
    with_overviews = write_raster(tmp_path / "b.tif", smooth, nodata=0)
    with rasterio.open(with_overviews, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    for gsd in (1.1, 2.3):
        (one, one_valid), (other, other_valid) = seen(plain, gsd), seen(with_overviews, gsd)
        both = one_valid & other_valid
        assert (one_valid != other_valid).mean() < 0.02
        assert np.abs(one[both].astype(int) - other[both]).mean() < 3


@pytest.mark.parametrize(("value", "word"), [(-9999, "-9999"), (0.5, "0.5"), ("nan", "nan")])
def test_a_value_that_no_pixel_can_hold_is_refused(tmp_path, value, word):
    path = write_raster(tmp_path / "a.tif", red_beside_grey(), nodata=0)
    with pytest.raises(SodsliceError, match=rf"can hold `nodata={word}`, they are uint8; give a value that"):
        open_scene(path, {"nodata": value})
