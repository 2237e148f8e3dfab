"""Polygons from vector files of any format, through pyogrio, which need not be installed."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from sodslice.errors import SceneError
from sodslice.place.reference import shortened

POLYGON = 3
THIN_KINDS = re.compile("Point|Line")
"""What pyogrio calls the geometry of a layer that holds no polygons."""

Polygons = tuple[list[Any], str | None]
"""Shapely geometries, and the CRS of their coordinates; None where the source does not say."""


def only_polygons(shapes: Any) -> Any:
    """All polygons `(N,)` in an array of shapes and collections of them."""
    parts = np.atleast_1d(shapes)
    while len(parts) and (shapely.get_type_id(parts) > POLYGON).any():
        parts = shapely.get_parts(parts)
    return parts[(shapely.get_type_id(parts) == POLYGON) & ~shapely.is_empty(parts)]


def polygons_in(path: Path, *, kind: str = "neither GeoJSON nor WKT") -> Polygons:
    """The polygons of all layers of a file that pyogrio reads.

    Args:
        path: of the file.
        kind: what it is, for the message that pyogrio is missing.

    Raises:
        SceneError: pyogrio is missing or cannot read it, or the layers have different CRSs.
    """
    try:
        from pyogrio.errors import DataLayerError, DataSourceError
    except ImportError:
        raise SceneError(f"`aoi` {path} is {kind}; to read it pip install 'sodslice[vector]'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they tell of M values and columns, which no area needs
            layers = _layers(path)
    except (DataSourceError, DataLayerError, ValueError, shapely.errors.GEOSException) as error:
        reason = " ".join(str(error).split()).partition("; It might help")[0].rstrip(".")
        hint = "; unpack it and give the vector file in it" if path.suffix.lower() == ".zip" else ""
        raise SceneError(f"`aoi` {path} cannot be read: {reason}{hint}") from None
    systems = list(dict.fromkeys(crs for _, crs in layers))
    if len(systems) > 1:
        names = ", ".join(shortened(" ".join((crs or "none").split())) for crs in systems)
        raise SceneError(
            f"`aoi` {path} has layers in different CRSs, {names}; give a file whose polygons are all in one"
        )
    return [shape for shapes, _ in layers for shape in shapes], systems[0] if systems else None


def _layers(path: Path) -> list[tuple[Any, str | None]]:
    """Polygons and CRS of each layer of a vector file that has any."""
    from pyogrio import list_layers
    from pyogrio.raw import read

    source: Any = _without_mark(path)
    layers = []
    for number, (_, kind) in enumerate(list_layers(source)):
        if kind is None or THIN_KINDS.search(kind):
            continue
        meta, _, shapes, _ = read(source, layer=number, columns=[])
        polygons = only_polygons(shapely.from_wkb(shapes))
        if len(polygons):
            layers.append((polygons, meta["crs"]))
    return layers


def _without_mark(path: Path) -> Path | bytes:
    """A file, or what it holds where it begins with a byte order mark, which GDAL's JSON readers refuse."""
    if path.is_dir():
        return path
    with path.open("rb") as file:
        return file.read() if file.read(3) == b"\xef\xbb\xbf" else path
