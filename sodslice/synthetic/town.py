"""`TownPlan` and `Town`: what stands where, worked out piece by piece where it is asked for.

A piece is a cell of the lattice: one crossing, the two sections of street that leave it to the right and
downwards, and the block between them. What it holds follows from the seed, the sun and the cell alone
(vehicles also from the trees of the cells around), so any part of any scene can be drawn by itself.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.plots import fill_plot
from sodslice.synthetic.sketch import DrawingLayer, Material, Piece, PlotFrame, Points, Sketch, rectangle
from sodslice.synthetic.spec import SceneSpec, Sun
from sodslice.synthetic.streets import CORNER_M, Path, Street, StreetSection, plan_street, smooth_path
from sodslice.synthetic.streetworks import draw_crossing, draw_section
from sodslice.synthetic.traffic import SMALLEST_VISIBLE_SHARE, drive, park_vehicles, visible_shares
from sodslice.synthetic.vehicles import Vehicle

PITCH_M = (84.0, 70.0)
JITTER = 0.13
OVERHANG = 0.4
"""How far, in lattice steps, the streets of a cell may reach beyond it: jitter, bends and half a street."""

CACHED_CELLS = 600
PLOT_GAP_M = 0.4
STOP_M = 1.5
"""From the end of a crossing's rounded corner to where traffic stops and cars may park."""


class LatticeCell(NamedTuple):
    """Column and row of a piece in the town's lattice."""

    column: int
    row: int


class Seen(NamedTuple):
    """A vehicle in the scene and the share of it that can be seen."""

    vehicle: Vehicle
    share: float


class TownPlan:
    """Everything of a town that does not drive; pieces are made on demand and the latest are kept.

    Args:
        seed: which town.
        sun: what lights its roofs.
    """

    def __init__(self, seed: int, sun: Sun) -> None:
        self._seed, self._sun = seed, sun
        dice = Dice(seed, "town")
        self._heading = dice.between(0.0, np.pi / 2)
        self._shift = np.array([dice.between(0.0, PITCH_M[0]), dice.between(0.0, PITCH_M[1])])
        self.piece = lru_cache(CACHED_CELLS)(self._piece)
        self._street = lru_cache(CACHED_CELLS)(self._plan_street)
        self._crossing = lru_cache(4 * CACHED_CELLS)(self._plan_crossing)
        self.section = lru_cache(4 * CACHED_CELLS)(self._plan_section)

    def cells_over(self, x0: float, y0: float, x1: float, y1: float) -> list[LatticeCell]:
        """The cells that may reach into a rectangle of scene metres, in a fixed order."""
        corners = self._lattice(rectangle(x0, y0, x1, y1))
        low = np.floor(corners.min(axis=0) - 1.0 - OVERHANG).astype(int)
        high = np.floor(corners.max(axis=0) + OVERHANG).astype(int)
        columns, rows = range(int(low[0]), int(high[0]) + 1), range(int(low[1]), int(high[1]) + 1)
        return [LatticeCell(column, row) for row in rows for column in columns]

    def _lattice(self, points: Points) -> Points:
        """Lattice coordinates `(n, 2)` of scene metres `(n, 2)`; crossings lie near whole numbers."""
        cos, sin = np.cos(self._heading), np.sin(self._heading)
        turned: Points = points @ np.array([[cos, -sin], [sin, cos]])
        turned += self._shift
        turned /= PITCH_M
        return turned

    def _plan_crossing(self, column: int, row: int) -> Points:
        """Scene metres `(2,)` of a crossing."""
        throw = Dice(self._seed, "crossing", column, row).many(2) - 0.5
        turned = (np.array([column, row]) + 2 * JITTER * throw) * PITCH_M - self._shift
        cos, sin = np.cos(self._heading), np.sin(self._heading)
        return np.array([turned[0] * cos - turned[1] * sin, turned[0] * sin + turned[1] * cos])

    def _plan_street(self, axis: int, line: int) -> Street:
        return plan_street(self._seed, axis, line)

    def _path(self, cell: LatticeCell, axis: int) -> Path:
        """The centre line from a crossing to the next one along the axis (0 right, 1 down)."""
        step = (1, 0) if axis == 0 else (0, 1)
        stops = [self._crossing(cell.column + k * step[0], cell.row + k * step[1]) for k in (-1, 0, 1, 2)]
        return smooth_path(*stops)

    def _plan_section(self, cell: LatticeCell, axis: int) -> StreetSection:
        """The section of street that leaves the cell's crossing along the axis."""
        street = self._street(axis, cell.row if axis == 0 else cell.column)
        path = self._path(cell, axis)
        line = cell.column if axis == 0 else cell.row
        before, after = self._street(1 - axis, line), self._street(1 - axis, line + 1)
        begin = before.kerb_m + CORNER_M + STOP_M
        end = path.length - after.kerb_m - CORNER_M - STOP_M
        middle = path.length / 2
        return StreetSection(street, path, (min(begin, middle), max(end, middle)))

    def _piece(self, cell: LatticeCell) -> Piece:
        """Everything of a cell that does not drive."""
        seed, sketch = self._seed, Sketch()
        self._block(sketch, cell)
        for axis in (0, 1):
            draw_section(sketch, self.section(cell, axis), Dice(seed, "stretch", *cell, axis))
        sections = (self.section(cell, 0), self.section(cell, 1))
        draw_crossing(sketch, sections, Dice(seed, "crossing-wear", *cell))
        return sketch.frozen()

    def _block(self, sketch: Sketch, cell: LatticeCell) -> None:
        """The ground between four streets, and the largest upright rectangle on it with its use."""
        dice = Dice(self._seed, "block", *cell)
        steps = ((0, 0), (1, 0), (1, 1), (0, 1))
        quad = np.array([self._crossing(cell.column + c, cell.row + r) for c, r in steps])
        sketch.fill(DrawingLayer.GROUND, quad, (96.0, 104.0, 70.0), Material.GRASS)
        frame = self._plot(cell, quad)
        if min(frame.width, frame.height) > 8.0:
            fill_plot(sketch, frame, self._sun, dice)

    def _plot(self, cell: LatticeCell, quad: Points) -> PlotFrame:
        """The rectangle between the footways of the four streets around a cell."""
        across = quad[1] + quad[2] - quad[0] - quad[3]
        heading = float(np.arctan2(across[1], across[0]))
        cos, sin = np.cos(heading), np.sin(heading)
        turn_back = np.array([[cos, -sin], [sin, cos]])
        below, right = LatticeCell(cell.column, cell.row + 1), LatticeCell(cell.column + 1, cell.row)
        edges = []
        for owner, axis, side in ((cell, 0, 1), (below, 0, -1), (cell, 1, -1), (right, 1, 1)):
            section = self.section(owner, axis)
            line = section.path.at(section.path.way, side * (section.street.edge_m + PLOT_GAP_M))
            edges.append(line @ turn_back)
        top, bottom, left, far = edges
        low = np.array([left[:, 0].max(), top[:, 1].max()])
        high = np.array([far[:, 0].min(), bottom[:, 1].min()])
        corner = turn_back @ low
        return PlotFrame(
            (float(corner[0]), float(corner[1])), heading, float(high[0] - low[0]), float(high[1] - low[1])
        )


