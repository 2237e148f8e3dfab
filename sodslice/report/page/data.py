"""What the page holds of a result: columns of numbers, and what it says of the run."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.place.footprints import Footprints
from sodslice.place.polygons import closed_rings, odd_geometries
from sodslice.results import RunResult, Writing, columns_of
from sodslice.results.colours import class_colours
from sodslice.results.columns import placing
from sodslice.results.geojson import degree_decimals
from sodslice.tables.boxes import Boxes

FOUND, FALSE_ALARM, IGNORED = 0, 1, 2
PER_PIXEL = 1000
"""Steps of an edge: files have so many too."""
SHOWN_SETTINGS = ("tile", "overlap", "threshold", "merge", "iou", "gsd", "scale", "bands", "stretch", "aoi")

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a truth says of a result.

    Args:
        kinds: `(N,)` of each detection: found, false alarm, or in an ignored area.
        missed: boxes `(M, 4)` of objects that no detection hits.
        names: their classes.
    """

    kinds: npt.NDArray[np.uint8]
    missed: Boxes
    names: tuple[str, ...]


def data_of(result: RunResult, judged: Judged | None) -> dict[str, Any]:
    """The page's data but for its pictures."""
    classes = list(dict.fromkeys((*result.class_names, *(() if judged is None else judged.names))))
    on_map = result.georef.on_map
    places = placing(result, Writing())(slice(0, len(result))).places if on_map else None
    return {
        "title": result.scene.path or "Detections",
        "scene": {
            "path": result.scene.path,
            "stem": PurePath(result.scene.path).stem or "scene",
            "width": result.scene.width,
            "height": result.scene.height,
        },
        "classes": classes,
        "colours": [f"#{bytes(colour).hex()}" for colour in class_colours(len(classes))],
        "boxes": _boxes(result, judged, places),
        "missed": None if judged is None else _missed(judged, classes),
        "places": _places(places, degree_decimals(result)),
        "hatched": [
            {"window": list(tile.window), "why": tile.error} for tile in result.provenance.failed_tiles
        ],
        "facts": _facts(result),
        "notes": list(result.scene.notes),
    }


def packed(values: Array, kind: str) -> str:
    """A column as base64 of little-endian numbers."""
    return base64.b64encode(np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<")).tobytes()).decode()


def embedded(data: Any) -> str:
    """JSON that can stand in a script of a page: it never ends it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _edges(boxes: Boxes, per_pixel: int) -> dict[str, str]:
    steps = np.rint(boxes * per_pixel)
    return {name: packed(steps[:, axis], "i4") for axis, name in enumerate(("x0", "y0", "x1", "y1"))}


def _per_pixel(boxes: Boxes) -> int:
    """Steps of an edge that 32 bits can count."""
    furthest = float(np.abs(boxes).max(initial=1.0))
    steps = PER_PIXEL
    while furthest * steps >= 2**31 and steps > 1:
        steps //= 10
    return steps


def _boxes(result: RunResult, judged: Judged | None, places: Footprints | None) -> dict[str, Any]:
    columns = columns_of(result)
    per_pixel = _per_pixel(result.detections.boxes)
    placed = np.zeros(len(result)) if places is None else places.placed
    measures = {name: packed(columns[name], "f4") for name in ("area_m2", "length_m", "width_m")}
    return {
        "count": len(result),
        "per_pixel": per_pixel,
        **_edges(result.detections.boxes, per_pixel),
        "score": packed(np.rint(columns["score"] * 1e6), "i4"),
        "label": packed(result.detections.labels, "u2"),
        **measures,
        "placed": packed(placed, "u1"),
        "judged": None if judged is None else packed(judged.kinds, "u1"),
    }


def _missed(judged: Judged, classes: Sequence[str]) -> dict[str, Any]:
    labels = np.array([classes.index(name) for name in judged.names], int)
    per_pixel = _per_pixel(judged.missed)
    edges = _edges(judged.missed, per_pixel)
    return {"count": len(labels), "per_pixel": per_pixel, **edges, "label": packed(labels, "u2")}


def _places(places: Footprints | None, decimals: int) -> dict[str, Any] | None:
    """Corners in longitude and latitude, as whole steps from the middle of all; None without a place.

    Boxes that are no four corners there have their geometry as GeoJSON, by row.
    """
    if not places:
        return None
    rings = np.zeros((len(places), 4, 2))
    rings[places.placed] = closed_rings(places.corners[places.placed])[:, :4]
    offset = (
        np.round(rings[places.placed].reshape(-1, 2).mean(axis=0), decimals)
        if places.placed.any()
        else (0, 0)
    )
    steps = 10**decimals
    counted = np.rint((rings - offset) * steps)
    far = np.abs(counted).reshape(len(places), -1).max(axis=1) >= 2**31
    counted[far | ~places.placed] = 0
    return {
        "offset": list(map(float, offset)),
        "per_degree": steps,
        "decimals": decimals,
        "corners": packed(counted.reshape(-1), "i4"),
        "odd": {str(row): geometry for row, geometry in odd_geometries(places, decimals, also=far).items()},
    }


def _facts(result: RunResult) -> list[tuple[str, str]]:
    """Names and values for the list of the run."""
    made, scene, counts = result.provenance, result.scene, result.provenance.counts
    facts = [
        ("scene", f"{scene.width} x {scene.height} px"),
        ("GSD", "" if scene.gsd_m is None else f"{scene.gsd_m:.4g} m"),
        ("model", made.model.name),
        ("licence", made.model.licence),
        ("engine", made.engine),
        ("sodslice", made.version),
        ("tiles", f"{counts.tiles} of {_side(made.tile_px)} px, overlap {made.overlap_px} px"),
        ("without data", _some(counts.skipped_nodata)),
        ("at the model's limit", _some(counts.saturated)),
        ("cut short", _some(counts.cut_short)),
        ("failed", _some(counts.failed)),
        ("without a place", _some(made.unplaced)),
    ]
    settings = [
        (name, str(made.options[name])) for name in SHOWN_SETTINGS if made.options.get(name) is not None
    ]
    timings = result.timings
    times = [] if timings is None else [("started", timings.started), ("seconds", _seconds(timings.seconds))]
    return [(name, value) for name, value in [*facts, *settings, *times] if value]


def _some(count: int) -> str:
    return str(count) if count else ""


def _side(tile: tuple[int, int] | int) -> str:
    return " x ".join(map(str, tile)) if isinstance(tile, Sequence) else str(tile)


def _seconds(seconds: Any) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in seconds.items())
