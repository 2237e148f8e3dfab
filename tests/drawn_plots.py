"""What every drawing of a plot must keep, whoever draws it: homes, trades, car parks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import shapely
from hypothesis import strategies as st

from sodslice.synthetic import SceneSpec
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import DrawingLayer, PlotFrame, Sketch
from sodslice.synthetic.town import PLOT_GAP_M
from sodslice.synthetic.traffic import park_vehicles
from sodslice.synthetic.vehicles import Vehicle, silhouette, turn

Draw = Callable[[Sketch, PlotFrame, Dice], None]

SUN = SceneSpec(10, 10).sun

seeds = st.integers(0, 10**6)
places = st.tuples(st.floats(-500, 500), st.floats(-500, 500))
headings = st.floats(-3.2, 3.2)

DENSE = 100.0
"""A density at which every bay is taken."""

BUMPERS_M = 0.01
"""Bays meet end to end, and whoever stands in one a little askew may reach so far over its end."""


def frames(widths=(34.0, 85.0), heights=(30.0, 66.0)):
    """Plots, by default of the sizes that towns have, anywhere and turned anyhow."""
    return st.builds(PlotFrame, places, headings, st.floats(*widths), st.floats(*heights))


def drawn(draw: Draw, frame: PlotFrame, seed: int) -> Sketch:
    sketch = Sketch()
    draw(sketch, frame, Dice(seed, "plot"))
    return sketch


def in_own_metres(frame: PlotFrame, points: np.ndarray) -> np.ndarray:
    """Points `(..., 2)` of the scene in the metres of the plot: undoes `PlotFrame.place`."""
    x, y = np.moveaxis(np.asarray(points) - frame.corner, -1, 0)
    cos, sin = np.cos(frame.heading), np.sin(frame.heading)
    return np.stack([x * cos + y * sin, y * cos - x * sin], axis=-1)


def filled(sketch: Sketch, *layers: DrawingLayer) -> list[np.ndarray]:
    """The polygons of some layers, or of all."""
    chosen = layers or tuple(sketch.shapes)
    return [shape.polygon for layer in chosen for shape in sketch.shapes.get(layer, [])]


def outline(vehicle: Vehicle) -> shapely.Geometry:
    """Body and mirrors of a vehicle as one shape."""
    return shapely.union_all([shapely.Polygon(part) for part in turn(vehicle, silhouette(vehicle))])


def parked(sketch: Sketch, seed: int, density: float = DENSE) -> list[Vehicle]:
    return park_vehicles(tuple(sketch.bays), density, Dice(seed, "parked"))


def assert_all_inside(sketch: Sketch, frame: PlotFrame, *, slack: float = PLOT_GAP_M) -> None:
    """Nothing reaches beyond the strip that is left free around plots; crowns may hang over it."""
    trunks = np.array([tree[:2] for tree in sketch.trees]).reshape(-1, 2)
    parts = [*filled(sketch), *(caster.polygon for caster in sketch.casters), trunks]
    parts += [shapely.get_coordinates(outline(vehicle)) for vehicle in parked(sketch, 0)]
    own = in_own_metres(frame, np.concatenate(parts))
    assert (own >= -slack).all()
    assert (own <= np.array([frame.width, frame.height]) + slack).all()


def assert_beside_each_other(vehicles: Iterable[Vehicle]) -> None:
    """No vehicle stands on another."""
    shapes = shapely.buffer([outline(vehicle) for vehicle in vehicles], -BUMPERS_M)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    assert (one == other).all()


def assert_parked_in_the_open(draw: Draw, frame: PlotFrame, seed: int) -> None:
    """Vehicles stand neither on one another nor below roofs, nor in hedges, sheds and islands."""
    sketch = drawn(draw, frame, seed)
    vehicles = parked(sketch, seed)
    assert len(vehicles) == len(sketch.bays)
    assert_beside_each_other(vehicles)
    blocked = [shapely.Polygon(p) for p in filled(sketch, DrawingLayer.ROOF, DrawingLayer.FURNITURE)]
    tree = shapely.STRtree([outline(vehicle) for vehicle in vehicles])
    assert tree.query(np.array(blocked, object), predicate="intersects").size == 0


def assert_same_drawing(one: Sketch, other: Sketch) -> None:
    """Everything is equal to the last bit."""
    assert list(one.shapes) == list(other.shapes)
    for layer, shapes in one.shapes.items():
        assert [shape[1:] for shape in shapes] == [shape[1:] for shape in other.shapes[layer]]
        _assert_same_polygons([s.polygon for s in shapes], [s.polygon for s in other.shapes[layer]])
    assert [caster.height for caster in one.casters] == [caster.height for caster in other.casters]
    _assert_same_polygons([c.polygon for c in one.casters], [c.polygon for c in other.casters])
    assert (one.trees, one.bays) == (other.trees, other.bays)


def _assert_same_polygons(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def assert_moves_with_its_plot(draw: Draw, frame: PlotFrame, seed: int) -> None:
    """In its own metres the same plot holds the same things wherever it lies."""
    plain = PlotFrame((0.0, 0.0), 0.0, frame.width, frame.height)
    here, there = drawn(draw, plain, seed), drawn(draw, frame, seed)
    for layer in DrawingLayer:
        own = [polygon.mean(axis=0) for polygon in filled(here, layer)]
        moved = [in_own_metres(frame, polygon).mean(axis=0) for polygon in filled(there, layer)]
        np.testing.assert_allclose(moved, own, atol=1e-6)
    for name in ("trees", "bays"):
        own = np.array([thing[:2] for thing in getattr(here, name)]).reshape(-1, 2)
        moved = np.array([thing[:2] for thing in getattr(there, name)]).reshape(-1, 2)
        np.testing.assert_allclose(in_own_metres(frame, moved), own, atol=1e-6)
    turned = [there_.heading - here_.heading for here_, there_ in zip(here.bays, there.bays, strict=True)]
    np.testing.assert_allclose(np.exp(1j * np.array(turned)), np.exp(1j * frame.heading), atol=1e-9)


def assert_equal_dice_are_an_equal_drawing(draw: Draw, frame: PlotFrame, seed: int) -> None:
    assert_same_drawing(drawn(draw, frame, seed), drawn(draw, frame, seed))


def assert_fewer_are_a_part_of_more(draw: Draw, frame: PlotFrame, seed: int) -> None:
    """Vehicles that park where there are few park there too where there are more."""
    sketch = drawn(draw, frame, seed)
    few, usual, many = (parked(sketch, seed, density) for density in (0.3, 1.0, DENSE))
    assert set(few) <= set(usual) <= set(many)
    assert parked(sketch, seed, 0.0) == []


EVERY_LAW = pytest.mark.parametrize(
    "law",
    [
        assert_parked_in_the_open,
        assert_equal_dice_are_an_equal_drawing,
        assert_moves_with_its_plot,
        assert_fewer_are_a_part_of_more,
    ],
)
"""What holds of every drawing of a plot: each takes who draws, the plot, and the seed of the dice."""
