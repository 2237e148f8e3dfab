"""Areas of interest: polygons from GeoJSON, WKT, or any vector file that pyogrio reads."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from sodslice.errors import SceneError

WKT = re.compile(r"^\s*(?:SRID\s*=\s*(\d+)\s*;)?\s*((?:MULTI)?POLYGON|GEOMETRYCOLLECTION)\b", re.IGNORECASE)
POLYGON = 3
THIN_KINDS = re.compile("Point|Line")
"""What pyogrio calls the geometry of a layer that holds no polygons."""


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
    _check_crs(name, crs)
    polygons = _polygons(shapely.force_2d(np.array(shapes, object)))
    if not len(polygons) or not np.isfinite(shapely.get_coordinates(polygons)).all():
        raise SceneError(f"--aoi {name} holds no polygons; an area of interest is made of polygons")
    notes: tuple[str, ...] = ()
    if not shapely.is_valid(polygons).all():
        notes = (
            f"--aoi {name} has polygons that cross themselves; their inside is taken by GEOS' make_valid",
        )
        polygons = _polygons(shapely.make_valid(polygons))
    return Area(name, shapely.union_all(polygons), crs, notes)


def _check_crs(name: str, crs: str | None) -> None:
    """Refuse a CRS that PROJ does not know; None is none at all."""
    try:
        if crs is not None:
            pyproj.CRS.from_user_input(crs)
    except CRSError:
        raise SceneError(
            f"--aoi {name} names the CRS {_short(crs)!r}, which PROJ does not know; name another, such as "
            "EPSG:32632, or none where the coordinates are longitude and latitude"
        ) from None


def _short(crs: str | None) -> str:
    text = " ".join((crs or "none").split())
    return text if len(text) <= 60 else f"{text[:57]}..."


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
        shape = shapely.from_geojson(orjson.dumps(_with_geometry(document)))
    except (orjson.JSONDecodeError, shapely.errors.GEOSException) as error:
        raise SceneError(f"--aoi {path} is not GeoJSON: {' '.join(str(error).split())}") from None
    named = document.get("crs")
    try:
        crs = None if named is None else str(named["properties"]["name"])
    except (TypeError, KeyError):
        raise SceneError(f"--aoi {path} has a crs member that names no CRS: {named!r}") from None
    return [shape], crs


def _with_geometry(document: dict[str, Any]) -> dict[str, Any]:
    """GeoJSON without the features that have no place: their geometry is null (RFC 7946, 3.2)."""
    features = [document] if document.get("type") == "Feature" else document.get("features")
    if not isinstance(features, list):
        return document
    placed = [f for f in features if not (isinstance(f, dict) and f.get("geometry", f) is None)]
    return {"type": "FeatureCollection", "features": placed}


def _from_folder(path: Path) -> tuple[list[BaseGeometry], str | None]:
    """A File Geodatabase is a folder; any other is refused."""
    if path.suffix.lower() != ".gdb":
        raise SceneError(f"--aoi {path} is a folder; give one vector file in it, or a geodatabase (.gdb)")
    return _from_vector_file(path)


def _from_vector_file(path: Path) -> tuple[list[BaseGeometry], str | None]:
    """The polygons of all layers of a file that pyogrio reads.

    Raises:
        SceneError: pyogrio is missing or cannot read it, or the layers have different CRSs.
    """
    try:
        from pyogrio.errors import DataLayerError, DataSourceError
    except ImportError:
        raise SceneError(
            f"--aoi {path} is neither GeoJSON nor WKT; for other formats pip install 'sodslice[vector]'"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they tell of M values and columns, which no area needs
            layers = _layers(path)
    except (DataSourceError, DataLayerError, ValueError, shapely.errors.GEOSException) as error:
        reason = " ".join(str(error).split()).partition("; It might help")[0].rstrip(".")
        hint = "; unpack it and give the vector file in it" if path.suffix.lower() == ".zip" else ""
        raise SceneError(f"--aoi {path} cannot be read: {reason}{hint}") from None
    systems = list(dict.fromkeys(crs for _, crs in layers))
    if len(systems) > 1:
        raise SceneError(
            f"--aoi {path} has layers in different CRSs, {', '.join(map(_short, systems))}; "
            "give a file whose polygons are all in one"
        )
    return [shape for shapes, _ in layers for shape in shapes], systems[0] if systems else None


def _layers(path: Path) -> list[tuple[Any, str | None]]:
    """Polygons and CRS of each layer of a vector file that has any."""
    from pyogrio import list_layers
    from pyogrio.raw import read

    layers = []
    for name, kind in list_layers(path):
        if kind is None or THIN_KINDS.search(kind):
            continue
        meta, _, shapes, _ = read(path, layer=name, columns=[])
        polygons = _polygons(shapely.from_wkb(shapes))
        if len(polygons):
            layers.append((polygons, meta["crs"]))
    return layers
