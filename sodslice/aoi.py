"""Areas of interest: polygons from GeoJSON, WKT, or any vector file that pyogrio reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from sodslice.errors import SceneError

WKT = re.compile(r"^\s*(?:SRID\s*=\s*(\d+)\s*;)?\s*((?:MULTI)?POLYGON|GEOMETRYCOLLECTION)\b", re.IGNORECASE)
POLYGON = 3


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
        return sha256(content + (self.crs or "").encode()).hexdigest()


def read_area(source: str) -> Area:
    """The area that a path or a WKT names.

    WKT may begin with `SRID=32632;`. GeoJSON is in longitude and latitude unless it has the `crs` member of
    before RFC 7946.

    Raises:
        SceneError: it cannot be read, holds no polygons, or needs a package that is not installed.
    """
    if WKT.match(source):
        return _area("the WKT", *_from_wkt(source, "the WKT"))
    path = Path(source)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise SceneError(
            f"--aoi {source} cannot be read: {error.strerror}; give a vector file, or WKT such as "
            "'POLYGON ((7.1 51.2, 7.2 51.2, 7.2 51.3, 7.1 51.2))'"
        ) from None
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return _area(source, *_from_geojson(path))
    text = head.decode("utf-8-sig", errors="replace")
    if WKT.match(text):
        return _area(source, *_from_wkt(path.read_text(encoding="utf-8-sig"), source))
    return _area(source, *_from_vector_file(path))


def _area(name: str, shapes: list[BaseGeometry], crs: str | None) -> Area:
    """One area of all polygons among some shapes."""
    polygons = _polygons(shapely.force_2d(shapes))
    if not len(polygons) or not np.isfinite(shapely.get_coordinates(polygons)).all():
        raise SceneError(f"--aoi {name} holds no polygons; an area of interest is made of polygons")
    notes: tuple[str, ...] = ()
    if not shapely.is_valid(polygons).all():
        notes = (
            f"--aoi {name} has polygons that cross themselves; their inside is taken by GEOS' make_valid",
        )
        polygons = _polygons(shapely.make_valid(polygons))
    return Area(name, shapely.union_all(polygons), crs, notes)


def _polygons(shapes: Any) -> Any:
    """All polygons in an array of shapes and collections of them."""
    parts = np.atleast_1d(shapes)
    while len(parts) and (shapely.get_type_id(parts) > POLYGON).any():
        parts = shapely.get_parts(parts)
    return parts[(shapely.get_type_id(parts) == POLYGON) & ~shapely.is_empty(parts)]


def _from_wkt(text: str, name: str) -> tuple[list[BaseGeometry], str | None]:
    found = WKT.match(text)
    srid = found and found.group(1)
    try:
        shape = shapely.from_wkt(text.partition(";")[2] if srid else text)
    except shapely.errors.GEOSException as error:
        raise SceneError(f"--aoi: {name} is malformed: {' '.join(str(error).split())}") from None
    return [shape], f"EPSG:{srid}" if srid else None


def _from_geojson(path: Path) -> tuple[list[BaseGeometry], str | None]:
    import orjson

    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        document = orjson.loads(content)
        shape = shapely.from_geojson(content)
    except (orjson.JSONDecodeError, shapely.errors.GEOSException) as error:
        raise SceneError(f"--aoi {path} is not GeoJSON: {' '.join(str(error).split())}") from None
    named = document.get("crs")
    try:
        crs = None if named is None else str(named["properties"]["name"])
    except (TypeError, KeyError):
        raise SceneError(f"--aoi {path} has a crs member that names no CRS: {named!r}") from None
    return [shape], crs


def _from_vector_file(path: Path) -> tuple[list[BaseGeometry], str | None]:
    try:
        from pyogrio.errors import DataLayerError, DataSourceError
        from pyogrio.raw import read
    except ImportError:
        raise SceneError(
            f"--aoi {path} is neither GeoJSON nor WKT; for other formats pip install 'sodslice[vector]'"
        ) from None
    try:
        meta, _, shapes, _ = read(path, columns=[])
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise SceneError(f"--aoi {path} cannot be read: {' '.join(str(error).split())}") from None
    found = [] if shapes is None else [s for s in shapely.from_wkb(shapes) if s is not None]
    return found, meta["crs"]