class Town:
    """A plan and the vehicles that one scene sees on it.

    Args:
        spec: the scene.
    """

    def __init__(self, spec: SceneSpec) -> None:
        self.spec, self.sun = spec, spec.sun
        self.plan = plan_of(spec.seed, spec.sun)
        self.vehicles = lru_cache(CACHED_CELLS)(self._vehicles)

    def all_cells(self) -> list[LatticeCell]:
        """Every cell that may reach into the scene."""
        gsd = self.spec.gsd_m
        return self.plan.cells_over(0.0, 0.0, self.spec.width * gsd, self.spec.height * gsd)

    def _vehicles(self, cell: LatticeCell) -> tuple[Seen, ...]:
        """The vehicles of a cell of which enough can be seen."""
        spec = self.spec
        if spec.vehicles == 0:
            return ()
        found = park_vehicles(self.plan.piece(cell).bays, spec.vehicles, Dice(spec.seed, "parked", *cell))
        for axis in (0, 1):
            found += drive(
                self.plan.section(cell, axis), spec.vehicles, Dice(spec.seed, "moving", *cell, axis)
            )
        if not found:
            return ()
        around = itertools.product((-1, 0, 1), repeat=2)
        trees = [self.plan.piece(LatticeCell(cell.column + dc, cell.row + dr)).trees for dr, dc in around]
        shares = visible_shares(found, np.concatenate(trees), spec)
        pairs = zip(found, shares, strict=True)
        return tuple(
            Seen(vehicle, float(share)) for vehicle, share in pairs if share >= SMALLEST_VISIBLE_SHARE
        )


@lru_cache(maxsize=2)
def plan_of(seed: int, sun: Sun) -> TownPlan:
    """A town's plan; the latest two are kept."""
    return TownPlan(seed, sun)


@lru_cache(maxsize=4)
def town_of(spec: SceneSpec) -> Town:
    """A scene's town; the latest four are kept."""
    return Town(spec)
