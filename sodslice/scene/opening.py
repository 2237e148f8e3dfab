"""Opening a raster file, whatever it is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from sodslice.errors import SceneError
from sodslice.scene.pages import animation_notes, chosen_page, directory_of, page_notes, pages_of
from sodslice.scene.pointers import (
    ONE_FILE,
    ONE_FILE_WORDS,
    check_points_nowhere,
    is_from_elsewhere,
    local_drivers,
)
from sodslice.scene.wholeness import check_whole

logging.getLogger("rasterio").addHandler(logging.NullHandler())
# `catch_warnings` alone does not do: of several threads that open at once, one takes back what another set.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning, module=__name__.replace(".", r"\."))

MORE_MEMORY = (
    "set the environment variable JPEGMEM to 1000M or more, or convert the JPEG with gdal_translate "
    "-co TILED=YES"
)
"""What helps where libjpeg has too little of it."""

UNKNOWN = "not recognized as being in a supported file format"
"""GDAL's words for what none of its drivers reads."""

_OF_DAMAGE = (ValueError, TypeError, KeyError, OverflowError, MemoryError)
"""What damaged headers surface as, besides rasterio's own errors."""


@contextmanager
def gdal_errors_said(what: str, *, hint: str = "") -> Iterator[None]:
    """Turn what rasterio raises about broken files into a SceneError that begins with these words.

    Args:
        what: is wrong.
        hint: what to add where GDAL does not know the format.

    Raises:
        SceneError: rasterio or GDAL fails in the block.
    """
    try:
        yield
    except Exception as error:
        # The base class of GDAL's errors is private to rasterio, so they are known by where they come from.
        if not isinstance(error, _OF_DAMAGE) and not _is_of_rasterio(error):
            raise
        said = _one_line(error)
        raise SceneError(f"{what}: {said}{hint if UNKNOWN in said else ''}") from None


def _is_of_rasterio(error: Exception) -> bool:
    return any(kind.__module__.partition(".")[0] == "rasterio" for kind in type(error).__mro__)


def reading_env() -> rasterio.Env:
    """The environment in which files are opened and read.

    GDAL takes the missing rows of a PNG that was cut short for pixels where it decodes all at once, and
    keeps to itself what goes wrong in threads of its own, through which it reads VRTs.
    """
    return rasterio.Env(GDAL_PNG_WHOLE_IMAGE_OPTIM="NO", VRT_NUM_THREADS="1")


class Dataset(DatasetReader):  # type: ignore[misc]  # rasterio has no types
    """An open raster, also where nobody understands the CRS that it states."""

    crs_fault: Exception | None = None
    """What is wrong with it."""

    def read_crs(self) -> Any:
        """The CRS, None where there is none; rasterio calls this while it opens the file."""
        try:
            return super().read_crs()
        except (ValueError, RasterioError) as error:  # UnicodeDecodeError among them
            self.crs_fault = error
            return None


class Opener:
    """Opens one file any number of times, once it is known not to point elsewhere.

    Args:
        path: of the file.
        allow_vrt: whether it may make GDAL read something else.
        page: which of several pictures in it, counted from 1; None for the first.

    Raises:
        SceneError: there is no such file, or it points elsewhere.
    """

    def __init__(self, path: Path, *, allow_vrt: bool, page: int | None = None) -> None:
        self._path = path
        self._page = page
        if not path.exists():
            raise SceneError(f"there is no file {path}")
        if path.is_dir():
            raise SceneError(f"{path} is a folder; give an image file")
        if not path.is_file():
            raise SceneError(f"{path} is a device or a pipe; give an image file")
        self._drivers: list[str] | None = None
        self._hint = ""
        if not allow_vrt:
            is_vrt = check_points_nowhere(path)
            self._drivers = [*local_drivers(), "VRT"] if is_vrt else list(local_drivers())
        if not allow_vrt and is_from_elsewhere(path):
            self._drivers = [name for name in local_drivers() if name in ONE_FILE]
            self._hint = f"; of what comes from elsewhere, {ONE_FILE_WORDS} are read"
        self._target = ""
        self.pages = 1
        self.notes: tuple[str, ...] = ()

    @property
    def directory(self) -> int:
        """Which directory of a TIFF is read, counted from 1."""
        return directory_of(self._target)

    def open(self) -> Any:
        """An open rasterio dataset with at least one pixel.

        Raises:
            SceneError: GDAL cannot open the file, or it has no such page.
        """
        dataset = self._opened(self._target) if self._target else self._first()
        if dataset.count > 0 and dataset.width > 0 and dataset.height > 0:
            return dataset
        dataset.close()
        more = f"; it holds {self.pages} pictures, choose one with `page=1`" if self.pages else ""
        raise SceneError(f"{self._path} has no pixels of its own{more}")

    def _first(self) -> Any:
        """The wanted picture, once it is known what GDAL opens it by.

        Raises:
            SceneError: the file cannot be opened, was cut short, or has no such picture.
        """
        path = self._path.absolute()
        dataset = self._opened(str(path))
        check_whole(dataset, self._path)
        moving = animation_notes(self._path, dataset.driver, self._page)
        pages = pages_of(dataset, path)
        self._target = chosen_page(pages, path, self._page)
        self.pages = len(pages)
        self.notes = (*moving, *page_notes(str(self._path), self.pages, self._page))
        if self._target == str(path):
            return dataset
        dataset.close()
        return self._opened(self._target)

    def _opened(self, target: str) -> Any:
        with reading_env(), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with gdal_errors_said(f"{self._path} is not an image that GDAL can open", hint=self._hint):
                # rasterio.open takes one driver, its reader takes several
                dataset = Dataset(target, driver=self._drivers)
            with gdal_errors_said(f"{self._path} is damaged"):
                _settle(dataset)
            return dataset


def _settle(dataset: Dataset) -> None:
    """Let rasterio raise what GDAL had against the CRS or the XMP, which the next call is blamed for.

    The pixels are sound; what else is wrong is raised again.
    """
    try:
        dataset.colorinterp  # noqa: B018 -- the first to look for an error
    except Exception as error:
        if not _is_of_rasterio(error):
            raise
        if str(error).startswith("PROJ"):
            dataset.crs_fault = dataset.crs_fault or error


def _one_line(error: BaseException) -> str:
    """GDAL's words without line breaks; rasterio keeps the true reason in the cause."""
    words = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
    return f"{words}; {MORE_MEMORY}" if "Backing store not supported" in words else words
