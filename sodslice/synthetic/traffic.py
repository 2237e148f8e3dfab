"""Which vehicles stand or drive where, and which of them can be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import Bay, Points
from sodslice.synthetic.spec import SceneSpec
from sodslice.synthetic.streets import StreetSection
from sodslice.synthetic.vehicles import MIRROR_M, Vehicle, choose, rectangle_of

SMALLEST_VISIBLE_SHARE = 0.5
"""A vehicle of which less than this can be seen is not in the scene: neither drawn nor in the truth."""

CROWN_SHARE = 0.92
"""How much of a crown's radius surely hides what is below; its rim is ragged."""

ACROSS, ALONG = 8, 16
GAP_M = 2.4


def park_vehicles(bays: tuple[Bay, ...], density: float, dice: Dice) -> list[Vehicle]:
    """Vehicles on the bays; the same dice for any density, so that fewer are a part of more."""
    parked = []
    for bay in bays:
        taken = dice.between(0.0, 1.0) < bay.chance * density
        slip, drift, skew = dice.bell(0.18), _within(dice.bell(0.06), 0.08), _within(dice.bell(0.01), 0.012)
        backwards = bay.habit == "bay" and dice.chance(0.25)
        vehicle = choose(bay.habit, (0.0, 0.0, 0.0), bay.length - 0.1, dice)
        slip = _within(slip, (bay.length - vehicle.length) / 2)
        x = bay.x + slip * np.cos(bay.heading) - drift * np.sin(bay.heading)
        y = bay.y + slip * np.sin(bay.heading) + drift * np.cos(bay.heading)
        heading = bay.heading + skew + (np.pi if backwards else 0.0)
        if taken:
            parked.append(vehicle._replace(x=float(x), y=float(y), heading=heading))
    return parked


def _within(value: float, limit: float) -> float:
    """The value, or the nearest one whose size is at most the limit."""
    return min(max(value, -limit), limit)


def drive(section: StreetSection, density: float, dice: Dice) -> list[Vehicle]:
    """Moving traffic on every lane of a section, denser before the stop line."""
    street, path = section.street, section.path
    begin, end = section.clear
    moving = []
    for side in (-1, 1):
        for lane in range(street.lanes):
            middle = side * (street.median_m / 2 + (lane + 0.5) * street.lane_m)
            # Walked from the stop line backwards, so that the queue stands where the traffic light is.
            walked = dice.between(1.6, 4.0)
            queue = 0.85 if dice.chance(0.4) else 0.0
            while True:
                vehicle = choose("lane", (0.0, 0.0, 0.0), 12.5, dice)
                chance = min(max(street.busy * 0.7, queue), 1.0)
                taken = dice.between(0.0, 1.0) < chance * density
                room = (street.lane_m - vehicle.width - 2 * MIRROR_M) / 2
                drift, skew = (
                    _within(dice.bell(0.16), max(room - 0.03, 0.0)),
                    _within(dice.bell(0.008), 0.015),
                )
                centre = walked + vehicle.length / 2
                if centre + vehicle.length / 2 > end - begin - 1.0:
                    break
                way = end - centre if side > 0 else begin + centre
                x, y = path.at(way, middle + drift)
                heading = path.heading(way) + skew + (0.0 if side > 0 else np.pi)
                if taken:
                    moving.append(vehicle._replace(x=float(x), y=float(y), heading=heading))
                walked = centre + vehicle.length / 2 + GAP_M + (0.0 if queue > 0 else dice.between(0.0, 14.0))
                queue = queue - 0.22 if queue > 0.3 else 0.0
    return moving


def visible_shares(vehicles: list[Vehicle], trees: Points, spec: SceneSpec) -> npt.NDArray[np.float64]:
    """What share of each vehicle can be seen `(N,)`: in the scene, with data, and not below a crown.

    Args:
        vehicles: N vehicles.
        trees: `(T, 4)` x, y, radius, variety, in scene metres.
        spec: the scene.
    """
    corners = np.array([rectangle_of(vehicle) for vehicle in vehicles]).reshape(-1, 4, 2)
    across = (np.arange(ACROSS) + 0.5) / ACROSS
    along = (np.arange(ALONG) + 0.5) / ALONG
    u, v = (grid.ravel() for grid in np.meshgrid(across, along))
    origin, right, back = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    spots = origin[:, None] + u[:, None] * right[:, None] + v[:, None] * back[:, None]
    pixels = spots / spec.gsd_m
    seen = spec.holds_data(pixels[..., 0], pixels[..., 1])
    middles = corners.mean(axis=1)
    for row, (middle, length) in enumerate(zip(middles, np.linalg.norm(back, axis=1), strict=True)):
        near = trees[np.hypot(*(trees[:, :2] - middle).T) < trees[:, 2] + length]
        for x, y, radius, _ in near:
            seen[row] &= np.hypot(spots[row, :, 0] - x, spots[row, :, 1] - y) > radius * CROWN_SHARE
    return np.asarray(seen.mean(axis=1), dtype=np.float64)
