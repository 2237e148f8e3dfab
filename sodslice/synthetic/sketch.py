"""What a piece of town is made of before it has pixels: polygons in layers, trees, and places to park.

All lengths are metres; x runs right and y down from the scene's upper left corner, as its pixels do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Colour = tuple[float, float, float]


class DrawingLayer(IntEnum):
    """Drawing order from the ground up; vehicles come between `FURNITURE` and `ROOF`."""

    GROUND = 0
    YARD = 1
    DETAIL = 2
    WALK = 3
    KERB = 4
    ROAD = 5
    CROSSING = 6
    WEAR = 7
    PAINT = 8
    FURNITURE = 9
    ROOF = 10
    ROOF_DETAIL = 11


class Material(IntEnum):
    """Which texture lies on a colour."""

    PLAIN = 0
    ASPHALT = 1
    PAVING = 2
    GRASS = 3
    SOIL = 4
    TILES = 5
    FLAT_ROOF = 6
    WATER = 7


class Shape(NamedTuple):
    """A filled polygon `(n, 2)` in metres, its colour R, G, B (0 to 255) and its material."""

    polygon: Points
    colour: Colour
    material: Material


class Caster(NamedTuple):
    """A flat-topped thing `(n, 2)` that throws a shadow from `height` metres."""

    polygon: Points
    height: float


class Tree(NamedTuple):
    """A crown: centre and radius in metres, and a number 0 to 1 that says what kind of tree it is."""

    x: float
    y: float
    radius: float
    variety: float


class Bay(NamedTuple):
    """Where one vehicle may stand: centre, heading in radians, length, chance, and what stands there."""

    x: float
    y: float
    heading: float
    length: float
    chance: float
    habit: str


@dataclass(frozen=True, eq=False)
class PlotFrame:
    """A rectangle turned on the ground, with its own metres: (0, 0) to (width, height).

    Args:
        corner: scene metres of the rectangle's (0, 0).
        heading: direction of its own x axis on the scene, in radians.
        width: metres along its x axis.
        height: metres along its y axis.
    """

    corner: tuple[float, float]
    heading: float
    width: float
    height: float

    def place(self, points: Points) -> Points:
        """Scene metres of points `(..., 2)` given in the rectangle's own metres."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        x, y = points[..., 0], points[..., 1]
        placed: Points = np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1)
        placed += self.corner
        return placed

    def part(self, x0: float, y0: float, x1: float, y1: float) -> PlotFrame:
        """The rectangle from (x0, y0) to (x1, y1) of this one, as a frame of its own."""
        corner = self.place(np.array([x0, y0]))
        return PlotFrame((float(corner[0]), float(corner[1])), self.heading, x1 - x0, y1 - y0)

    def turned(self) -> PlotFrame:
        """The same rectangle seen from its right side: its x axis becomes this frame's y axis."""
        corner = self.place(np.array([self.width, 0.0]))
        return PlotFrame(
            (float(corner[0]), float(corner[1])), self.heading + np.pi / 2, self.height, self.width
        )

    def flipped(self) -> PlotFrame:
        """The same rectangle turned by half a turn."""
        corner = self.place(np.array([self.width, self.height]))
        return PlotFrame((float(corner[0]), float(corner[1])), self.heading + np.pi, self.width, self.height)


@dataclass(eq=False)
class Sketch:
    """A piece of town in the making; `frozen` closes it."""

    shapes: dict[DrawingLayer, list[Shape]] = field(default_factory=dict)
    casters: list[Caster] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    bays: list[Bay] = field(default_factory=list)

    def fill(
        self, layer: DrawingLayer, polygon: Points, colour: Colour, material: Material = Material.PLAIN
    ) -> None:
        """Add one polygon `(n, 2)`."""
        self.shapes.setdefault(layer, []).append(Shape(polygon, colour, material))

    def fill_many(self, layer: DrawingLayer, polygons: Points, colour: Colour) -> None:
        """Add polygons `(k, n, 2)` of one colour without texture, as lane marks."""
        self.shapes.setdefault(layer, []).extend(
            Shape(polygon, colour, Material.PLAIN) for polygon in polygons
        )

    def cast(self, polygon: Points, height: float) -> None:
        """Let a polygon `(n, 2)` throw a shadow from a height in metres."""
        self.casters.append(Caster(polygon, height))

    def frozen(self) -> Piece:
        """The finished piece, with the bounds that drawing culls by."""
        layers = {layer: _shelf(shapes) for layer, shapes in sorted(self.shapes.items())}
        trees = np.array([tree[:] for tree in self.trees], dtype=np.float64).reshape(-1, 4)
        casters = Casters(tuple(self.casters), _bounds([caster.polygon for caster in self.casters]))
        return Piece(layers, casters, trees, tuple(self.bays))


