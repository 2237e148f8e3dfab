"""Car parks: rows of bays off aisles."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings

from sodslice.synthetic.parking import AISLE_M, BAY_DEPTH_M, parking
from sodslice.synthetic.sketch import DrawingLayer, Material, PlotFrame
from tests.drawn_plots import (
    BUMPERS_M,
    EVERY_LAW,
    assert_all_inside,
    drawn,
    filled,
    frames,
    in_own_metres,
    outline,
    parked,
    seeds,
)

any_frames = frames((6.0, 90.0), (6.0, 90.0))


@settings(max_examples=40, deadline=None)
@given(frame=any_frames, seed=seeds)
def test_everything_is_inside_the_frame(frame, seed):
    assert_all_inside(drawn(parking, frame, seed), frame, slack=2 * BUMPERS_M)


@EVERY_LAW
@settings(max_examples=25, deadline=None)
@given(frame=any_frames, seed=seeds)
def test_what_holds_of_every_plot_holds_of_car_parks(law, frame, seed):
    law(parking, frame, seed)


@settings(max_examples=25, deadline=None)
@given(frame=any_frames, seed=seeds)
def test_every_bay_opens_to_an_aisle_that_is_free_for_its_whole_width(frame, seed):
    """Five metres ahead of where a vehicle that drove in looks back there is asphalt and no vehicle."""
    sketch = drawn(parking, frame, seed)
    vehicles = [outline(vehicle) for vehicle in parked(sketch, seed)]
    ways = [
        shapely.buffer(
            shapely.linestrings([_behind(bay, BAY_DEPTH_M / 2 + 0.2), _behind(bay, BAY_DEPTH_M / 2 + 4.2)]),
            1.0,
            cap_style="flat",
        )
        for bay in sketch.bays
    ]
    assert (
        shapely.STRtree(np.array(vehicles, object)).query(np.array(ways, object), predicate="intersects").size
        == 0
    )
    inside = in_own_metres(frame, shapely.get_coordinates(ways))
    assert (inside >= -1e-6).all()
    assert (inside <= np.array([frame.width, frame.height]) + 1e-6).all()


def _behind(bay, metres: float) -> tuple[float, float]:
    """A place behind a vehicle that stands in a bay nose in."""
    return bay.x - metres * np.cos(bay.heading), bay.y - metres * np.sin(bay.heading)


def test_a_car_park_by_hand():
    """41 m are two modules of two bays and an aisle, 2 x (2 x 5.1 + 6.2) = 32.8 m, with 4.1 m on each side.

    Rows of bays are 5.1 m deep: their middles lie 2.55 m and 13.85 m into each module.
    """
    frame = PlotFrame((0.0, 0.0), 0.0, 50.0, 41.0)
    sketch = drawn(parking, frame, 1)
    assert (BAY_DEPTH_M, AISLE_M) == (5.1, 6.2)
    rows = sorted({round(bay.y, 6) for bay in sketch.bays})
    assert rows == pytest.approx([4.1 + 2.55, 4.1 + 13.85, 20.5 + 2.55, 20.5 + 13.85])
    noses = {round(bay.y, 6): np.sin(bay.heading) for bay in sketch.bays}
    assert [round(noses[y]) for y in rows] == [-1, 1, -1, 1]  # away from the aisle in their middle
    assert {bay.length for bay in sketch.bays} == {BAY_DEPTH_M}
    assert {bay.habit for bay in sketch.bays} == {"bay"}
    assert len({bay.chance for bay in sketch.bays}) == 1


def test_a_high_frame_is_laid_out_along_its_longer_side():
    wide, high = PlotFrame((0.0, 0.0), 0.0, 50.0, 41.0), PlotFrame((0.0, 0.0), 0.0, 41.0, 50.0)
    assert len(drawn(parking, wide, 1).bays) == len(drawn(parking, high, 1).bays)
    assert {round(abs(np.cos(bay.heading))) for bay in drawn(parking, high, 1).bays} == {1}


@pytest.mark.parametrize(("height", "rows"), [(9.5, 0), (9.7, 1), (16.3, 1), (16.5, 2)])
def test_a_low_frame_has_one_row_or_none(height, rows):
    sketch = drawn(parking, PlotFrame((0.0, 0.0), 0.0, 50.0, height), 1)
    assert len({round(bay.y, 3) for bay in sketch.bays}) == rows
    assert [s.material for s in sketch.shapes[DrawingLayer.YARD]] == [Material.ASPHALT]


def test_islands_are_planted_and_hold_no_bay():
    planted = next(
        s for s in (drawn(parking, PlotFrame((0, 0), 0.0, 60.0, 20.0), k) for k in range(9)) if s.trees
    )
    islands = [shapely.Polygon(p) for p in filled(planted, DrawingLayer.FURNITURE)]
    assert all(any(i.contains(shapely.Point(t.x, t.y)) for i in islands) for t in planted.trees)
    assert not any(i.contains(shapely.Point(b.x, b.y)) for i in islands for b in planted.bays)
