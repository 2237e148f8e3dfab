"""Vehicles seen from straight above: eight kinds, their sizes, colours, and the panels they are drawn from.

A vehicle is drawn from polygons in its own metres, x ahead and y to its right, with (0, 0) in its middle.
Its truth is the bounds of what is drawn: body and mirrors, never the shadow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import Colour, Points


class Build(NamedTuple):
    """Ranges of a kind in metres, and where its cabin lies.

    Fields: `length`, `width`, `height` ranges; `cabin` holds the shares of the length, measured from the
    nose, of the windscreen's foot and top and of the rear window's top and foot; `round_m` is the radius of
    the nose's corners.
    """

    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    cabin: tuple[float, float, float, float]
    round_m: float


KINDS = ("compact", "sedan", "estate", "suv", "van", "pickup", "truck", "bus")

BUILDS: dict[str, Build] = {
    "compact": Build((3.7, 4.2), (1.68, 1.80), (1.43, 1.55), (0.22, 0.38, 0.86, 0.97), 0.55),
    "sedan": Build((4.5, 4.95), (1.78, 1.90), (1.42, 1.50), (0.26, 0.41, 0.71, 0.84), 0.60),
    "estate": Build((4.5, 4.9), (1.78, 1.90), (1.44, 1.54), (0.26, 0.40, 0.88, 0.97), 0.55),
    "suv": Build((4.3, 4.95), (1.82, 1.98), (1.62, 1.80), (0.23, 0.37, 0.88, 0.97), 0.50),
    "van": Build((4.9, 5.9), (1.92, 2.06), (1.95, 2.5), (0.09, 0.22, 0.97, 0.99), 0.40),
    "pickup": Build((5.2, 5.8), (1.88, 2.02), (1.78, 1.95), (0.24, 0.35, 0.57, 0.61), 0.40),
    "truck": Build((6.8, 9.2), (2.35, 2.52), (2.9, 3.6), (0.02, 0.06, 0.20, 0.21), 0.25),
    "bus": Build((10.5, 12.2), (2.50, 2.55), (3.0, 3.2), (0.005, 0.02, 0.985, 0.995), 0.30),
}

# Shares of newly sold colours as paint makers publish them: white, black, greys and silver lead.
PAINTS: tuple[tuple[Colour, float], ...] = (
    ((226.0, 227.0, 226.0), 24.0),
    ((204.0, 204.0, 199.0), 4.0),
    ((34.0, 35.0, 38.0), 20.0),
    ((92.0, 95.0, 99.0), 14.0),
    ((164.0, 167.0, 169.0), 14.0),
    ((46.0, 66.0, 112.0), 8.0),
    ((70.0, 108.0, 152.0), 3.0),
    ((150.0, 32.0, 36.0), 8.0),
    ((98.0, 34.0, 42.0), 2.0),
    ((52.0, 74.0, 58.0), 2.0),
    ((146.0, 132.0, 110.0), 3.0),
    ((206.0, 148.0, 40.0), 1.5),
)
FLEETS: tuple[tuple[Colour, float], ...] = (
    ((220.0, 221.0, 219.0), 5.0),
    ((168.0, 42.0, 40.0), 1.5),
    ((54.0, 96.0, 148.0), 1.5),
    ((118.0, 170.0, 92.0), 1.0),
    ((210.0, 172.0, 62.0), 1.0),
)

HABITS: dict[str, tuple[tuple[str, float], ...]] = {
    "lane": (
        ("compact", 17), ("sedan", 27), ("estate", 15), ("suv", 24),
        ("van", 8), ("pickup", 4), ("truck", 3), ("bus", 2),
    ),
    "kerb": (("compact", 24), ("sedan", 27), ("estate", 18), ("suv", 23), ("van", 8)),
    "bay": (("compact", 22), ("sedan", 30), ("estate", 18), ("suv", 27), ("van", 3)),
    "drive": (("compact", 22), ("sedan", 26), ("estate", 20), ("suv", 28), ("van", 4)),
    "yard": (("truck", 5), ("van", 4), ("pickup", 2)),
}  # fmt: skip


MIRROR_M = 0.13
"""How far an outside mirror stands out."""

_TURNS = (np.arange(4)[:, None] * np.pi / 2 + np.linspace(1e-6, np.pi / 2 - 1e-6, 5)).ravel()
BOWS: Points = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1)
"""Points `(20, 2)` of a circle, five to each corner of a body, clockwise on the image from ahead."""
SIGNS = np.sign(BOWS)
"""Which corner `(20, 2)` each of them belongs to."""


class Vehicle(NamedTuple):
    """One vehicle: where it stands (scene metres, radians), what it is, and throws for its details."""

    x: float
    y: float
    heading: float
    kind: int
    length: float
    width: float
    height: float
    paint: Colour
    details: tuple[float, ...]


class Panel(NamedTuple):
    """A polygon `(n, 2)` and its colour."""

    polygon: Points
    colour: Colour


def choose(habit: str, place: tuple[float, float, float], longest: float, dice: Dice) -> Vehicle:
    """A vehicle that fits the place; the dice are always thrown equally often.

    Args:
        habit: what stands there: a key of `HABITS`.
        place: x, y in scene metres and heading in radians.
        longest: a vehicle that would be longer is shortened to this, in metres.
        dice: the throws.
    """
    names, weights = zip(*HABITS[habit], strict=True)
    kind = dice.pick(names, weights)
    build = BUILDS[kind]
    length, width, height = (dice.between(*span) for span in (build.length, build.width, build.height))
    paints = FLEETS if kind in ("truck", "bus") or (kind == "van" and dice.chance(0.5)) else PAINTS
    paint = dice.pick([colour for colour, _ in paints], [share for _, share in paints])
    fade = dice.between(0.9, 1.08)
    shade: Colour = (min(paint[0] * fade, 238.0), min(paint[1] * fade, 238.0), min(paint[2] * fade, 238.0))
    details = tuple(float(value) for value in dice.many(8))
    return Vehicle(*place, KINDS.index(kind), min(length, longest), width, height, shade, details)


def turn(vehicle: Vehicle, polygons: list[Points]) -> list[Points]:
    """Polygons given in the vehicle's own metres, as scene metres."""
    cos, sin = np.cos(vehicle.heading), np.sin(vehicle.heading)
    points = np.concatenate(polygons)
    placed = points @ np.array([[cos, sin], [-sin, cos]]) + (vehicle.x, vehicle.y)
    return np.split(placed, np.cumsum([len(polygon) for polygon in polygons])[:-1])


