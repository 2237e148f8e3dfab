"""GeoJSON (RFC 7946): WGS 84 polygons, counter-clockwise, cut at the antimeridian; or points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from sodslice.errors import OutputError
from sodslice.place.bounds import Bounds
from sodslice.place.geojson import COLLECTION
from sodslice.place.georef import GeoRef
from sodslice.place.polygons import point_texts, polygon_texts
from sodslice.results.columns import COLUMNS, Piece, placing, slices, writing_of
from sodslice.results.document import COMBINED, about, image_facts, json_objects, write_document
from sodslice.results.format import Format
from sodslice.results.reading import read_result
from sodslice.results.result import BOX_DECIMALS, RunResult
from sodslice.results.writing import WGS84, Writing
from sodslice.system.ahead import made_ahead
from sodslice.tables.boxes import Boxes
from sodslice.values.documents import json_of

FINE_GSD_M = 0.02
"""Below it 7 decimals of a degree (about 1 cm) are too coarse, and 8 are written."""

PIXEL_COORDINATES = "scene pixels, y downwards"
LONGEST_LINE = 1 << 20
"""Bytes of a feature that is looked at to tell whose file it is in."""


def write_geojson(result: RunResult, path: Path) -> None:
    """Write the FeatureCollection of a result; foreign members `run`, `scene`, `georef` and `timings`.

    With the option `pixel_coords` the coordinates are scene pixels, y downwards, which a foreign member
    `coordinates` says. Otherwise boxes without longitude and latitude, as beyond the edge of the Earth, are
    left out.

    Raises:
        GeoRefError: the scene has no longitude and latitude, and pixels were not asked for.
    """
    collection = _Collection(degrees=not writing_of(result).pixel_coords)
    with path.open("wb") as file:
        items = collection.features(result, first_id=1)
        write_document(file, collection.head, "features", items, collection.tail(about(result)))


def write_lines(result: RunResult, path: Path) -> None:
    """Write the features of a result, one a line (newline-delimited GeoJSON), to read as they come.

    Raises:
        GeoRefError: see `write_geojson`.
    """
    with path.open("wb") as file:
        for lines in _lines(result, first_id=1):
            file.write(lines)


def combine_geojson(results: Iterable[RunResult], path: Path) -> None:
    """Write one FeatureCollection of many results: features name their `source`, `images` says more of each.

    Raises:
        OutputError: some results are in degrees and others in pixels.
        GeoRefError: see `write_geojson`.
    """
    images: list[dict[str, Any]] = []
    first, coming = _first_of(results)
    collection = _Collection(degrees=first is None or not writing_of(first).pixel_coords)

    def items() -> Iterator[list[bytes]]:
        before = 0
        for result in coming:
            _check_alike(result, images, degrees=collection.degrees)
            images.append(image_facts(result))
            yield from collection.features(result, first_id=before + 1)
            before += len(result)

    with path.open("wb") as file:
        tail = collection.tail({"images": images})
        write_document(file, collection.head | COMBINED, "features", items(), tail)


def combine_lines(results: Iterable[RunResult], path: Path) -> None:
    """Write the features of many results, one a line; each names its `source`.

    Raises:
        GeoRefError: see `write_geojson`.
    """
    before = 0
    with path.open("wb") as file:
        for result in results:
            for lines in _lines(result, first_id=before + 1):
                file.write(lines)
            before += len(result)


def features(piece: Piece, decimals: int) -> list[bytes]:
    """Features of some rows, as JSON."""
    if piece.places is not None:
        geometries = polygon_texts(piece.places, decimals)
    else:
        assert piece.points is not None
        geometries = point_texts(piece.points[piece.placed], decimals)
    return [
        b'{"type":"Feature","geometry":%b,"properties":%b}' % both
        for both in zip(geometries, json_objects(piece.columns), strict=True)
    ]


class _Collection:
    """A FeatureCollection as it is written; its bounds are known when all features are.

    Args:
        degrees: whether its coordinates are longitude and latitude.
    """

    def __init__(self, *, degrees: bool) -> None:
        self.degrees = degrees
        self._bounds = Bounds(degrees=degrees)
        self._decimals = 0

    @property
    def head(self) -> dict[str, Any]:
        """Members before the features."""
        return (
            {"type": COLLECTION} if self.degrees else {"type": COLLECTION, "coordinates": PIXEL_COORDINATES}
        )

    def features(self, result: RunResult, *, first_id: int) -> Iterator[list[bytes]]:
        """Features of a result, some at a time."""
        decimals = _decimals(result)
        self._decimals = max(self._decimals, decimals)
        place = placing(result, _written_as(result), first_id=first_id)

        def made(part: slice) -> tuple[Boxes, list[bytes]]:
            piece = place(part)
            return piece.extents, features(piece, decimals)

        for extents, lines in made_ahead(made, slices(len(result))):
            self._bounds.add(extents)
            yield lines

    def tail(self, more: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Members behind the features."""
        bounds = self._bounds.rounded(self._decimals)
        if bounds is not None:
            yield "bbox", bounds
        yield from more.items()


