"""Measures: sides and areas at once, against each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from sodslice import GeoRef
from sodslice.place.measures import STRAIGHT_M
from tests.placed_results import SCENES, placed_result


@pytest.mark.parametrize("scene", SCENES)
def test_measures_of_small_boxes_are_those_between_the_middles_of_edges(scene):
    georef, boxes = SCENES[scene], placed_result().detections.boxes
    sides, areas = georef.ground_measures_m(boxes)
    np.testing.assert_allclose(sides, georef.ground_size_m(boxes), rtol=1e-7)
    np.testing.assert_allclose(areas, georef.area_m2(boxes), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e3, 1e5])
def test_measures_of_large_boxes_are_too(scale):
    georef = GeoRef((scale, 0, -4e6, 0, -scale, 4e6), "EPSG:3035")
    boxes = np.array([[10.0, 10, 14, 13], [20, 30, 20.5, 30.25]])
    sides, areas = georef.ground_measures_m(boxes)
    np.testing.assert_array_equal(sides, georef.ground_size_m(boxes))
    np.testing.assert_array_equal(areas, georef.area_m2(boxes))


def test_the_longest_straight_side_is_within_a_billionth_of_its_length():
    georef = GeoRef((1.0, 0, 500_000, 0, -1.0, 5_700_000), "EPSG:32633")
    box = np.array([[0.0, 0, STRAIGHT_M * 0.99, STRAIGHT_M * 0.99]])
    np.testing.assert_allclose(georef.ground_measures_m(box)[0], georef.ground_size_m(box), rtol=1e-9)
