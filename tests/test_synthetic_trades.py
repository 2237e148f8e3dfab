"""Stores, works and market squares: what stands on such a plot, and where."""

from __future__ import annotations

import pytest
import shapely
from hypothesis import given, settings

from sodslice.synthetic import trades
from sodslice.synthetic.sketch import DrawingLayer, Material, PlotFrame
from tests.drawn_plots import EVERY_LAW, SUN, assert_all_inside, drawn, filled, frames, parked, seeds


def shop(sketch, frame, dice):
    trades.shop(sketch, frame, SUN, dice)


def works(sketch, frame, dice):
    trades.works(sketch, frame, SUN, dice)


def market(sketch, frame, dice):
    trades.market(sketch, frame, SUN, dice)


ALL = pytest.mark.parametrize("draw", [shop, works, market])

plots = frames(heights=(34.0, 66.0))
"""The yard of works is as deep as a lorry is long from 33 m on."""


@ALL
@settings(max_examples=25, deadline=None)
@given(frame=plots, seed=seeds)
def test_everything_is_inside_the_plot(draw, frame, seed):
    assert_all_inside(drawn(draw, frame, seed), frame)


@ALL
@EVERY_LAW
@settings(max_examples=15, deadline=None)
@given(frame=plots, seed=seeds)
def test_what_holds_of_every_plot(draw, law, frame, seed):
    law(draw, frame, seed)


@ALL
@settings(max_examples=10, deadline=None)
@given(frame=plots, seed=seeds)
def test_the_ground_is_paved_from_edge_to_edge(draw, frame, seed):
    ground = drawn(draw, frame, seed).shapes[DrawingLayer.YARD][0]
    assert ground.material in (Material.ASPHALT, Material.PAVING)
    assert shapely.Polygon(ground.polygon).area == pytest.approx(frame.width * frame.height)


@settings(max_examples=15, deadline=None)
@given(frame=plots, seed=seeds)
def test_buildings_stand_apart(frame, seed):
    """The halls of works, and the houses of a market, are buildings of their own."""
    for draw, walls in ((works, 6.0), (market, 3.3)):
        sketch = drawn(draw, frame, seed)
        casters = [shapely.Polygon(c.polygon) for c in sketch.casters if c.height >= walls]
        houses = shapely.union_all([c for c in casters if c.area > 60])
        roofs = shapely.union_all([shapely.Polygon(p) for p in filled(sketch, DrawingLayer.ROOF)])
        assert shapely.symmetric_difference(houses, roofs).area < 1e-6
        if draw is works:
            assert shapely.get_num_geometries(roofs) == 2


def test_works_by_hand():
    """On 60 x 50 m the yard is 54 m wide: bays every 4.2 m on the left 40 % of it are int(21.6 / 4.2) = 5.

    They are 9.5 m long and hold lorries, vans and pickups; cars have their own bays.
    """
    sketch = drawn(works, PlotFrame((0.0, 0.0), 0.0, 60.0, 50.0), 0)
    yard = [bay for bay in sketch.bays if bay.habit == "yard"]
    assert len(yard) == 5
    assert [bay.x for bay in yard] == pytest.approx([6.0, 10.2, 14.4, 18.6, 22.8])
    assert {bay.length for bay in yard} == {9.5}
    assert {bay.habit for bay in sketch.bays} == {"yard", "bay"}


def test_a_store_has_most_of_its_bays_in_front_and_a_roof_at_the_back():
    sketch = drawn(shop, PlotFrame((0.0, 0.0), 0.0, 70.0, 60.0), 4)
    roof = shapely.union_all([shapely.Polygon(p) for p in filled(sketch, DrawingLayer.ROOF)])
    assert roof.bounds[3] < min(bay.y for bay in sketch.bays)
    assert len(sketch.bays) > 40


def test_a_market_has_stalls_and_trees_and_no_place_to_park():
    sketch = drawn(market, PlotFrame((0.0, 0.0), 0.0, 60.0, 50.0), 2)
    assert parked(sketch, 0) == []
    assert len(sketch.trees) == 4  # every 12 m from 4 m on along 48 m
    stalls = [c for c in sketch.casters if c.height == 2.4]
    assert len(stalls) > 5
    assert {round(shapely.Polygon(stall.polygon).area, 6) for stall in stalls} == {7.84}