def rectangle_of(vehicle: Vehicle) -> Points:
    """Corners `(4, 2)` of the body's length and width in scene metres, from the front left on, clockwise."""
    x, y = vehicle.length / 2, vehicle.width / 2
    return turn(vehicle, [np.array([[x, -y], [x, y], [-x, y], [-x, -y]])])[0]


def silhouette(vehicle: Vehicle) -> list[Points]:
    """The convex polygons in own metres whose union is everything that is drawn: body, then mirrors."""
    return [_body(vehicle, 0.0), *_mirrors(vehicle)]


def panels(vehicle: Vehicle, toward_sun: npt.NDArray[np.float64]) -> list[Panel]:
    """What to draw, from the bottom up, in own metres; all of it within the silhouette.

    Args:
        vehicle: what it is.
        toward_sun: `(2,)` unit vector to the sun, in own axes.
    """
    kind = KINDS[vehicle.kind]
    drawn = [Panel(mirror, _tint(vehicle.paint, 0.55)) for mirror in _mirrors(vehicle)]
    drawn.append(Panel(_body(vehicle, 0.0), _tint(vehicle.paint, 0.62, floor=20.0)))
    # The rounded flank that faces the sun shows more of the paint than the one behind.
    shifted = _body(vehicle, 0.07) + 0.035 * toward_sun
    drawn.append(Panel(shifted, vehicle.paint))
    if kind == "truck":
        drawn += _truck(vehicle)
    elif kind == "bus":
        drawn += _bus(vehicle)
    else:
        drawn += _car(vehicle, kind)
    return drawn