class Shelf(NamedTuple):
    """Shapes of one layer in drawing order, as columns.

    Fields: all corners `(p, 2)` in metres; where each shape's corners begin and the last one's end
    `(n + 1,)`; bounds `(n, 4)` x0, y0, x1, y1; which shapes are surely convex `(n,)`; colours R, G, B in
    whole levels and materials, n of each.
    """

    corners: Points
    starts: npt.NDArray[np.intp]
    bounds: Points
    convex: tuple[bool, ...]
    colours: tuple[tuple[int, int, int], ...]
    materials: tuple[Material, ...]


class Casters(NamedTuple):
    """What throws shadows, with the bounds `(n, 4)` x0, y0, x1, y1 of the things themselves in metres."""

    things: tuple[Caster, ...]
    bounds: Points


@dataclass(frozen=True, eq=False)
class Piece:
    """A finished piece of town; `trees` is `(t, 4)`: x, y, radius, variety."""

    layers: dict[DrawingLayer, Shelf]
    casters: Casters
    trees: Points
    bays: tuple[Bay, ...]

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in scene metres of everything that is filled."""
        bounds = np.concatenate([shelf.bounds for shelf in self.layers.values()])
        x0, y0 = bounds[:, :2].min(axis=0)
        x1, y1 = bounds[:, 2:].max(axis=0)
        return (float(x0), float(y0), float(x1), float(y1))


def levels(colour: Colour) -> tuple[int, int, int]:
    """A colour in whole levels from 0 to 255."""
    red, green, blue = (min(max(round(value), 0), 255) for value in colour)
    return (red, green, blue)


def touching(bounds: Points, x0: float, y0: float, x1: float, y1: float) -> list[int]:
    """Which rows of bounds `(n, 4)` overlap a rectangle, in order."""
    near = (bounds[:, 0] < x1) & (bounds[:, 2] > x0) & (bounds[:, 1] < y1) & (bounds[:, 3] > y0)
    rows: list[int] = np.flatnonzero(near).tolist()
    return rows


def _shelf(shapes: list[Shape]) -> Shelf:
    polygons = [shape.polygon for shape in shapes]
    return Shelf(
        np.concatenate(polygons),
        np.cumsum([0, *(len(polygon) for polygon in polygons)]),
        _bounds(polygons),
        tuple(_is_convex(polygon) for polygon in polygons),
        tuple(levels(shape.colour) for shape in shapes),
        tuple(shape.material for shape in shapes),
    )


def _is_convex(polygon: Points) -> bool:
    """Whether a triangle or quadrilateral is convex; not asked of polygons with more corners."""
    if len(polygon) > 4:
        return False
    corners = polygon.tolist()
    ahead = [*corners[1:], *corners[:1]]
    after = [*corners[2:], *corners[:2]]
    turns = [
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
        for a, b, c in zip(corners, ahead, after, strict=True)
    ]
    return bool(min(turns) >= 0 or max(turns) <= 0)


def _bounds(polygons: list[Points]) -> Points:
    """x0, y0, x1, y1 `(n, 4)` of n polygons."""
    if not polygons:
        return np.empty((0, 4))
    points = np.concatenate(polygons)
    starts = np.cumsum([0, *(len(polygon) for polygon in polygons[:-1])])
    return np.hstack([np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)])


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    """The corners `(4, 2)` of an upright rectangle."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def rectangles(x0: Points, y0: Points, x1: Points, y1: Points) -> Points:
    """The corners `(k, 4, 2)` of k upright rectangles."""
    return np.stack([np.stack(c, axis=-1) for c in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], axis=1)


def disc(x: float, y: float, radius: float, *, corners: int = 20) -> Points:
    """A regular polygon `(corners, 2)` around a point."""
    turn = np.linspace(0.0, 2 * np.pi, corners, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)


def blob(x: float, y: float, radius: float, waves: Points) -> Points:
    """A wavy closed line `(48, 2)` around a point, for ponds and stains.

    Args:
        x: centre.
        y: centre.
        radius: mean radius.
        waves: throws `(6,)` in [0, 1): three strengths, three phases.
    """
    turn = np.linspace(0.0, 2 * np.pi, 48, endpoint=False)
    ripple = sum(
        0.22 * waves[k] / (k + 1) * np.sin((k + 2) * turn + 2 * np.pi * waves[3 + k]) for k in range(3)
    )
    reach = radius * (1.0 + np.asarray(ripple))
    return np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], axis=1)
