"""`RasterScene`: windows of anything GDAL opens, as RGB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window

from sodslice.checks import parse_stretch
from sodslice.errors import OptionError, SceneError
from sodslice.scene.bands import BandPlan, Hidden, hidden_by_value, plan_bands
from sodslice.scene.elsewhere import companions
from sodslice.scene.layout import layout_of
from sodslice.scene.opening import GDAL_ERRORS, Opener, one_line
from sodslice.scene.placing import georef_of
from sodslice.scene.resample import REACH, method_for, resampled
from sodslice.scene.sample import sample_levels
from sodslice.scene.sparse import probe, without_blocks
from sodslice.scene.stretch import Stretch, as_they_are, fixed_stretch, percentile_stretch

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]
Raw = tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]

COARSE_PIXELS = 2**18


@dataclass(frozen=True)
class Rendering:
    """How a raster becomes RGB with a place on the map; see `open_scene` for the fields."""

    bands: tuple[int, ...] | None = None
    stretch: str = "auto"
    nodata: float | str | None = None
    rpc_height: float | None = None
    allow_vrt: bool = False


class RasterScene:
    """A raster file as a scene. Holds open datasets, no pixels.

    Each thread reads through its own dataset, unless blocks are whole rows of the raster: then one dataset
    serves all, one after the other, since each would decode and keep the same rows.

    Args:
        path: a file that GDAL reads.
        rendering: bands, stretch and the like.

    Raises:
        SceneError: the file cannot be opened, or its bands or pixel type are not those of an image.
    """

    def __init__(self, path: str | Path, rendering: Rendering | None = None) -> None:
        how = rendering or Rendering()
        self.name = str(path)
        self._opener = Opener(Path(path), allow_vrt=how.allow_vrt)
        self._rule = _stretch_rule(how.stretch)
        self._local = threading.local()
        self._opened: list[Any] = []
        self._lock = threading.Lock()
        self._shared = threading.RLock()
        self._measured: Stretch | None = None
        self._measuring = threading.Lock()
        try:
            with rasterio.Env():  # outside it GDAL would print what it finds wrong with a file
                placing = self._understand(self._own(), how)
        except GDAL_ERRORS as error:
            self.close()
            raise SceneError(f"{self.name} is damaged: {one_line(error)}") from None
        except BaseException:
            self.close()
            raise
        if self._plan.palette and self._rule.kind != "auto":
            raise SceneError(f"{self.name} holds colours of a palette, no levels; leave --stretch at auto")
        self.width: int = self.layout.width
        self.height: int = self.layout.height
        block_notes = self.layout.notes(self.name, Path(path).stat().st_size)
        self.notes: tuple[str, ...] = (*self._plan.notes, *placing, *block_notes)

    def _understand(self, dataset: Any, how: Rendering) -> tuple[str, ...]:
        """Take from an open dataset what reading needs; returns what the user should know of its place."""
        self._plan = plan_bands(dataset, self.name, how.bands, how.nodata)
        self.layout = layout_of(dataset, self._plan.indexes, self.name, masked=self._plan.hidden.mask)
        self._colours = _colour_table(dataset, self._plan.indexes[0]) if self._plan.palette else None
        self._overviews: list[int] = dataset.overviews(self._plan.indexes[0])
        declared = any(dataset.nodatavals[index - 1] is not None for index in self._plan.indexes)
        self._by_value = declared or bool(self._plan.hidden.values) or self._plan.dtype.kind == "f"
        self.companions: tuple[Path, ...] = companions(Path(self.name), dataset.files)
        self.georef, notes = georef_of(dataset, self.name, how.rpc_height)
        return notes

    @property
    def stretch(self) -> Stretch | None:
        """How levels become 8 bits, measured when it is first asked for; None where they are left alone.

        Raises:
            SceneError: the file cannot be read, or holds no data.
        """
        plan = self._plan
        if plan.palette or (plan.dtype == np.uint8 and plan.bits is None and self._rule.kind in _LEFT_ALONE):
            return None
        with self._measuring:
            if self._measured is None:
                self._measured = fixed_stretch(
                    self._rule, plan.dtype, len(plan.indexes), plan.bits
                ) or percentile_stretch(*self._sampled())
            return self._measured

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Valid]:
        """Pixels `(height, width, 3)` uint8 RGB and validity `(height, width)` bool of a window.

        Raises:
            SceneError: GDAL cannot read the window.
        """
        return self._rendered(self._raw(Window(x, y, width, height), (height, width)), (height, width))

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
        window = Window(*corner, *size)
        if self._plan.palette:
            return self._rendered(self._raw(window, shape, Resampling.nearest), shape)
        method = method_for(size, shape)
        raw = (
            self._raw_by_value(window, shape, method) if self._by_value else self._raw(window, shape, method)
        )
        return self._rendered(raw, shape)

    def coarse_mask(self) -> Valid | None:
        """Where the scene holds data, `(h, w)` bool of at most 2^18 pixels; None where that is not cheap.

        It is cheap where there are overviews, and wanted where something hides pixels. Islands of data that
        are smaller than its pixels may be missing.

        Raises:
            SceneError: the file cannot be read.
        """
        hidden = self._plan.hidden
        if not self._overviews or hidden == Hidden():
            return None
        factor = max(1.0, sqrt(self.width * self.height / COARSE_PIXELS))
        shape = max(1, int(self.height / factor)), max(1, int(self.width / factor))
        raw = self._raw(Window(0, 0, self.width, self.height), shape)
        if raw is None:
            return np.zeros(shape, bool)
        return np.ones(shape, bool) if raw[1] is None else ~raw[1]

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

    def _rendered(self, raw: Raw | None, shape: tuple[int, int]) -> tuple[Pixels, Valid]:
        """RGB and validity of what was read; all black where nothing is to be seen."""
        if raw is None:
            return np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
        planes, hidden = raw
        if self._colours is not None:
            pixels = np.ascontiguousarray(self._colours[planes[0], :3])
            clear = self._colours[planes[0], 3] == 0
            hidden = clear if hidden is None else hidden | clear
        else:
            stretch = self.stretch
            pixels = as_they_are(planes) if stretch is None else stretch.apply(planes)
            if self._plan.inverted:
                np.subtract(255, pixels, out=pixels)
        if hidden is None:
            return pixels, np.ones(shape, bool)
        pixels[hidden] = 0
        return pixels, ~hidden

    def _raw(
        self, window: Window, shape: tuple[int, int], method: Resampling = Resampling.nearest
    ) -> Raw | None:
        """Planes `(bands, h, w)` as the file holds them and what hides them; None where all is hidden.

        The mask is read first: where it hides all, no pixel is decoded for nothing.
        """
        plan, hidden = self._plan, None
        masked = plan.hidden.alpha is not None or plan.hidden.mask
        with self._reading(window) as dataset:
            if without_blocks(dataset, self.layout, plan.indexes, window):
                probe(dataset, plan.indexes[0], window)
                return None
            if masked:
                hidden = _masked(dataset, plan, window, shape)
                if hidden.all():
                    return None
            full = len(plan.indexes), *shape
            planes = dataset.read(plan.indexes, window=window, out_shape=full, resampling=method)
        empty = hidden_by_value(planes, plan.hidden.values)
        if empty is not None:
            hidden = empty if hidden is None else hidden | empty
        return None if hidden is not None and hidden.all() else (planes, hidden)

    def _raw_by_value(self, window: Window, shape: tuple[int, int], method: Resampling) -> Raw | None:
        """As `_raw`, where values hide pixels: GDAL would leave out each band's own value, declared or not.

        So pixels are read as they are, or at the next finer overview, and resampled with what hides them.
        """
        shrink = min(window.width / shape[1], window.height / shape[0])
        factor = max([1, *(f for f in self._overviews if f <= shrink)])
        reach = REACH * factor
        left, top = (max(0, int(v - reach) // factor * factor) for v in (window.col_off, window.row_off))
        right = min(self.width, ceil(window.col_off + window.width) + reach)
        bottom = min(self.height, ceil(window.row_off + window.height) + reach)
        width, height = right - left, bottom - top
        read_at = ceil(height / factor), ceil(width / factor)
        raw = self._raw(Window(left, top, width, height), read_at)
        if raw is None:
            return None
        x, y = read_at[1] / width, read_at[0] / height
        part = Window(
            (window.col_off - left) * x, (window.row_off - top) * y, window.width * x, window.height * y
        )
        planes, hidden = resampled(*raw, part, shape, method)
        return None if hidden is not None and hidden.all() else (planes, hidden)

    def _sampled(self) -> tuple[npt.NDArray[Any], Any, str]:
        """Levels, the rule and the words for the sample, as `percentile_stretch` takes them."""
        values, words = sample_levels(
            self.layout, self._raw, name=self.name, overviews=bool(self._overviews), written=self._written
        )
        return values, self._rule, words

    def _written(self, windows: list[Window]) -> list[Window]:
        """Those of which some block was ever written."""
        with self._reading() as dataset:
            missing = [without_blocks(dataset, self.layout, self._plan.indexes, w) for w in windows]
            if any(missing):
                probe(dataset, self._plan.indexes[0], windows[missing.index(True)])
        return [window for window, absent in zip(windows, missing, strict=True) if not absent]

    @contextmanager
    def _reading(self, window: Window | None = None) -> Iterator[Any]:
        """The dataset to read with, for this thread alone while the block lasts.

        Raises:
            SceneError: GDAL fails in the block.
        """
        try:
            with rasterio.Env():
                if not self.layout.whole_rows:
                    yield self._own()
                    return
                with self._shared:
                    if not self._opened:
                        self._own()
                    yield self._opened[0]
        except GDAL_ERRORS as error:
            where = "" if window is None else f" at x {window.col_off:g}, y {window.row_off:g}"
            size = "" if window is None else f", {window.width:g} x {window.height:g} pixels"
            raise SceneError(f"{self.name} cannot be read{where}{size}: {one_line(error)}") from None

    def _own(self) -> Any:
        """This thread's dataset."""
        dataset = getattr(self._local, "dataset", None)
        if dataset is None:
            dataset = self._opener.open()
            self._local.dataset = dataset
            with self._lock:
                self._opened.append(dataset)
        return dataset


_LEFT_ALONE = ("auto", "none")


def _stretch_rule(text: str) -> Any:
    try:
        return parse_stretch(text)
    except ValueError as error:
        raise OptionError(f"--stretch must be {error}, got {text!r}") from None


def _masked(dataset: Any, plan: BandPlan, window: Window, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Where the alpha band or the file's mask hides pixels: `(h, w)` bool."""
    if plan.hidden.alpha is not None:
        mask = dataset.read(plan.hidden.alpha, window=window, out_shape=shape)
    else:
        mask = dataset.read_masks(plan.indexes[0], window=window, out_shape=shape)
    hidden: npt.NDArray[np.bool_] = mask == 0
    return hidden


def _colour_table(dataset: Any, index: int) -> npt.NDArray[np.uint8]:
    """RGBA colours `(levels, 4)` uint8 of a palette band; levels without a colour are black."""
    levels = 2 ** (8 * np.dtype(dataset.dtypes[index - 1]).itemsize)
    table = np.zeros((levels, 4), np.uint8)
    table[:, 3] = 255
    for value, colour in dataset.colormap(index).items():
        if value < levels:
            table[value] = colour
    return table
