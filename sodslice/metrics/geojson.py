"""GeoJSON of other people's making: objects, detections and regions as polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from sodslice.errors import DataError, did_you_mean
from sodslice.georef import GeoRef
from sodslice.metrics.layer import Layer, Shapes, distinct

NO_CLASS = "object"
"""What everything is called where classes do not matter."""


def geojson_layer(
    document: Mapping[str, Any], source: str, *, label_key: str | None = "label", scored: bool = False
) -> Layer:
    """The polygons of a FeatureCollection as a layer.

    Pixel boxes are taken from the property `bbox_px` where every feature has it, classes from `label_key`
    (None: all are alike), scores from `score`, crowds from `iscrowd`. The foreign members `scene` and
    `georef` are read where a run or `sodslice.synthetic` wrote them.

    Args:
        document: the parsed file.
        source: its name, for messages.
        label_key: the property with the class name.
        scored: whether these are detections, which must have a score.

    Raises:
        DataError: a feature has no polygon, class, or score; or the CRS cannot be read.
    """
    features = list(document.get("features", ()))
    properties = [feature.get("properties") or {} for feature in features]
    labels = [NO_CLASS] * len(features) if label_key is None else _column(properties, label_key, source)
    names = tuple(str(label) for label in labels)
    pixels = None
    if features and all("bbox_px" in row for row in properties):
        pixels = _boxes([row["bbox_px"] for row in properties], source)
    scores = _numbers(_column(properties, "score", source), source) if scored else None
    scene = document.get("scene") or {}
    size = (int(scene["width"]), int(scene["height"])) if {"width", "height"} <= set(scene) else None
    georef = GeoRef.from_dict(document["georef"]) if document.get("georef") else GeoRef()
    return Layer(
        source,
        names,
        distinct(names),
        pixels=pixels,
        shapes=polygons(document, source),
        scores=scores,
        crowd=np.array([bool(row.get("iscrowd", 0)) for row in properties], dtype=bool),
        image=str(scene.get("path", "")),
        size=size,
        georef=georef,
    )


def polygons(document: Mapping[str, Any], source: str, *, in_degrees: bool = True) -> Shapes:
    """The polygons `(N,)` of a FeatureCollection, one a feature.

    Args:
        document: the parsed file. Its coordinates are longitude and latitude, as RFC 7946 has it, or those
            of the legacy member `crs`, as QGIS writes by default.
        source: its name, for messages.
        in_degrees: False takes the coordinates as they are.

    Raises:
        DataError: a feature has no polygon, or coordinates that are no longitude and latitude.
    """
    shapes = [_polygon(feature, i, source) for i, feature in enumerate(document.get("features", ()))]
    column = np.array(shapes, dtype=object)
    if not in_degrees or not len(column):
        return column
    crs = ((document.get("crs") or {}).get("properties") or {}).get("name")
    if crs is not None:
        column = _to_degrees(column, str(crs), source)
    points = shapely.get_coordinates(column)
    if (np.abs(points) > (360.0, 90.0)).any():
        x, y = points[np.argmax((np.abs(points) > (360.0, 90.0)).any(axis=1))].tolist()
        raise DataError(
            f"{source} holds the point {x:g}, {y:g}, which is no longitude and latitude; "
            "save it as WGS 84 (EPSG:4326), or name its CRS in a member `crs`"
        )
    return column


def _polygon(feature: Mapping[str, Any], row: int, source: str) -> BaseGeometry:
    try:
        geometry: BaseGeometry = shape(feature["geometry"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ShapelyError):
        raise DataError(f"{source}: feature {row} has no readable geometry; it needs a Polygon") from None
    if geometry.geom_type not in ("Polygon", "MultiPolygon") or geometry.is_empty:
        kind = geometry.geom_type if not geometry.is_empty else f"empty {geometry.geom_type}"
        raise DataError(f"{source}: feature {row} is a {kind}, which has no extent; it needs a Polygon")
    return geometry


def _to_degrees(shapes: Shapes, crs: str, source: str) -> Shapes:
    try:
        transformer = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    except CRSError:
        raise DataError(
            f"{source}: PROJ does not know the CRS {crs!r}; save the file as WGS 84 (EPSG:4326)"
        ) from None
    moved: Shapes = shapely.transform(shapes, lambda xy: np.stack(transformer.transform(*xy.T), axis=1))
    return moved


def _column(properties: Sequence[Mapping[str, Any]], key: str, source: str) -> list[Any]:
    """One property of all features."""
    for row, values in enumerate(properties):
        if key not in values:
            there = ", ".join(values) or "none"
            raise DataError(
                f"{source}: feature {row} has no property {key!r}{did_you_mean(key, values)}; it has {there}"
            )
    return [values[key] for values in properties]


def _numbers(values: Sequence[Any], source: str) -> npt.NDArray[np.float32]:
    try:
        return np.array(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError(f"{source}: each property 'score' must be a number from 0 to 1") from None


def _boxes(values: Sequence[Any], source: str) -> npt.NDArray[np.float64]:
    try:
        table = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.shape != (len(values), 4) or not np.isfinite(table).all() or (table[:, 2:] < table[:, :2]).any():
        raise DataError(
            f"{source}: each property 'bbox_px' must be x0, y0, x1, y1 with x0 <= x1 and y0 <= y1"
        )
    return table
