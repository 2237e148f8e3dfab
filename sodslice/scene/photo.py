"""The ground that a photo shows, by what its camera wrote into EXIF and XMP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj

from sodslice.errors import GeoRefError
from sodslice.place.georef import GeoRef
from sodslice.scene.camera import Aim, aim_of, height_of, lens_of, position_of
from sodslice.scene.turning import Turn
from sodslice.scene.xmp import read_xmp

MOST_TILT = 10.0
"""Degrees from straight down up to which a photo counts as having one scale: at 10 it differs by a tenth
between the middle and the edges of a usual lens."""

TILT_DECIMALS = 3
AS_STORED = Turn()

FOOTPRINT_FROM = "GPS position, height and heading of the photo; good to metres"


@dataclass(frozen=True)
class Photo:
    """What a photo says of the ground that it shows.

    Args:
        gsd_m: metres per pixel; None where it has no single scale, or does not state one.
        gsd_from: the statements that it was got from; "" without a scale.
        notes: what the user should know, one sentence each.
        lonlat: where the camera was, WGS 84 longitude and latitude in degrees.
        height_m: above the ground, or above where it took off.
        aim: where it looked.
        turn: from the stored picture to the one that is seen.
    """

    gsd_m: float | None = None
    gsd_from: str = ""
    notes: tuple[str, ...] = ()
    lonlat: tuple[float, float] | None = None
    height_m: float | None = None
    aim: Aim | None = None
    turn: Turn = AS_STORED

    def footprint(self, width: int, height: int) -> GeoRef:
        """Where the picture lies on the ground, taken for level: good to metres, not to pixels.

        Args:
            width: of the picture as it is seen, in pixels.
            height: likewise.

        Raises:
            GeoRefError: it does not state what that takes.
        """
        if self.gsd_m is None or self.aim is None or self.height_m is None:
            raise GeoRefError(f"`photo_footprint` needs the scale of the photo, {_UNSTATED}")
        if self.lonlat is None or not self.aim.heading:
            lacking = "GPS position" if self.lonlat is None else "heading"
            raise GeoRefError(f"`photo_footprint` needs the {lacking} of the photo, {_UNSTATED}")
        axes = _stored_axes(self.aim)[:: -1 if self.turn.transposed else 1]
        right, down = self.gsd_m * np.array(self.turn.steps)[:, None] * axes
        east, north, below = self.aim.view
        corner = np.array([east, north]) * self.height_m / below - right * width / 2 - down * height / 2
        a, b, c, d, e, f = np.stack([right, down, corner], axis=1).ravel().tolist()
        return GeoRef((a, b, c, d, e, f), _map_around(*self.lonlat))


_UNSTATED = "which is not known; leave it out, and write .json, or GeoJSON with `pixel_coords`"


def photo_of(dataset: Any, turn: Turn = AS_STORED) -> Photo | None:
    """What an open raster says as a photo; None where it says nothing of a height or view.

    Args:
        dataset: of rasterio, open.
        turn: from the stored picture to the one that is seen.
    """
    tags = {**_tags(dataset, None), **_tags(dataset, "EXIF")}
    exif = {key.removeprefix("EXIF_"): value for key, value in tags.items() if key.startswith("EXIF_")}
    try:
        packet = dataset.tags(ns="xml:XMP").get("xml:XMP", "").strip("\0 \n\r\t")
        xmp = read_xmp(packet) if packet else {}
    except ValueError as error:  # among them texts that are no UTF-8
        return Photo(notes=(f"the photo's XMP, which may tell its scale, cannot be read: {error}",))
    return photo_from(exif, xmp, (dataset.width, dataset.height), turn)


def photo_from(
    exif: Mapping[str, str], xmp: Mapping[str, str], size: tuple[int, int], turn: Turn = AS_STORED
) -> Photo | None:
    """See `photo_of`.

    Args:
        exif: texts of EXIF tags, by name.
        xmp: of `read_xmp`.
        size: width and height of the stored picture in pixels.
        turn: from the stored picture to the one that is seen.
    """
    height, aim = height_of(xmp), aim_of(xmp)
    if height is None and aim is None:
        return None
    where = (position_of(exif, xmp), height.value if height else None, aim, turn)
    try:
        gsd, said = _scale(exif, xmp, size)
    except ValueError as error:
        return Photo(None, "", (f"{error}, so its scale is not known; `scale` sets one by hand",), *where)
    note = (
        f"{gsd:.3g} m per pixel, by what the photo says of itself ({said}); good to about a tenth where the "
        "ground is level"
    )
    return Photo(gsd, said, (note,), *where)


def _tags(dataset: Any, namespace: str | None) -> dict[str, str]:
    """Tags by name; none where one of them is no UTF-8, which rasterio refuses."""
    try:
        found: dict[str, str] = dataset.tags(ns=namespace)
    except UnicodeDecodeError:
        return {}
    return found


def _scale(exif: Mapping[str, str], xmp: Mapping[str, str], size: tuple[int, int]) -> tuple[float, str]:
    """Metres per pixel, and the statements that they were got from.

    Raises:
        ValueError: it states too little, or has no single scale; half a sentence says so.
    """
    height, aim = height_of(xmp), aim_of(xmp)
    if aim is None or height is None:
        raise ValueError(f"the photo does not state {'its height' if aim else 'where the camera looked'}")
    _check_one_scale(xmp, aim)
    lens = lens_of({**xmp, **exif}, size)
    return height.value / lens.value, f"{height.words}, {aim.words}, {lens.words}"


def _check_one_scale(xmp: Mapping[str, str], aim: Aim) -> None:
    """Refuse pictures whose pixels are of different sizes on the ground.

    Raises:
        ValueError: it is one.
    """
    projection = xmp.get("ProjectionType", "perspective").lower()
    if projection not in ("perspective", "rectilinear"):
        raise ValueError(f"the photo is a panorama (ProjectionType {projection})")
    if xmp.get("ModelType", "").lower() == "fisheye":
        raise ValueError("the photo was taken through a fisheye (ModelType)")
    if round(aim.tilt, TILT_DECIMALS) > MOST_TILT:
        raise ValueError(
            f"the camera looked {aim.tilt:.0f} degrees away from straight down ({aim.words}), and at most "
            f"{MOST_TILT:g} make one scale for the whole photo"
        )


def _stored_axes(aim: Aim) -> npt.NDArray[np.float64]:
    """East and north `(2, 2)` of one step along the columns and the rows of the picture as it is stored."""
    length = math.hypot(*aim.right[:2])
    east, north = aim.right[0] / length, aim.right[1] / length
    return np.array([(east, north), (north, -east)])


def _map_around(lon: float, lat: float) -> str:
    """The CRS of metres east and north of a place."""
    place = f"+proj=aeqd +lat_0={lat:.9f} +lon_0={lon:.9f} +datum=WGS84 +units=m +no_defs"
    return str(pyproj.CRS.from_user_input(place).to_wkt())
