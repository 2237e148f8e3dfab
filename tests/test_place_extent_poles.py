"""Areas of interest on scenes at the poles, and on scenes that reach beyond the edge of the Earth."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely

from sodslice import GeoRef, SodsliceError
from sodslice.errors import SceneError
from sodslice.place.areas import Area, read_area
from sodslice.place.extent import restrict
from tests.test_place_ground import POLAR, at_pole, pole_of

SIZE = (2000, 2000)


def scene(crs: str) -> GeoRef:
    """A grid of 10 m a pixel with the pole in its middle."""
    (x, y), _ = pole_of(crs)
    return GeoRef((10.0, 0, x - 10_000, 0, -10.0, y + 10_000), crs)


def tiles(side: int = 250) -> np.ndarray:
    steps = np.arange(0, SIZE[0], side)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    return np.stack([x, y, x + side, y + side], axis=1).astype(float)


def cap(pole: float, degrees: float, west: float = -180, east: float = 180) -> Area:
    low, high = sorted((pole, np.copysign(90 - degrees, pole)))
    return Area("cap", shapely.box(west, low, east, high), None)


@pytest.mark.parametrize("crs", POLAR)
@pytest.mark.parametrize("wedge", [(-180, 180), (-180, -90), (30, 100), (170, 180)])
def test_an_area_in_degrees_around_the_pole_holds_what_lies_in_it(crs, wedge):
    georef, (_, pole) = scene(crs), pole_of(crs)
    within = restrict(georef, SIZE, area=cap(pole, 0.05, *wedge))
    points = np.random.default_rng(0).uniform(0, 2000, (2000, 2))
    lon, lat = georef.to_lonlat(points).T
    expected = (np.abs(lat) >= 89.95) & (lon >= wedge[0]) & (lon <= wedge[1])
    assert 5 < expected.sum() < 2000
    assert (within.holds(points) == expected).all()
    boxes = tiles()
    touched = boxes[within.touches(boxes)]
    inside = (points[expected][:, None] >= touched[:, :2]) & (points[expected][:, None] <= touched[:, 2:])
    assert inside.all(axis=2).any(axis=1).all()
    assert len(touched) < len(boxes)


@pytest.mark.parametrize("crs", ["EPSG:3031", "EPSG:5041", "EPSG:3571"])
@pytest.mark.parametrize("turn", [0, 20])
def test_an_area_in_the_crs_of_the_scene_holds_the_same_pixels(crs, turn):
    georef = at_pole(crs, 0, turn=turn)
    corners = np.array([[30.0, 40], [70, 40], [70, 60], [30, 60]])
    within = restrict(georef, (100, 100), area=Area("box", shapely.Polygon(georef.to_map(corners)), crs))
    points = np.array([[50.0, 50], [31, 41], [29, 50], [50, 61]])
    assert within.holds(points).tolist() == [True, True, False, False]
    assert within.touches(np.array([[0.0, 0, 45, 45], [0, 0, 20, 20]])).tolist() == [True, False]


@pytest.mark.parametrize("crs", ["EPSG:3031", "EPSG:3413", "EPSG:6932"])
@pytest.mark.parametrize(
    "area", ["POLYGON ((7 51, 8 51, 8 52, 7 51))", "POLYGON ((0 80, 90 80, 90 81, 0 80))"]
)
def test_an_area_elsewhere_does_not_touch_a_scene_with_the_pole_in_it(crs, area):
    with pytest.raises(SceneError, match="does not touch the scene"):
        restrict(scene(crs), SIZE, area=read_area(area))


def test_what_lies_beyond_the_edge_of_the_earth_is_in_no_area():
    georef = GeoRef((1e5, 0, -2e7, 0, -1e5, 1e7), "+proj=sinu +R=6371007.181")
    within = restrict(georef, (400, 200), area=Area("Earth", shapely.box(-180, -90, 180, 90), None))
    points = np.array([[200.0, 100], [390, 20], [10, 180], [300, 80]])
    assert within.holds(points).tolist() == [True, False, False, True]
    assert within.touches(np.array([[150.0, 50, 250, 150]])).all()


def test_a_tile_around_the_pole_is_left_out_where_the_area_is_farther_from_it():
    georef = scene("EPSG:3031")
    ring = shapely.box(-180, -89.95, 180, -89.94)
    within = restrict(georef, SIZE, area=Area("ring", ring, None))
    middle, outer = np.array([[900.0, 900, 1100, 1100]]), np.array([[300.0, 300, 1700, 1700]])
    assert not within.touches(middle).any()
    assert within.touches(outer).all()
    assert pyproj.Geod(ellps="WGS84").inv(0, -90, 0, -89.945)[2] == pytest.approx(6143, abs=5)


def test_an_area_with_a_crs_cannot_be_put_on_a_scene_without_a_place():
    with pytest.raises(SodsliceError, match="has a CRS and the scene has none; use `window`"):
        restrict(GeoRef((1, 0, 0, 0, -1, 0)), SIZE, area=Area("a", shapely.box(0, 0, 1, 1), "EPSG:32632"))
