"""Detections as flat columns, the same in every table that people filter and count by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.place.footprints import Footprints, across
from sodslice.place.frames import Frame, frame_of
from sodslice.place.newton import Points
from sodslice.results.result import RunResult, rounded_boxes, rounded_scores
from sodslice.results.writing import POINT, Writing
from sodslice.tables.boxes import Boxes
from sodslice.values.setting import settings_of

Column = npt.NDArray[Any]

TEXTS = ("source", "label")
MEASURES = ("area_m2", "length_m", "width_m")
EDGES = ("x0", "y0", "x1", "y1")
COLUMNS = ("id", "source", "label", "cls_id", "score", *MEASURES, *EDGES)
"""Names of the columns, in the order in which they are written."""

METRE_DECIMALS = 4
ROWS_AT_ONCE = 25_000
"""Rows that are written together, so that memory does not grow with their number."""


def slices(count: int) -> Iterator[slice]:
    """Rows 0 to count in pieces."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE))


def columns_of(result: RunResult, *, first_id: int = 1) -> dict[str, Column]:
    """The columns of a result, `(N,)` each, by name.

    `id` counts from `first_id`, `source` is the scene as it was given, `label` and `cls_id` are the class,
    `score` float64 of 6 decimals. `area_m2`, `length_m` (the longer side) and `width_m` are metres on the
    ground, NaN where these are not known. `x0`, `y0`, `x1`, `y1` are the edges in scene pixels, to 1/1000.
    """
    found, boxes = result.detections, rounded_boxes(result)
    return {
        "id": np.arange(first_id, first_id + len(result), dtype=np.int64),
        "source": np.full(len(result), result.scene.path, object),
        "label": np.array(result.class_names, object)[found.labels],
        "cls_id": np.asarray(found.labels),
        "score": rounded_scores(result),
        **dict(zip(MEASURES, _measures(result).T, strict=True)),
        **dict(zip(EDGES, boxes.T, strict=True)),
    }


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of a result, and where they lie.

    Args:
        rows: of all boxes, also of those without a place.
        first_id: of the first of them.
        places: of these boxes; None where points are written.
        points: their middles `(N, 2)`, NaN where a box has no place; None where boxes are written.
    """

    rows: RunResult
    first_id: int
    places: Footprints | None = None
    points: Points | None = None

    @property
    def placed(self) -> npt.NDArray[np.bool_]:
        """Which have a place, `(N,)`: the others are not written."""
        if self.places is not None:
            return self.places.placed
        assert self.points is not None
        known: npt.NDArray[np.bool_] = ~np.isnan(self.points[:, 0])
        return known

    @property
    def columns(self) -> dict[str, Column]:
        """Columns `(M,)` by name, of the rows that have a place."""
        columns, placed = columns_of(self.rows, first_id=self.first_id), self.placed
        return columns if placed.all() else {name: column[placed] for name, column in columns.items()}

    @property
    def bounds(self) -> Boxes:
        """As `extents`, of each row in order; from -180 to 180 where it lies across the antimeridian."""
        if self.places is None:
            return self.extents
        placed = np.flatnonzero(self.placed)
        quads = self.places.corners[placed]
        bounds = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
        for at in np.flatnonzero(np.isin(placed, list(self.places.parts))).tolist():
            points = np.concatenate(self.places.parts[int(placed[at])])
            bounds[at] = *points.min(axis=0), *points.max(axis=0)
        if self.places.degrees:
            crossing = across(quads)
            bounds[crossing, 0], bounds[crossing, 2] = -180.0, 180.0
        return bounds

    @property
    def extents(self) -> Boxes:
        """Lowest and highest x and y `(M, 4)` of what has a place."""
        if self.places is not None:
            return self.places.extents
        assert self.points is not None
        points = self.points[self.placed]
        return np.concatenate([points, points], axis=1)


def pieces_of(result: RunResult, writing: Writing, *, first_id: int = 1) -> Iterator[Piece]:
    """The rows of a result in pieces, with their places.

    Args:
        result: of a run.
        writing: whether boxes or points are written, and in which coordinates.
        first_id: of the first row. Rows that have no place have ids all the same.

    Raises:
        GeoRefError: the scene has no place in such coordinates.
    """
    yield from map(placing(result, writing, first_id=first_id), slices(len(result)))


def placing(result: RunResult, writing: Writing, *, first_id: int = 1) -> Callable[[slice], Piece]:
    """What makes a piece of some rows, from any thread; see `pieces_of`.

    Raises:
        GeoRefError: the scene has no place in such coordinates.
    """
    frame = frame_in(result, writing)

    def place(part: slice) -> Piece:
        rows, number = result.rows(part), first_id + part.start
        boxes = rounded_boxes(rows)
        if writing.geometry == POINT:
            return Piece(rows, number, points=frame.centres(rows.georef, boxes))
        return Piece(rows, number, places=frame.footprints(rows.georef, boxes))

    return place


def frame_in(result: RunResult, writing: Writing) -> Frame:
    """The coordinates that a result is written in.

    Raises:
        GeoRefError: the scene has no place in them.
    """
    return frame_of(result.georef, writing.output_crs, pixels=writing.pixel_coords)


def writing_of(result: RunResult) -> Writing:
    """The settings of the formats that a result was made with."""
    options = result.provenance.options
    return Writing(**{name: options[name] for name in settings_of(Writing) if name in options})


def _measures(result: RunResult) -> npt.NDArray[np.float64]:
    """Area, length (the longer side) and width `(N, 3)` of each box on the ground; NaN where not known."""
    georef, boxes, gsd = result.georef, rounded_boxes(result), result.scene.gsd_m
    if georef.measurable:
        sides, area = georef.ground_measures_m(boxes)
    elif gsd is not None:
        sides = (boxes[:, 2:] - boxes[:, :2]) * gsd
        area = sides.prod(axis=1)
    else:
        return np.full((len(boxes), 3), np.nan)
    sides = np.sort(sides, axis=1)
    table = np.stack([area, sides[:, 1], sides[:, 0]], axis=1)
    table[~np.isfinite(table).all(axis=1)] = np.nan
    rounded: npt.NDArray[np.float64] = np.asarray(np.round(table, METRE_DECIMALS), np.float64)
    return rounded
