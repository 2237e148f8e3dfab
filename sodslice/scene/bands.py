"""Which bands of a raster are looked at, what hides pixels, and what cannot be meant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags

from sodslice.errors import SceneError

PRINT_COLOURS = {ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black}
OTHER_COLOURS = {ColorInterp.hue, ColorInterp.saturation, ColorInterp.lightness}
LAB_SPACES = ("CIELAB", "ICCLAB", "ITULAB")


@dataclass(frozen=True)
class Hidden:
    """What hides pixels.

    Args:
        alpha: the alpha band whose zeros are transparent; None without one.
        mask: whether the file has a mask beside its bands.
        values: no-data value of each band that is read, NaN among them; () without. A pixel is hidden where
            all its bands hold theirs: black in one band of three is a colour.
    """

    alpha: int | None = None
    mask: bool = False
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class BandPlan:
    """How a raster becomes RGB.

    Args:
        indexes: one band (grey) or three (RGB), counted from 1.
        dtype: what their pixels are when they are read together.
        palette: whether the one band holds indexes into its colour table.
        inverted: whether the one band counts from white to black.
        bits: significant bits of a pixel, where the file says that they are fewer than its type has.
        hidden: what hides pixels.
        notes: what the user should know, one sentence each.
    """

    indexes: tuple[int, ...]
    dtype: np.dtype[Any]
    palette: bool
    inverted: bool
    bits: int | None
    hidden: Hidden
    notes: tuple[str, ...] = ()


def plan_bands(
    dataset: Any, name: str, bands: tuple[int, ...] | None, nodata: float | str | None = None
) -> BandPlan:
    """Choose the bands of an open rasterio dataset.

    One band is grey (or a palette), three are RGB in the order that the file gives to its colours; a fourth
    is alpha where the file says so and otherwise left out, which is said in a note. More bands must be
    chosen by the caller.

    Args:
        dataset: open.
        name: what messages call it.
        bands: one or three bands to take, counted from 1; None chooses by the file.
        nodata: a value that hides pixels instead of the file's, or "nan"; "none" for no value at all; None
            leaves it to the file.

    Raises:
        SceneError: the pixels are no levels of light, a chosen band does not exist, or the choice is not
            clear.
    """
    colours = dataset.colorinterp
    alpha = [i for i, c in enumerate(colours, start=1) if c == ColorInterp.alpha]
    notes: tuple[str, ...] = ()
    if bands:
        indexes = _chosen(dataset, name, bands)
    else:
        _refuse_other_colours(dataset, name)
        indexes, notes = _natural(dataset, name, alpha)
    dtype = np.result_type(*(_dtype(dataset, name, index) for index in indexes))
    structure = dataset.tags(indexes[0], ns="IMAGE_STRUCTURE")
    bits = structure.get("NBITS", "")
    return BandPlan(
        indexes,
        dtype,
        palette=len(indexes) == 1 and colours[indexes[0] - 1] == ColorInterp.palette,
        inverted=len(indexes) == 1 and dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES",
        bits=int(bits) if bits.isdigit() and 0 < int(bits) < 8 * dtype.itemsize else None,
        hidden=_hidden(dataset, name, indexes, dtype, alpha, nodata),
        notes=notes,
    )


def hidden_by_value(planes: npt.NDArray[Any], values: tuple[float, ...]) -> npt.NDArray[np.bool_] | None:
    """Where pixels `(bands, H, W)` hold no data by their values: `(H, W)` bool; None where all hold some.

    Numbers that are not finite never are data.
    """
    floating = planes.dtype.kind == "f"
    if not values and not floating:
        return None
    hidden: npt.NDArray[np.bool_] | None = None
    for plane, value in zip(planes, values or (math.nan,) * len(planes), strict=True):
        empty = ~np.isfinite(plane) if floating else np.zeros(plane.shape, bool)
        if not math.isnan(value):
            with np.errstate(over="ignore"):  # a double too large for a float32 plane becomes infinite
                empty |= plane == planes.dtype.type(value)
        hidden = empty if hidden is None else hidden & empty
    return hidden


def _chosen(dataset: Any, name: str, bands: tuple[int, ...]) -> tuple[int, ...]:
    if len(bands) not in (1, 3):
        raise SceneError(f"--bands takes one band (grey) or three (red,green,blue), got {len(bands)}")
    wrong = [b for b in bands if not 1 <= b <= dataset.count]
    if wrong:
        raise SceneError(f"{name} has bands 1 to {dataset.count}, got --bands {','.join(map(str, bands))}")
    return bands


def _natural(dataset: Any, name: str, alpha: list[int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    visible = [i for i in range(1, dataset.count + 1) if i not in alpha]
    if len(visible) == 1:
        return (visible[0],), ()
    if len(visible) == 3:
        return _in_colour_order(dataset, visible), ()
    if len(visible) == 4:
        used = _in_colour_order(dataset, visible)
        (left,) = set(visible) - set(used)
        note = (
            f"{name} has a fourth band that is not alpha (near-infrared?): "
            f"band {left} is left out, bands {','.join(map(str, used))} are used"
        )
        return used, (note,)
    example = "3,2,1" if dataset.count >= 3 else "1"
    choose = "three" if dataset.count >= 3 else "one"
    raise SceneError(
        f"{name} has {dataset.count} bands; choose {choose} with --bands, for example --bands {example}"
    )


def _in_colour_order(dataset: Any, visible: list[int]) -> tuple[int, ...]:
    """Red, green, blue where the file names each once, else the first three."""
    named = [
        [i for i in visible if dataset.colorinterp[i - 1] == colour]
        for colour in (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    ]
    if all(len(found) == 1 for found in named):
        return tuple(found[0] for found in named)
    return tuple(visible[:3])


def _refuse_other_colours(dataset: Any, name: str) -> None:
    colours = set(dataset.colorinterp)
    space = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE", "")
    if colours & PRINT_COLOURS or space == "CMYK":
        raise SceneError(f"{name} is CMYK, which is for print; convert it to RGB first")
    if colours & OTHER_COLOURS or space in LAB_SPACES:
        raise SceneError(f"{name} holds {space or 'hue and lightness'}, not RGB; convert it to RGB first")


def _dtype(dataset: Any, name: str, index: int) -> np.dtype[Any]:
    """The type of a band's pixels, which must be real numbers."""
    word = dataset.dtypes[index - 1]
    if word.startswith("complex"):
        raise SceneError(
            f"{name} has {word} pixels, which are no picture; write their amplitude to a file of real numbers"
        )
    dtype: np.dtype[Any] = np.dtype(word)
    return dtype


