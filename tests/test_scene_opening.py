"""What the scene room makes of errors from rasterio and GDAL."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioError

from sodslice.errors import SceneError
from sodslice.scene.opening import gdal_errors_said
from tests.rasters import write_raster


def failing(error):
    with gdal_errors_said("a.tif is damaged"):
        raise error


@pytest.fixture
def of_gdal(tmp_path):
    """An error of GDAL itself, of a class that rasterio does not export."""
    path = write_raster(tmp_path / "cut.tif", np.ones((3, 64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:-10_000])
    with rasterio.open(path) as dataset, pytest.raises(RasterioError) as caught:
        dataset.read()
    error = caught.value.__cause__
    assert error is not None
    assert not isinstance(error, RasterioError | OSError | ValueError)
    return error


def test_errors_of_gdal_become_scene_errors_in_one_line(of_gdal):
    with pytest.raises(SceneError, match=r"^a.tif is damaged: .* failed"):
        failing(of_gdal)


@pytest.mark.parametrize("error", [RasterioError("two\nlines"), MemoryError("two\nlines")])
def test_errors_of_rasterio_and_of_damaged_headers_become_scene_errors(error):
    with pytest.raises(SceneError, match=r"^a.tif is damaged: two lines$") as caught:
        failing(error)
    assert caught.value.__suppress_context__


def test_the_cause_says_more_than_what_it_was_wrapped_in(of_gdal):
    error = RasterioError("Read failed. See previous exception for details.")
    error.__cause__ = of_gdal
    with pytest.raises(SceneError, match=r"^a.tif is damaged: .*cut.tif.* failed"):
        failing(error)


@pytest.mark.parametrize("kind", [ZeroDivisionError, FileNotFoundError, AttributeError, KeyboardInterrupt])
def test_other_errors_pass(kind):
    with pytest.raises(kind):
        failing(kind())
