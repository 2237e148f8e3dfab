"""Coordinate reference systems: the ways from one to another, and to longitude and latitude."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pyproj
from pyproj.exceptions import CRSError, ProjError

from sodslice.errors import GeoRefError
from sodslice.place.newton import Points

LONLAT = "OGC:CRS84"
NOWHERE = "some pixels lie where the CRS has no longitude and latitude; write .json instead"
CODE = re.compile(r"\w+:\d+")
GRID = re.compile(r"""(?:nadgrids=@?|geoidgrids=@?|PARAMETERFILE\["[^"]*",")([^\s",+\]]+)""")
"""The file that a CRS names for what no formula tells."""
LONGEST_NAME = 80


@lru_cache(maxsize=32)
def to_lonlat_from(crs: str) -> pyproj.Transformer:
    """PROJ's way from a CRS to WGS 84 longitude and latitude.

    Raises:
        GeoRefError: there is none: the CRS is not of the Earth, is a local one, or is unknown.
    """
    try:
        return pyproj.Transformer.from_crs(crs, LONLAT, always_xy=True)
    except (CRSError, ProjError) as error:
        raise GeoRefError(
            f"PROJ cannot turn the scene's CRS into longitude and latitude: {_one_line(error)}"
        ) from None


@lru_cache(maxsize=32)
def between(crs: str, other: str) -> pyproj.Transformer:
    """PROJ's way from one CRS to another, x before y; from a local one to itself.

    Raises:
        GeoRefError: there is none.
    """
    try:
        if _same_local(crs, other):
            return pyproj.Transformer.from_pipeline("+proj=noop")
        return pyproj.Transformer.from_crs(crs, other, always_xy=True)
    except (CRSError, ProjError) as error:
        raise GeoRefError(f"PROJ finds no way between two CRSs: {_one_line(error)}") from None


@lru_cache(maxsize=32)
def surely_between(crs: str, other: str) -> pyproj.Transformer | None:
    """As `between`; None where PROJ would only guess, as if two datums were one (its "ballpark")."""
    try:
        return pyproj.Transformer.from_crs(crs, other, always_xy=True, allow_ballpark=False)
    except (CRSError, ProjError):
        return None


def project(transformer: pyproj.Transformer, points: Points, *, inverse: bool = False) -> Points:
    """Points `(N, 2)` in the other CRS.

    Raises:
        GeoRefError: some have no place in it.
    """
    direction = "INVERSE" if inverse else "FORWARD"
    moved = np.stack(transformer.transform(points[:, 0], points[:, 1], direction=direction), axis=1)
    if not np.isfinite(moved).all():
        raise GeoRefError(NOWHERE)
    return moved


def why_not_earthly(crs: str) -> str:
    """Why a CRS has no way to longitude and latitude on the Earth, as half a sentence; "" where it has."""
    try:
        to_lonlat_from(crs)
    except GeoRefError as error:
        named = f"the scene's CRS ({short_name(crs)})"
        if is_local(crs) or "celestial body" in str(error):
            return f"{named} has no longitude and latitude on the Earth"
        grid = GRID.search(crs)
        reason = str(error).partition(": ")[2] if grid is None else f"is the grid {grid[1]} installed?"
        return f"PROJ finds no way from {named} to longitude and latitude ({reason}); `crs` gives another"
    return ""


def known_crs(text: str) -> str:
    """A CRS as one line that PROJ reads: a code as it is, anything else as WKT.

    Args:
        text: a code such as EPSG:32633 or its number, WKT, or PROJ's own words.

    Raises:
        GeoRefError: PROJ does not know it, or it is one of heights.
    """
    words = " ".join(text.split())
    words = f"EPSG:{words}" if words.isdigit() else words
    try:
        system = pyproj.CRS.from_user_input(words)
    except CRSError:
        raise GeoRefError(f"PROJ does not know {shortened(words)!r}") from None
    if system.is_vertical and not system.is_compound:
        raise GeoRefError(f"{shortened(words)!r} is one of heights")
    return words if CODE.fullmatch(words) else str(system.to_wkt())


def as_wkt(crs: str) -> str:
    """The WKT of a CRS.

    Raises:
        GeoRefError: PROJ does not know it.
    """
    try:
        return str(pyproj.CRS.from_user_input(crs).to_wkt())
    except CRSError:
        raise GeoRefError(f"PROJ does not know the CRS {shortened(crs)!r}") from None


def short_name(crs: str) -> str:
    """What a CRS is called, or the beginning of its text where PROJ does not know it."""
    try:
        return shortened(str(pyproj.CRS.from_user_input(crs).name))
    except CRSError:
        return shortened(" ".join(crs.split()))


def is_local(crs: str) -> bool:
    """Whether a CRS lies nowhere on a planet, as that of a building site."""
    try:
        return pyproj.CRS.from_user_input(crs).geodetic_crs is None
    except CRSError:
        return False


def _same_local(crs: str, other: str) -> bool:
    """Whether two CRSs are one local CRS, however it is written: PROJ knows no way between such.

    Name and units tell; to PROJ all local CRSs with the same axes are equal.

    Raises:
        CRSError: PROJ does not know one of them.
    """
    one, two = pyproj.CRS.from_user_input(crs), pyproj.CRS.from_user_input(other)
    if one.geodetic_crs is not None or two.geodetic_crs is not None:
        return False
    units = [[axis.unit_conversion_factor for axis in system.axis_info[:2]] for system in (one, two)]
    names = [system.name.casefold().replace("_", " ") for system in (one, two)]
    return names[0] == names[1] and np.allclose(units[0], units[1], rtol=1e-9, atol=0)


def shortened(text: str) -> str:
    """A text that is no longer than a message bears."""
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
