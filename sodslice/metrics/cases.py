"""`Case`: one scene of an evaluation, both sides in one frame and with the same labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from sodslice.errors import DataError
from sodslice.metrics.classes import UNKNOWN, ClassPlan
from sodslice.metrics.frames import COORDINATES, Framed
from sodslice.metrics.layer import Layer
from sodslice.metrics.matching import NOTHING, match
from sodslice.metrics.reading import read_region
from sodslice.metrics.truth import Region, Truth
from sodslice.place.georef import GeoRef
from sodslice.tables import boxes as box_math
from sodslice.tables.detections import NO_TILE, Detections
from sodslice.values import cells
from sodslice.values.kinds import Kind, Maybe, OneOf, Real, Schema, Switch, Word, items
from sodslice.values.setting import Setting, check_settings, setting

Points = npt.NDArray[np.float64]

_FILE = Maybe(Word(), word="none")


class NameMap(Kind):
    """Names to read as other names: from a mapping, from "car=vehicle,van=vehicle", or a list of such."""

    metavar = "NAME=NAME"

    def read(self, given: Any) -> dict[str, str]:
        """See `Kind`."""
        pairs = (
            given.items()
            if isinstance(given, Mapping)
            else [p for item in items(given) for p in _pairs(item)]
        )
        found = {_name(one): _name(other) for one, other in pairs}
        if None in {*found, *found.values()}:
            raise ValueError("names to read as other names, for example car=vehicle")
        return found  # type: ignore[return-value]

    def schema(self) -> Schema:
        """See `Kind`."""
        name = {"type": "string", "minLength": 1}
        return {"type": "object", "propertyNames": name, "additionalProperties": name}


def _pairs(text: Any) -> list[tuple[str, str]]:
    """Both sides of each equals sign; "" where there is none."""
    sides = [part.partition("=") for part in str(text).split(",")]
    return [(name, other) for name, _, other in sides]


def _name(given: Any) -> str | None:
    return cells.name(given) if isinstance(given, str) else None


@dataclass(frozen=True)
class Comparison:
    """How to compare.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    iou: float = setting(
        0.5,
        Setting(
            Real(0, 1, open_=True),
            "The overlap that makes a match, for precision, recall and distances.",
            "Compare",
        ),
    )
    class_map: Mapping[str, str] = setting(
        (),
        Setting(
            NameMap(),
            "Names to read as other names, on both sides, such as car=vehicle.",
            "Compare",
            "none",
            repeatable=True,
        ),
    )
    class_agnostic: bool = setting(False, Setting(Switch(), "Take all classes as one.", "Compare"))
    coordinates: str = setting(
        "auto",
        Setting(
            OneOf(COORDINATES),
            "Compare pixel boxes, or places on the map; auto: pixels where both sides have them.",
            "Compare",
        ),
    )
    roi: str | Path | None = setting(
        None,
        Setting(_FILE, "GeoJSON file; only what has its centre in its polygons counts.", "Files", "none"),
    )
    ignored: str | Path | None = setting(
        None,
        Setting(_FILE, "GeoJSON file; what has its centre in its polygons does not count.", "Files", "none"),
    )
    regions_in: str = setting(
        "auto",
        Setting(
            OneOf(COORDINATES),
            "Coordinates of both areas: map (longitude and latitude), pixel, or auto: on the map where the "
            "scene has a georeference.",
            "Files",
        ),
    )
    partial: bool = setting(
        False, Setting(Switch(), "Leave out images of the truth without a result.", "Compare")
    )
    allow_empty: bool = setting(
        False,
        Setting(Switch(), "Compare with a truth without objects too, for its false alarms.", "Compare"),
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, eq=False)
class Case:
    """One scene of an evaluation.

    Fields: `image`, what the truth calls it; `path`, the image that the run read, as it was named then (""
    where unknown); `truth` and `found` in one frame; `unit` of the frame, "px" or "m";
    `georef`, from the frame to the map; `size` (width, height) of the scene in pixels, where known.
    """

    image: str
    path: str
    truth: Truth
    found: Detections
    unit: str
    georef: GeoRef
    size: tuple[int, int] | None

    @property
    def megapixels(self) -> float | None:
        """The part of the scene where things count, in millions of pixels; None where the size is unknown."""
        if self.size is None:
            return None
        area: BaseGeometry = shapely.box(0, 0, *self.size)
        if self.truth.region.roi is not None:
            area = area & self.truth.region.roi
        if self.truth.region.ignored is not None:
            area = area - self.truth.region.ignored
        return float(area.area) / 1e6

    def center_distances(self, iou: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
        """Distances `(K,)` of the centres of matched pairs: in the frame's unit, and in metres on the ground.

        Metres are geodesics on the WGS 84 ellipsoid; None where the frame is not on the map.
        """
        matching = match(self.truth, self.found, iou=iou)
        rows = np.flatnonzero(matching.right & (matching.truth != NOTHING))
        one = box_math.centers(self.found.boxes[rows])
        other = box_math.centers(self.truth.boxes[matching.truth[rows]])
        apart = np.hypot(*(one - other).T)
        if not self.georef.on_map:
            return apart, None
        here, there = self.georef.to_lonlat(one), self.georef.to_lonlat(other)
        metres = pyproj.Geod(ellps="WGS84").inv(*here.T, *there.T)[2]
        return apart, np.asarray(metres, dtype=np.float64)


def build_case(found: Layer, truth: Layer, frame: Framed, plan: ClassPlan, comparison: Comparison) -> Case:
    """Both sides of a scene in one frame, with the labels of a class plan.

    Raises:
        DataError: the detections have no scores, or a region cannot be placed on the scene.
    """
    if found.scores is None:
        raise DataError(f"{found.source} holds objects without scores; give the result first, then the truth")
    labels = plan.labels(found.names)
    known = labels != UNKNOWN
    rows = Detections(frame.found, found.scores, labels, np.full(len(labels), NO_TILE, dtype=np.int32))[known]
    kept = frame.kept
    boxes = frame.truth[kept]
    flat = box_math.area(boxes) <= 0
    if flat.any():
        raise DataError(
            f"{truth.source} holds boxes without area, {np.count_nonzero(flat)} of {len(flat)}; nothing can "
            "match them, mend or delete them"
        )
    objects = Truth(
        boxes,
        plan.labels(truth.names)[kept],
        np.zeros(len(boxes), dtype=bool) if truth.crowd is None else truth.crowd[kept],
        box_math.area(boxes) if truth.areas is None else truth.areas[kept],
        _region(frame, comparison),
    )
    return Case(truth.image or found.image, found.image, objects, rows, frame.unit, frame.georef, frame.size)


def _region(frame: Framed, comparison: Comparison) -> Region:
    """The ROI and the ignored regions in the frame."""
    on_map = comparison.regions_in == "map" or (comparison.regions_in == "auto" and frame.georef.on_map)
    shapes: list[BaseGeometry | None] = []
    for path in (comparison.roi, comparison.ignored):
        if path is None:
            shapes.append(None)
            continue
        if on_map and not frame.georef.on_map:
            raise DataError(
                f"{path} is on the map, and the scene has no georeference; give the raster with `scene`"
            )
        if not on_map and frame.unit != "px":
            raise DataError(
                f"{path} is in pixels, and the comparison is on the map without them; give `scene`"
            )
        shape = read_region(path, in_degrees=on_map)
        shapes.append(shapely.transform(shape, frame.georef.from_lonlat) if on_map else shape)
    return Region(*shapes)


def median_distance(distances: Sequence[npt.NDArray[np.float64] | None]) -> float | None:
    """The median of all together; None where one is unknown or there is none."""
    if any(values is None for values in distances):
        return None
    joined = np.concatenate([np.empty(0), *(values for values in distances if values is not None)])
    return float(np.median(joined)) if len(joined) else None
