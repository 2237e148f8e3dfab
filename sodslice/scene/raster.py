"""`RasterScene`: windows of anything GDAL opens, one dataset handle per thread."""

from __future__ import annotations

import logging
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterBlockError, RasterioError, RasterioIOError
from rasterio.windows import Window

from sodslice.errors import SceneError
from sodslice.georef import GeoRef
from sodslice.scene.bands import plan_bands

logging.getLogger("rasterio").addHandler(logging.NullHandler())

CACHE_BYTES = 128 * 2**20
"""GDAL's block cache: enough for a row of tiles across a striped file, and no more than a user would miss."""


class RasterScene:
    """A raster file as a scene. Holds one open dataset per thread that reads, no pixels.

    Args:
        path: a file that GDAL reads.
        bands: one or three bands to read as grey or RGB, counted from 1; None chooses by the file.

    Raises:
        SceneError: the file cannot be opened, or its bands or pixel type are not those of an image.
    """

    def __init__(self, path: str | Path, *, bands: tuple[int, ...] | None = None) -> None:
        self._path = Path(path)
        self.name = str(path)
        self._local = threading.local()
        self._opened: list[Any] = []
        self._lock = threading.Lock()
        dataset = self._dataset()
        self.width: int = dataset.width
        self.height: int = dataset.height
        self._plan = plan_bands(dataset, self.name, bands)
        self._colours = _colour_table(dataset, self._plan.indexes[0]) if self._plan.palette else None
        self.georef = _georef(dataset)
        self.block_shape: tuple[int, int] = dataset.block_shapes[self._plan.indexes[0] - 1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the file is read."""
        return self._plan.notes

    def read(
        self, x: int, y: int, width: int, height: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Pixels `(height, width, 3)` uint8 RGB and validity `(height, width)` bool of a window.

        Raises:
            SceneError: GDAL cannot read the window.
        """
        dataset = self._dataset()
        window = Window(x, y, width, height)
        if self._never_written(dataset, x, y, width, height):
            return np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
        try:
            with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
                planes = dataset.read(self._plan.indexes, window=window)
                hidden = dataset.dataset_mask(window=window) == 0 if self._plan.masked else None
        except (RasterioError, ValueError) as error:
            raise SceneError(
                f"{self.name} cannot be read at x {x}, y {y}, {width} x {height} pixels: {_one_line(error)}"
            ) from None
        if self._colours is not None:
            pixels = self._colours[planes[0]]
        else:
            pixels = np.empty((height, width, 3), np.uint8)
            pixels[:] = planes.transpose(1, 2, 0)
        if hidden is None:
            return pixels, np.ones((height, width), bool)
        pixels[hidden] = 0
        return pixels, ~hidden

    def close(self) -> None:
        """Close all handles; reading afterwards opens new ones."""
        with self._lock:
            for dataset in self._opened:
                dataset.close()
            self._opened.clear()
            self._local = threading.local()

    def __enter__(self) -> RasterScene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _never_written(self, dataset: Any, x: int, y: int, width: int, height: int) -> bool:
        """Whether a sparse TIFF holds no block of the window, which takes microseconds to know."""
        if dataset.driver != "GTiff":
            return False
        block_height, block_width = self.block_shape
        rows = range(y // block_height, -(-(y + height) // block_height))
        columns = range(x // block_width, -(-(x + width) // block_width))
        return all(_missing(dataset, b, i, j) for b in self._plan.indexes for i in rows for j in columns)

    def _dataset(self) -> Any:
        """This thread's handle."""
        dataset = getattr(self._local, "dataset", None)
        if dataset is None:
            dataset = _open(self._path)
            self._local.dataset = dataset
            with self._lock:
                self._opened.append(dataset)
        return dataset


def _missing(dataset: Any, band: int, row: int, column: int) -> bool:
    try:
        return int(dataset.block_size(band, row, column)) == 0
    except RasterBlockError:
        return True


def _open(path: Path) -> Any:
    if not path.exists():
        raise SceneError(f"there is no file {path}")
    if path.is_dir():
        raise SceneError(f"{path} is a folder; give an image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(path)
    except RasterioIOError as error:
        raise SceneError(f"{path} is not an image that GDAL can open: {_one_line(error)}") from None
    if dataset.count == 0 or dataset.width == 0 or dataset.height == 0:
        inside = (
            f"; it holds {len(dataset.subdatasets)} images, name one of them" if dataset.subdatasets else ""
        )
        raise SceneError(f"{path} has no pixels of its own{inside}")
    return dataset


def _georef(dataset: Any) -> GeoRef:
    """The affine and CRS of an open dataset; an identity transform without CRS means there is none."""
    crs = dataset.crs.to_wkt() if dataset.crs else None
    if crs is None and dataset.transform.is_identity:
        return GeoRef()
    return GeoRef(tuple(dataset.transform)[:6], crs)


def _colour_table(dataset: Any, index: int) -> npt.NDArray[np.uint8]:
    """RGB colours `(256, 3)` uint8 of a palette band."""
    table = np.zeros((256, 3), np.uint8)
    for value, colour in dataset.colormap(index).items():
        if value < 256:
            table[value] = colour[:3]
    return table


def _one_line(error: Exception) -> str:
    """GDAL's words without line breaks; rasterio keeps the true reason in the cause."""
    cause = error.__cause__ or error
    return " ".join(str(cause).split())
