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

from sodslice.errors import GeoRefError, SceneError
from sodslice.place.areas import Area
from sodslice.place.edges import outlines
from sodslice.place.georef import GeoRef, Points
from sodslice.place.reference import LONLAT, between, short_name
from sodslice.tables.boxes import Boxes, Mask

STEPS = 8
"""Points on each side of a tile, where it is put on a curved map."""
SLACK = 0.02
"""Share of a tile's extent on the map by which it may bulge between these points."""
POLAR = 85
"""Degrees of latitude beyond which a degree of longitude is too short to be compared with one of latitude."""
HALF_ROUND = 170
"""Degrees: what spans more lies around a pole."""
TILES_AT_ONCE = 10_000


class Extent(Protocol):
    """A part of a scene."""

    def touches(self, boxes: Boxes) -> Mask:
        """Whether boxes `(N, 4)` in scene pixels may have a part in it, `(N,)`: False only if none has."""

    def holds(self, points: Points) -> Mask:
        """Whether points `(N, 2)` col, row in scene pixels lie in it, `(N,)`."""


@dataclass(frozen=True)
class Rectangle:
    """Pixels from x0, y0 to below x1, y1: rectangles side by side share no point."""

    x0: float
    y0: float
    x1: float
    y1: float

    def touches(self, boxes: Boxes) -> Mask:
        """See `Extent`."""
        mask: Mask = (
            (boxes[:, 0] < self.x1)
            & (boxes[:, 2] > self.x0)
            & (boxes[:, 1] < self.y1)
            & (boxes[:, 3] > self.y0)
        )
        return mask

    def holds(self, points: Points) -> Mask:
        """See `Extent`."""
        x, y = points.T
        mask: Mask = (x >= self.x0) & (x < self.x1) & (y >= self.y0) & (y < self.y1)
        return mask


@dataclass(frozen=True)
class Polygons:
    """Polygons on a map, their edges straight in their own CRS.

    Args:
        shape: prepared; in degrees it is there three times, 360 degrees apart.
        to_map: from pixels `(N, 2)` of the scene to the polygons' coordinates, not finite where it has none.
        degrees: whether x is a longitude.
    """

    shape: BaseGeometry
    to_map: Callable[[Points], Points]
    degrees: bool

    def touches(self, boxes: Boxes) -> Mask:
        """See `Extent`."""
        parts = [boxes[i : i + TILES_AT_ONCE] for i in range(0, len(boxes), TILES_AT_ONCE)]
        return np.concatenate([self._touches(part) for part in parts]) if parts else np.zeros(0, bool)

    def holds(self, points: Points) -> Mask:
        """See `Extent`."""
        places = self.to_map(points)
        here: Mask = np.asarray(np.isfinite(places).all(axis=1))
        here[here] = shapely.intersects_xy(self.shape, places[here])
        return here

    def _touches(self, boxes: Boxes) -> Mask:
        rings = self.to_map(outlines(boxes, STEPS).reshape(-1, 2)).reshape(len(boxes), -1, 2)
        if self.degrees:
            first = rings[:, :1, 0]
            rings[..., 0] = first + np.mod(rings[..., 0] - first + 180, 360) - 180
        known: Mask = np.asarray(np.isfinite(rings).all(axis=(1, 2)))
        extent = np.where(known[:, None], np.ptp(rings, axis=1), 0.0)
        polar = known & self.degrees & (extent[:, 0] > HALF_ROUND)
        known &= ~polar
        mask = np.ones(len(boxes), bool)  # where the map does not say, the tile is read
        near = known & self.degrees & (np.abs(rings[..., 1]).max(axis=1) > POLAR)
        known &= ~near
        hulls = shapely.convex_hull(shapely.multipoints(rings[known]))
        wide = shapely.buffer(hulls, SLACK * extent[known].max(axis=1), quad_segs=2)
        mask[known] = shapely.intersects(self.shape, wide)
        mask[near] = shapely.intersects(self.shape, _widened(rings[near], extent[near]))
        mask[polar] = shapely.intersects(self.shape, _caps(rings[polar, :, 1]))
        return mask


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

    def touches(self, boxes: Boxes) -> Mask:
        """See `Extent`."""
        mask = np.ones(len(boxes), bool)
        for extent in self.extents:
            mask[mask] = extent.touches(boxes[mask])
        return mask

    def holds(self, points: Points) -> Mask:
        """See `Extent`."""
        mask = np.ones(len(points), bool)
        for extent in self.extents:
            mask[mask] = extent.holds(points[mask])
        return mask


