"""What hides pixels: alpha bands, masks, and values that stand for no data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags

from sodslice.errors import SceneError

Mask = npt.NDArray[np.bool_]
Value = int | float

LOOKED_AT = 2.0**-20
"""Relative difference from a value beyond which a pixel cannot be equal to it."""

_OF_OTHERS = {MaskFlags.all_valid, MaskFlags.per_dataset, MaskFlags.nodata}
"""What GDAL says of a band that has no mask of its own."""


@dataclass(frozen=True)
class Hidden:
    """What hides pixels.

    Alpha and the file's mask hide a pixel for themselves. Masks and values of single bands hide it where all
    bands that are read are hidden: black in one band of three is a colour.

    Args:
        alpha: the alpha band whose zeros are transparent; None without one.
        mask: whether the file has a mask beside its bands.
        masks: bands that have masks of their own.
        values: no-data value of each band that is read, NaN among them, None for those without; () where
            none has one.
        as_gdal: whether GDAL, where it averages pixels, leaves out just these.
    """

    alpha: int | None = None
    mask: bool = False
    masks: tuple[int, ...] = ()
    values: tuple[Value | None, ...] = ()
    as_gdal: bool = True

    def __bool__(self) -> bool:
        return self.alpha is not None or self.mask or bool(self.masks) or bool(self.values)


@dataclass(frozen=True)
class Wish:
    """What a user wants to hide pixels.

    Args:
        nodata: a value in place of the file's, or "nan"; "none" for no value at all; None for the file's.
        masked: whether alpha bands and masks count.
    """

    nodata: Value | str | None = None
    masked: bool = True

    @property
    def value(self) -> Value | None:
        """The value asked for; None without."""
        return float(self.nodata) if self.nodata == "nan" else _number(self.nodata)


def plan_hiding(
    dataset: Any, name: str, indexes: tuple[int, ...], dtype: np.dtype[Any], wish: Wish
) -> Hidden:
    """What hides pixels: alpha, else the file's mask, else masks and no-data values of its bands.

    Args:
        dataset: open.
        name: what messages call it.
        indexes: of the bands that are read, counted from 1.
        dtype: of their pixels.
        wish: of the user.

    Raises:
        SceneError: no pixel can hold the value asked for.
    """
    flags = [set(dataset.mask_flag_enums[index - 1]) for index in indexes]
    alpha = _alpha_beside(dataset, indexes) if wish.masked else None
    mask = alpha is None and any(_is_of_file(kinds, wish) for kinds in flags)
    values = _values(dataset, indexes, flags, wish)
    if wish.value is not None and not _possible(wish.value, dtype):
        raise SceneError(
            f"no pixel of {name} can hold `nodata={wish.value:g}`, they are {dtype.name}; "
            "give a value that hides pixels of this file, or none"
        )
    if wish.nodata is None and (alpha is not None or mask):
        values = [None] * len(indexes)
    masks = tuple(i for i, kinds in zip(indexes, flags, strict=True) if _has_own(kinds, dtype, wish))
    open_bands = [i for i, value in zip(indexes, values, strict=True) if value is None and i not in masks]
    if open_bands and dtype.kind != "f":  # where one band shows all, no other hides anything
        masks, values = (), []
    if all(value is None for value in values):
        values = []
    as_gdal = _as_gdal(flags, alpha=alpha is not None, mask=mask) and not masks and not values
    return Hidden(alpha, mask, masks, tuple(values), as_gdal and dtype.kind != "f")


def hidden_by_bands(planes: npt.NDArray[Any], hidden: Hidden, masked: dict[int, Mask]) -> Mask | None:
    """Where all bands of pixels `(bands, H, W)` are hidden: `(H, W)` bool; None where none is anywhere.

    Numbers that are not finite never are data.

    Args:
        planes: of the bands that are read.
        hidden: what hides them.
        masked: by place among the planes, where the bands' own masks hide them.
    """
    everywhere: Mask | None = None
    for place, plane in enumerate(planes):
        empty = _empty(plane, hidden.values[place] if hidden.values else None, masked.get(place))
        if empty is None:
            return None
        everywhere = empty if everywhere is None else np.logical_and(everywhere, empty, out=everywhere)
    return everywhere


def _empty(plane: npt.NDArray[Any], value: Value | None, masked: Mask | None) -> Mask | None:
    """Where a band is hidden by itself: `(H, W)` bool; None where it is nowhere."""
    empty = masked
    if value is not None and not math.isnan(value):
        equal = _equal(plane, value)
        empty = equal if empty is None else empty | equal
    if plane.dtype.kind == "f":
        finite = np.isfinite(plane)
        if not finite.all():
            wild = ~finite
            empty = wild if empty is None else empty | wild
    return empty if empty is not None and empty.any() else None


def _equal(plane: npt.NDArray[Any], value: Value) -> Mask:
    """Where pixels are a value, as near as GDAL asks for (ARE_REAL_EQUAL in its gdal_priv.h).

    Values are written as texts and as floats of another width, so digits that no float32 holds do not
    count. Next to the largest float the sum overflows, and whatever is as large is equal, there and so here.
    """
    if plane.dtype.kind != "f":
        return np.asarray(plane == plane.dtype.type(int(value)))
    number = plane.dtype.type(value)
    reach = abs(number) * plane.dtype.type(LOOKED_AT)
    if abs(number) > np.finfo(plane.dtype).max / 4:
        return _near(plane, number)
    equal = np.asarray((plane >= number - reach) & (plane <= number + reach))
    equal[equal] = _near(plane[equal], number)  # few pixels, or none
    return equal


def _near(levels: npt.NDArray[Any], number: Any) -> Mask:
    slack = levels.dtype.type(2 * np.finfo(np.float32).eps)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((np.abs(levels - number) < np.abs(levels + number) * slack) | (levels == number))


def _number(given: Value | str | None) -> Value | None:
    return None if isinstance(given, str) else given


def _alpha_beside(dataset: Any, indexes: tuple[int, ...]) -> int | None:
    """The first alpha band that is not looked at itself."""
    colours = enumerate(dataset.colorinterp, start=1)
    return next((i for i, c in colours if c == ColorInterp.alpha and i not in indexes), None)


def _is_of_file(kinds: set[MaskFlags], wish: Wish) -> bool:
    """Whether a band's mask is that of the whole file, and counts; some come of one value for all bands."""
    if MaskFlags.per_dataset not in kinds or MaskFlags.alpha in kinds:
        return False
    return wish.nodata is None if MaskFlags.nodata in kinds else wish.masked


