"""Rings in longitude and latitude as RFC 7946 wants them: cut at the antimeridian, and taken up to a pole."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.place.newton import Points

AT_POLE = 5e-8
"""Degrees, half a centimetre: what is nearer to a pole lies on it, where longitudes mean nothing."""
OVER_POLE = 179.9
"""Degrees: what goes further round at one step goes over the pole."""
STRAIGHT_LINE = 1e-9
"""Degrees: a point that is nearer to the line between its neighbours says nothing."""
ON_MERIDIAN = 1e-9
"""Degrees: what is nearer to the antimeridian lies on it."""


def turned(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Differences of longitudes, the shorter way round: from -180 to below 180."""
    return np.mod(degrees + 180, 360) - 180


def on_sphere(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Unit vectors `(..., 3)` of longitude, latitude `(..., 2)` in degrees."""
    lon, lat = np.radians(places[..., 0]), np.radians(places[..., 1])
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def parts_of(ring: Points) -> tuple[Points, ...]:
    """Rings `(K, 2)` within -180 to 180 degrees that together fill a ring on the ground.

    Args:
        ring: `(K, 2)` longitude, latitude; neighbours are less than half a turn apart.

    Returns:
        None of them closed, in any direction; none at all where the ring has no extent.
    """
    ring = _with_poles_between(ring)
    at_pole = np.abs(ring[:, 1]) >= 90 - AT_POLE
    if at_pole.any():
        return _cut(_from_pole_to_pole(ring, at_pole))
    longitudes = _unwrapped(ring)
    turns = np.rint((longitudes[-1] + turned(ring[:1, 0] - ring[-1:, 0])[0] - longitudes[0]) / 360)
    even = np.stack([longitudes, ring[:, 1]], axis=1)
    return _cut(even if turns == 0 else _up_to_pole(even, eastward=bool(turns > 0)))


def _with_poles_between(ring: Points) -> Points:
    """A ring with the pole as a point of its own where it leads straight over it."""
    steps = np.abs(turned(np.roll(ring[:, 0], -1) - ring[:, 0]))
    after = np.flatnonzero(steps > OVER_POLE) + 1
    poles = np.stack([np.zeros(len(after)), np.copysign(90.0, ring[after - 1, 1])], axis=1)
    return np.insert(ring, after, poles, axis=0)


def _unwrapped(ring: Points) -> npt.NDArray[np.float64]:
    """Longitudes `(K,)` that go on beyond 180 where the ring does."""
    steps = np.cumsum(turned(np.diff(ring[:, 0])))
    longitudes: npt.NDArray[np.float64] = ring[0, 0] + np.append(0.0, steps)
    return longitudes


def _from_pole_to_pole(ring: Points, at_pole: npt.NDArray[np.bool_]) -> Points:
    """A ring over a pole: from the longitude in which it leaves the pole to that in which it comes back."""
    if at_pole.all():
        return ring[:0]
    leaves = np.flatnonzero(at_pole & ~np.roll(at_pole, -1))[0] + 1
    ordered = np.roll(ring, -leaves, axis=0)
    away = ordered[~np.roll(at_pole, -leaves)]
    longitudes = _unwrapped(away)
    pole = np.copysign(90.0, ordered[-1, 1])
    even = np.stack([longitudes, away[:, 1]], axis=1)
    return np.concatenate([even, [[longitudes[-1], pole], [longitudes[0], pole]]])


def _up_to_pole(ring: Points, *, eastward: bool) -> Points:
    """A ring once round a pole, as the strip between it and the pole from -180 to 180.

    Args:
        ring: `(K, 2)` with longitudes that go on.
        eastward: whether it goes round eastwards.
    """
    pole = 90.0 if _is_counter_clockwise(ring) == eastward else -90.0
    ring = ring if eastward else ring[::-1]
    longitudes, latitudes = np.append(ring[:, 0], ring[0, 0] + 360), np.append(ring[:, 1], ring[0, 1])
    seam = 180 + 360 * np.ceil((longitudes[0] - 180) / 360)
    after = int(np.argmax(longitudes >= seam))
    before = max(after - 1, 0)
    width = longitudes[after] - longitudes[before]
    share = (seam - longitudes[before]) / width if width > 0 else 0.0
    latitude = latitudes[before] + share * (latitudes[after] - latitudes[before])
    ahead = np.stack([longitudes[after:-1], latitudes[after:-1]], axis=1)
    behind = np.stack([longitudes[:after] + 360, latitudes[:after]], axis=1)
    ends = [[seam + 360, latitude], [seam + 360, pole], [seam, pole], [seam, latitude]]
    strip: Points = np.concatenate([ahead, behind, ends]) - (seam + 180, 0.0)
    return strip


def _is_counter_clockwise(ring: Points) -> bool:
    """Whether a ring turns to the left at its first point, which is a corner, seen from above."""
    last, here, following = on_sphere(ring[[-1, 0, 1]])
    return bool(np.dot(np.cross(following - here, last - here), here) > 0)


def _cut(ring: Points) -> tuple[Points, ...]:
    """The parts of a ring with longitudes that go on, each brought to -180 to 180."""
    if len(ring) < 3:
        return ()
    near = np.rint((ring[:, 0] - 180) / 360) * 360 + 180
    ring = np.where(
        np.abs(ring[:, :1] - near[:, None]) < ON_MERIDIAN, np.stack([near, ring[:, 1]], axis=1), ring
    )
    whole: Any = shapely.Polygon(ring)
    if not whole.is_valid:
        whole = shapely.make_valid(whole)
    whole = shapely.simplify(whole, STRAIGHT_LINE)
    west, _, east, _ = shapely.bounds(whole)
    first, last = int(np.floor((west + 180) / 360)), int(np.ceil((east - 180) / 360))
    turns = range(first, max(last, first) + 1)
    pieces = [_within_turn(whole, turn) if first < last else _moved(whole, turn) for turn in turns]
    if east - west >= 360 - ON_MERIDIAN:  # they touch, which parts of a MultiPolygon must not
        pieces = [shapely.union_all(pieces, grid_size=ON_MERIDIAN)]
    parts = [part for part in shapely.get_parts(pieces) if part.geom_type == "Polygon" and part.area > 0]
    return tuple(shapely.get_coordinates(part.exterior)[:-1] for part in parts)


def _within_turn(whole: Any, turn: int) -> Any:
    """The part of a shape that lies in a turn round the Earth, brought to -180 to 180."""
    window = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
    return _moved(shapely.intersection(whole, window), turn)


def _moved(shape: Any, turn: int) -> Any:
    return shapely.transform(shape, lambda points: points - (360.0 * turn, 0.0)) if turn else shape
