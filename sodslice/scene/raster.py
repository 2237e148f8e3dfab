"""`RasterScene`: windows of anything GDAL opens, as RGB."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.windows import Window

from sodslice.errors import SceneError
from sodslice.scene.bands import plan_bands
from sodslice.scene.base import Pixels, SceneBase, Valid
from sodslice.scene.exif import orientation_of
from sodslice.scene.georeference import Placing, georef_of
from sodslice.scene.handles import Handles
from sodslice.scene.hiding import Wish
from sodslice.scene.jpeg import check_decoding
from sodslice.scene.layout import Layout, layout_of
from sodslice.scene.opening import Opener, gdal_errors_said, reading_env
from sodslice.scene.pages import page_hint
from sodslice.scene.palette import palette_of
from sodslice.scene.photo import photo_of
from sodslice.scene.pointers import companions
from sodslice.scene.reader import Raw, Reader
from sodslice.scene.rendering import Rendering, parse_stretch
from sodslice.scene.resample import method_for
from sodslice.scene.rgb import interleaved
from sodslice.scene.sample import sample_levels
from sodslice.scene.stretch import FittedStretch, fixed_stretch, percentile_stretch
from sodslice.scene.turning import AS_STORED, Turn

COARSE_PIXELS = 2**18


class RasterScene(SceneBase):
    """A raster file as a scene. Holds open datasets, no pixels.

    Args:
        path: a file that GDAL reads.
        rendering: bands, stretch and the like.

    Raises:
        SceneError: the file cannot be opened, or its bands or pixel type are not those of an image.
    """

    def __init__(self, path: str | Path, rendering: Rendering | None = None) -> None:
        how = rendering or Rendering()
        self.name = str(path)
        self.rendering = how
        opener = Opener(Path(path), allow_vrt=how.allow_vrt, page=how.page)
        self._handles = Handles(opener)
        self._rule = parse_stretch(how.stretch)
        self._measured: FittedStretch | None = None
        self._measuring = threading.Lock()
        try:
            # outside of rasterio's environment GDAL would print what it finds wrong with a file
            with gdal_errors_said(f"{self.name} is damaged"), reading_env():
                notes = self._understand(self._handles.own(), how, opener.directory)
        except SceneError as error:
            self.close()
            raise SceneError(f"{error}{page_hint(opener.pages, how.page)}") from None
        except BaseException:
            self.close()
            raise
        if self._palette is not None and self._rule.kind != "auto":
            raise SceneError(f"{self.name} holds colours of a palette, no levels; leave it at `stretch=auto`")
        self.notes = (*opener.notes, *notes)

    def _understand(self, dataset: Any, how: Rendering, directory: int) -> tuple[str, ...]:
        """Take from an open dataset what reading needs; returns what the user should know.

        Args:
            dataset: of the picture.
            how: it is to be read.
            directory: of a TIFF, that holds it.

        Raises:
            SceneError: it is no picture, or cannot be read as one.
        """
        path = Path(self.name)
        masked = how.mask == "auto"
        bands = plan_bands(dataset, self.name, how.bands, Wish(how.nodata, masked))
        self.georef, placing = georef_of(dataset, self.name, Placing(how.crs, how.rpc_height))
        turn, turning = _turn_of(dataset, path, directory, placed=self.georef.placed)
        masks = bands.hidden.mask + len(bands.hidden.masks)
        layout = layout_of(dataset, bands.indexes, self.name, masked=masks, turn=turn)
        self._reader = Reader(self.name, self._handles, bands, layout, dataset.overviews(bands.indexes[0]))
        self._palette = palette_of(dataset, bands.indexes[0], clear=masked) if bands.palette else None
        self.width, self.height = layout.size
        self.orientation = turn.orientation
        self.companions = companions(path, dataset.files)
        self.photo = None if self.georef.placed else photo_of(dataset, turn)
        decoding = check_decoding(path) if dataset.driver == "JPEG" else ()
        seen = () if self.photo is None else self.photo.notes
        return (
            *bands.notes,
            *placing,
            *turning,
            *seen,
            *decoding,
            *layout.notes(self.name, path.stat().st_size),
        )

    @property
    def layout(self) -> Layout:
        """How it lies on disk."""
        return self._reader.layout

    @property
    def stretch(self) -> FittedStretch | None:
        """How levels become 8 bits, measured when it is first asked for; None where they are left alone.

        Raises:
            SceneError: the file cannot be read, or holds no data.
        """
        bands, rule = self._reader.bands, self._rule
        if bands.palette or (bands.dtype == np.uint8 and bands.bits is None and rule.kind in _LEFT_ALONE):
            return None
        with self._measuring:
            if self._measured is None:
                self._measured = fixed_stretch(
                    rule, bands.dtype, len(bands.indexes), bands.bits
                ) or percentile_stretch(*self._sampled())
            return self._measured

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Valid]:
        """Pixels `(height, width, 3)` uint8 RGB and validity `(height, width)` bool of a window.

        Raises:
            SceneError: GDAL cannot read the window.
        """
        window = self.layout.stored(Window(x, y, width, height))
        shape = self.layout.turn.size((height, width))
        return self._rendered(self._reader.read(window, shape), shape)

    def read_scaled(
        self, corner: tuple[float, float], size: tuple[float, float], shape: tuple[int, int]
    ) -> tuple[Pixels, Valid]:
        """A window resampled to a shape, by way of overviews where they help.

        Pixels are averaged where they become fewer, else interpolated by cubics; palettes and masks take
        the nearest.

        Args:
            corner: x, y of the window in scene pixels; fractions count.
            size: its width and height in scene pixels.
            shape: (height, width) of what is returned.

        Raises:
            SceneError: GDAL cannot read the window.
        """
        window, stored = self.layout.stored(Window(*corner, *size)), self.layout.turn.size(shape)
        if self._palette is not None:
            return self._rendered(self._reader.read(window, stored, Resampling.nearest), stored)
        return self._rendered(self._reader.read_scaled(window, stored, method_for(size, shape)), stored)

    def coarse_mask(self) -> Valid | None:
        """Where the scene holds data, `(h, w)` bool of at most 2^18 pixels; None where that is not cheap.

        It is cheap where there are overviews, and wanted where something hides pixels. Islands of data that
        are smaller than its pixels may be missing.

        Raises:
            SceneError: the file cannot be read.
        """
        layout = self.layout
        if not self._reader.overviews or not self._reader.bands.hidden:
            return None
        factor = max(1.0, sqrt(layout.width * layout.height / COARSE_PIXELS))
        shape = max(1, int(layout.height / factor)), max(1, int(layout.width / factor))
        raw = self._reader.read(Window(0, 0, layout.width, layout.height), shape)
        hidden = np.ones(shape, bool) if raw is None else raw[1]
        return layout.turn.image(np.ones(shape, bool) if hidden is None else ~hidden)

    def close(self) -> None:
        """Close all handles; reading afterwards opens new ones."""
        self._handles.close()

    def __enter__(self) -> RasterScene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rendered(self, raw: Raw | None, shape: tuple[int, int]) -> tuple[Pixels, Valid]:
        """RGB and validity, as they are seen, of what was read at a stored shape; black where it is None."""
        turned = self.layout.turn.image
        if raw is None:
            return turned(np.zeros((*shape, 3), np.uint8)), turned(np.zeros(shape, bool))
        planes, hidden = raw
        if self._palette is None:
            pixels = interleaved(planes, hidden, self._levelled())
        else:
            palette = self._palette
            clear = palette.clear(planes[0])
            hidden = clear if hidden is None else hidden if clear is None else hidden | clear
            pixels = interleaved(planes, hidden, lambda part: palette.colours(part[0]))
        return turned(pixels), turned(np.ones(shape, bool) if hidden is None else ~hidden)

    def _levelled(self) -> Callable[[npt.NDArray[Any]], Sequence[Pixels]]:
        """What makes planes `(bands, h, w)` uint8, where they hold levels."""
        stretch = self.stretch
        apply: Callable[[npt.NDArray[Any]], Sequence[Pixels]] = list if stretch is None else stretch.apply
        if self._reader.bands.inverted:
            return lambda planes: [np.subtract(255, plane) for plane in apply(planes)]
        return apply

    def _sampled(self) -> tuple[npt.NDArray[Any], Any, str]:
        """Levels, the rule and the words for the sample, as `percentile_stretch` takes them."""
        reader = self._reader
        values, words = sample_levels(
            reader.layout,
            reader.read,
            name=self.name,
            overviews=bool(reader.overviews),
            written=reader.written,
        )
        return values, self._rule, words


_LEFT_ALONE = ("auto", "none")


def _turn_of(dataset: Any, path: Path, directory: int, *, placed: bool) -> tuple[Turn, tuple[str, ...]]:
    """How a picture is turned when it is seen, and what the user should know of that."""
    orientation = orientation_of(path, dataset.driver, directory)
    if orientation == 1:
        return AS_STORED, ()
    if placed:
        note = "is left as it is, since its place on the map is that of its pixels as they are stored"
        return AS_STORED, (
            f"{path} says that it is to be turned (EXIF orientation {orientation}), and {note}",
        )
    note = "pixels are counted as viewers show them"
    return Turn(orientation), (f"{path} is turned as its EXIF says (orientation {orientation}): {note}",)
