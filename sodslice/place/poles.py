"""Longitude and latitude near the poles, where degrees are no measure and PROJ's rounding is too coarse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import PolarStereographicAConversion

from sodslice.place.newton import Points
from sodslice.place.spline import ControlPoint

ROUGH = "Lambert Azimuthal Equal Area"
"""Near a pole PROJ takes its latitudes from an arc sine: they are off by decimetres at the pole itself."""
POLAR = 85.0
"""Degrees of latitude from which control points are taken to lie near a pole."""
NEAR = 1e-2
"""Degrees from a pole, about a kilometre, within which that matters."""


def around_pole(points: tuple[ControlPoint, ...], crs: str) -> tuple[tuple[ControlPoint, ...], str]:
    """Control points in degrees near a pole, on a plane around it: in degrees no smooth map leads over it.

    Args:
        points: ground control points.
        crs: of their x and y.

    Returns:
        The points and their CRS; as they are where they do not lie near a pole, or are not in degrees.

    Raises:
        CRSError: PROJ does not know the CRS.
    """
    system = pyproj.CRS.from_user_input(crs)
    table = np.array(points)
    highest = table[np.argmax(np.abs(table[:, 3])), 3]
    if (
        not system.is_geographic
        or system.axis_info[0].unit_name != "degree"
        or not POLAR < abs(highest) <= 90
    ):
        return points, crs
    conversion = PolarStereographicAConversion(float(np.copysign(90, highest)))
    plane = ProjectedCRS(conversion, geodetic_crs=system.geodetic_crs)
    way = pyproj.Transformer.from_crs(system, plane, always_xy=True)
    moved = _transformed(way, table[:, 2:], "FORWARD")
    placed = np.concatenate([table[:, :2], moved], axis=1).tolist()
    return tuple((col, row, x, y) for col, row, x, y in placed), str(plane.to_wkt())


def refined(way: pyproj.Transformer, points: Points, places: Points, unit_m: float) -> Points:
    """Longitude, latitude `(N, 2)` in degrees, of which those near a pole are computed anew.

    The projection is straight over so short a way: a place further out in the same direction, a kilometre
    from the pole, has the same longitude, and a latitude that tells how far out the nearer one is.

    Args:
        way: from the CRS to degrees.
        points: `(N, 2)` in the CRS.
        places: `(N, 2)` in degrees, as PROJ gives them.
        unit_m: metres per unit of the CRS.
    """
    close = np.flatnonzero(np.abs(places[:, 1]) > 90 - NEAR)
    if not len(close):
        return places
    finer: Points = places.copy()
    poles = np.copysign(90.0, places[close, 1])
    middle = _transformed(way, np.stack([np.zeros(len(close)), poles], axis=1), "INVERSE")
    steps = points[close] - middle
    distance = np.hypot(steps[:, 0], steps[:, 1]) * unit_m
    growth = np.maximum(1.0, 111_000 * NEAR / np.where(distance > 0, distance, np.inf))
    further = _transformed(way, middle + steps * growth[:, None], "FORWARD")
    finer[close, 0] = np.where(distance > 0, further[:, 0], 0.0)
    left = np.where(distance > 0, (90 - np.abs(further[:, 1])) / growth, 0.0)
    finer[close, 1] = np.sign(poles) * (90 - left)
    return finer


def refined_back(way: pyproj.Transformer, places: Points, points: Points) -> Points:
    """The inverse of `refined`: points `(N, 2)` in the CRS, of which those near a pole are computed anew.

    Args:
        way: from the CRS to degrees.
        places: `(N, 2)` longitude, latitude in degrees.
        points: `(N, 2)` in the CRS, as PROJ gives them.
    """
    left = 90 - np.abs(places[:, 1])
    close = np.flatnonzero(left < NEAR)
    if not len(close):
        return points
    finer: Points = points.copy()
    poles = np.copysign(90.0, places[close, 1])
    middle = _transformed(way, np.stack([np.zeros(len(close)), poles], axis=1), "INVERSE")
    further = np.stack([places[close, 0], poles - np.copysign(NEAR, poles)], axis=1)
    finer[close] = middle + (_transformed(way, further, "INVERSE") - middle) * (left[close] / NEAR)[:, None]
    return finer


def _transformed(way: pyproj.Transformer, points: Points, direction: Any) -> Points:
    x, y = way.transform(points[:, 0], points[:, 1], direction=direction)
    moved: Points = np.stack([x, y], axis=1)
    return moved
