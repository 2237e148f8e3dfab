"""Resampling that leaves out what is hidden, in all bands alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window

Planes = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

REACH = 3
"""Pixels around a window that cubic interpolation may look at."""

_NO_PLACE = Affine(2, 0, 0, 0, -2, 0)
"""Any transform but the identity, which rasterio would warn about."""


def method_for(size: tuple[float, float], shape: tuple[int, int]) -> Resampling:
    """Averages where pixels become fewer, cubic interpolation where they become more.

    Args:
        size: width and height of a window.
        shape: (height, width) that it is read at.
    """
    return Resampling.average if size[0] * size[1] > shape[0] * shape[1] else Resampling.cubic


def resampled(
    planes: Planes, hidden: Mask | None, window: Window, shape: tuple[int, int], method: Resampling
) -> tuple[Planes, Mask | None]:
    """A window of an image at another shape, by GDAL on a copy in memory.

    Args:
        planes: `(bands, h, w)`.
        hidden: `(h, w)`, pixels that must not count; None: there are none.
        window: in pixels of the planes; fractions count.
        shape: (height, width) wanted.
        method: for the planes; what hides takes the nearest.

    Returns:
        Planes `(bands, *shape)` and what hides them.
    """
    count, height, width = planes.shape
    size = {"count": count, "height": height, "width": width, "dtype": planes.dtype}
    with rasterio.Env(), rasterio.open("", "w+", driver="MEM", transform=_NO_PLACE, **size) as copy:
        copy.write(planes)
        if hidden is not None:
            copy.write_mask(~hidden)
        seen = copy.read(window=window, out_shape=(count, *shape), resampling=method)
        if hidden is None:
            return seen, None
        return seen, copy.read_masks(1, window=window, out_shape=shape) == 0
