"""GeoJSON (RFC 7946): WGS 84 polygons, counter-clockwise, cut at the antimeridian."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.boxes import Boxes
from sodslice.errors import GeoRefError
from sodslice.georef import GeoRef, corners
from sodslice.result import RunResult
from sodslice.writers.json import BOX_DECIMALS, about, document, rounded_boxes, rows

METRE_DECIMALS = 4
PIXEL_COORDINATES = "scene pixels, y downwards"
FINE_GSD_M = 0.02
"""Below it 7 decimals of a degree (about 1 cm) are too coarse, and 8 are written."""


def geojson_bytes(result: RunResult) -> bytes:
    """The FeatureCollection of a result; foreign members `run`, `scene`, `georef` and `timings`.

    With the option `pixel_coords` the coordinates are scene pixels, y downwards, which a foreign member
    `coordinates` says.

    Raises:
        GeoRefError: the scene has no longitude and latitude, and pixels were not asked for.
    """
    pixels = in_pixels(result)
    if not pixels and not result.georef.on_map:
        raise GeoRefError(no_geojson(result.georef))
    boxes = rounded_boxes(result)
    if pixels:
        places, decimals = corners(boxes), BOX_DECIMALS
    else:
        places = result.georef.to_lonlat(corners(boxes).reshape(-1, 2)).reshape(-1, 4, 2)
        decimals = 8 if (result.scene.get("gsd_m") or 1.0) <= FINE_GSD_M else 7
    features = [
        {
            "type": "Feature",
            "geometry": shape,
            "properties": {"label": label, "cls_id": cls_id, "score": score, "bbox_px": box, **measures},
        }
        for shape, measures, (cls_id, label, score, box) in zip(
            _geometries(places, decimals, degrees=not pixels),
            _measures(result.georef, boxes),
            rows(result),
            strict=True,
        )
    ]
    head: dict[str, Any] = {"type": "FeatureCollection"}
    if pixels:
        head["coordinates"] = PIXEL_COORDINATES
    if features:
        head["bbox"] = _bounds(places, decimals, degrees=not pixels)
    return document(head, "features", features, about(result))


def in_pixels(result: RunResult) -> bool:
    """Whether a result's GeoJSON is in scene pixels."""
    return bool(result.run.get("options", {}).get("pixel_coords", False))


def no_geojson(georef: GeoRef) -> str:
    """Why a scene cannot be written as GeoJSON, and what to do."""
    return (
        f"GeoJSON needs longitude and latitude, and {georef.why_not_on_map}; write .json instead, "
        "or GeoJSON in pixels with --pixel-coords"
    )


def _measures(georef: GeoRef, boxes: Boxes) -> list[dict[str, float]]:
    """Area, length (the longer side) and width of each box on the ground; {} where metres are not known."""
    if not georef.measurable:
        return [{} for _ in boxes]
    sides = np.sort(georef.ground_size_m(boxes), axis=1)
    table = np.stack([georef.area_m2(boxes), sides[:, 1], sides[:, 0]], axis=1)
    return [
        {"area_m2": area, "length_m": length, "width_m": width}
        for area, length, width in np.round(table, METRE_DECIMALS).tolist()
    ]


def _geometries(places: npt.NDArray[np.float64], decimals: int, *, degrees: bool) -> list[dict[str, Any]]:
    """A Polygon of each four corners `(N, 4, 2)` x, y; a MultiPolygon where one crosses the antimeridian."""
    crossing = degrees & (np.ptp(places[..., 0], axis=1) > 180)
    return [
        _cut(ring, decimals) if cut else {"type": "Polygon", "coordinates": [closed]}
        for ring, closed, cut in zip(places, _closed(places, decimals), crossing.tolist(), strict=True)
    ]


def _cut(ring: npt.NDArray[np.float64], decimals: int) -> dict[str, Any]:
    """A MultiPolygon of the parts of a ring `(4, 2)` on both sides of the antimeridian."""
    eastern = ring.copy()
    eastern[:, 0] = np.mod(eastern[:, 0], 360)
    whole = shapely.Polygon(eastern)
    parts = []
    for west, shift in ((0.0, 0.0), (180.0, -360.0)):
        part = shapely.intersection(whole, shapely.box(west, -90, west + 180, 90))
        if part.area > 0:
            points = shapely.get_coordinates(part)[:-1] + (shift, 0.0)
            parts.append(_closed(points[None], decimals))
    return {"type": "MultiPolygon", "coordinates": parts}


def _closed(rings: npt.NDArray[np.float64], decimals: int) -> list[list[list[float]]]:
    """The points of rings `(N, K, 2)`, counter-clockwise, the first again at the end."""
    x, y = (rings - rings[:, :1]).transpose(2, 0, 1)  # in degrees, small rings would drown in rounding
    twice = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    turned = np.where((twice < 0)[:, None, None], rings[:, ::-1], rings)
    points: list[list[list[float]]] = np.round(
        np.concatenate([turned, turned[:, :1]], axis=1), decimals
    ).tolist()
    return points


def _bounds(places: npt.NDArray[np.float64], decimals: int, *, degrees: bool) -> list[float]:
    """West, south, east, north of all corners; west > east across the antimeridian (RFC 7946, 5.2)."""
    x, y = places[..., 0], places[..., 1]
    if degrees and np.ptp(x) > 180:
        west, east = x[x > 0].min(), x[x <= 0].max()
    else:
        west, east = x.min(), x.max()
    values: list[float] = np.round([west, y.min(), east, y.max()], decimals).tolist()
    return values
