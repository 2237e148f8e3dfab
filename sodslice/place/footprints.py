"""Boxes on the map: in longitude and latitude, also where edges are bent there, as round a pole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sodslice.place.edges import Groups, corners, outlines
from sodslice.place.georef import GeoRef
from sodslice.place.newton import Points
from sodslice.place.rings import on_sphere, parts_of, turned
from sodslice.tables.boxes import Boxes, Mask

TOLERANCE = 1e-3
"""Share of a box's shorter side by which its edges may miss the true ones."""
THINNEST = 1e-2
"""Share of its longer side that a box counts as its shorter side at least."""
FIRST_STEPS = 4
"""Pieces of an edge that is bent, before each is halved as often as it takes: none spans half a turn."""
MOST_HALVINGS = 16
LEAST_MISS = 2e-10
"""Radians, a millimetre: what is written is no finer."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Footprints:
    """Boxes in degrees, or in other coordinates x, y.

    Args:
        corners: `(N, 4, 2)` longitude, latitude, or x, y; NaN where a box has no place.
        parts: of the boxes that their corners do not tell, rings `(K, 2)` by row: bent edges in short pieces,
            cut at the antimeridian, and round a pole taken up to it.
        degrees: whether these are degrees, which end at the antimeridian.
    """

    corners: Groups
    parts: Mapping[int, tuple[Points, ...]] = field(default_factory=dict)
    degrees: bool = True

    def __len__(self) -> int:
        return len(self.corners)

    @property
    def placed(self) -> Mask:
        """Which have a place, `(N,)`."""
        known: Mask = ~np.isnan(self.corners[:, 0, 0])
        return known

    @property
    def extents(self) -> Boxes:
        """West, south, east, north `(M, 4)` of those with a place; west > east across the antimeridian."""
        if not self.degrees:
            quads = self.corners[self.placed]
            extents = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
            at = np.cumsum(self.placed) - 1
            for row, pieces in self.parts.items():
                points = np.concatenate(pieces)
                extents[at[row]] = *points.min(axis=0), *points.max(axis=0)
            return extents
        whole = [row for row in np.flatnonzero(self.placed).tolist() if row not in self.parts]
        rings = [extent_of(parts) for parts in self.parts.values()]
        return np.concatenate([corner_extents(self.corners[whole]), np.reshape(rings, (-1, 4))])


def footprints_of(georef: GeoRef, boxes: Boxes) -> Footprints:
    """Boxes `(N, 4)` in scene pixels as they lie in degrees.

    Raises:
        GeoRefError: the scene has no longitude and latitude.
    """
    quads = corners(boxes)
    places = georef.to_known_lonlat(quads.reshape(-1, 2)).reshape(quads.shape)
    places[np.isnan(places).any(axis=(1, 2))] = np.nan
    sides = _sides(places)
    bent = np.flatnonzero(_may_be_bent(places, sides))
    rings = _followed(georef, boxes[bent], np.maximum(TOLERANCE * sides[bent, 0], LEAST_MISS))
    parts = {row: parts_of(ring) for row, ring in zip(bent.tolist(), rings, strict=True)}
    return Footprints(places, {row: found for row, found in parts.items() if found})


def corner_extents(places: Groups) -> Boxes:
    """West, south, east, north `(N, 4)` of four corners `(N, 4, 2)`; west > east across the antimeridian."""
    x, y = places[..., 0], places[..., 1]
    crossing = across(places)
    west = np.where(crossing, x.min(axis=1, initial=180, where=x > 0), x.min(axis=1))
    east = np.where(crossing, x.max(axis=1, initial=-180, where=x <= 0), x.max(axis=1))
    return np.stack([west, y.min(axis=1), east, y.max(axis=1)], axis=1)


def across(places: Groups) -> Mask:
    """Which boxes with corners `(N, 4, 2)` in degrees lie across the antimeridian, `(N,)`."""
    crossing: Mask = np.asarray(np.ptp(places[..., 0], axis=1) > 180)
    return crossing


def extent_of(parts: tuple[Points, ...]) -> tuple[float, float, float, float]:
    """West, south, east, north of rings; west > east where they lie on both sides of the antimeridian."""
    bounds = np.array([[*ring.min(axis=0), *ring.max(axis=0)] for ring in parts])
    south, north = bounds[:, 1].min(), bounds[:, 3].max()
    ends, starts = bounds[:, 2] == 180, bounds[:, 0] == -180
    if ends.any() and starts.any() and not (ends & starts).any():
        return bounds[ends, 0].min(), south, bounds[starts, 2].max(), north
    return bounds[:, 0].min(), south, bounds[:, 2].max(), north


def _sides(places: Groups) -> Points:
    """Shorter and longer side `(N, 2)` in radians of boxes with corners `(N, 4, 2)`."""
    vectors = on_sphere(places)
    sides = np.linalg.norm(vectors - np.roll(vectors, -1, axis=1), axis=2)
    longer = sides.max(axis=1)
    return np.stack([np.maximum(sides.min(axis=1), THINNEST * longer), longer], axis=1)


def _may_be_bent(places: Groups, sides: Points) -> Mask:
    """Which boxes may be so large, or so near to a pole, that their edges are no lines in degrees, `(N,)`.

    A great circle's arc of the length s leaves a line in degrees by up to s^2 tan(latitude) / 8, and what a
    projection adds is of the size of s^2 / 8.
    """
    shorter, longer = sides.T
    from_axis = np.cos(np.radians(places[..., 1])).min(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        bent: Mask = longer**2 / 8 * (1 + 1 / from_axis) > TOLERANCE * shorter
    return bent


def _followed(georef: GeoRef, boxes: Boxes, tolerance: Numbers) -> list[Points]:
    """Outlines `(K, 2)` in degrees of boxes `(M, 4)`, in pieces so short that each is a line.

    Args:
        georef: of the scene.
        boxes: in scene pixels.
        tolerance: `(M,)` by how much the middle of a piece may miss, in radians.
    """
    if not len(boxes):
        return []
    start = outlines(boxes, FIRST_STEPS)
    owner = np.repeat(np.arange(len(boxes)), start.shape[1])
    start, end = start.reshape(-1, 2), np.roll(start, -1, axis=1).reshape(-1, 2)
    here, there = georef.to_known_lonlat(start), georef.to_known_lonlat(end)
    middle, at_middle = start.copy(), here.copy()
    todo = np.ones(len(start), bool)
    for _ in range(MOST_HALVINGS):
        middle[todo] = (start[todo] + end[todo]) / 2
        at_middle[todo] = georef.to_known_lonlat(middle[todo])
        miss = np.linalg.norm(on_sphere(at_middle) - on_sphere(_halfway(here, there)), axis=1)
        split = todo & (miss > tolerance[owner])
        if not split.any():
            break
        rows = np.repeat(np.arange(len(start)), 1 + split)
        second = np.append(False, rows[1:] == rows[:-1])
        first = split[rows] & ~second
        start, here = _either(second, middle, start, rows), _either(second, at_middle, here, rows)
        end, there = _either(first, middle, end, rows), _either(first, at_middle, there, rows)
        owner, middle, at_middle, todo = owner[rows], middle[rows], at_middle[rows], split[rows]
    known = ~np.isnan(here[:, 0])
    return np.split(here[known], np.searchsorted(owner[known], np.arange(1, len(boxes))))


def _either(flags: Mask, one: Points, other: Points, rows: npt.NDArray[np.intp]) -> Points:
    """Rows of one table where flags are set, else of the other."""
    return np.where(flags[:, None], one[rows], other[rows])


def _halfway(here: Points, there: Points) -> Points:
    """Middles `(N, 2)` of lines in degrees, the shorter way round."""
    lon = here[:, 0] + turned(there[:, 0] - here[:, 0]) / 2
    return np.stack([lon, (here[:, 1] + there[:, 1]) / 2], axis=1)
