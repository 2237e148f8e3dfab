"""What of a scene is looked at: a window, an area of interest, or all of it.

Tiles are read where they touch the extent, and an object counts where its centre lies in it. The grid of
tiles is that of the whole scene, so an object is the same object whatever the extent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from sodslice.aoi import Area, read_area
from sodslice.boxes import Boxes
from sodslice.errors import GeoRefError, SceneError
from sodslice.georef import GeoRef, Points
from sodslice.georef.reference import LONLAT, between

Flags = npt.NDArray[np.bool_]

STEPS = 8
"""Points on each side of a tile, where it is put on a curved map."""
SLACK = 0.02
"""Share of a tile's extent on the map by which it may bulge between these points."""
TILES_AT_ONCE = 10_000


class Extent(Protocol):
    """A part of a scene."""

    def touches(self, boxes: Boxes) -> Flags:
        """Whether boxes `(N, 4)` in scene pixels may have a part in it, `(N,)`: False only if none has."""

    def holds(self, points: Points) -> Flags:
        """Whether points `(N, 2)` col, row in scene pixels lie in it, `(N,)`."""


@dataclass(frozen=True)
class Rectangle:
    """Pixels from x0, y0 to below x1, y1: rectangles side by side share no point."""

    x0: float
    y0: float
    x1: float
    y1: float

    def touches(self, boxes: Boxes) -> Flags:
        """See `Extent`."""
        flags: Flags = (
            (boxes[:, 0] < self.x1)
            & (boxes[:, 2] > self.x0)
            & (boxes[:, 1] < self.y1)
            & (boxes[:, 3] > self.y0)
        )
        return flags

    def holds(self, points: Points) -> Flags:
        """See `Extent`."""
        x, y = points.T
        flags: Flags = (x >= self.x0) & (x < self.x1) & (y >= self.y0) & (y < self.y1)
        return flags


@dataclass(frozen=True)
class Polygons:
    """Polygons on a map, their edges straight in their own CRS.

    Args:
        shape: prepared; in degrees it is there three times, 360 degrees apart.
        to_map: from pixels `(N, 2)` of the scene to the polygons' coordinates, infinite where there is none.
        degrees: whether x is a longitude.
    """

    shape: BaseGeometry
    to_map: Callable[[Points], Points]
    degrees: bool

    def touches(self, boxes: Boxes) -> Flags:
        """See `Extent`."""
        parts = [boxes[i : i + TILES_AT_ONCE] for i in range(0, len(boxes), TILES_AT_ONCE)]
        return np.concatenate([self._touches(part) for part in parts]) if parts else np.zeros(0, bool)

    def holds(self, points: Points) -> Flags:
        """See `Extent`."""
        places = self.to_map(points)
        here: Flags = np.asarray(np.isfinite(places).all(axis=1))
        here[here] = shapely.intersects_xy(self.shape, places[here])
        return here

    def _touches(self, boxes: Boxes) -> Flags:
        rings = self.to_map(_outlines(boxes).reshape(-1, 2)).reshape(len(boxes), -1, 2)
        if self.degrees:
            first = rings[:, :1, 0]
            rings[..., 0] = first + np.mod(rings[..., 0] - first + 180, 360) - 180
        known: Flags = np.asarray(np.isfinite(rings).all(axis=(1, 2)))
        extent = np.where(known[:, None], np.ptp(rings, axis=1), 0.0)
        known &= ~(self.degrees & (extent[:, 0] > 170))  # around a pole
        flags = np.ones(len(boxes), bool)  # where the map does not say, the tile is read
        hulls = shapely.convex_hull(shapely.multipoints(rings[known]))
        wide = shapely.buffer(hulls, SLACK * extent[known].max(axis=1), quad_segs=2)
        flags[known] = shapely.intersects(self.shape, wide)
        return flags


@dataclass(frozen=True)
class Restriction:
    """All that a run is restricted to; an extent itself.

    Args:
        extents: parts of the scene, of which only what they share counts; () for all of the scene.
        notes: what the user should know, one sentence each.
        aoi_sha256: hash of the area of interest; None without one.
    """

    extents: tuple[Extent, ...] = ()
    notes: tuple[str, ...] = ()
    aoi_sha256: str | None = None

    def touches(self, boxes: Boxes) -> Flags:
        """See `Extent`."""
        flags = np.ones(len(boxes), bool)
        for extent in self.extents:
            flags[flags] = extent.touches(boxes[flags])
        return flags

    def holds(self, points: Points) -> Flags:
        """See `Extent`."""
        flags = np.ones(len(points), bool)
        for extent in self.extents:
            flags[flags] = extent.holds(points[flags])
        return flags