def restrict(
    georef: GeoRef, size: tuple[int, int], *, window: tuple[int, ...] | None = None, area: Area | None = None
) -> Restriction:
    """What a scene is restricted to.

    Args:
        georef: where the scene lies.
        size: its width and height in pixels.
        window: x, y, width, height in scene pixels.
        area: of interest.

    Raises:
        SceneError: the window or the area does not touch the scene.
        GeoRefError: the area cannot be put on the scene.
    """
    extents: list[Extent] = []
    whole = np.array([[0.0, 0.0, *size]])
    if window is not None:
        x, y, width, height = window
        rectangle = Rectangle(x, y, x + width, y + height)
        if not rectangle.touches(whole).all():
            raise SceneError(
                f"`window={','.join(map(str, window))}` lies outside the scene of {size[0]} x {size[1]} px"
            )
        extents.append(rectangle)
    if area is None:
        return Restriction(tuple(extents))
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
            f"`aoi` {area.name} cannot be put on the scene: {georef.why_not_on_map}; use `window`"
        )
    if georef.crs is not None and georef.fault:
        raise GeoRefError(
            f"`aoi` {area.name} cannot be put on the scene: {georef.fault}; give its `crs`, or use `window`"
        )
    crs = area.crs or (LONLAT if georef.on_map else None)
    if crs is None:
        shape = area.shape
        shapely.prepare(shape)
        return Polygons(shape, georef.to_map, degrees=False)
    if georef.crs is None:
        raise GeoRefError(f"`aoi` {area.name} has a CRS and the scene has none; use `window`")
    try:
        way = between(georef.crs, crs)
    except GeoRefError:
        systems = f"from {short_name(georef.crs)} to {short_name(crs)}"
        raise GeoRefError(
            f"`aoi` {area.name} cannot be put on the scene: PROJ finds no way {systems}; use `window`"
        ) from None
    system = pyproj.CRS.from_user_input(crs)
    degrees = system.is_geographic and system.axis_info[0].unit_name == "degree"
    shape = _three_times(area.shape) if degrees else area.shape
    shapely.prepare(shape)

    def to_map(pixels: Points) -> Points:
        places = georef.on_earth(pixels)
        return np.stack(way.transform(places[:, 0], places[:, 1]), axis=1)

    return Polygons(shape, to_map, degrees=degrees)


def _three_times(shape: BaseGeometry) -> BaseGeometry:
    """A shape in degrees, and again one turn to the west and to the east."""
    return shapely.union_all([affinity.translate(shape, turn) for turn in (-360, 0, 360)])


def _widened(rings: npt.NDArray[np.float64], extent: Points) -> npt.NDArray[np.object_]:
    """Hulls of rings `(N, K, 2)` in degrees near a pole, wider by what edges may bulge on the ground."""
    latitudes = np.radians(np.abs(rings[..., 1]))
    low, high = np.cos(latitudes.min(axis=1)), np.cos(latitudes.max(axis=1))
    margin = SLACK * np.maximum(extent[:, 0] * low, extent[:, 1])
    steps = np.stack([margin / np.maximum(high, 1e-12), margin], axis=1)[:, None, None]
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    points = (rings[:, :, None] + steps * signs).reshape(len(rings), 4 * rings.shape[1], 2)
    hulls: npt.NDArray[np.object_] = shapely.convex_hull(shapely.multipoints(points))
    return hulls


def _caps(latitudes: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    """All that is as near to a pole as rings of latitudes `(N, K)`; the Earth where that is half of it."""
    north = latitudes.mean(axis=1) > 0
    reach = (90 - np.where(north, latitudes.min(axis=1), -latitudes.max(axis=1))) * (1 + SLACK)
    half = reach > 90
    lowest = np.where(north & ~half, 90 - reach, -90)
    highest = np.where(north | half, 90, reach - 90)
    caps = [shapely.box(-180, low, 180, high) for low, high in zip(lowest, highest, strict=True)]
    return np.array(caps, dtype=np.object_)


def _apart(area: Area, polygons: Polygons, whole: Boxes) -> str:
    """That an area and a scene have nothing in common, and where they lie."""
    places = polygons.to_map(outlines(whole, STEPS)[0])
    low, high = places.min(axis=0), places.max(axis=0)
    x0, y0, x1, y1 = shapely.bounds(area.shape)
    guess = "; it names no CRS, so its coordinates were taken as longitude and latitude in degrees"
    return (
        f"`aoi` {area.name} does not touch the scene: it spans x {x0:.10g} to {x1:.10g} and y {y0:.10g} to "
        f"{y1:.10g}, the scene x {low[0]:.10g} to {high[0]:.10g} and y {low[1]:.10g} to {high[1]:.10g}"
        f"{guess if area.crs is None and polygons.degrees else ''}"
    )
