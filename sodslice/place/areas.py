"""Areas of interest: polygons from GeoJSON, WKT, or any vector file that pyogrio reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from sodslice.errors import SceneError
from sodslice.place.geojson import json_texts, read_features
from sodslice.place.reference import short_name
from sodslice.place.vector import Polygons, only_polygons, polygons_in
from sodslice.system.hashes import sha256_of_bytes

WKT = re.compile(r"^\s*(?:SRID\s*=\s*(\d+)\s*;)?\s*((?:MULTI)?POLYGON|GEOMETRYCOLLECTION)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Area:
    """Polygons.

    Args:
        name: the file, or "the WKT".
        shape: one Polygon or MultiPolygon, valid, in 2D.
        crs: of its coordinates; None where the source does not say.
        notes: what the user should know, one sentence each.
    """

    name: str
    shape: BaseGeometry
    crs: str | None
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of the polygons and their CRS, to tell one area from another."""
        content = shapely.to_wkb(shapely.normalize(self.shape), byte_order=1)
        return sha256_of_bytes(content, (self.crs or "").encode())

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form, read back by `from_dict`; the polygons as WKB in hexadecimal."""
        wkb = shapely.to_wkb(self.shape, hex=True, byte_order=1)
        return {"name": self.name, "wkb": wkb, "crs": self.crs, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Area:
        """The inverse of `as_dict`.

        Raises:
            ValueError: the values are not those of an area.
        """
        try:
            shape = shapely.from_wkb(values["wkb"])
            return cls(str(values["name"]), shape, values["crs"], tuple(values["notes"]))
        except (KeyError, TypeError, ShapelyError) as error:
            raise ValueError(f"an area of interest is malformed: {error}") from None


def read_area(source: str) -> Area:
    """The area that a path or a WKT names.

    WKT may begin with `SRID=32632;`. GeoJSON is in longitude and latitude unless it has the `crs` member of
    before RFC 7946.

    Raises:
        SceneError: it cannot be read, holds no polygons, names a CRS that PROJ does not know, or needs a
            package that is not installed.
    """
    if WKT.match(source):
        return _area("the WKT", *_from_wkt(source, "the WKT"))
    path = Path(source)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except IsADirectoryError:
        return _area(source, *_from_folder(path))
    except OSError as error:
        raise SceneError(
            f"`aoi` {source} cannot be read: {error.strerror}; give a vector file, or WKT such as "
            "'POLYGON ((7.1 51.2, 7.2 51.2, 7.2 51.3, 7.1 51.2))'"
        ) from None
    text = head.decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith("{"):  # a record separator counts as a blank
        return _area(source, *_from_json(path))
    if WKT.match(text):
        return _area(source, *_from_wkt(path.read_text(encoding="utf-8-sig"), source))
    return _area(source, *polygons_in(path))


def _area(name: str, shapes: list[BaseGeometry], crs: str | None) -> Area:
    """One area of all polygons among some shapes."""
    _check_crs(name, crs)
    polygons = only_polygons(shapely.force_2d(np.array(shapes, object)))
    if not len(polygons) or not np.isfinite(shapely.get_coordinates(polygons)).all():
        raise SceneError(f"`aoi` {name} holds no polygons; an area of interest is made of polygons")
    notes: tuple[str, ...] = ()
    if not shapely.is_valid(polygons).all():
        notes = (
            f"`aoi` {name} has polygons that cross themselves; their inside is taken by GEOS' make_valid",
        )
        polygons = only_polygons(shapely.make_valid(polygons))
    return Area(name, shapely.union_all(polygons), crs, notes)


def _check_crs(name: str, crs: str | None) -> None:
    """Refuse a CRS that PROJ does not know; None is none at all."""
    if crs is None:
        return
    try:
        pyproj.CRS.from_user_input(crs)
    except CRSError:
        raise SceneError(
            f"`aoi` {name} names the CRS {short_name(crs)!r}, which PROJ does not know; name another, such "
            "as EPSG:32632, or none where the coordinates are longitude and latitude"
        ) from None


def _from_wkt(text: str, name: str) -> Polygons:
    found = WKT.match(text)
    srid = found and found.group(1)
    try:
        shape = shapely.from_wkt(text.partition(";")[2] if srid else text)
    except shapely.errors.GEOSException as error:
        raise SceneError(f"`aoi`: {name} is malformed: {' '.join(str(error).split())}") from None
    return [shape], f"EPSG:{srid}" if srid else None


def _from_json(path: Path) -> Polygons:
    """The polygons of GeoJSON, of a sequence of such texts, or of another kind of JSON that pyogrio reads.

    Raises:
        SceneError: it is none of these, or a feature cannot be read.
    """
    source = f"`aoi` {path}"
    try:
        documents = json_texts(path.read_bytes())
    except ValueError as error:
        raise SceneError(f"{source} is not GeoJSON: {error}") from None
    kind = _other_kind(documents[0], source) if len(documents) == 1 else ""
    if kind:
        return polygons_in(path, kind=kind)
    names = [source] if len(documents) == 1 else [f"{source}, text {n + 1}" for n in range(len(documents))]
    read = [read_features(text, name, error=SceneError) for text, name in zip(documents, names, strict=True)]
    systems = list(dict.fromkeys(features.crs for features in read))
    if len(systems) > 1:
        raise SceneError(f"{source} holds texts in different CRSs; give a file whose polygons are all in one")
    shapes = [shape for features in read for shape in features.geometries() if shape is not None]
    return shapes, systems[0]


def _other_kind(document: Any, source: str) -> str:
    """What a JSON text is that only pyogrio reads; "" for GeoJSON and anything else.

    Raises:
        SceneError: it holds curves, which pyogrio leaves out without a word.
    """
    if not isinstance(document, Mapping):
        return ""
    rows = document.get("features")
    shapes = (
        [row.get("geometry") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    )
    keys = {key for shape in shapes if isinstance(shape, Mapping) for key in shape}
    if "curveRings" in keys:
        raise SceneError(
            f"{source} is ESRI JSON with curves, which are not read; save it with straight edges"
        )
    if document.keys() & {"geometryType", "spatialReference"} or "rings" in keys:
        return "ESRI JSON"
    if document.get("type") == "Topology":
        return "TopoJSON"
    return "JSON-FG" if document.keys() & {"coordRefSys", "conformsTo"} else ""


def _from_folder(path: Path) -> Polygons:
    """A File Geodatabase is a folder; any other is refused."""
    if path.suffix.lower() != ".gdb":
        raise SceneError(f"`aoi` {path} is a folder; give one vector file in it, or a geodatabase (.gdb)")
    return polygons_in(path)
