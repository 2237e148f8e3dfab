"""`Frame`: the coordinates that boxes are written in: degrees, a CRS, or pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyproj

from sodslice.errors import GeoRefError
from sodslice.place.edges import Groups, corners
from sodslice.place.footprints import Footprints, across, footprints_of
from sodslice.place.georef import GeoRef
from sodslice.place.newton import Points
from sodslice.place.reference import LONLAT, between, known_crs, shortened, surely_between
from sodslice.place.rings import parts_of, turned
from sodslice.tables.boxes import Boxes, centers

NATIVE = "native"
WGS84 = "EPSG:4326"
"""As files of the field call it; coordinates are longitude before latitude all the same."""
MERIDIAN = 180 - 1e-9
"""Degrees: what ends at the antimeridian stays on its side when it is projected."""


@dataclass(frozen=True)
class Frame:
    """Coordinates x, y.

    Args:
        crs: they belong to, as PROJ reads it; None: scene pixels, y downwards.
        degrees: whether they are longitude and latitude.
        own: whether they are those of the scene's own CRS.
    """

    crs: str | None
    degrees: bool = False
    own: bool = False

    def footprints(self, georef: GeoRef, boxes: Boxes) -> Footprints:
        """Where boxes `(N, 4)` in scene pixels lie.

        Edges that are bent in degrees are followed; in other coordinates the four corners tell a box.

        Raises:
            GeoRefError: the scene has no place in these coordinates.
        """
        if not self.degrees:
            quads = corners(boxes)
            places = self._known(georef, quads.reshape(-1, 2)).reshape(quads.shape)
            places[np.isnan(places).any(axis=(1, 2))] = np.nan
            return Footprints(places, self._torn(georef, quads), degrees=False)
        found = footprints_of(georef, boxes)
        if self.crs == WGS84:
            return found
        moved = self._to_datum(found.corners.reshape(-1, 2)).reshape(found.corners.shape)
        parts = {row: tuple(map(self._to_datum, rings)) for row, rings in found.parts.items()}
        return replace(found, corners=moved, parts=parts)

    def centres(self, georef: GeoRef, boxes: Boxes) -> Points:
        """Where the middles of boxes `(N, 4)` lie, `(N, 2)`; NaN where a box has no place.

        Raises:
            GeoRefError: the scene has no place in these coordinates.
        """
        middles = centers(boxes)
        if not self.degrees:
            return self._known(georef, middles)
        places = georef.to_known_lonlat(middles)
        return places if self.crs == WGS84 else self._to_datum(places)

    def _known(self, georef: GeoRef, pixels: Points) -> Points:
        """Coordinates `(N, 2)` of pixel edges `(N, 2)`; NaN where there are none."""
        if self.crs is None:
            return np.array(pixels)
        if self.own:
            return georef.to_map(pixels)
        assert georef.crs is not None
        way = surely_between(georef.crs, self.crs)
        if way is None:  # by WGS 84, as all other formats are
            return _moved(between(LONLAT, self.crs), georef.to_known_lonlat(pixels))
        return _moved(way, georef.on_earth(pixels))

    def _torn(self, georef: GeoRef, quads: Groups) -> dict[int, tuple[Points, ...]]:
        """Parts of boxes with corners `(N, 4, 2)` across the antimeridian, where most projections end."""
        if self.crs is None or self.own:
            return {}
        places = georef.to_known_lonlat(quads.reshape(-1, 2)).reshape(quads.shape)
        way, torn = between(LONLAT, self.crs), {}
        for row in np.flatnonzero(across(places)).tolist():
            inside = [np.clip(ring, (-MERIDIAN, -90), (MERIDIAN, 90)) for ring in parts_of(places[row])]
            torn[row] = tuple(_moved(way, ring) for ring in inside)
        return {
            row: rings for row, rings in torn.items() if rings and not np.isnan(np.concatenate(rings)).any()
        }

    def _to_datum(self, places: Points) -> Points:
        """Longitude, latitude `(N, 2)` of WGS 84 in the frame's datum, on the same side of 180 degrees."""
        assert self.crs is not None
        x, y = between(LONLAT, self.crs).transform(*places.T)
        known = np.isfinite(x) & np.isfinite(y)
        lon = np.clip(places[:, 0] + turned(np.where(known, x, 0.0) - places[:, 0]), -180, 180)
        moved = np.stack([lon, y], axis=1)
        moved[~known] = np.nan
        return moved


def _moved(way: pyproj.Transformer, points: Points) -> Points:
    """Points `(N, 2)` in another CRS; NaN where they have no place in it."""
    moved = np.stack(way.transform(*points.T), axis=1)
    moved[~np.isfinite(moved).all(axis=1)] = np.nan
    return moved


PIXELS = Frame(None)
DEGREES = Frame(WGS84, degrees=True)


def frame_of(georef: GeoRef, crs: str, *, pixels: bool = False) -> Frame:
    """The frame that is asked for.

    Args:
        georef: where the scene lies.
        crs: "native", or any that PROJ knows.
        pixels: scene pixels, whatever the CRS.

    Raises:
        GeoRefError: PROJ does not know the CRS, or the scene has no place in it; as half a sentence.
    """
    if pixels:
        return PIXELS
    if crs == NATIVE:
        return _own(georef)
    if georef.why_not_on_map:
        raise GeoRefError(georef.why_not_on_map)
    known = known_crs(crs)
    system = pyproj.CRS.from_user_input(known)
    if system.equals(pyproj.CRS.from_user_input(WGS84), ignore_axis_order=True):
        return DEGREES
    if system.is_geocentric:
        raise GeoRefError(f"{shortened(known)!r} counts from the middle of the Earth, which no map does")
    between(LONLAT, known)
    return Frame(known, degrees=_in_plain_degrees(system))


def _in_plain_degrees(system: pyproj.CRS) -> bool:
    """Whether a CRS counts degrees from Greenwich; grads, and other meridians, are like other numbers."""
    if not system.is_geographic or system.prime_meridian is None:
        return False
    unit = system.axis_info[0].unit_conversion_factor if system.axis_info else np.pi / 180
    return bool(system.prime_meridian.longitude == 0 and abs(unit - np.pi / 180) < 1e-9)


def _own(georef: GeoRef) -> Frame:
    """The scene's own CRS.

    Raises:
        GeoRefError: it has none, or no place in it.
    """
    if georef.crs is None or not georef.placed or georef.fault:
        raise GeoRefError(georef.why_not_on_map or "the scene has no CRS")
    known_crs(georef.crs)
    return Frame(georef.crs, own=True)
