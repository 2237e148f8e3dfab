"""Coordinate reference systems: to longitude and latitude, and to metres on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyproj
from pyproj.exceptions import CRSError, ProjError

from sodslice.errors import GeoRefError
from sodslice.georef.newton import Points

LONLAT = "OGC:CRS84"


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
    """PROJ's way from one CRS to another, x before y.

    Raises:
        GeoRefError: there is none.
    """
    try:
        return pyproj.Transformer.from_crs(crs, other, always_xy=True)
    except (CRSError, ProjError) as error:
        raise GeoRefError(f"PROJ finds no way between two CRSs: {_one_line(error)}") from None


def project(transformer: pyproj.Transformer, points: Points, *, inverse: bool = False) -> Points:
    """Points `(N, 2)` in the other CRS.

    Raises:
        GeoRefError: some have no place in it.
    """
    direction = "INVERSE" if inverse else "FORWARD"
    moved = np.stack(transformer.transform(points[:, 0], points[:, 1], direction=direction), axis=1)
    if not np.isfinite(moved).all():
        raise GeoRefError("some pixels lie where the CRS has no longitude and latitude; write .json instead")
    return moved


@dataclass(frozen=True, eq=False)
class Ground:
    """What a CRS says about metres.

    Args:
        geodetic: from the CRS to longitude and latitude on its own ellipsoid; None where the CRS is flat.
        unit: radians per unit of these, or metres per unit of a flat CRS.
        axis_m: semi-major axis of the ellipsoid, in metres.
        eccentricity: of the ellipsoid, squared.
    """

    geodetic: pyproj.Transformer | None
    unit: float
    axis_m: float = 0.0
    eccentricity: float = 0.0

    def metres(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Metres east and north `(N, K, 2)` of map points `(N, K, 2)` from each group's first point.

        With the radii of curvature of the ellipsoid at the group (Snyder 1987, Map Projections: A Working
        Manual, p. 24-25), so it holds in any projection and on any planet.

        Raises:
            GeoRefError: some points have no longitude and latitude.
        """
        if self.geodetic is None:
            return (points - points[:, :1]) * self.unit
        angles = project(self.geodetic, points.reshape(-1, 2)).reshape(points.shape) * self.unit
        turn = angles[..., 0] - angles[:, :1, 0]
        east = np.mod(turn + np.pi, 2 * np.pi) - np.pi
        north = angles[..., 1] - angles[:, :1, 1]
        latitude = angles[..., 1].mean(axis=1, keepdims=True)
        bend = 1 - self.eccentricity * np.sin(latitude) ** 2
        meridian = self.axis_m * (1 - self.eccentricity) / bend**1.5
        normal = self.axis_m / np.sqrt(bend)
        return np.stack([east * normal * np.cos(latitude), north * meridian], axis=-1)


@lru_cache(maxsize=32)
def ground_of(crs: str) -> Ground:
    """How metres are measured in a CRS: on its own ellipsoid, or by its unit where it has none.

    Raises:
        GeoRefError: PROJ does not know the CRS.
    """
    try:
        system = pyproj.CRS.from_user_input(crs)
        geodetic = system.geodetic_crs
        if geodetic is None or geodetic.ellipsoid is None or geodetic.is_geocentric:
            return Ground(None, system.axis_info[0].unit_conversion_factor if system.axis_info else 1.0)
        ellipsoid = geodetic.ellipsoid
        flattening = 1 / ellipsoid.inverse_flattening if ellipsoid.inverse_flattening else 0.0
        return Ground(
            pyproj.Transformer.from_crs(system, geodetic, always_xy=True),
            geodetic.axis_info[0].unit_conversion_factor,
            ellipsoid.semi_major_metre,
            flattening * (2 - flattening),
        )
    except (CRSError, ProjError) as error:
        raise GeoRefError(f"PROJ does not know the scene's CRS: {_one_line(error)}") from None


def is_earthly(crs: str) -> bool:
    """Whether a CRS has a way to longitude and latitude on the Earth."""
    try:
        to_lonlat_from(crs)
    except GeoRefError:
        return False
    return True


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