def _has_own(kinds: set[MaskFlags], dtype: np.dtype[Any], wish: Wish) -> bool:
    """Whether GDAL is asked what hides a band alone: it has its own mask, or a value that no float holds."""
    if MaskFlags.nodata in kinds:
        return _is_long(dtype) and wish.nodata is None and MaskFlags.per_dataset not in kinds
    return wish.masked and not kinds & _OF_OTHERS


def _values(
    dataset: Any, indexes: tuple[int, ...], flags: list[set[MaskFlags]], wish: Wish
) -> list[Value | None]:
    """No-data value of each band, by the user or by the file."""
    if wish.nodata is not None:
        return [wish.value] * len(indexes)
    return [
        dataset.nodatavals[index - 1] if MaskFlags.nodata in kinds and not _is_long(dtype) else None
        for index, kinds in zip(indexes, flags, strict=True)
        for dtype in [np.dtype(dataset.dtypes[index - 1])]
    ]


def _is_long(dtype: np.dtype[Any]) -> bool:
    return dtype.kind != "f" and dtype.itemsize == 8


def _as_gdal(flags: list[set[MaskFlags]], *, alpha: bool, mask: bool) -> bool:
    """Whether GDAL holds the same for hidden in all bands: nothing, the alpha band, or the file's mask."""
    if alpha:
        return all(MaskFlags.alpha in kinds for kinds in flags)
    wanted = {MaskFlags.per_dataset} if mask else {MaskFlags.all_valid}
    return all(kinds == wanted for kinds in flags)


def _possible(value: Value, dtype: np.dtype[Any]) -> bool:
    """Whether a pixel of a type can hold a value."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return not math.isfinite(value) or bool(np.isfinite(dtype.type(value)))
    limits = np.iinfo(dtype)
    return math.isfinite(value) and value == int(value) and limits.min <= value <= limits.max
