"""Which bands of a raster are looked at, and what cannot be meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp

from sodslice.errors import SceneError
from sodslice.scene.hiding import Hidden, Wish, plan_hiding
from sodslice.scene.pages import GIF_DRIVERS

PRINT_COLOURS = {ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black}
OTHER_COLOURS = {ColorInterp.hue, ColorInterp.saturation, ColorInterp.lightness}
LAB_SPACES = ("CIELAB", "ICCLAB", "ITULAB")


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


def plan_bands(dataset: Any, name: str, bands: tuple[int, ...] | None, wish: Wish | None = None) -> BandPlan:
    """Choose the bands of an open rasterio dataset.

    One band is grey (or a palette), three are RGB in the order that the file gives to its colours; a fourth
    is alpha where the file says so and otherwise left out, which is said in a note. More bands must be
    chosen by the caller.

    Args:
        dataset: open.
        name: what messages call it.
        bands: one or three bands to take, counted from 1; None chooses by the file.
        wish: what is to hide pixels; None leaves it to the file.

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
        hidden=plan_hiding(dataset, name, indexes, dtype, wish or Wish()),
        notes=notes,
    )


def _chosen(dataset: Any, name: str, bands: tuple[int, ...]) -> tuple[int, ...]:
    if len(bands) not in (1, 3):
        raise SceneError(f"`bands` takes one band (grey) or three (red,green,blue), got {len(bands)}")
    wrong = [b for b in bands if not 1 <= b <= dataset.count]
    if wrong:
        raise SceneError(f"{name} has bands 1 to {dataset.count}, got `bands={','.join(map(str, bands))}`")
    return bands


def _natural(dataset: Any, name: str, alpha: list[int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    visible = [i for i in range(1, dataset.count + 1) if i not in alpha]
    if len(visible) == 1 or dataset.driver in GIF_DRIVERS:  # whose bands are pictures
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
        f"{name} has {dataset.count} bands; choose {choose} with `bands`, for example `bands={example}`"
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
