"""The boxes of COCO's annotations: a `bbox`, or the envelope of polygons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sodslice.tables.limits import MOST_PX
from sodslice.values import cells
from sodslice.values.columns import Columns


def box_column(read: Columns) -> list[list[float] | None]:
    """Edges x0, y0, x1, y1 of each row by `bbox`, else by `segmentation`; None where they are not right."""
    found: list[list[float] | None] = []
    lacking = []
    for place in read.places:
        box = _box(place.row)
        if box is None:
            lacking.append(place)
        elif isinstance(box, str):
            read.problems.append(f"{read.called(place)} {box}")
        found.append(None if isinstance(box, str) else box)
    read.refuse_lacking("bbox", lacking)
    return found


def _box(row: Mapping[str, Any]) -> list[float] | str | None:
    """Edges of a row, or what is wrong with them; None where it has none."""
    around = None if row.get("bbox") is not None else _envelope(row.get("segmentation"))
    return _edges(row["bbox"]) if around is None and "bbox" in row else around


def _edges(bbox: Any) -> list[float] | str:
    """Edges of a `bbox`, or what is wrong with it."""
    numbers = cells.numbers(bbox, 4, MOST_PX)
    if numbers is None:
        return f"must have bbox [x, y, width, height], got {cells.shown(bbox)}"
    x, y, width, height = numbers
    if width <= 0 or height <= 0:
        return f"has an empty bbox {cells.shown(bbox)}"
    return [x, y, x + width, y + height]


def _envelope(rings: Any) -> list[float] | str | None:
    """Edges around the polygons of a `segmentation`, or what is wrong with it; None where there are none."""
    if not isinstance(rings, list) or not rings:
        return None
    points: list[float] = []
    for ring in rings:
        numbers = cells.numbers(ring, most=MOST_PX)
        if not numbers or len(numbers) % 2:
            return f"must have a segmentation of polygons x, y, x, y, ..., got {cells.shown(rings)}"
        points += numbers
    x, y = points[::2], points[1::2]
    box = [min(x), min(y), max(x), max(y)]
    return box if box[2] > box[0] and box[3] > box[1] else "has a segmentation without extent"
