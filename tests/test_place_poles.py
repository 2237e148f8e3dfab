"""Places near the poles: PROJ's rounding, and control points in degrees."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from sodslice import GeoRef
from sodslice.place.poles import around_pole

GEOD = pyproj.Geod(ellps="WGS84")


@pytest.mark.parametrize("crs", ["EPSG:3571", "EPSG:3576", "EPSG:6932"])
@pytest.mark.parametrize("step", [0.001, 0.01, 0.1, 1])
def test_equal_area_scenes_are_as_exact_at_the_pole_as_elsewhere(crs, step):
    """PROJ's own latitudes are off by centimetres there."""
    pole = -90.0 if crs == "EPSG:6932" else 90.0
    way = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    x, y = way.transform(0.0, pole, direction="INVERSE")
    georef = GeoRef((step, 0, x, 0, -step, y), crs)
    turns = np.radians(np.arange(0, 360, 15))
    for radius in (0.0, 1.0, 7.0, 400.0):
        places = georef.to_lonlat(radius * np.stack([np.cos(turns), np.sin(turns)], axis=1))
        metres = (90 - np.abs(places[:, 1])) * 111_693.98  # of a degree of latitude at the pole
        np.testing.assert_allclose(metres, radius * step, rtol=1e-5, atol=2e-9)
        back = georef.from_lonlat(places) - radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        assert np.abs(back).max() * step < 1e-5
        if radius:
            steps = np.mod(np.diff(places[:, 0]) + 180, 360) - 180
            np.testing.assert_allclose(np.abs(steps), 15, atol=1e-3)


def control_points(georef, size: int, count: int = 8):
    """Control points in degrees, evenly spread over a scene."""
    line = np.linspace(0, size, count)
    pixels = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return tuple(
        (*pixel, *place)
        for pixel, place in zip(pixels.tolist(), georef.to_lonlat(pixels).tolist(), strict=True)
    )


@pytest.mark.parametrize("crs", ["EPSG:3995", "EPSG:3031"])
@pytest.mark.parametrize("corner", [(-200_000, 150_000), (-50_000, 300_000)])
def test_control_points_in_degrees_place_a_scene_over_a_pole(crs, corner):
    truth = GeoRef((40.0, 0, corner[0], 0, -40.0, corner[1]), crs)
    points, plane = around_pole(control_points(truth, 8000), "EPSG:4326")
    pixels = np.random.default_rng(0).uniform(0, 8000, (100, 2))
    found, wanted = GeoRef(None, plane, gcps=points).to_lonlat(pixels), truth.to_lonlat(pixels)
    assert GEOD.inv(*found.T, *wanted.T)[2] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("crs", "latitude"), [("EPSG:4326", 60.0), ("EPSG:4326", 95.0), ("EPSG:32632", 87.0), ("EPSG:3031", 87.0)]
)
def test_other_control_points_stay_as_they_are(crs, latitude):
    points = ((0.0, 0.0, 1.0, latitude), (9.0, 0.0, 2.0, latitude), (0.0, 9.0, 1.0, latitude - 1))
    assert around_pole(points, crs) == (points, crs)
