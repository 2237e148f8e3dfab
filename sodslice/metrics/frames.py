"""One frame for both sides: the pixels of the scene, or metres on the ground where no pixel grid is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.errors import DataError
from sodslice.metrics.layer import Layer
from sodslice.metrics.sizes import TURNED
from sodslice.place.geojson import Shapes
from sodslice.place.georef import GeoRef
from sodslice.tables import boxes as box_math
from sodslice.tables.boxes import Boxes

COORDINATES = ("auto", "pixel", "map")

ALIGNED = 0.98
"""Resultant length from which edges count as having one direction (1: all parallel, 0: all over)."""

MOST_SHIFT_PX = 1.0
"""Pixel boxes and polygons of one file that lie further apart than this belong to different grids."""


@dataclass(frozen=True)
class PixelGrid:
    """The pixels of a scene, as far as they are known.

    Args:
        georef: where they lie on the map.
        size: (width, height) in pixels.
    """

    georef: GeoRef
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Framed:
    """Both sides in one frame.

    Fields: `found` and `truth`, boxes `(M, 4)` and `(N, 4)`; `kept` `(N,)` bool, objects that lie on the
    scene (a truth may cover more than it); `unit`, "px" or "m"; `georef`, from the frame to the map; `size`
    (width, height) of the scene in the frame, where known.
    """

    found: Boxes
    truth: Boxes
    kept: npt.NDArray[np.bool_]
    unit: str
    georef: GeoRef
    size: tuple[int, int] | None


def common_frame(
    found: Layer, truth: Layer, *, scene: PixelGrid | None = None, coordinates: str = "auto"
) -> Framed:
    """Bring detections and objects of one scene into one frame.

    Pixel boxes are compared as they are where both sides have them. Otherwise polygons in longitude and
    latitude go through the georeference of the scene (of `scene`, the result or the truth, in this order)
    into its pixels. Where nobody knows the pixels, both sides go into a local metric frame.

    Args:
        found: the detections.
        truth: the objects.
        scene: the grid of the raster, where it is at hand.
        coordinates: "pixel" or "map" insists on one way; "auto" prefers pixels.

    Raises:
        DataError: the sides have no frame in common, or contradict each other about the scene.
    """
    size = _one_size(found, truth, scene)
    georefs = [grid for grid in (scene and scene.georef, found.georef, truth.georef) if grid and grid.on_map]
    georef = georefs[0] if georefs else None
    if coordinates != "map" and found.pixels is not None and truth.pixels is not None:
        _check_one_grid(truth, georef)
        return _in_pixels(found.pixels, truth.pixels, georef, size, truth.source)
    if coordinates == "pixel":
        side = found if found.pixels is None else truth
        raise DataError(f"{side.source} has no pixel boxes (property bbox_px); compare on the map instead")
    if georef is not None:
        boxes = [
            side.boxes_on(georef)
            if side.pixels is None or (side is truth and coordinates == "map")
            else side.pixels
            for side in (found, truth)
        ]
        return _on_scene(boxes[0], boxes[1], georef, size, truth.source)
    for side in (found, truth):
        if side.shapes is None:
            other = truth if side is found else found
            raise DataError(
                f"{other.source} is in longitude and latitude and {side.source} in pixels without a "
                "georeference; give the raster with `scene`"
            )
    metric = metric_frame(_all_shapes(found, truth), found.shapes)
    return Framed(
        found.boxes_on(metric), truth.boxes_on(metric), np.ones(len(truth), dtype=bool), "m", metric, None
    )


def metric_frame(shapes: Shapes, rectangles: Shapes | None = None) -> GeoRef:
    """A grid of 1 m in the middle of polygons in longitude and latitude.

    It is a transverse Mercator on their middle, so it is conformal, and true to scale within 1e-5 over
    50 km; it knows no zones and no antimeridian. Its axes follow the edges of `rectangles` where these have
    one direction: boxes of a scene whose own rows do not run east then stay boxes.

    Raises:
        DataError: there are no polygons.
    """
    if not len(shapes):
        raise DataError("neither side has a polygon; there is no place to compare")
    degrees = np.radians(shapely.get_coordinates(shapely.centroid(shapes)))
    lon = math.degrees(math.atan2(np.sin(degrees[:, 0]).mean(), np.cos(degrees[:, 0]).mean()))
    lat = math.degrees(float(degrees[:, 1].mean()))
    crs = f"+proj=tmerc +lat_0={lat:.6f} +lon_0={lon:.6f} +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs"
    upright = GeoRef((1.0, 0.0, 0.0, 0.0, -1.0, 0.0), crs)
    turn = _direction(rectangles, upright) if rectangles is not None and len(rectangles) else 0.0
    cosine, sine = math.cos(turn), math.sin(turn)
    return GeoRef((cosine, -sine, 0.0, -sine, -cosine, 0.0), crs)


def _direction(rectangles: Shapes, upright: GeoRef) -> float:
    """The turn of the edges from the frame's axes, in radians within 45 degrees; 0 where they have no one.

    The circular mean of four times the angles (Mardia and Jupp 2000, Directional Statistics, section 1.3):
    edges at right angles then count as parallel. Long edges count more.
    """
    points, owner = shapely.get_coordinates(rectangles, return_index=True)
    pixels = upright.from_lonlat(points)
    steps = (pixels[1:] - pixels[:-1])[owner[1:] == owner[:-1]]
    length = np.hypot(steps[:, 0], steps[:, 1])
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    mean = (length * np.exp(4j * angle)).sum() / length.sum()
    return float(np.angle(mean)) / 4 if abs(mean) >= ALIGNED else 0.0


def _one_size(found: Layer, truth: Layer, scene: PixelGrid | None) -> tuple[int, int] | None:
    """The size of the scene, on which all who know it agree."""
    sizes = [
        ("the raster", scene.size if scene else None),
        (found.source, found.size),
        (truth.source, truth.size),
    ]
    known = [(who, size) for who, size in sizes if size is not None]
    for who, size in known[1:]:
        if size != known[0][1]:
            first, (width, height) = known[0]
            turned = size == (height, width)
            raise DataError(
                f"{first} is about a scene of {width} x {height} pixels, {who} about one of "
                f"{size[0]} x {size[1]}; {TURNED if turned else 'compare files of one scene'}"
            )
    return known[0][1] if known else None


def _check_one_grid(truth: Layer, georef: GeoRef | None) -> None:
    """Refuse a truth whose pixel boxes belong to another raster of the same place."""
    if georef is None or truth.shapes is None or truth.pixels is None or not len(truth):
        return
    there = box_math.centers(truth.boxes_on(georef))
    shift = float(np.median(np.hypot(*(there - box_math.centers(truth.pixels)).T)))
    if shift > MOST_SHIFT_PX:
        raise DataError(
            f"the bbox_px of {truth.source} lie {shift:.1f} pixels from its polygons on this scene, so they "
            "belong to another raster; compare with `coordinates=map`"
        )


def _in_pixels(
    found: Boxes, truth: Boxes, georef: GeoRef | None, size: tuple[int, int] | None, source: str
) -> Framed:
    """Both sides as they are; objects off the scene are a mistake."""
    kept = _inside(truth, size)
    if size is not None and not kept.all():
        box = truth[np.argmin(kept)].tolist()
        raise DataError(
            f"{source} has a box at {box}, outside the scene of {size[0]} x {size[1]} pixels; "
            "it is the truth of another scene"
        )
    return Framed(found, truth, kept, "px", georef or GeoRef(), size)


def _on_scene(
    found: Boxes, truth: Boxes, georef: GeoRef, size: tuple[int, int] | None, source: str
) -> Framed:
    """Both sides in pixels; objects off the scene are left out, since a map holds more than one scene."""
    kept = _inside(truth, size)
    if len(truth) and not kept.any():
        raise DataError(
            f"no object of {source} lies on the scene, of {len(truth)}; it is the truth of another place"
        )
    return Framed(found, truth, kept, "px", georef, size)


def _inside(boxes: Boxes, size: tuple[int, int] | None) -> npt.NDArray[np.bool_]:
    """Which boxes have their centre on the scene."""
    if size is None:
        return np.ones(len(boxes), dtype=bool)
    middle = box_math.centers(boxes)
    inside = (middle >= 0) & (middle <= size)
    return inside[:, 0] & inside[:, 1]


def _all_shapes(*layers: Layer) -> Shapes:
    return np.concatenate([layer.shapes for layer in layers if layer.shapes is not None])
