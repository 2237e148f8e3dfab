"""What was written, as tests look at it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sodslice import RunResult
from sodslice.place.bounds import Bounds
from sodslice.place.footprints import Footprints
from sodslice.place.polygons import polygon_texts
from sodslice.results.json import write_json
from sodslice.tables.boxes import Boxes


def geometries(places: Footprints, decimals: int) -> list[dict[str, Any]]:
    """GeoJSON of boxes that have a place."""
    return [json.loads(text) for text in polygon_texts(places, decimals)]


def bounds(pieces: Iterable[Boxes], decimals: int = 7, *, degrees: bool = True) -> list[float] | None:
    """Of boxes that come in pieces."""
    found = Bounds(degrees=degrees)
    for piece in pieces:
        found.add(piece)
    return found.rounded(decimals)


def box_of(feature: dict[str, Any]) -> list[float]:
    """Edges in scene pixels of a feature of a result."""
    return [feature["properties"][edge] for edge in ("x0", "y0", "x1", "y1")]


def without_timings(result: RunResult) -> bytes:
    """The JSON document of a result but for its timings."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        write_json(replace(result, timings=None), path)
        return path.read_bytes()
