"""Streets: where they run and how they are built.

The town is a lattice of crossings, turned and jittered; a street follows one row or column of it as a
smooth curve, so its cross-section depends on the row, its bends on the crossings nearby.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import Colour, Points

Metres = float | npt.NDArray[np.float64]

PARKING_M = 2.25
KERB_M = 0.18
CORNER_M = 5.0
SAMPLES = 21


class Path:
    """A centre line.

    Args:
        points: `(n, 2)` in scene metres.
        tangents: unit tangents `(n, 2)`.
    """

    def __init__(self, points: Points, tangents: Points) -> None:
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        self.way: npt.NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(steps)])
        self._nodes = np.concatenate([points, tangents], axis=1)
        self._slopes = np.diff(self._nodes, axis=0) / steps[:, None]

    @property
    def length(self) -> float:
        """Length in metres."""
        return float(self.way[-1])

    def at(self, way: Metres, offset: Metres = 0.0) -> Points:
        """Points `(2,)` or `(n, 2)` after `way` metres, `offset` metres to the right of the way."""
        x, y, along_x, along_y = self._between_nodes(way)
        sideways = offset / np.hypot(along_x, along_y)
        spots: Points = np.empty((*np.shape(sideways), 2))
        spots[..., 0] = x - along_y * sideways
        spots[..., 1] = y + along_x * sideways
        return spots

    def heading(self, way: float) -> float:
        """Direction of travel after `way` metres, in radians from x towards y."""
        _, _, along_x, along_y = self._between_nodes(way)
        return float(np.arctan2(along_y, along_x))

    def _between_nodes(self, way: Metres) -> Points:
        """x, y and the tangent's x, y as `(4,)` or `(4, n)` after `way` metres."""
        node = np.searchsorted(self.way[1:-1], way, side="right")
        rest = np.asarray(way - self.way[node])
        values: Points = self._nodes[node] + self._slopes[node] * rest[..., None]
        turned: Points = values.T
        return turned

    def strip(self, way: tuple[float, float], offsets: tuple[float, float]) -> Points:
        """The band `(2 n, 2)` between two ways and two offsets."""
        inner = self.way[(self.way > way[0]) & (self.way < way[1])]
        steps = np.concatenate([[way[0]], inner, [way[1]]])
        return np.concatenate([self.at(steps, offsets[0]), self.at(steps[::-1], offsets[1])])

    def dashes(self, starts: npt.NDArray[np.float64], length: float, offset: float, width: float) -> Points:
        """Straight marks `(k, 4, 2)` along the line, one at each of the starts `(k,)`."""
        ends = starts + length
        sides = (offset - width / 2, offset + width / 2)
        corners = ((starts, sides[0]), (ends, sides[0]), (ends, sides[1]), (starts, sides[1]))
        return np.stack([self.at(way, np.full(len(starts), side)) for way, side in corners], axis=1)


@dataclass(frozen=True)
class Street:
    """A street's cross-section, the same along its whole row.

    Args:
        lanes: lanes in each direction.
        lane_m: width of a lane.
        median_m: width of the strip between the directions.
        parking: whether cars park along the left and the right kerb.
        verge_m: grass between kerb and footway; 0 for none.
        walk_m: width of the footway.
        tone: colour of the carriageway.
        slabs: whether it is concrete with joints.
        dashed: whether its lanes are marked.
        busy: share of moving traffic, 0 to 1.
        parked: share of parking places taken, 0 to 1.
    """

    lanes: int
    lane_m: float
    median_m: float
    parking: tuple[bool, bool]
    verge_m: float
    walk_m: float
    tone: Colour
    slabs: bool
    dashed: bool
    busy: float
    parked: float

    @property
    def drive_m(self) -> float:
        """From the centre line to the outer edge of the outer lane."""
        return self.median_m / 2 + self.lanes * self.lane_m

    def kerb(self, side: int) -> float:
        """From the centre line to the kerb on the left (-1) or right (1)."""
        return self.drive_m + (PARKING_M if self.parking[(side + 1) // 2] else 0.0)

    @property
    def kerb_m(self) -> float:
        """From the centre line to the farther kerb."""
        return max(self.kerb(-1), self.kerb(1))

    @property
    def edge_m(self) -> float:
        """From the centre line to where the plots begin."""
        return self.kerb_m + KERB_M + self.verge_m + self.walk_m


def plan_street(seed: int, axis: int, row: int) -> Street:
    """The street of one row (axis 0) or column (axis 1) of the lattice."""
    dice = Dice(seed, "street", axis, row)
    large = dice.chance(0.2)
    grey = dice.between(98.0, 150.0)
    warmth = dice.between(-3.0, 5.0)
    slabs = dice.chance(0.3)
    if slabs:
        grey = dice.between(138.0, 168.0)
    return Street(
        lanes=2 if large else 1,
        lane_m=dice.between(3.2, 3.5) if large else dice.between(3.0, 3.4),
        median_m=dice.pick((0.6, 2.4, 3.6)) if large else 0.0,
        parking=(False, False) if large else dice.pick(((True, True), (True, False), (False, True))),
        verge_m=dice.pick((0.0, 1.6, 2.4)),
        walk_m=dice.between(1.8, 2.8),
        tone=(grey + warmth, grey + warmth / 3, grey - warmth),
        slabs=slabs,
        dashed=large or dice.chance(0.55),
        busy=dice.between(0.45, 0.8) if large else dice.between(0.15, 0.5),
        parked=dice.between(0.3, 0.75),
    )


def smooth_path(before: Points, start: Points, end: Points, after: Points) -> Path:
    """A cubic Hermite curve from start to end whose tangents are those of Catmull and Rom.

    The four crossings are consecutive ones of a row, each `(2,)` in metres; neighbouring curves share their
    tangents, so the street has no kinks (Catmull and Rom 1974, A class of local interpolating splines).
    """
    t = np.linspace(0.0, 1.0, SAMPLES)[:, None]
    leave, arrive = (end - before) / 2, (after - start) / 2
    points = (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * leave
        + (3 * t**2 - 2 * t**3) * end
        + (t**3 - t**2) * arrive
    )
    slopes = (6 * t**2 - 6 * t) * (start - end) + (3 * t**2 - 4 * t + 1) * leave + (3 * t**2 - 2 * t) * arrive
    tangents = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    return Path(points, tangents)


@dataclass(frozen=True, eq=False)
class StreetSection:
    """One street between two crossings: its path, and the ways where the crossings begin and end."""

    street: Street
    path: Path
    clear: tuple[float, float]
