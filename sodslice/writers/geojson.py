"""GeoJSON (RFC 7946): WGS 84 polygons, counter-clockwise, cut at the antimeridian."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.errors import GeoRefError
from sodslice.georef import corners
from sodslice.result import RunResult
from sodslice.writers.json import about, document, rounded_boxes, rows

AREA_DECIMALS = 4
FINE_GSD_M = 0.02
"""Below it 7 decimals of a degree (about 1 cm) are too coarse, and 8 are written."""


def geojson_bytes(result: RunResult) -> bytes:
    """The FeatureCollection of a result; foreign members `run`, `scene`, `georef` and `timings`.

    Raises:
        GeoRefError: the scene has no transform or CRS.
    """
    if not result.georef.on_map:
        raise GeoRefError(
            "GeoJSON needs longitude and latitude, and the scene has no CRS; write .json instead"
        )
    boxes = rounded_boxes(result)
    decimals = 8 if (result.scene.get("gsd_m") or 1.0) <= FINE_GSD_M else 7
    lonlat = result.georef.to_lonlat(corners(boxes).reshape(-1, 2)).reshape(-1, 4, 2)
    areas = np.round(result.georef.area_m2(boxes), AREA_DECIMALS).tolist()
    shapes = [_geometry(ring, decimals) for ring in lonlat]
    features = [
        {
            "type": "Feature",
            "geometry": shape,
            "properties": {"label": label, "cls_id": cls_id, "score": score, "bbox_px": box, "area_m2": area},
        }
        for shape, area, (cls_id, label, score, box) in zip(shapes, areas, rows(result), strict=True)
    ]
    head: dict[str, Any] = {"type": "FeatureCollection"}
    if features:
        head["bbox"] = _bounds(lonlat, decimals)
    return document(head, "features", features, about(result))


def _geometry(ring: npt.NDArray[np.float64], decimals: int) -> dict[str, Any]:
    """A Polygon of four corners `(4, 2)` lon, lat; a MultiPolygon where it crosses the antimeridian."""
    if np.ptp(ring[:, 0]) <= 180:
        return {"type": "Polygon", "coordinates": [_closed(ring, decimals)]}
    eastern = ring.copy()
    eastern[:, 0] = np.mod(eastern[:, 0], 360)
    whole = shapely.Polygon(eastern)
    parts = []
    for west, shift in ((0.0, 0.0), (180.0, -360.0)):
        part = shapely.intersection(whole, shapely.box(west, -90, west + 180, 90))
        if part.area > 0:
            points = shapely.get_coordinates(part)[:-1] + (shift, 0.0)
            parts.append([_closed(points, decimals)])
    return {"type": "MultiPolygon", "coordinates": parts}


def _closed(ring: npt.NDArray[np.float64], decimals: int) -> list[list[float]]:
    """The ring's points, counter-clockwise, the first again at the end."""
    x, y = ring.T
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        ring = ring[::-1]
    points: list[list[float]] = np.round(ring, decimals).tolist()
    return [*points, points[0]]


def _bounds(lonlat: npt.NDArray[np.float64], decimals: int) -> list[float]:
    """West, south, east, north of all corners; west > east across the antimeridian (RFC 7946, 5.2)."""
    lon, lat = lonlat[..., 0], lonlat[..., 1]
    if np.ptp(lon) > 180:
        west, east = lon[lon > 0].min(), lon[lon <= 0].max()
    else:
        west, east = lon.min(), lon.max()
    values: list[float] = np.round([west, lat.min(), east, lat.max()], decimals).tolist()
    return values
