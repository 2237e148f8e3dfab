"""`Reader`: windows of a raster as its bands hold them, and what hides their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.windows import Window

from sodslice.scene.bands import BandPlan
from sodslice.scene.handles import Handles
from sodslice.scene.hiding import hidden_by_bands
from sodslice.scene.layout import Layout
from sodslice.scene.opening import gdal_errors_said, reading_env
from sodslice.scene.resample import REACH, resampled
from sodslice.scene.sparse import probe, without_blocks

Mask = npt.NDArray[np.bool_]
Raw = tuple[npt.NDArray[Any], Mask | None]
"""Planes `(bands, h, w)` and where they are hidden, `(h, w)`; None where nothing is."""


@dataclass(frozen=True)
class Reader:
    """Reads windows of one raster, in the pixels in which it is stored.

    Each thread reads through its own dataset, unless blocks are whole rows of the raster: then one dataset
    serves all, one after the other, since each would decode and keep the same rows.

    Args:
        name: what messages call the raster.
        handles: of its file.
        bands: that are read.
        layout: on disk.
        overviews: factors of the smaller copies that it holds.
    """

    name: str
    handles: Handles
    bands: BandPlan
    layout: Layout
    overviews: Sequence[int] = ()

    def read(
        self, window: Window, shape: tuple[int, int], method: Resampling = Resampling.nearest
    ) -> Raw | None:
        """A window at a shape (h, w); None where all of it is hidden.

        The mask is read first: where it hides all, no pixel is decoded for nothing.

        Raises:
            SceneError: GDAL cannot read it.
        """
        indexes, hiding = self.bands.indexes, self.bands.hidden
        hidden = None
        with self._reading(window) as dataset:
            if without_blocks(dataset, self.layout, indexes, window):
                probe(dataset, indexes[0], window)
                return None
            if hiding.alpha is not None or hiding.mask:
                hidden = _masked(dataset, self.bands, window, shape)
                if hidden.all():
                    return None
            full = len(indexes), *shape
            planes = dataset.read(indexes, window=window, out_shape=full, resampling=method)
            own = {
                place: dataset.read_masks(index, window=window, out_shape=shape) == 0
                for place, index in enumerate(indexes)
                if index in hiding.masks
            }
        empty = hidden_by_bands(planes, hiding, own)
        if empty is not None:
            hidden = empty if hidden is None else hidden | empty
        return None if hidden is not None and hidden.all() else (planes, hidden)

    def read_scaled(self, window: Window, shape: tuple[int, int], method: Resampling) -> Raw | None:
        """As `read`, with what is hidden left out of averages and interpolations.

        Raises:
            SceneError: GDAL cannot read it.
        """
        if self.bands.hidden.as_gdal:
            return self.read(window, shape, method)
        return self._resampled(window, shape, method)

    def written(self, windows: list[Window]) -> list[Window]:
        """Those of which some block was ever written.

        Raises:
            SceneError: the index of blocks is damaged.
        """
        with self._reading() as dataset:
            missing = [without_blocks(dataset, self.layout, self.bands.indexes, w) for w in windows]
            if any(missing):
                probe(dataset, self.bands.indexes[0], windows[missing.index(True)])
        return [window for window, absent in zip(windows, missing, strict=True) if not absent]

    def _resampled(self, window: Window, shape: tuple[int, int], method: Resampling) -> Raw | None:
        """As `read_scaled`, where GDAL would leave out other pixels: each band's own value, declared or not.

        So pixels are read as they are, or at the next finer overview, and resampled with what hides them.
        """
        shrink = min(window.width / shape[1], window.height / shape[0])
        factor = max([1, *(f for f in self.overviews if f <= shrink)])
        reach = REACH * factor
        left, top = (max(0, int(v - reach) // factor * factor) for v in (window.col_off, window.row_off))
        right = min(self.layout.width, ceil(window.col_off + window.width) + reach)
        bottom = min(self.layout.height, ceil(window.row_off + window.height) + reach)
        width, height = right - left, bottom - top
        read_at = ceil(height / factor), ceil(width / factor)
        raw = self.read(Window(left, top, width, height), read_at)
        if raw is None:
            return None
        x, y = read_at[1] / width, read_at[0] / height
        part = Window(
            (window.col_off - left) * x, (window.row_off - top) * y, window.width * x, window.height * y
        )
        planes, hidden = resampled(*raw, part, shape, method)
        return None if hidden is not None and hidden.all() else (planes, hidden)

    @contextmanager
    def _reading(self, window: Window | None = None) -> Iterator[Any]:
        """The dataset to read with, for this thread alone while the block lasts.

        Raises:
            SceneError: GDAL fails in the block.
        """
        seen = None if window is None else self.layout.seen(window)
        where = "" if seen is None else f" at x {seen.col_off:g}, y {seen.row_off:g}"
        size = "" if seen is None else f", {seen.width:g} x {seen.height:g} pixels"
        with gdal_errors_said(f"{self.name} cannot be read{where}{size}"), reading_env():
            if not self.layout.whole_rows:
                yield self.handles.own()
                return
            with self.handles.one_for_all() as dataset:
                yield dataset


def _masked(dataset: Any, bands: BandPlan, window: Window, shape: tuple[int, int]) -> Mask:
    """Where the alpha band or the file's mask hides pixels: `(h, w)` bool."""
    if bands.hidden.alpha is not None:
        mask = dataset.read(bands.hidden.alpha, window=window, out_shape=shape)
    else:
        mask = dataset.read_masks(bands.indexes[0], window=window, out_shape=shape)
    hidden: Mask = mask == 0
    return hidden
