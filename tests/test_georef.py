from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import GeoRef, SodsliceError

GEOD = pyproj.Geod(ellps="WGS84")


def rotated(degrees: float, gsd: float = 0.1, corner=(500_000.0, 5_300_000.0)) -> tuple[float, ...]:
    c, s = math.cos(math.radians(degrees)) * gsd, math.sin(math.radians(degrees)) * gsd
    return (c, s, corner[0], s, -c, corner[1])


VARIANTS = {
    "north-up UTM": GeoRef((0.1, 0, 5e5, 0, -0.1, 5.3e6), "EPSG:32632"),
    "rotated UTM": GeoRef(rotated(30), "EPSG:32632"),
    "south-up UTM": GeoRef((0.1, 0, 5e5, 0, 0.1, 5.3e6), "EPSG:32632"),
    "sheared UTM": GeoRef((0.1, 0.03, 5e5, 0, -0.1, 5.3e6), "EPSG:32632"),
    "degrees": GeoRef((1e-6, 0, 11.0, 0, -1e-6, 48.0), "EPSG:4326"),
    "Web Mercator": GeoRef((0.15, 0, 1_224_514.0, 0, -0.15, 6_106_854.0), "EPSG:3857"),
    "World Mercator": GeoRef((0.1, 0, -5_000_000.0, 0, -0.1, -2_700_000.0), "EPSG:3395"),
}


@pytest.mark.parametrize("georef", VARIANTS.values(), ids=VARIANTS.keys())
@settings(deadline=None, max_examples=30)
@given(points=st.lists(st.tuples(st.floats(-10, 60_000), st.floats(-10, 60_000)), min_size=1, max_size=5))
def test_pixel_to_map_to_pixel_is_the_identity(georef, points):
    pixels = np.array(points, dtype=np.float64)
    np.testing.assert_allclose(georef.to_pixels(georef.to_map(pixels)), pixels, atol=1e-6)


@pytest.mark.parametrize("georef", VARIANTS.values(), ids=VARIANTS.keys())
def test_lonlat_and_back_is_the_identity(georef):
    pixels = np.array([[0, 0], [1000.5, 20.25], [3000, 4000]])
    np.testing.assert_allclose(georef.from_lonlat(georef.to_lonlat(pixels)), pixels, atol=1e-4)


