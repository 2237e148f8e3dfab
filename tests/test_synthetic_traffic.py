"""Which vehicles park and drive where, and what of them can be seen."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.synthetic import KINDS, SceneSpec
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import Bay
from sodslice.synthetic.streets import StreetSection
from sodslice.synthetic.traffic import CROWN_SHARE, drive, park_vehicles, visible_shares
from sodslice.synthetic.vehicles import HABITS, MIRROR_M, Vehicle, rectangle_of
from tests.drawn_plots import BUMPERS_M, DENSE, assert_beside_each_other, headings, outline, places, seeds
from tests.test_synthetic_streetworks import drawn, plain, sections, straight

LENGTHS = {"kerb": 5.9, "bay": 5.1, "drive": 5.2, "yard": 9.5}


@st.composite
def rows_of_bays(draw) -> tuple[Bay, ...]:
    """Bays of all habits, far from each other."""
    habits = draw(st.lists(st.sampled_from(sorted(LENGTHS)), max_size=12))
    heading = draw(headings)
    chances = np.random.default_rng(draw(seeds)).random(len(habits))
    return tuple(
        Bay(20.0 * k, 5.0, heading, LENGTHS[habit], float(chance), habit)
        for k, (habit, chance) in enumerate(zip(habits, chances, strict=True))
    )


def parked(bays, density, seed=0):
    return park_vehicles(bays, density, Dice(seed, "parked"))


def driving(section, density, seed=0):
    return drive(section, density, Dice(seed, "moving"))


@settings(max_examples=40, deadline=None)
@given(rows_of_bays(), seeds)
def test_every_vehicle_stands_in_its_bay(bays, seed):
    vehicles = parked(bays, 1e9, seed)
    taken = [bay for bay in bays if bay.chance > 1e-6]
    for bay, vehicle in zip(taken, vehicles, strict=True):
        ahead = np.array([np.cos(bay.heading), np.sin(bay.heading)])
        right = np.array([-ahead[1], ahead[0]])
        corners = rectangle_of(vehicle) - (bay.x, bay.y)
        assert np.abs(corners @ ahead).max() <= bay.length / 2 + 2 * BUMPERS_M
        assert np.abs(corners @ right).max() <= vehicle.width / 2 + 0.08 + 0.012 * bay.length
        assert KINDS[vehicle.kind] in dict(HABITS[bay.habit])


@settings(max_examples=40, deadline=None)
@given(rows_of_bays(), seeds)
def test_fewer_parked_vehicles_are_a_part_of_more(bays, seed):
    none, few, usual, many = (parked(bays, density, seed) for density in (0.0, 0.4, 1.0, DENSE))
    assert none == []
    assert set(few) <= set(usual) <= set(many)


@settings(max_examples=20, deadline=None)
@given(rows_of_bays(), seeds)
def test_a_vehicle_does_not_depend_on_how_full_its_bay_usually_is(bays, seed):
    surely = tuple(bay._replace(chance=1.0) for bay in bays)
    assert set(parked(bays, 1.0, seed)) <= set(parked(surely, 1.0, seed))


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_fewer_moving_vehicles_are_a_part_of_more(section, seed):
    none, few, usual, many = (driving(section, density, seed) for density in (0.0, 0.4, 1.0, DENSE))
    assert none == []
    assert set(few) <= set(usual) <= set(many)


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_vehicles_on_a_street_are_beside_each_other(section, seed):
    """Those that drive on all lanes, and those at the kerb."""
    bays = tuple(drawn(section, seed).bays)
    assert_beside_each_other([*driving(section, DENSE, seed), *parked(bays, DENSE, seed)])


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_traffic_keeps_right_to_its_lane_and_clear_of_the_crossings(section, seed):
    street, path = section.street, section.path
    lanes = [
        (
            side,
            shapely.buffer(shapely.Polygon(path.strip((0.0, path.length), _lane(street, side, lane))), 0.1),
        )
        for side in (-1, 1)
        for lane in range(street.lanes)
    ]
    clear = shapely.buffer(shapely.Polygon(path.strip(section.clear, (-street.edge_m, street.edge_m))), 0.1)
    for vehicle in driving(section, DENSE, seed):
        shape = outline(vehicle)
        assert clear.contains(shape)
        (side,) = [
            side for side, lane in lanes if lane.contains(shape.centroid) and _fits(lane, shape, vehicle)
        ]
        way = shapely.line_locate_point(shapely.LineString(path.at(path.way)), shape.centroid)
        assert np.cos(vehicle.heading - path.heading(way)) * side > 0.99


def _lane(street, side: int, lane: int) -> tuple[float, float]:
    inner = side * (street.median_m / 2 + lane * street.lane_m)
    return inner, inner + side * street.lane_m


def _fits(lane, shape, vehicle) -> bool:
    """Whether a vehicle lies in a lane; a long one in a bend may reach over its edge a little."""
    return shapely.difference(shape, lane).area < (0.02 if vehicle.length < 6 else 0.6)


def test_moving_vehicles_keep_their_distance_in_a_lane():
    for seed in range(10):
        vehicles = driving(straight(plain()), DENSE, seed)
        for way in (1, -1):
            ahead = [(v.x, v.length) for v in vehicles if np.cos(v.heading) * way > 0]
            ahead.sort()
            gaps = [b[0] - a[0] - (a[1] + b[1]) / 2 for a, b in itertools.pairwise(ahead)]
            assert min(gaps, default=9.0) >= 2.4 - 1e-9


def test_a_street_by_hand():
    """Lanes of 3 m: those to the right drive right at y = 1.5, the others left at y = -1.5, from 10 to 60 m.

    In between a vehicle must keep 1.6 m to the stop line, and 1 m to the other end.
    """
    seen = [vehicle for seed in range(30) for vehicle in driving(straight(plain()), DENSE, seed)]
    assert len(seen) > 100
    for vehicle in seen:
        side = 1 if vehicle.y > 0 else -1
        assert abs(vehicle.y - 1.5 * side) <= (3.0 - vehicle.width) / 2 - MIRROR_M
        assert np.cos(vehicle.heading) == pytest.approx(side, abs=1e-3)
        stop = (60.0 - vehicle.x if side > 0 else vehicle.x - 10.0) - vehicle.length / 2
        rest = (vehicle.x - 10.0 if side > 0 else 60.0 - vehicle.x) - vehicle.length / 2
        assert stop >= 1.6 - 1e-9
        assert rest >= 1.0 - 1e-9


@pytest.mark.parametrize("clear", [(30.0, 30.0), (30.0, 33.0)])
def test_a_street_too_short_for_a_vehicle_has_none(clear):
    assert driving(StreetSection(plain(), straight(plain()).path, clear), DENSE) == []


def car(x: float, y: float, heading: float = 0.0) -> Vehicle:
    """Four metres by two."""
    return Vehicle(x, y, heading, 0, 4.0, 2.0, 1.5, (0.0, 0.0, 0.0), (0.0,) * 8)


SPEC = SceneSpec(400, 300, gsd_m=0.1, nodata=False)
NO_TREES = np.empty((0, 4))


def test_what_lies_outside_of_the_scene_cannot_be_seen():
    """The scene is 40 x 30 m."""
    cars = [car(20, 15), car(40, 15), car(39, 15), car(0, 0), car(20, 30, np.pi / 2), car(60, 15)]
    assert visible_shares(cars, NO_TREES, SPEC).tolist() == [1.0, 0.5, 0.75, 0.25, 0.5, 0.0]


def test_what_lies_below_a_crown_cannot_be_seen():
    """A crown whose sure part, 0.92 of its radius, just covers the left half of a car."""
    trees = np.array([[18.0, 15.0, 2.0 / CROWN_SHARE, 0.5]])
    (share,) = visible_shares([car(20, 15)], trees, SPEC)
    hidden = shapely.intersection(shapely.Point(18, 15).buffer(2.0), shapely.box(18, 14, 22, 16)).area / 8
    assert share == pytest.approx(1 - hidden, abs=0.04)
    assert visible_shares([car(18, 15)], np.array([[18.0, 15.0, 9.0, 0.5]]), SPEC).tolist() == [0.0]
    assert visible_shares([car(18, 15)], np.array([[25.0, 15.0, 3.0, 0.5]]), SPEC).tolist() == [1.0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 43), st.floats(-3, 33), headings), min_size=1, max_size=6),
    st.lists(st.tuples(st.floats(-3, 43), st.floats(-3, 33), st.floats(0.5, 5)), max_size=8),
    st.integers(0, 50),
)
def test_shares_are_those_of_the_shapes(cars, crowns, seed):
    spec = replace(SPEC, nodata=seed % 2 == 0, seed=seed)
    trees = np.array([(*crown, 0.5) for crown in crowns]).reshape(-1, 4)
    vehicles = [car(*where) for where in cars]
    free = shapely.box(0, 0, 40, 30)
    if spec.photographed is not None:
        side = spec.photographed
        normal, along = np.array([side.a, side.b]), 1e3 * np.array([-side.b, side.a])
        foot = normal * side.c * spec.gsd_m
        free &= shapely.Polygon(
            [foot + along, foot - along, foot - along - 1e3 * normal, foot + along - 1e3 * normal]
        )
    free -= shapely.union_all(
        shapely.buffer(shapely.points(trees[:, :2]), trees[:, 2] * CROWN_SHARE, quad_segs=32)
    )
    bodies = shapely.polygons([rectangle_of(vehicle) for vehicle in vehicles])
    expected = shapely.area(shapely.intersection(bodies, free)) / 8.0
    assert np.abs(visible_shares(vehicles, trees, spec) - expected).max() < 0.08


def test_no_vehicles_have_no_shares():
    assert visible_shares([], np.array([[1.0, 1.0, 1.0, 0.5]]), SPEC).shape == (0,)


@settings(max_examples=10, deadline=None)
@given(places, headings, seeds)
def test_a_bay_by_hand(place, heading, seed):
    """A bay of 5.1 m: no longer vehicle than 5 m, a quarter of them backed in."""
    bay = Bay(*place, heading, 5.1, 1.0, "bay")
    vehicles = [v for k in range(40) for v in parked((bay,), 1.0, seed + k)]
    assert len(vehicles) == 40
    assert max(v.length for v in vehicles) <= 5.0
    backed = [np.cos(v.heading - heading) < 0 for v in vehicles]
    assert 0 < sum(backed) < 25
