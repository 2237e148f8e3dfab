"""`Case`: one scene of an evaluation, both sides in one frame and with the same labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from sodslice import boxes as box_math
from sodslice.detections import NO_TILE, Detections
from sodslice.errors import DataError
from sodslice.georef import GeoRef
from sodslice.metrics.classes import UNKNOWN, ClassPlan
from sodslice.metrics.frames import COORDINATES, Framed
from sodslice.metrics.layer import Layer
from sodslice.metrics.matching import NOTHING, match
from sodslice.metrics.reading import read_region
from sodslice.metrics.truth import Region, Truth

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """How to compare.

    Args:
        iou: the overlap that makes a match, for precision, recall and distances.
        class_map: names to read as other names, on both sides.
        class_agnostic: whether all classes count as one.
        coordinates: "auto", "pixel" or "map"; see `frames.common_frame`.
        roi: GeoJSON file; only what has its centre in its polygons counts.
        ignored: GeoJSON file; what has its centre in its polygons does not count.
        regions_in: the coordinates of these two: "map" (longitude and latitude), "pixel", or "auto": on the
            map where the scene has a georeference.
        partial: whether images of the truth without a result are left out, not refused.
        allow_empty: whether a truth without objects is compared, for its false alarms.

    Raises:
        DataError: a value is out of range.
    """

    iou: float = 0.5
    class_map: Mapping[str, str] = field(default_factory=dict)
    class_agnostic: bool = False
    coordinates: str = "auto"
    roi: str | Path | None = None
    ignored: str | Path | None = None
    regions_in: str = "auto"
    partial: bool = False
    allow_empty: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.iou <= 1:
            raise DataError(f"the IoU of a match must lie above 0 and at most at 1, got {self.iou:g}")
        for name in ("coordinates", "regions_in"):
            if getattr(self, name) not in COORDINATES:
                raise DataError(
                    f"{name} must be one of {', '.join(COORDINATES)}, got {getattr(self, name)!r}"
                )


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


def build_case(found: Layer, truth: Layer, frame: Framed, plan: ClassPlan, how: Comparison) -> Case:
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
        _region(frame, how),
    )
    return Case(truth.image or found.image, found.image, objects, rows, frame.unit, frame.georef, frame.size)


def _region(frame: Framed, how: Comparison) -> Region:
    """The ROI and the ignored regions in the frame."""
    on_map = how.regions_in == "map" or (how.regions_in == "auto" and frame.georef.on_map)
    shapes: list[BaseGeometry | None] = []
    for path in (how.roi, how.ignored):
        if path is None:
            shapes.append(None)
            continue
        if on_map and not frame.georef.on_map:
            raise DataError(
                f"{path} is on the map, and the scene has no georeference; give the raster with --scene"
            )
        if not on_map and frame.unit != "px":
            raise DataError(
                f"{path} is in pixels, and the comparison is on the map without them; give --scene"
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