@pytest.mark.parametrize("georef", VARIANTS.values(), ids=VARIANTS.keys())
def test_area_and_size_agree_with_geodesics(georef):
    boxes = np.array([[100, 200, 140, 220], [5000, 7000, 5200, 7100]], dtype=np.float64)
    for (x0, y0, x1, y1), area, (width, height) in zip(
        boxes, georef.area_m2(boxes), georef.ground_size_m(boxes), strict=True
    ):
        ring = georef.to_lonlat(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
        expected, _ = GEOD.polygon_area_perimeter(*ring.T)
        assert area == pytest.approx(abs(expected), rel=1e-4)
        left, right, top, bottom = georef.to_lonlat(
            np.array([[x0, (y0 + y1) / 2], [x1, (y0 + y1) / 2], [(x0 + x1) / 2, y0], [(x0 + x1) / 2, y1]])
        )
        assert width == pytest.approx(GEOD.inv(*left, *right)[2], rel=1e-4)
        assert height == pytest.approx(GEOD.inv(*top, *bottom)[2], rel=1e-4)


def test_pixel_edges_go_straight_through_the_affine():
    georef = VARIANTS["north-up UTM"]
    assert georef.to_map(np.array([[0.0, 0.0], [10, 10]])).tolist() == [
        [5e5, 5.3e6],
        [500_001.0, 5_299_999.0],
    ]


def test_web_mercator_metres_are_ground_metres():
    georef = VARIANTS["Web Mercator"]
    latitude = georef.to_lonlat(np.array([[0.0, 0.0]]))[0, 1]
    assert georef.gsd_m(2, 2) == pytest.approx(0.15 * math.cos(math.radians(latitude)), rel=5e-3)


def test_a_scene_across_the_antimeridian_has_small_boxes():
    georef = GeoRef((1.0, 0, 830_000.0, 0, -1.0, 200_000.0), "EPSG:32660")
    boxes = np.array([[x, 0, x + 40, 30] for x in range(0, 8000, 10)], dtype=np.float64)
    lon = georef.to_lonlat(boxes[:, :2])[:, 0]
    assert lon.min() < -179
    assert lon.max() > 179
    assert np.allclose(georef.area_m2(boxes), 1200, rtol=0.01)


def degrees(step, west, north=60.0, crs="EPSG:4326"):
    return GeoRef((step, 0, west, 0, -step, north), crs)


CORNERS = [(0, 0, 178.9, 60.0), (900, 0, 179.9, 60.0), (0, 900, 178.9, 59.0), (3000, 3000, 182.2, 56.7)]


@pytest.mark.parametrize(
    ("georef", "size"),
    [
        (degrees(1e-6, 359.0), 3000),
        (degrees(1e-6, 359.999), 3000),
        (degrees(1e-6, 179.999), 3000),
        (degrees(1e-6, -180.001), 3000),
        (degrees(1e-6, -181.0), 3000),
        (degrees(1e-6, 719.0), 3000),
        (degrees(1e-4, 179.9), 3000),
        (degrees(0.1, 0.0), 3599),
        (degrees(0.1, -0.05), 3599),
        (degrees(0.1, -180.0), 3600),
        (degrees(1e-4, -180.0), 3_600_000),
        (degrees(1e-4, -170.0), 3_400_000),
        (degrees(1e-4, 220.0, crs="EPSG:4807"), 3000),
        (GeoRef(None, "EPSG:4326", gcps=tuple(CORNERS)), 3000),
        (GeoRef((1e-6, 5e-7, 179.999, 5e-7, -1e-6, 60.0), "EPSG:4326"), 3000),
        (GeoRef((-1e-6, 0, 180.001, 0, -1e-6, 60.0), "EPSG:4326"), 3000),
    ],
)
def test_longitudes_are_within_a_half_turn_and_come_back_to_the_scene(georef, size):
    pixels = np.array([[x * size, y * 300] for x in (0, 0.1, 0.5, 0.9, 1) for y in (0, 0.5, 1)], float)
    places = georef.to_lonlat(pixels)
    assert np.abs(places[:, 0]).max() <= 180
    np.testing.assert_allclose(georef.from_lonlat(places), pixels, atol=2e-3)


def test_a_place_at_minus_1_lies_in_a_scene_at_359():
    assert degrees(0.001, 358.0).from_lonlat(np.array([[-1.0, 59.9]])) == pytest.approx(
        np.array([[1000.0, 100.0]])
    )
    assert degrees(0.001, 358.0).to_lonlat(np.array([[1000.0, 100.0]])) == pytest.approx(
        np.array([[-1.0, 59.9]])
    )


def test_a_place_beside_a_scene_stays_beside_it():
    for step in (1e-6, 1e-4, 0.1):
        for west in (11.0, -180.0, 179.9, 359.0):
            georef = degrees(step, west)
            beside = np.array([[-30.0, 5.0]])
            assert georef.from_lonlat(georef.to_map(beside)) == pytest.approx(beside, abs=1e-3)


def test_the_antimeridian_itself_stays_on_its_side():
    lon = degrees(0.1, 179.0).to_lonlat(np.array([[9.9999999999, 0], [10, 0], [10.0000000001, 0], [11, 0]]))
    assert lon[:, 0].tolist() == pytest.approx([180, 180, 180, -179.9])
    assert degrees(0.1, -180.0).to_lonlat(np.array([[0.0, 0.0], [3600.0, 0.0]]))[:, 0].tolist() == [-180, 180]


def test_dict_and_back():
    georef = VARIANTS["rotated UTM"]
    assert GeoRef.from_dict(georef.as_dict()) == georef
    assert GeoRef.from_dict(GeoRef().as_dict()) == GeoRef()


def test_what_cannot_be_placed_says_why():
    with pytest.raises(SodsliceError, match="no geotransform"):
        GeoRef().to_map(np.zeros((1, 2)))
    with pytest.raises(SodsliceError, match="no CRS"):
        GeoRef((1, 0, 0, 0, 1, 0)).to_lonlat(np.zeros((1, 2)))
    with pytest.raises(SodsliceError, match="invertible"):
        GeoRef((1, 1, 0, 1, 1, 0))
    with pytest.raises(SodsliceError, match="six transform numbers"):
        GeoRef.from_dict({"transform": [1, 2, 3]})
    with pytest.raises(SodsliceError, match="PROJ cannot turn"):
        GeoRef((1, 0, 0, 0, 1, 0), "EPSG:999999").to_lonlat(np.zeros((1, 2)))