def restrict(
    georef: GeoRef, size: tuple[int, int], *, window: tuple[int, ...] | None = None, aoi: str | None = None
) -> Restriction:
    """What a scene is restricted to.

    Args:
        georef: where the scene lies.
        size: its width and height in pixels.
        window: x, y, width, height in scene pixels.
        aoi: a vector file or WKT; see `read_area`.

    Raises:
        SceneError: the area cannot be read, or the window or the area does not touch the scene.
        GeoRefError: the area cannot be put on the scene.
    """
    extents: list[Extent] = []
    whole = np.array([[0.0, 0.0, *size]])
    if window is not None:
        x, y, width, height = window
        rectangle = Rectangle(x, y, x + width, y + height)
        if not rectangle.touches(whole).all():
            raise SceneError(
                f"--window {','.join(map(str, window))} lies outside the scene of {size[0]} x {size[1]} px"
            )
        extents.append(rectangle)
    if aoi is None:
        return Restriction(tuple(extents))
    area = read_area(aoi)
    polygons = _on_scene(area, georef)
    if not polygons.touches(whole).all():
        raise SceneError(_apart(area, polygons, whole))
    return Restriction((*extents, polygons), area.notes, area.sha256)


def _on_scene(area: Area, georef: GeoRef) -> Polygons:
    """The area as an extent of a scene.

    Without a CRS of its own it is in longitude and latitude where the scene has these, else in the scene's
    own map coordinates.
    """
    if not georef.placed:
        raise GeoRefError(
            f"--aoi {area.name} cannot be put on the scene: {georef.why_not_on_map}; use --window"
        )
    crs = area.crs or (LONLAT if georef.on_map else None)
    if crs is None:
        shape = area.shape
        shapely.prepare(shape)
        return Polygons(shape, georef.to_map, degrees=False)
    if georef.crs is None:
        raise GeoRefError(f"--aoi {area.name} has a CRS and the scene has none; use --window")
    try:
        way = between(georef.crs, crs)
    except GeoRefError as error:
        raise GeoRefError(f"--aoi {area.name} cannot be put on the scene: {error}; use --window") from None
    system = pyproj.CRS.from_user_input(crs)
    degrees = system.is_geographic and system.axis_info[0].unit_name == "degree"
    shape = _three_times(area.shape) if degrees else area.shape
    shapely.prepare(shape)

    def to_map(pixels: Points) -> Points:
        places = georef.to_map(pixels)
        return np.stack(way.transform(places[:, 0], places[:, 1]), axis=1)

    return Polygons(shape, to_map, degrees=degrees)


def _three_times(shape: BaseGeometry) -> BaseGeometry:
    """A shape in degrees, and again one turn to the west and to the east."""
    return shapely.union_all([affinity.translate(shape, turn) for turn in (-360, 0, 360)])


def _outlines(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Points `(N, 4 * STEPS, 2)` around boxes `(N, 4)`."""
    x0, y0, x1, y1 = boxes.T[:, :, None]
    ramp = np.arange(STEPS) / STEPS
    across, down = ramp * (x1 - x0), ramp * (y1 - y0)
    x = np.concatenate([x0 + across, x1 + 0 * down, x1 - across, x0 + 0 * down], axis=1)
    y = np.concatenate([y0 + 0 * across, y0 + down, y1 + 0 * across, y1 - down], axis=1)
    return np.stack([x, y], axis=-1)


def _apart(area: Area, polygons: Polygons, whole: Boxes) -> str:
    """That an area and a scene have nothing in common, and where they lie."""
    places = polygons.to_map(_outlines(whole)[0])
    low, high = places.min(axis=0), places.max(axis=0)
    x0, y0, x1, y1 = shapely.bounds(area.shape)
    guess = "; it names no CRS, so its coordinates were taken as longitude and latitude in degrees"
    return (
        f"--aoi {area.name} does not touch the scene: it spans x {x0:.10g} to {x1:.10g} and y {y0:.10g} to "
        f"{y1:.10g}, the scene x {low[0]:.10g} to {high[0]:.10g} and y {low[1]:.10g} to {high[1]:.10g}"
        f"{guess if area.crs is None and polygons.degrees else ''}"
    )
