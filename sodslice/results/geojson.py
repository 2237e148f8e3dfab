"""GeoJSON (RFC 7946): WGS 84 polygons, counter-clockwise, cut at the antimeridian."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import OutputError
from sodslice.place.footprints import footprints_of
from sodslice.place.georef import GeoRef, corners
from sodslice.place.polygons import (
    collection_head,
    corner_polygons,
    footprint_polygons,
    polygon_features,
)
from sodslice.results.document import COMBINED, about, image_facts, slices, write_document
from sodslice.results.format import Format
from sodslice.results.reading import read_result
from sodslice.results.result import BOX_DECIMALS, RunResult, rounded_boxes, written_rows
from sodslice.results.writing import Writing
from sodslice.tables.boxes import Boxes

METRE_DECIMALS = 4
FINE_GSD_M = 0.02
"""Below it 7 decimals of a degree (about 1 cm) are too coarse, and 8 are written."""


def write_geojson(result: RunResult, path: Path) -> None:
    """Write the FeatureCollection of a result; foreign members `run`, `scene`, `georef` and `timings`.

    With the option `pixel_coords` the coordinates are scene pixels, y downwards, which a foreign member
    `coordinates` says. Otherwise boxes without longitude and latitude, as beyond the edge of the Earth, are
    left out.

    Raises:
        GeoRefError: the scene has no longitude and latitude, and pixels were not asked for.
    """
    degrees = _in_degrees(result)
    decimals = _decimals(result, degrees=degrees)
    extents = (_extents(result.rows(part), degrees=degrees) for part in slices(len(result)))
    head = collection_head(extents, decimals, degrees=degrees)
    with path.open("wb") as file:
        write_document(file, head, "features", _features(result, decimals, degrees=degrees), about(result))


def combine_geojson(results: Iterable[RunResult], path: Path) -> None:
    """Write one FeatureCollection of many results: each feature has its `image`, `images` says more of each.

    Raises:
        OutputError: some results are in degrees and others in pixels.
        GeoRefError: see `write_geojson`.
    """
    images: list[dict[str, Any]] = []
    first, coming = _first_of(results)
    degrees = first is None or _in_degrees(first)

    def items() -> Iterator[dict[str, Any]]:
        for result in coming:
            if _in_degrees(result) != degrees:
                raise OutputError(
                    f"{result.scene.path} and {images[0]['image']} differ in `pixel_coords`; run them alike"
                )
            images.append(image_facts(result))
            for feature in _features(result, _decimals(result, degrees=degrees), degrees=degrees):
                feature["properties"] = {"image": result.scene.path, **feature["properties"]}
                yield feature

    head = collection_head((), BOX_DECIMALS, degrees=degrees) | COMBINED
    with path.open("wb") as file:
        write_document(file, head, "features", items(), {"images": images})


def _first_of(results: Iterable[RunResult]) -> tuple[RunResult | None, Iterator[RunResult]]:
    """The first of some results, and all of them."""
    coming = iter(results)
    first = next(coming, None)
    return first, coming if first is None else chain([first], coming)


def _in_degrees(result: RunResult) -> bool:
    return not result.provenance.options.get("pixel_coords", False)


def _features(result: RunResult, decimals: int, *, degrees: bool) -> Iterator[dict[str, Any]]:
    for part in slices(len(result)):
        some = result.rows(part)
        boxes = rounded_boxes(some)
        if degrees:
            places = footprints_of(some.georef, boxes)
            geometries = footprint_polygons(places, decimals)
            some = replace(some, detections=some.detections[places.placed])
        else:
            geometries = corner_polygons(corners(boxes), decimals, degrees=False)
        yield from polygon_features(geometries, _properties(some))


def _properties(result: RunResult) -> list[dict[str, Any]]:
    return [
        {"label": label, "cls_id": cls_id, "score": score, "bbox_px": box, **measures}
        for measures, (cls_id, label, score, box) in zip(_measures(result), written_rows(result), strict=True)
    ]


def _extents(result: RunResult, *, degrees: bool) -> Boxes:
    """Lowest and highest x and y `(N, 4)` of the boxes that are written: in degrees, or scene pixels."""
    boxes = rounded_boxes(result)
    return footprints_of(result.georef, boxes).extents if degrees else boxes


def _decimals(result: RunResult, *, degrees: bool) -> int:
    if not degrees:
        return BOX_DECIMALS
    return 8 if (result.scene.gsd_m or 1.0) <= FINE_GSD_M else 7


def _measures(result: RunResult) -> list[dict[str, float]]:
    """Area, length (the longer side) and width of each box on the ground; {} where they are not known."""
    georef, boxes, gsd = result.georef, rounded_boxes(result), result.scene.gsd_m
    if georef.measurable:
        sides, area = georef.ground_size_m(boxes), georef.area_m2(boxes)
    elif gsd is not None:
        sides = (boxes[:, 2:] - boxes[:, :2]) * gsd
        area = sides.prod(axis=1)
    else:
        return [{} for _ in boxes]
    sides = np.sort(sides, axis=1)
    table = np.stack([area, sides[:, 1], sides[:, 0]], axis=1)
    return [
        {"area_m2": area, "length_m": length, "width_m": width} if np.isfinite((area, length)).all() else {}
        for area, length, width in np.round(table, METRE_DECIMALS).tolist()
    ]


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


FORMAT = Format(
    "geojson",
    (".geojson",),
    write=write_geojson,
    why_not=_why_not,
    read=read_result,
    heeds=("pixel_coords",),
    combine=combine_geojson,
)