def _body(vehicle: Vehicle, inset: float) -> Points:
    """The body's outline `(n, 2)`: rounded corners, the nose rounder than the tail; inset in metres."""
    build = BUILDS[KINDS[vehicle.kind]]
    x, y = vehicle.length / 2 - inset, vehicle.width / 2 - inset
    radii = np.where(BOWS[:, 0] > 0, build.round_m, build.round_m * 0.55)[:, None]
    # The nose is drawn in along the car more than across it, as bumpers are.
    reach = radii * (0.75, 1.0)
    return SIGNS * ((x, y) - reach) + BOWS * reach


def _mirrors(vehicle: Vehicle) -> list[Points]:
    """The two outside mirrors, `(4, 2)` each."""
    foot = BUILDS[KINDS[vehicle.kind]].cabin[0]
    x = vehicle.length * (0.5 - foot) - 0.32
    half = vehicle.width / 2
    wing = np.array(
        [[x, half - 0.1], [x - 0.06, half + MIRROR_M], [x - 0.2, half + MIRROR_M], [x - 0.22, half - 0.1]]
    )
    return [wing, wing * (1.0, -1.0)]


def _band(vehicle: Vehicle, near: float, far: float, widths: tuple[float, float]) -> Points:
    """A trapezium `(4, 2)` across the vehicle between two shares of its length from the nose."""
    x = vehicle.length * (0.5 - np.array([near, far]))
    y = np.array(widths) * vehicle.width / 2
    return np.array([[x[0], -y[0]], [x[0], y[0]], [x[1], y[1]], [x[1], -y[1]]])


def _car(vehicle: Vehicle, kind: str) -> list[Panel]:
    """Glasshouse, roof, lamps and trim of everything that is no lorry or bus."""
    foot, top, back, tail = BUILDS[kind].cabin
    paint, throws = vehicle.paint, vehicle.details
    level = 46.0 + 46.0 * throws[0]
    glass: Colour = (level * 0.92, level, level * 1.07)
    side_glass: Colour = (38.0, 42.0, 46.0)
    drawn = [
        Panel(_band(vehicle, 0.05, foot, (0.62, 0.80)), _tint(paint, 1.04)),
        Panel(_band(vehicle, foot, tail, (0.84, 0.80)), side_glass),
        Panel(_band(vehicle, foot, top, (0.84, 0.72)), glass),
        Panel(_band(vehicle, back, tail, (0.70, 0.76)), _tint(glass, 0.82)),
    ]
    if kind == "van":
        drawn.append(Panel(_band(vehicle, top, tail, (0.90, 0.92)), _tint(paint, 1.0)))
    drawn.append(Panel(_band(vehicle, top, back, (0.70, 0.68)), _tint(paint, 1.08, floor=40.0)))
    drawn.append(Panel(_band(vehicle, top + 0.04, back - 0.03, (0.52, 0.52)), _tint(paint, 1.14, floor=50.0)))
    if kind == "pickup":
        drawn.append(Panel(_band(vehicle, 0.64, 0.97, (0.80, 0.80)), (44.0 + 40.0 * throws[1],) * 3))
    elif throws[1] < 0.22:
        drawn.append(Panel(_band(vehicle, top + 0.05, (top + back) / 2, (0.46, 0.46)), (40.0, 44.0, 50.0)))
    if kind in ("suv", "estate") and throws[2] < 0.55:
        rail = 176.0 if throws[3] < 0.5 else 40.0
        for side in (-1.0, 1.0):
            line = _band(vehicle, top + 0.03, back - 0.02, (0.62, 0.62))
            y = side * 0.31 * vehicle.width
            line[:, 1] = np.array([y - 0.03, y + 0.03, y + 0.03, y - 0.03])
            drawn.append(Panel(line, (rail, rail, rail)))
    return drawn + _lamps(vehicle)


