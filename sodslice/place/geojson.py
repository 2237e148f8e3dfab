"""GeoJSON (RFC 7946): features read with checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from sodslice.errors import DataError, GeoRefError, SodsliceError, did_you_mean
from sodslice.place.reference import LONLAT, between
from sodslice.tables.boxes import Boxes
from sodslice.tables.limits import MOST_PX
from sodslice.values import cells
from sodslice.values.documents import json_of

Shapes = npt.NDArray[np.object_]
"""Shapely geometries `(N,)`."""

COLLECTION = "FeatureCollection"
RECORD = "\x1e"
"""What begins each text of a sequence (RFC 8142)."""
POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
FARTHEST = 1e100
"""Coordinates beyond it are no places, and overflow in geometry."""


@dataclass(frozen=True)
class Features:
    """The features of a GeoJSON document; what they hold is checked when it is asked for.

    Args:
        rows: the features as they were parsed.
        crs: what the member `crs` of before RFC 7946 names, as QGIS writes it; None: WGS 84 in degrees.
        source: what messages call the document.
        error: what a fault is raised as.
    """

    rows: tuple[Mapping[str, Any], ...]
    crs: str | None
    source: str
    error: type[SodsliceError] = DataError

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def properties(self) -> list[Mapping[str, Any]]:
        """Those of each feature; {} where it has none."""
        found = [row.get("properties") or {} for row in self.rows]
        for row, values in enumerate(found):
            if not isinstance(values, Mapping):
                fault = f"the properties of feature {row} must be a mapping, got {cells.shown(values)}"
                raise self.error(f"{self.source}: {fault}")
        return found

    def column(self, key: str) -> list[Any]:
        """One property of all features, which must have it."""
        properties = self.properties
        for row, values in enumerate(properties):
            if key not in values:
                there = ", ".join(values) or "none"
                raise self.error(
                    f"{self.source}: feature {row} has no property {key!r}{did_you_mean(key, values)}; "
                    f"it has {there}"
                )
        return [values[key] for values in properties]

    def scores(self, key: str = "score") -> npt.NDArray[np.float32]:
        """A property `(N,)` that is a number of each feature."""
        found = [cells.score(value) for value in self.column(key)]
        if None in found:
            raise self.error(f"{self.source}: each property {key!r} must be a number from 0 to 1")
        return np.array(found, dtype=np.float32)

    def boxes(self, *keys: str) -> Boxes:
        """Boxes `(N, 4)`, edges x0, y0, x1, y1: one property of each feature, or one for each edge."""
        keys = keys or ("bbox_px",)
        columns = [self.column(key) for key in keys]
        rows = columns[0] if len(keys) == 1 else list(map(list, zip(*columns, strict=True)))
        found = [cells.numbers(value, 4, MOST_PX) for value in rows]
        table = np.array([row for row in found if row is not None], dtype=np.float64).reshape(-1, 4)
        if len(table) < len(found) or (table[:, 2:] < table[:, :2]).any():
            raise self.error(
                f"{self.source}: each property {', '.join(map(repr, keys))} must be x0, y0, x1, y1 "
                "with x0 <= x1 and y0 <= y1"
            )
        return table

    def geometries(self) -> Shapes:
        """Geometries `(N,)` of any kind as they are written; None where a feature has no place."""
        values = [row.get("geometry", {}) for row in self.rows]
        shapes = _parsed(values)
        for row in np.flatnonzero(shapely.is_missing(shapes)).tolist():
            if values[row] is not None:
                raise self._unreadable(row)
        return shapes

    def polygons(self, *, in_degrees: bool = True) -> Shapes:
        """Polygons `(N,)`, of which each feature must have one: a Polygon or a MultiPolygon.

        Args:
            in_degrees: coordinates must be longitude and latitude, or are turned into them from the CRS that
                the document names; False takes them as they are.
        """
        shapes = self.geometries()
        kinds, empty = shapely.get_type_id(shapes), shapely.is_empty(shapes)
        for row in np.flatnonzero(~np.isin(kinds, POLYGONS) | empty).tolist():
            if shapes[row] is None:
                raise self._unreadable(row)
            kind = f"empty {shapes[row].geom_type}" if empty[row] else shapes[row].geom_type
            fault = f"feature {row} is a {kind}, which has no extent; it needs a Polygon"
            raise self.error(f"{self.source}: {fault}")
        return self._to_degrees(shapes) if in_degrees and len(shapes) else shapes

    def _unreadable(self, row: int) -> SodsliceError:
        return self.error(f"{self.source}: feature {row} has no readable geometry; it needs a Polygon")

    def _to_degrees(self, shapes: Shapes) -> Shapes:
        if self.crs is not None:
            try:
                way = between(self.crs, LONLAT)
            except GeoRefError:
                raise self.error(
                    f"{self.source}: PROJ does not know the CRS {cells.shown(self.crs)}, or no way from it "
                    "to longitude and latitude; save the file as WGS 84 (EPSG:4326)"
                ) from None
            shapes = shapely.transform(shapes, lambda xy: np.stack(way.transform(*xy.T), axis=1))
        points = shapely.get_coordinates(shapes)
        off = ~(np.abs(points) <= (360.0, 90.0)).all(axis=1)
        if off.any():
            x, y = points[np.argmax(off)].tolist()
            raise self.error(
                f"{self.source} holds the point {x:g}, {y:g}, which is no longitude and latitude; "
                "save it as WGS 84 (EPSG:4326), or name its CRS in a member `crs`"
            )
        return shapes


def json_texts(content: bytes) -> list[Any]:
    """The JSON texts in a file: one, or a sequence of them.

    In a sequence each text follows a record separator (RFC 8142), or is a line of its own.

    Raises:
        ValueError: one is not JSON; the message, one line, says which.
    """
    separated = RECORD.encode() in content
    lines = content.split(RECORD.encode()) if separated else content.splitlines()
    texts = [line for line in lines if line.strip()]
    try:
        return [json_of(content)]
    except ValueError:
        if not separated and (len(texts) < 2 or not _is_json(texts[0])):
            raise
    found = []
    for number, text in enumerate(texts, start=1):
        try:
            found.append(json_of(text))
        except ValueError as error:
            raise ValueError(f"its text {number} of {len(texts)}: {error}") from None
    return found


def _is_json(text: bytes) -> bool:
    with suppress(ValueError):
        json_of(text)
        return True
    return False


def read_features(document: Any, source: str, *, error: type[SodsliceError] = DataError) -> Features:
    """The features of a parsed document: of a FeatureCollection, or the one of a Feature or a geometry.

    Args:
        document: whatever the file held.
        source: what messages call it.
        error: what a fault is raised as, now and later.

    Raises:
        SodsliceError: of the kind asked for: it is not GeoJSON, or its member `crs` names none.
    """
    rows = _rows(document)
    if rows is None:
        raise error(f"{source} is not GeoJSON{what_it_holds(document)}")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            fault = f"feature {number} must be a mapping, got {cells.shown(row)}"
            raise error(f"{source} is not GeoJSON: {fault}")
    return Features(tuple(rows), _named_crs(document.get("crs"), source, error), source, error)


def what_it_holds(document: Any) -> str:
    """What a parsed document that is not understood holds instead, as the end of a message."""
    if isinstance(document, Mapping):
        keys = " ".join(", ".join(list(document)[:8]).split())
        return f"; it has the keys {keys or 'none'}"
    return f"; it is a JSON {type(document).__name__}"


def _rows(document: Any) -> list[Any] | None:
    """The features of a document, whatever they are; None where it is not GeoJSON."""
    if not isinstance(document, Mapping):
        return None
    if document.get("type") == "Feature":
        return [document]
    if isinstance(document.get("features"), list):
        return list(document["features"])
    return [{"geometry": document}] if document.keys() & {"coordinates", "geometries"} else None


def _named_crs(member: Any, source: str, error: type[SodsliceError]) -> str | None:
    if member is None:
        return None
    properties = member.get("properties") if isinstance(member, Mapping) else None
    name = cells.text(properties.get("name")) if isinstance(properties, Mapping) else None
    if name is None:
        raise error(f"{source} has a crs member that names no CRS: {cells.shown(member)}")
    return name


def _parsed(values: Sequence[Any]) -> Shapes:
    """Geometries `(N,)`; None where there is none or none that can be read.

    GEOS is quick, and knows rings of which some points have a height; shapely's own reader closes rings.
    """
    shapes = np.array(shapely.from_geojson([_text(value) for value in values], on_invalid="ignore"), object)
    for row in np.flatnonzero(shapely.is_missing(shapes)).tolist():
        shapes[row] = _tolerant(values[row])
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    shapes[owner[(np.abs(points) > FARTHEST).any(axis=1)]] = None
    return shapes


def _text(value: Any) -> bytes | None:
    with suppress(orjson.JSONEncodeError):  # nested too deeply
        return None if value is None else orjson.dumps(value)
    return None


def _tolerant(value: Any) -> BaseGeometry | None:
    with suppress(LookupError, TypeError, ValueError, AttributeError, RecursionError, ShapelyError):
        return shape(value)
    return None
