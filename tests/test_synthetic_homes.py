"""Gardens and flats: what stands on such a plot, and where."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings

from sodslice.synthetic import homes
from sodslice.synthetic.sketch import DrawingLayer, Material, PlotFrame
from tests.drawn_plots import EVERY_LAW, SUN, assert_all_inside, drawn, filled, frames, in_own_metres, seeds


def houses(sketch, frame, dice):
    homes.houses(sketch, frame, SUN, dice)


def flats(sketch, frame, dice):
    homes.flats(sketch, frame, SUN, dice)


BOTH = pytest.mark.parametrize("draw", [houses, flats])


@BOTH
@settings(max_examples=30, deadline=None)
@given(frame=frames(), seed=seeds)
def test_everything_is_inside_the_plot(draw, frame, seed):
    assert_all_inside(drawn(draw, frame, seed), frame)


@BOTH
@EVERY_LAW
@settings(max_examples=20, deadline=None)
@given(frame=frames(), seed=seeds)
def test_what_holds_of_every_plot(draw, law, frame, seed):
    law(draw, frame, seed)


@BOTH
@settings(max_examples=15, deadline=None)
@given(frame=frames(), seed=seeds)
def test_the_ground_is_covered_by_lawns(draw, frame, seed):
    sketch = drawn(draw, frame, seed)
    lawns = [s.polygon for s in sketch.shapes[DrawingLayer.YARD] if s.material == Material.GRASS]
    ground = shapely.union_all(shapely.buffer([shapely.Polygon(p) for p in lawns], 1e-6))
    assert ground.area == pytest.approx(frame.width * frame.height, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(frame=frames(), seed=seeds)
def test_every_garden_has_a_house_of_its_own_and_a_drive(frame, seed):
    sketch = drawn(houses, frame, seed)
    gardens = shapely.polygons([s.polygon for s in sketch.shapes[DrawingLayer.YARD]])
    roofs = shapely.polygons([c.polygon for c in sketch.casters if c.height < 6 and _is_house(c.polygon)])
    assert len(roofs) == len(gardens) >= 2
    garden, roof = shapely.STRtree(shapely.buffer(roofs, -1e-6)).query(gardens, predicate="intersects")
    assert sorted(garden) == sorted(roof) == list(range(len(gardens)))
    assert len(sketch.bays) >= len(gardens)


def _is_house(polygon: np.ndarray) -> bool:
    return shapely.Polygon(polygon).area > 30


def test_a_block_by_hand():
    """60 m of gardens of 14 to 18 m are three or four a row, each half as deep as the plot."""
    frame = PlotFrame((0.0, 0.0), 0.0, 60.0, 50.0)
    for seed in range(20):
        yards = [s.polygon for s in drawn(houses, frame, seed).shapes[DrawingLayer.YARD]]
        depths = {round(float(np.ptp(in_own_metres(frame, yard)[:, 1])), 6) for yard in yards}
        assert depths == {25.0}
        for low, high in ((0, 25), (25, 50)):
            row = [yard for yard in yards if low <= yard[:, 1].mean() <= high]
            assert len(row) in (3, 4)
            assert sum(np.ptp(yard[:, 0]) for yard in row) == pytest.approx(60.0)


def test_flats_have_two_slabs_and_a_car_park_with_a_gate_to_the_street():
    frame = PlotFrame((0.0, 0.0), 0.0, 70.0, 55.0)
    sketch = drawn(flats, frame, 3)
    slabs = shapely.union_all([shapely.Polygon(p) for p in filled(sketch, DrawingLayer.ROOF)])
    assert shapely.get_num_geometries(slabs) == 2
    assert len(sketch.bays) > 20
    asphalt = [s.polygon for s in sketch.shapes[DrawingLayer.YARD] if s.material == Material.ASPHALT]
    court = shapely.union_all(shapely.buffer([shapely.Polygon(p) for p in asphalt], 1e-6))
    assert court.geom_type == "Polygon"  # the gate and the court are one
    assert court.bounds[0] == pytest.approx(0.0, abs=1e-5)


def test_a_plot_too_shallow_for_a_car_park_has_none():
    sketch = drawn(flats, PlotFrame((0.0, 0.0), 0.0, 60.0, 26.0), 0)
    assert sketch.bays == []