def _lamps(vehicle: Vehicle) -> list[Panel]:
    """Head lamps and tail lamps at the corners."""
    x, y = vehicle.length / 2, vehicle.width / 2
    lamp = np.array([[x - 0.18, y * 0.55], [x - 0.12, y * 0.70], [x - 0.46, y * 0.93], [x - 0.52, y * 0.75]])
    rear = np.array(
        [[-x + 0.06, y * 0.62], [-x + 0.08, y * 0.86], [-x + 0.3, y * 0.92], [-x + 0.24, y * 0.72]]
    )
    red = 120.0 + 60.0 * vehicle.details[4]
    mirrored = np.array([1.0, -1.0])
    return [
        Panel(lamp, (196.0, 198.0, 200.0)),
        Panel(lamp * mirrored, (196.0, 198.0, 200.0)),
        Panel(rear, (red, 34.0, 32.0)),
        Panel(rear * mirrored, (red, 34.0, 32.0)),
    ]


def _truck(vehicle: Vehicle) -> list[Panel]:
    """A cab, the gap behind it, and a box or a flatbed."""
    throws = vehicle.details
    load = 214.0 if throws[0] < 0.6 else 90.0 + 80.0 * throws[1]
    box: Colour = (load, load, load * 0.97)
    drawn = [
        Panel(_band(vehicle, 0.02, 0.06, (0.84, 0.80)), (48.0, 54.0, 60.0)),
        Panel(_band(vehicle, 0.07, 0.20, (0.80, 0.80)), _tint(vehicle.paint, 1.08)),
        Panel(_band(vehicle, 0.21, 0.245, (1.0, 1.0)), (42.0, 42.0, 44.0)),
        Panel(_band(vehicle, 0.245, 0.995, (0.985, 0.985)), _tint(box, 0.86)),
        Panel(_band(vehicle, 0.255, 0.985, (0.93, 0.93)), box),
    ]
    if throws[2] < 0.4:
        drawn += [
            Panel(_band(vehicle, s, s + 0.006, (0.93, 0.93)), _tint(box, 0.9))
            for s in np.arange(0.33, 0.97, 0.08)
        ]
    return drawn


def _bus(vehicle: Vehicle) -> list[Panel]:
    """A long roof with hatches, a cooling unit and a dark front window."""
    roof = _tint(vehicle.paint, 1.02)
    pale = _tint(vehicle.paint, 1.12, floor=150.0)
    drawn = [
        Panel(_band(vehicle, 0.005, 0.022, (0.86, 0.84)), (46.0, 52.0, 58.0)),
        Panel(_band(vehicle, 0.03, 0.98, (0.90, 0.90)), roof),
        Panel(_band(vehicle, 0.06, 0.96, (0.72, 0.72)), _tint(roof, 1.06)),
        Panel(_band(vehicle, 0.60, 0.76, (0.60, 0.60)), (176.0, 178.0, 178.0)),
        Panel(_band(vehicle, 0.62, 0.74, (0.48, 0.48)), (138.0, 141.0, 143.0)),
    ]
    hatches = (0.18, 0.42, 0.88)
    return drawn + [Panel(_band(vehicle, share, share + 0.06, (0.34, 0.34)), pale) for share in hatches]


def _tint(colour: Colour, light: float, *, floor: float = 0.0) -> Colour:
    """The colour made lighter or darker, never darker than the floor nor brighter than 244."""
    red, green, blue = (min(max(value * light, floor), 244.0) for value in colour)
    return (red, green, blue)
