"""`Batches`: the rows of one or many results in one frame; and why a scene cannot be written in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from sodslice.errors import GeoRefError, OutputError
from sodslice.place.frames import DEGREES, Frame, frame_of
from sodslice.place.georef import GeoRef
from sodslice.place.polygons import has_several_parts
from sodslice.place.reference import short_name
from sodslice.results.arrow import batch_of
from sodslice.results.columns import frame_in, pieces_of, placing, slices, writing_of
from sodslice.results.result import RunResult
from sodslice.results.writing import POINT, WGS84, Writing
from sodslice.system.ahead import made_ahead

NEAR_MERIDIAN = 1.0
"""Degrees: edges of a hull are straight in pieces, and leave the true ones by less."""


def why_not_placed(georef: GeoRef, writing: Writing, what: str) -> str:
    """Why a scene cannot be written in the coordinates that are asked for, and what to do; "" where it can.

    Args:
        georef: where the scene lies.
        writing: settings of the formats.
        what: the format, as sentences begin with it.
    """
    try:
        frame_of(georef, writing.output_crs, pixels=writing.pixel_coords)
    except GeoRefError as error:
        needs = (
            "longitude and latitude" if writing.output_crs == WGS84 else f"`output_crs={writing.output_crs}`"
        )
        return f"{what} needs {needs}, and {error}; write .json instead, or scene pixels with `pixel_coords`"
    return ""


class Batches:
    """The rows of results on their way into one file, as record batches.

    Args:
        results: as they come; the first is asked for here.
        alone: whether there is only one, so that its rows tell whether MultiPolygons are needed.

    Attributes:
        frame: the coordinates of all of them.
        kind: of their geometries: Polygon, MultiPolygon or Point.
        writing: settings of the formats, which all share.
        class_names: of all that has come, in its order.
    """

    def __init__(self, results: Iterable[RunResult], *, alone: bool) -> None:
        coming = iter(results)
        self._first = next(coming, None)
        self._coming = coming if self._first is None else chain([self._first], coming)
        self.writing = Writing() if self._first is None else writing_of(self._first)
        self.frame = DEGREES if self._first is None else frame_in(self._first, self.writing)
        self.kind = self._kind(alone=alone)
        self.class_names: tuple[str, ...] = ()

    def of(self, wanted: Any) -> Iterator[Any]:
        """The batches, of a schema.

        Raises:
            OutputError: a result is in other coordinates than the first, or of other geometries.
            GeoRefError: a scene has no place in these.
        """
        before = 0
        for result in self._coming:
            self._check_alike(result)
            self.class_names = tuple(dict.fromkeys((*self.class_names, *result.class_names)))
            yield from made_ahead(self._making(result, wanted, before + 1), slices(len(result)))
            before += len(result)

    def _making(self, result: RunResult, wanted: Any, first_id: int) -> Callable[[slice], Any]:
        place, multi = placing(result, self.writing, first_id=first_id), self.kind == "MultiPolygon"
        return lambda part: batch_of(place(part), wanted, multi=multi)

    def _kind(self, *, alone: bool) -> str:
        if self.writing.geometry == POINT:
            return "Point"
        if self.frame.own or self.frame.crs is None or self._first is None:
            return "Polygon"
        several = not alone or _some_have_several_parts(self._first, self.writing)
        return "MultiPolygon" if several else "Polygon"

    def _check_alike(self, result: RunResult) -> None:
        assert self._first is not None
        writing = writing_of(result)
        frame = frame_in(result, writing)
        if frame != self.frame:
            raise OutputError(
                f"{self._first.scene.path} is written in {_named(self.frame)} and {result.scene.path} in "
                f"{_named(frame)}; run them alike, with `output_crs={WGS84}` for one CRS of all"
            )
        if writing.geometry != self.writing.geometry:
            raise OutputError(
                f"{self._first.scene.path} and {result.scene.path} differ in `geometry`; run them alike"
            )


def _some_have_several_parts(result: RunResult, writing: Writing) -> bool:
    """Whether a box is cut in parts. None is where the hull of all keeps away from the antimeridian."""
    if not len(result):
        return False
    boxes = result.detections.boxes
    hull = DEGREES.footprints(
        result.georef, np.array([[*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]])
    )
    if len(hull.extents):
        west, _, east, _ = hull.extents[0]
        if NEAR_MERIDIAN - 180 < west < east < 180 - NEAR_MERIDIAN:
            return False
    pieces = pieces_of(result, writing)
    return any(piece.places is not None and has_several_parts(piece.places) for piece in pieces)


def _named(frame: Frame) -> str:
    return "scene pixels" if frame.crs is None else short_name(frame.crs)
