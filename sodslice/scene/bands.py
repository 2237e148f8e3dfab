"""Which bands of a raster are looked at, and what hides pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rasterio.enums import ColorInterp, MaskFlags

from sodslice.errors import SceneError


@dataclass(frozen=True)
class BandPlan:
    """How a raster becomes RGB.

    Args:
        indexes: one band (grey) or three (RGB), counted from 1.
        palette: whether the one band holds indexes into its colour table.
        masked: whether a no-data value, mask or alpha band hides pixels.
        notes: what the user should know, one sentence each.
    """

    indexes: tuple[int, ...]
    palette: bool
    masked: bool
    notes: tuple[str, ...] = ()


def plan_bands(dataset: Any, name: str, bands: tuple[int, ...] | None) -> BandPlan:
    """Choose the bands of an open rasterio dataset.

    One band is grey (or a palette), three are RGB, a fourth is alpha where the file says so and otherwise
    left out, which is said in a note. More bands must be chosen by the caller.

    Raises:
        SceneError: the pixels are not uint8, a chosen band does not exist, or the choice is not clear.
    """
    colours = dataset.colorinterp
    alpha = [i for i, c in enumerate(colours, start=1) if c == ColorInterp.alpha]
    if ColorInterp.cyan in colours and bands is None:
        raise SceneError(f"{name} is CMYK, which is for print; convert it to RGB first")
    indexes, notes = _chosen(dataset, name, bands) if bands else _natural(dataset, name, alpha)
    for index in indexes:
        dtype = dataset.dtypes[index - 1]
        if dtype != "uint8":
            raise SceneError(
                f"{name} has {dtype} pixels; only uint8 is read so far: "
                "convert it with gdal_translate -scale -ot Byte"
            )
    palette = len(indexes) == 1 and colours[indexes[0] - 1] == ColorInterp.palette
    masked = any(MaskFlags.all_valid not in dataset.mask_flag_enums[i - 1] for i in indexes)
    return BandPlan(indexes, palette, masked, notes)


def _chosen(dataset: Any, name: str, bands: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    if len(bands) not in (1, 3):
        raise SceneError(f"--bands takes one band (grey) or three (red,green,blue), got {len(bands)}")
    wrong = [b for b in bands if not 1 <= b <= dataset.count]
    if wrong:
        raise SceneError(f"{name} has bands 1 to {dataset.count}, got --bands {','.join(map(str, bands))}")
    return bands, ()


def _natural(dataset: Any, name: str, alpha: list[int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    visible = [i for i in range(1, dataset.count + 1) if i not in alpha]
    if len(visible) == 1:
        return (visible[0],), ()
    if len(visible) == 3:
        return tuple(visible), ()
    if len(visible) == 4 and not alpha:
        note = f"{name} has a fourth band that is not alpha (near-infrared?): left out, bands 1,2,3 are used"
        return (1, 2, 3), (note,)
    raise SceneError(
        f"{name} has {dataset.count} bands; choose three with --bands, for example --bands 3,2,1"
    )
