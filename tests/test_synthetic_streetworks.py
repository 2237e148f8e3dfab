"""Streets as they are drawn: what lies where between the plots."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import DrawingLayer, Material, Sketch
from sodslice.synthetic.streets import (
    CORNER_M,
    KERB_M,
    PARKING_M,
    Street,
    StreetSection,
    plan_street,
    smooth_path,
)
from sodslice.synthetic.streetworks import draw_crossing, draw_section
from sodslice.synthetic.town import STOP_M
from tests.drawn_plots import assert_beside_each_other, assert_same_drawing, filled, outline, parked, seeds

ROUNDING_M = 0.02
"""A bent street is drawn as straight pieces."""


@st.composite
def sections(draw) -> StreetSection:
    """A street as towns plan them, from a crossing to the next one some 70 m further, bent as they are."""
    seed = draw(seeds)
    street = plan_street(seed, draw(st.integers(0, 1)), draw(st.integers(-3, 3)))
    bends = np.random.default_rng(seed).uniform(-9, 9, (4, 2))
    turn = draw(st.floats(-3.2, 3.2))
    stops = np.array([[-75.0, 0], [0, 0], [75, 0], [150, 0]]) + bends
    stops = stops @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    path = smooth_path(*stops)
    clear = (8.0 + CORNER_M + STOP_M, path.length - 8.0 - CORNER_M - STOP_M)
    return StreetSection(street, path, clear)


def drawn(section: StreetSection, seed: int = 0) -> Sketch:
    sketch = Sketch()
    draw_section(sketch, section, Dice(seed, "stretch"))
    return sketch


def band(section: StreetSection, half: float) -> shapely.Geometry:
    """The street to a distance in metres from its centre line, along the whole section."""
    return shapely.Polygon(section.path.strip((0.0, section.path.length), (-half, half)))


def beyond(section: StreetSection, half: float, polygons) -> float:
    """How far the farthest corner of polygons lies beyond that distance, in metres; negative within it."""
    points = shapely.points(np.concatenate([np.empty((0, 2)), *(np.reshape(p, (-1, 2)) for p in polygons)]))
    area = shapely.buffer(band(section, half), ROUNDING_M)
    shapely.prepare(area)
    outside = points[~shapely.contains(area, points)]
    return float(shapely.distance(area, outside).max(initial=0.0))


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_everything_lies_between_the_plots(section, seed):
    sketch = drawn(section, seed)
    assert beyond(section, section.street.edge_m, filled(sketch)) == 0.0
    assert beyond(section, section.street.edge_m, [tree[:2] for tree in sketch.trees]) == 0.0


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_each_layer_keeps_to_its_part_of_the_street(section, seed):
    sketch, street = drawn(section, seed), section.street
    limits = {
        DrawingLayer.KERB: street.kerb_m + KERB_M,
        DrawingLayer.ROAD: street.kerb_m,
        DrawingLayer.PAINT: street.kerb_m,
    }
    for layer, limit in limits.items():
        assert beyond(section, limit, filled(sketch, layer)) == 0.0


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_asphalt_covers_the_road_from_kerb_to_kerb(section, seed):
    street = section.street
    road = shapely.union_all(
        shapely.buffer([shapely.Polygon(p) for p in filled(drawn(section, seed), DrawingLayer.ROAD)], 1e-6)
    )
    whole = section.path.strip((0.0, section.path.length), (-street.kerb(-1), street.kerb(1)))
    assert shapely.symmetric_difference(road, shapely.Polygon(whole)).area < 0.01


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_trees_and_lamps_stand_beside_the_road(section, seed):
    sketch, street = drawn(section, seed), section.street
    road = shapely.Polygon(section.path.strip((0.0, section.path.length), (-street.kerb(-1), street.kerb(1))))
    feet = [shapely.Point(tree.x, tree.y) for tree in sketch.trees]
    feet += [shapely.Polygon(caster.polygon).centroid for caster in sketch.casters]
    assert all(shapely.distance(road, foot) > 0.3 for foot in feet)


@settings(max_examples=30, deadline=None)
@given(sections(), seeds)
def test_cars_park_along_the_kerb_clear_of_crossings_lanes_and_each_other(section, seed):
    sketch, street, path = drawn(section, seed), section.street, section.path
    sides = [side for side in (-1, 1) if street.parking[(side + 1) // 2]]
    assert bool(sketch.bays) == bool(sides)
    lanes = shapely.Polygon(path.strip((0.0, path.length), (-street.drive_m, street.drive_m)))
    clear = shapely.Polygon(path.strip(section.clear, (-street.edge_m, street.edge_m)))
    vehicles = parked(sketch, seed)
    assert len(vehicles) == len(sketch.bays)
    assert_beside_each_other(vehicles)
    for vehicle in vehicles:
        shape = outline(vehicle)
        assert shapely.area(shapely.intersection(shape, lanes)) < 0.05
        assert shapely.buffer(clear, ROUNDING_M).contains(shape)
    for bay in sketch.bays:
        assert bay.habit == "kerb"
        assert bay.chance == street.parked


@settings(max_examples=15, deadline=None)
@given(sections(), seeds)
def test_equal_dice_are_an_equal_drawing(section, seed):
    assert_same_drawing(drawn(section, seed), drawn(section, seed))


def plain(**changes) -> Street:
    """A street of one lane of 3 m in each direction, parking on its right, and 2 m of footway."""
    values = {
        "lanes": 1, "lane_m": 3.0, "median_m": 0.0, "parking": (False, True), "verge_m": 0.0, "walk_m": 2.0,
        "tone": (120.0, 120.0, 120.0), "slabs": False, "dashed": True, "busy": 0.3, "parked": 0.5,
    }  # fmt: skip
    return Street(**(values | changes))


def straight(street: Street) -> StreetSection:
    """70 m to the right along y = 0, clear from 10 to 60 m."""
    path = smooth_path(*(np.array([x, 0.0]) for x in (-70.0, 0.0, 70.0, 140.0)))
    return StreetSection(street, path, (10.0, 60.0))


def test_a_street_by_hand():
    """Kerbs lie 3 m to the left (up) and 3 + 2.25 m to the right; bays begin 3.5 m behind the clear way.

    One every 6.2 m up to 3 m before its end: at 13.5, 19.7, ... 56.3, which makes 8, with their middles
    3 + 2.25 / 2 + 0.15 m to the right.
    """
    sketch = drawn(straight(plain()))
    assert PARKING_M == 2.25
    road = np.concatenate(filled(sketch, DrawingLayer.ROAD))
    assert [road[:, 1].min(), road[:, 1].max()] == pytest.approx([-3.0, 5.25])
    walk = np.concatenate(filled(sketch, DrawingLayer.WALK))
    assert [walk[:, 1].min(), walk[:, 1].max()] == pytest.approx([-7.43, 7.43])
    assert [bay.x for bay in sketch.bays] == pytest.approx(13.5 + 6.2 * np.arange(8))
    assert [bay.y for bay in sketch.bays] == pytest.approx([4.275] * 8)
    assert [bay.heading for bay in sketch.bays] == pytest.approx([0.0] * 8, abs=1e-9)


def test_cars_on_the_left_look_the_other_way():
    sketch = drawn(straight(plain(parking=(True, False))))
    assert [bay.y for bay in sketch.bays] == pytest.approx([-4.275] * 8)
    assert np.cos([bay.heading for bay in sketch.bays]) == pytest.approx([-1.0] * 8)


def test_a_median_is_green_between_kerbstones():
    sketch = drawn(straight(plain(lanes=2, median_m=3.6, parking=(False, False))))
    green = [s for s in sketch.shapes[DrawingLayer.PAINT] if s.material == Material.GRASS]
    assert len(green) == 1
    assert [green[0].polygon[:, 1].min(), green[0].polygon[:, 1].max()] == pytest.approx([-1.5, 1.5])
    assert sketch.bays == []


def test_only_concrete_has_joints_and_only_dashed_streets_have_lines():
    joints = [
        sum(len(p) == 4 for p in filled(drawn(straight(plain(slabs=slabs))), DrawingLayer.WEAR))
        for slabs in (False, True)
    ]
    assert joints[1] - joints[0] == len(np.arange(6.0, 64.0, 4.6))
    bare = [
        s
        for s in (drawn(straight(plain(dashed=False)), k) for k in range(20))
        if not s.shapes.get(DrawingLayer.PAINT)
    ]
    assert bare  # neither lines nor, by the dice, a crossing for people
    assert all(drawn(straight(plain()), k).shapes[DrawingLayer.PAINT] for k in range(20))


def crossed(one: StreetSection, other: StreetSection, seed: int = 0) -> Sketch:
    sketch = Sketch()
    draw_crossing(sketch, (one, other), Dice(seed, "crossing-wear"))
    return sketch


@st.composite
def crossings(draw) -> tuple[StreetSection, StreetSection]:
    """Two sections that leave a crossing to the right and downwards, the town turned anyhow."""
    seed, turn = draw(seeds), draw(st.floats(-3.2, 3.2))
    dice = np.random.default_rng(seed)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    pair = []
    for axis, step in ((0, (75.0, 0.0)), (1, (0.0, 65.0))):
        bends = dice.uniform(-9, 9, (4, 2))
        bends[1] = 0
        path = smooth_path(*((np.outer([-1, 0, 1, 2], step) + bends) @ turned))
        pair.append(StreetSection(plan_street(seed, axis, 0), path, (20.0, 40.0)))
    return pair[0], pair[1]


@settings(max_examples=30, deadline=None)
@given(crossings(), seeds)
def test_a_crossing_covers_where_two_roads_meet_and_its_kerb_surrounds_it(pair, seed):
    one, other = pair
    apart = abs(np.sin(one.path.heading(0.0) - other.path.heading(0.0)))
    assume(apart > 0.97)
    sketch = crossed(one, other, seed)
    (asphalt,), (kerb,) = filled(sketch, DrawingLayer.CROSSING), filled(sketch, DrawingLayer.KERB)
    asphalt, kerb = shapely.Polygon(asphalt), shapely.Polygon(kerb)
    assert asphalt.is_valid
    assert kerb.is_valid
    assert shapely.buffer(kerb, ROUNDING_M).contains(asphalt)
    assert KERB_M > ROUNDING_M
    centre = one.path.at(0.0)
    reach = 0.9 * min(one.street.kerb_m, other.street.kerb_m)
    assert asphalt.contains(shapely.Point(centre).buffer(reach))
    assert all(asphalt.contains(shapely.Polygon(p).centroid) for p in filled(sketch, DrawingLayer.WEAR))


@settings(max_examples=15, deadline=None)
@given(crossings(), seeds)
def test_equal_dice_are_an_equal_crossing(pair, seed):
    assert_same_drawing(crossed(*pair, seed), crossed(*pair, seed))


def test_a_crossing_by_hand():
    """Kerbs 3 and 4 m from the centre lines, corners of 5 m: the asphalt reaches 8 and 9 m from the middle.

    Between two arms lies a corner of (5 m)² less a quarter of a disc of 5 m; the arms and the middle are a
    rectangle of 18 x 16 m less the four corners.
    """
    across = straight(plain(parking=(False, False)))
    path = smooth_path(*(np.array([0.0, y]) for y in (-70.0, 0.0, 70.0, 140.0)))
    down = StreetSection(plain(lane_m=4.0, parking=(False, False)), path, (10.0, 60.0))
    (outline_,) = filled(crossed(across, down), DrawingLayer.CROSSING)
    assert CORNER_M == 5.0
    bounds = [*outline_.min(axis=0), *outline_.max(axis=0)]
    assert bounds == pytest.approx([-9.0, -8.0, 9.0, 8.0])
    quarter = np.pi * 5.0**2 / 4
    assert shapely.Polygon(outline_).area == pytest.approx(18 * 16 - 4 * quarter, rel=0.01)
