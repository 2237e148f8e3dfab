"""Opening a raster file, whatever it is."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from sodslice.errors import SceneError
from sodslice.scene.elsewhere import check_points_nowhere, local_drivers

logging.getLogger("rasterio").addHandler(logging.NullHandler())

GDAL_ERRORS = (
    RasterioError,
    CPLE_BaseError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    MemoryError,
)
"""What rasterio raises about files that are broken; damaged headers surface as any of these."""


class Opener:
    """Opens one file any number of times, once it is known not to point elsewhere.

    Args:
        path: of the file.
        allow_vrt: whether it may make GDAL read something else.

    Raises:
        SceneError: there is no such file, or it points elsewhere.
    """

    def __init__(self, path: Path, *, allow_vrt: bool) -> None:
        self._path = path
        if not path.exists():
            raise SceneError(f"there is no file {path}")
        if path.is_dir():
            raise SceneError(f"{path} is a folder; give an image file")
        if not path.is_file():
            raise SceneError(f"{path} is a device or a pipe; give an image file")
        self._drivers: list[str] | None = None
        if not allow_vrt:
            is_vrt = check_points_nowhere(path)
            self._drivers = [*local_drivers(), "VRT"] if is_vrt else list(local_drivers())

    def open(self) -> Any:
        """An open rasterio dataset with at least one pixel.

        Raises:
            SceneError: GDAL cannot open the file.
        """
        try:
            with rasterio.Env(), warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                # rasterio.open takes one driver, its reader takes several
                dataset = DatasetReader(str(self._path.absolute()), driver=self._drivers)
            if dataset.count > 0 and dataset.width > 0 and dataset.height > 0:
                return dataset
            inside = len(dataset.subdatasets)
            dataset.close()
        except GDAL_ERRORS as error:
            raise SceneError(f"{self._path} is not an image that GDAL can open: {one_line(error)}") from None
        more = f"; it holds {inside} images: take one out with gdal_translate" if inside else ""
        raise SceneError(f"{self._path} has no pixels of its own{more}")


def one_line(error: BaseException) -> str:
    """GDAL's words without line breaks; rasterio keeps the true reason in the cause."""
    return " ".join(str(error.__cause__ or error).split()) or type(error).__name__
