"""Boxes written as GeoJSON (RFC 7946) and as WKB: polygons, counter-clockwise, cut at the antimeridian."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import shapely

from sodslice.place.edges import Groups
from sodslice.place.footprints import Footprints, across
from sodslice.place.newton import Points
from sodslice.place.rings import parts_of
from sodslice.tables.boxes import Mask

Numbers = npt.NDArray[np.float64]
Geometry = dict[str, Any]

WKB_HEAD = {"order": 1, "kind": 3, "rings": 1, "count": 5}
WKB_PLAIN = [("order", "u1"), ("kind", "<u4"), ("rings", "<u4"), ("count", "<u4"), ("points", "<f8", (5, 2))]
"""A polygon of one ring of five points as OGC's Simple Features has it, little-endian (06-103r4, 8.2)."""
WKB_MULTI_HEAD = {"outer": 1, "outer_kind": 6, "parts": 1}
WKB_MULTI = [("outer", "u1"), ("outer_kind", "<u4"), ("parts", "<u4"), *WKB_PLAIN]


def polygon_texts(places: Footprints, decimals: int) -> list[bytes]:
    """GeoJSON of a geometry of each box that has a place, in their order.

    What crosses the antimeridian is cut there (RFC 7946, 3.1.9) and becomes a MultiPolygon.

    Args:
        places: of the boxes.
        decimals: to which coordinates are rounded.
    """
    rings = np.round(closed_rings(places.corners[places.placed]), decimals)
    texts = [b'{"type":"Polygon","coordinates":[[[%b]]]}' % text for text in _texts(rings, b"]],[[", 3)]
    for row, parts in _several(places):
        texts[row] = orjson.dumps(_geometry(parts, decimals))
    return texts


def point_texts(points: Points, decimals: int) -> list[bytes]:
    """GeoJSON of a Point of each of `(N, 2)` x, y."""
    texts = _texts(np.round(points, decimals), b"],[", 2)
    return [b'{"type":"Point","coordinates":[%b]}' % text for text in texts]


def polygon_wkbs(places: Footprints, *, multi: bool = False) -> list[bytes]:
    """WKB of a polygon of each box that has a place, in their order.

    Args:
        places: of the boxes.
        multi: each is a MultiPolygon, as layers want that hold some; else only those of several parts.
    """
    rings = closed_rings(places.corners[places.placed])
    table = np.empty(len(rings), WKB_MULTI if multi else WKB_PLAIN)
    for name, value in (WKB_HEAD | (WKB_MULTI_HEAD if multi else {})).items():
        table[name] = value
    table["points"] = rings
    wkbs: list[bytes] = table.view(f"V{table.itemsize}").tolist()
    for row, parts in _several(places):
        wkbs[row] = shapely.to_wkb(_shape(parts, multi=multi), byte_order=1)
    return wkbs


def point_wkbs(points: Points) -> list[bytes]:
    """WKB of a Point of each of `(N, 2)` x, y."""
    table = np.empty(len(points), [("order", "u1"), ("kind", "<u4"), ("point", "<f8", 2)])
    table["order"], table["kind"], table["point"] = 1, 1, points
    wkbs: list[bytes] = table.view(f"V{table.itemsize}").tolist()
    return wkbs


def odd_geometries(places: Footprints, decimals: int, *, also: Mask) -> dict[int, Geometry]:
    """GeoJSON of the boxes that their corners do not tell, by row, and of others that are asked for.

    Args:
        places: of the boxes.
        decimals: to which coordinates are rounded.
        also: `(N,)` further rows.
    """
    placed = np.flatnonzero(places.placed).tolist()
    odd = {placed[at]: _geometry(parts, decimals) for at, parts in _several(places)}
    plain = [row for row in placed if also[row] and row not in odd]
    return odd | {row: _geometry((places.corners[row],), decimals) for row in plain}


def has_several_parts(places: Footprints) -> bool:
    """Whether some box is written as a MultiPolygon."""
    return any(len(parts) > 1 for _, parts in _several(places))


def _shape(parts: Sequence[Points], *, multi: bool) -> Any:
    """A Polygon of one ring `(K, 2)`, or a MultiPolygon of several."""
    polygons = [shapely.Polygon(closed_rings(part[None])[0]) for part in parts]
    return polygons[0] if len(polygons) == 1 and not multi else shapely.MultiPolygon(polygons)


def _several(places: Footprints) -> Iterator[tuple[int, tuple[Points, ...]]]:
    """Place among those that have one, and rings, of each box that its corners do not tell."""
    placed = np.flatnonzero(places.placed)
    number = {row: at for at, row in enumerate(placed.tolist())}
    yield from ((number[row], parts) for row, parts in places.parts.items())
    if places.degrees:
        crossing = placed[across(places.corners[placed])].tolist()
        rings = ((row, places.corners[row]) for row in crossing if row not in places.parts)
        yield from ((number[row], parts_of(ring) or (ring,)) for row, ring in rings)


def _texts(values: Numbers, between: bytes, brackets: int) -> list[bytes]:
    """JSON of each of some groups of numbers `(N, ...)`, without the brackets around a group."""
    if not len(values):
        return []
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    return text[brackets:-brackets].split(between)


def _geometry(parts: Sequence[Points], decimals: int) -> Geometry:
    """A Polygon of one ring `(K, 2)`, or a MultiPolygon of several, but of none that rounding wipes out."""
    rings = [ring for part in parts for ring in _written(part, decimals)]
    rings = rings or [np.round(closed_rings(parts[0][None])[0], decimals)]
    listed = [ring.tolist() for ring in rings]
    if len(listed) == 1:
        return {"type": "Polygon", "coordinates": listed}
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in listed]}


def _written(part: Points, decimals: int) -> list[Points]:
    """A ring `(K, 2)` as it is written: closed, and valid with its points rounded; [] where none is left."""
    closed = np.round(closed_rings(part[None])[0], decimals)
    shape = shapely.Polygon(closed)
    if shapely.is_valid(shape):
        return [closed if shapely.is_ccw(shape.exterior) else closed[::-1]]
    on_grid: Any = shapely.set_precision(shapely.make_valid(shapely.Polygon(part)), 10.0**-decimals)
    pieces = [
        piece for piece in shapely.get_parts(on_grid) if piece.geom_type == "Polygon" and not piece.is_empty
    ]
    rings = [shapely.get_coordinates(piece.exterior)[:-1] for piece in pieces]
    return [np.round(closed_rings(ring[None])[0], decimals) for ring in rings]


def closed_rings(rings: Groups) -> Groups:
    """The points of rings `(N, K, 2)`, counter-clockwise, the first again at the end: `(N, K + 1, 2)`."""
    x, y = (rings - rings[:, :1]).transpose(2, 0, 1)  # in degrees, small rings would drown in rounding
    twice = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    ordered = np.where((twice < 0)[:, None, None], rings[:, ::-1], rings)
    points: Groups = np.concatenate([ordered, ordered[:, :1]], axis=1)
    return points
