"""The truth against independent oracles: the cells that were filled, and shapely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from sodslice.synthetic import KINDS, SceneSpec, render, truth
from sodslice.synthetic.canvas import SUB, Canvas, DrawnWindow
from sodslice.synthetic.render import _draw_vehicles, town_of
from sodslice.synthetic.sketch import DrawingLayer
from sodslice.synthetic.vehicles import BUILDS, silhouette, turn

SPEC = SceneSpec(1200, 1100, gsd_m=0.15, seed=11)


def placed_vehicles(spec):
    """Every vehicle of the plan, with the share of it that can be seen."""
    town = town_of(spec)
    return [seen for cell in town.all_cells() for seen in town.vehicles(cell)]


def outline(vehicle, gsd_m=1.0):
    """Body and mirrors as one shapely polygon, in metres or pixels."""
    return shapely.union_all([shapely.Polygon(part / gsd_m) for part in turn(vehicle, silhouette(vehicle))])


@pytest.mark.parametrize("gsd_m", [0.08, 0.12, 0.3])
def test_truth_boxes_are_exact_to_a_quarter_of_a_pixel_of_what_is_filled(gsd_m):
    spec = SceneSpec(int(110 / gsd_m), int(110 / gsd_m), gsd_m, seed=1, nodata=False)
    town = town_of(spec)
    boxes = {tuple(box) for box in truth(spec).boxes}
    errors = []
    for vehicle, _ in placed_vehicles(spec):
        box = np.array(outline(vehicle, gsd_m).bounds)
        if tuple(box) not in boxes:
            continue  # cut at the scene's edge
        corner = np.floor(box[:2]).astype(int) - 3
        size = np.ceil(box[2:]).astype(int) + 3 - corner
        canvas = Canvas(DrawnWindow(*corner.tolist(), *size.tolist()), gsd_m)
        canvas._colours[:] = 255  # no panel is pure white
        _draw_vehicles(canvas, [vehicle], town)
        rows, columns = np.nonzero((canvas._colours != 255).any(axis=2))
        filled = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / SUB
        errors.append(filled + np.tile(corner, 2) - box)
    assert len(errors) > 40
    assert np.abs(errors).max() < 0.25
    assert np.abs(np.mean(errors, axis=0)).max() < 0.06


def test_vehicles_are_seen_in_the_picture_where_the_truth_says():
    """Shadows only darken: whatever a vehicle makes brighter lies in its box, and white ones fill theirs."""
    spec = replace(SPEC, blur_px=0.0, noise=0.0, nodata=False, width=700, height=600)
    brighter = (render(spec).astype(int) - render(replace(spec, vehicles=0))).max(axis=2) > 8
    inside = np.zeros_like(brighter)
    for x0, y0, x1, y1 in truth(spec).boxes:
        inside[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
    assert not brighter[~inside].any()
    white = [
        seen.vehicle for seen in placed_vehicles(spec) if seen.share == 1 and min(seen.vehicle.paint) > 200
    ]
    assert len(white) > 4
    for vehicle in white:
        x0, y0, x1, y1 = (int(side) for side in outline(vehicle, spec.gsd_m).bounds)
        part = brighter[y0 : y1 + 1, x0 : x1 + 1]
        assert part.any(axis=0).mean() > 0.8
        assert part.any(axis=1).mean() > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_vehicles_stand_beside_each_other_and_not_under_roofs(seed):
    spec = SceneSpec(1500, 1500, 0.12, seed=seed, vehicles=2.0, nodata=False)
    shapes = np.array([outline(seen.vehicle) for seen in placed_vehicles(spec)])
    assert len(shapes) > 150
    tree = shapely.STRtree(shapes)
    one, other = tree.query(shapes, predicate="intersects")
    assert (one == other).all()
    town = town_of(spec)
    blocked = []
    for cell in town.all_cells():
        for layer in (DrawingLayer.ROOF, DrawingLayer.FURNITURE):
            shelf = town.plan.piece(cell).layers.get(layer)
            if shelf is not None:
                blocked += [shapely.Polygon(part) for part in np.split(shelf.corners, shelf.starts[1:-1])]
    assert len(blocked) > 30
    assert tree.query(np.array(blocked), predicate="intersects").size == 0


def test_visible_shares_are_those_of_the_shapes():
    side = SPEC.photographed
    assert side is not None
    frame = shapely.box(0, 0, SPEC.width, SPEC.height)
    far = 4.0 * (SPEC.width + SPEC.height)
    foot = np.array([side.a, side.b]) * side.c
    along = np.array([-side.b, side.a]) * far
    data = shapely.Polygon(
        [
            foot + along,
            foot - along,
            foot - along - far * np.array(side[:2]),
            foot + along - far * np.array(side[:2]),
        ]
    )
    town = town_of(SPEC)
    trees = np.concatenate([town.plan.piece(cell).trees for cell in town.all_cells()])
    crowns = shapely.union_all(
        shapely.buffer(shapely.points(trees[:, :2] / SPEC.gsd_m), 0.92 * trees[:, 2] / SPEC.gsd_m)
    )
    found = truth(SPEC)
    free = shapely.difference(shapely.intersection(frame, data), crowns)
    bodies = shapely.polygons(found.corners)
    shares = shapely.area(shapely.intersection(bodies, free)) / shapely.area(bodies)
    assert (found.visible < 0.99).sum() > 5
    assert np.abs(shares - found.visible).max() < 0.06


def test_boxes_are_cut_at_the_edge_and_at_the_no_data_wedge():
    cut_by_wedge = 0
    for width in range(320, 800, 80):
        spec = SceneSpec(width, 560, 0.15, seed=1, vehicles=2.0)
        side = spec.photographed
        far = 1e4
        foot, normal = np.array([side.a, side.b]) * side.c, np.array([side.a, side.b])
        along = np.array([-side.b, side.a]) * far
        data = shapely.Polygon(
            [foot + along, foot - along, foot - along - far * normal, foot + along - far * normal]
        )
        area = shapely.intersection(shapely.box(0, 0, width, 560), data)
        shapes = [outline(seen.vehicle, spec.gsd_m) for seen in placed_vehicles(spec)]
        cut_by_wedge += sum(not data.contains(shape) for shape in shapes)
        expected = np.array([shapely.intersection(shape, area).bounds for shape in shapes])
        found = truth(spec).boxes
        order = np.lexsort((expected[:, 3], expected[:, 2], expected[:, 0], expected[:, 1]))
        np.testing.assert_allclose(found, expected[order], atol=1e-6)
        assert (found >= 0).all()
        assert (found <= (width, 560, width, 560)).all()
    assert cut_by_wedge >= 3


def test_rows_are_ordered_and_read_only():
    found = truth(SPEC)
    x0, y0, x1, y1 = found.boxes.T
    np.testing.assert_array_equal(np.lexsort((y1, x1, x0, y0)), np.arange(len(found)))
    with pytest.raises(ValueError, match="read-only"):
        found.boxes[0, 0] = 1.0


def test_sizes_are_those_of_real_vehicles():
    found = truth(replace(SPEC, width=2000, height=2000, nodata=False))
    sides = np.linalg.norm(np.diff(found.corners, axis=1), axis=2) * SPEC.gsd_m
    width, length = sides[:, 0], sides[:, 1]
    assert set(found.kind_names) == set(KINDS)
    for kind, build in BUILDS.items():
        chosen = found.kinds == KINDS.index(kind)
        assert length[chosen].max() <= build.length[1] + 1e-9
        assert (width[chosen] >= build.width[0] - 1e-9).all()
        assert (width[chosen] <= build.width[1] + 1e-9).all()
    assert 4.2 < np.median(length) < 4.9
    cars = found.kinds < KINDS.index("van")
    assert cars.mean() > 0.8


def test_vehicles_stand_at_many_angles():
    found = truth(replace(SPEC, width=2000, height=2000))
    ahead = found.corners[:, 0] - found.corners[:, 3]
    turned = np.degrees(np.arctan2(ahead[:, 1], ahead[:, 0])) % 90
    assert np.ptp(turned) > 30


def test_a_seed_keeps_its_town():
    """Worked out once: whoever changes the plan changes every benchmark that was measured on it."""
    found = truth(SceneSpec(600, 600, seed=7))
    assert (len(found), found.kind_names[0]) == (17, "suv")
    np.testing.assert_allclose(found.boxes[0], (28.1742, 119.4756, 55.0733, 157.5598), atol=1e-3)