def _lines(result: RunResult, *, first_id: int) -> Iterator[bytes]:
    decimals, place = _decimals(result), placing(result, _written_as(result), first_id=first_id)
    making = made_ahead(lambda part: features(place(part), decimals), slices(len(result)))
    yield from (b"".join(line + b"\n" for line in lines) for lines in making)


def _written_as(result: RunResult) -> Writing:
    """Its settings; GeoJSON has no other CRS than that of longitude and latitude."""
    return replace(writing_of(result), output_crs=WGS84)


def _check_alike(result: RunResult, images: list[dict[str, Any]], *, degrees: bool) -> None:
    if writing_of(result).pixel_coords == degrees:
        raise OutputError(
            f"{result.scene.path} and {images[0]['image']} differ in `pixel_coords`; run them alike"
        )


def _first_of(results: Iterable[RunResult]) -> tuple[RunResult | None, Iterator[RunResult]]:
    """The first of some results, and all of them."""
    coming = iter(results)
    first = next(coming, None)
    return first, coming if first is None else chain([first], coming)


def _decimals(result: RunResult) -> int:
    return BOX_DECIMALS if writing_of(result).pixel_coords else degree_decimals(result)


def degree_decimals(result: RunResult) -> int:
    """To how many decimals of a degree places are written."""
    return 8 if (result.scene.gsd_m or 1.0) <= FINE_GSD_M else 7


def _why_not(georef: GeoRef, writing: Writing) -> str:
    """Why a scene cannot be written as GeoJSON, and what to do."""
    if writing.pixel_coords or georef.on_map:
        return ""
    placed = "" if georef.placed else "; `photo_footprint` places a drone's photo by its own data"
    first = "give its own `crs`, write" if georef.fault and georef.crs else "write"
    return (
        f"GeoJSON needs longitude and latitude, and {georef.why_not_on_map}; {first} .json instead, "
        f"or GeoJSON in pixels with `pixel_coords`{placed}"
    )


def _has_our_lines(path: Path) -> bool:
    """Whether a file is empty, or its first line is a feature with our columns."""
    with path.open("rb") as file:
        line = file.readline(LONGEST_LINE)
    if not line:
        return True
    with suppress(ValueError):
        feature = json_of(line)
        properties = feature.get("properties") if isinstance(feature, dict) else None
        return isinstance(properties, dict) and tuple(properties) == COLUMNS
    return False


FORMAT = Format(
    "geojson",
    (".geojson",),
    write=write_geojson,
    why_not=_why_not,
    read=read_result,
    heeds=("geometry", "pixel_coords", "qml"),
    combine=combine_geojson,
)
LINES = Format(
    "geojsonl",
    (".geojsonl",),
    write=write_lines,
    why_not=_why_not,
    is_own=_has_our_lines,
    heeds=("geometry", "pixel_coords", "qml"),
    combine=combine_lines,
)
