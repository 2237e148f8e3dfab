"""Boxes written as GeoJSON (RFC 7946): polygons, counter-clockwise, cut at the antimeridian; their bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.place.edges import Groups
from sodslice.place.footprints import Footprints, across
from sodslice.place.geojson import COLLECTION
from sodslice.place.newton import Points
from sodslice.place.rings import parts_of
from sodslice.tables.boxes import Boxes

PIXEL_COORDINATES = "scene pixels, y downwards"

Numbers = npt.NDArray[np.float64]
Geometry = dict[str, Any]


def polygon_features(
    geometries: Sequence[Mapping[str, Any]], properties: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Features of geometries and their properties."""
    return [
        {"type": "Feature", "geometry": geometry, "properties": values}
        for geometry, values in zip(geometries, properties, strict=True)
    ]


def collection_head(extents: Iterable[Boxes], decimals: int, *, degrees: bool = True) -> dict[str, Any]:
    """What a FeatureCollection of boxes says before its features: its type, that it is in pixels, its bounds.

    Args:
        extents: lowest x, lowest y, highest x, highest y `(K, 4)` of the boxes, piece by piece; in degrees
            the lowest x is above the highest where a box lies across the antimeridian.
        decimals: to which they are rounded.
        degrees: whether they are degrees, or pixels, which the foreign member `coordinates` says.
    """
    head: dict[str, Any] = {"type": COLLECTION}
    if not degrees:
        head["coordinates"] = PIXEL_COORDINATES
    bounds = _bounds(extents, degrees=degrees)
    return head if bounds is None else {**head, "bbox": np.round(bounds, decimals).tolist()}


def footprint_polygons(places: Footprints, decimals: int) -> list[Geometry]:
    """A geometry of each box that has a place, in their order.

    Args:
        places: of the boxes.
        decimals: to which coordinates are rounded.
    """
    rows = np.flatnonzero(places.placed)
    plain = corner_polygons(places.corners[rows], decimals)
    return [
        _geometry(places.parts[row], decimals) if row in places.parts else geometry
        for row, geometry in zip(rows.tolist(), plain, strict=True)
    ]


def corner_polygons(places: Groups, decimals: int, *, degrees: bool = True) -> list[Geometry]:
    """A geometry of each four corners `(N, 4, 2)` x, y: a closed, counter-clockwise ring.

    Args:
        places: longitude and latitude in degrees, or pixels.
        decimals: to which coordinates are rounded.
        degrees: what crosses the antimeridian is cut there (RFC 7946, 3.1.9) and becomes a MultiPolygon.
    """
    crossing = across(places) if degrees else np.zeros(len(places), bool)
    return [
        _geometry(parts_of(ring) or (ring,), decimals)
        if cut
        else {"type": "Polygon", "coordinates": [closed]}
        for ring, closed, cut in zip(places, _closed(places, decimals), crossing.tolist(), strict=True)
    ]


def _geometry(parts: Sequence[Points], decimals: int) -> Geometry:
    """A Polygon of one ring `(K, 2)`, or a MultiPolygon of several, but of none that rounding wipes out."""
    rings = [ring for part in parts for ring in _written(part, decimals)]
    rings = rings or _closed(parts[0][None], decimals)
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings}
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}


def _written(part: Points, decimals: int) -> list[Any]:
    """A ring `(K, 2)` as it is written: closed, and valid with its points rounded; [] where none is left."""
    (closed,) = _closed(part[None], decimals)
    shape = shapely.Polygon(closed)
    if shapely.is_valid(shape):
        return [closed if shapely.is_ccw(shape.exterior) else closed[::-1]]
    on_grid: Any = shapely.set_precision(shapely.make_valid(shapely.Polygon(part)), 10.0**-decimals)
    pieces = [
        piece for piece in shapely.get_parts(on_grid) if piece.geom_type == "Polygon" and not piece.is_empty
    ]
    return [_closed(shapely.get_coordinates(piece.exterior)[None, :-1], decimals)[0] for piece in pieces]


def _closed(rings: Groups, decimals: int) -> list[Any]:
    """The points of rings `(N, K, 2)`, counter-clockwise, the first again at the end."""
    x, y = (rings - rings[:, :1]).transpose(2, 0, 1)  # in degrees, small rings would drown in rounding
    twice = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    ordered = np.where((twice < 0)[:, None, None], rings[:, ::-1], rings)
    points: list[Any] = np.round(np.concatenate([ordered, ordered[:, :1]], axis=1), decimals).tolist()
    return points


def _bounds(extents: Iterable[Boxes], *, degrees: bool) -> Numbers | None:
    """West, south, east, north of all boxes; west > east across the antimeridian (RFC 7946, 5.2)."""
    spans = [(_lowest(piece), _highest(piece)) for piece in extents if len(piece)]
    if not spans:
        return None
    west, south, beyond = np.min([low for low, _ in spans], axis=0).tolist()
    east, north, before, crossing, over_0 = np.max([high for _, high in spans], axis=0).tolist()
    if degrees and crossing and over_0:
        west, east = -180.0, 180.0
    elif degrees and not over_0 and (crossing or east - west > 180):
        west, east = beyond, before
    return np.array([west, south, east, north])


def _lowest(extents: Boxes) -> tuple[float, float, float]:
    """Of boxes `(N, 4)`: x of those that do not cross the antimeridian, y, and x of those east of 0."""
    west, south, east, _ = extents.T
    crossing = west > east
    least = west.min(initial=np.inf, where=~crossing)
    return least, south.min(), west.min(initial=np.inf, where=crossing | (west >= 0))


def _highest(extents: Boxes) -> tuple[float, float, float, bool, bool]:
    """As `_lowest`, the last one of those west of 0; then whether some cross the antimeridian, and some 0."""
    west, _, east, north = extents.T
    crossing = west > east
    over_0 = np.where(crossing, (west <= 0) | (east >= 0), (west < 0) & (east > 0))
    most = east.max(initial=-np.inf, where=~crossing)
    before = east.max(initial=-np.inf, where=crossing | (east <= 0))
    return most, north.max(), before, bool(crossing.any()), bool(over_0.any())