def _hidden(
    dataset: Any,
    name: str,
    indexes: tuple[int, ...],
    dtype: np.dtype[Any],
    alpha: list[int],
    nodata: float | str | None,
) -> Hidden:
    """What hides pixels: alpha, else the file's mask, else its no-data values; and the value asked for."""
    flags = {flag for index in indexes for flag in dataset.mask_flag_enums[index - 1]}
    other = [a for a in alpha if a not in indexes]
    transparent = other[0] if other else None
    mask = transparent is None and MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
    if nodata == "none":
        return Hidden(transparent, mask)
    if nodata is not None:
        values = _possible([float(nodata)] * len(indexes), dtype)
        if not values:
            raise SceneError(
                f"no pixel of {name} can hold --nodata {float(nodata):g}, they are {dtype.name}; "
                "give a value that hides pixels of this file, or none"
            )
        return Hidden(transparent, mask, values)
    if transparent is not None or mask:
        return Hidden(transparent, mask)
    declared = [dataset.nodatavals[index - 1] for index in indexes]
    return Hidden(values=() if None in declared else _possible(declared, dtype))


def _possible(values: list[float], dtype: np.dtype[Any]) -> tuple[float, ...]:
    """The values if pixels of the type can hold each of them, else ()."""
    if dtype.kind == "f":
        return tuple(values)
    limits = np.iinfo(dtype)
    fit = all(math.isfinite(v) and v == int(v) and limits.min <= v <= limits.max for v in values)
    return tuple(values) if fit else ()
