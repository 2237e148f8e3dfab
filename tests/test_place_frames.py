"""Frames: boxes in degrees, in other CRSs and in pixels, against pyproj and shapely."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely

from sodslice import GeoRef
from sodslice.errors import GeoRefError
from sodslice.place.edges import corners
from sodslice.place.frames import DEGREES, PIXELS, frame_of
from sodslice.place.polygons import has_several_parts, point_texts, point_wkbs, polygon_wkbs
from tests.placed_results import MERIDIAN, POLAR, ROTATED, SCENES, UTM, placed_result
from tests.written import geometries

BOXES = np.round(placed_result().detections.boxes, 3)


@pytest.mark.parametrize("words", ["EPSG:4326", "4326", "OGC:CRS84", "WGS84"])
def test_wgs_84_has_one_frame_however_it_is_called(words):
    assert frame_of(UTM, words) == DEGREES


def test_a_frame_is_told_by_crs_and_pixels_have_none():
    assert frame_of(UTM, "native").crs == "EPSG:32616"
    assert frame_of(UTM, "EPSG:3857").degrees is False
    assert frame_of(UTM, "EPSG:4269").degrees is True
    assert frame_of(GeoRef(), "native", pixels=True) == PIXELS
    np.testing.assert_array_equal(PIXELS.footprints(GeoRef(), BOXES).corners, corners(BOXES))


@pytest.mark.parametrize("crs", ["native", "EPSG:3857", "EPSG:2056", "EPSG:4258", "EPSG:4326"])
def test_corners_are_those_of_pyproj(crs):
    frame = frame_of(ROTATED, crs)
    mapped = ROTATED.to_map(corners(BOXES).reshape(-1, 2))
    way = pyproj.Transformer.from_crs(ROTATED.crs, frame.crs, always_xy=True)
    expected = np.stack(way.transform(*mapped.T), axis=1).reshape(-1, 4, 2)
    places = frame.footprints(ROTATED, BOXES)
    np.testing.assert_allclose(places.corners, expected, atol=1e-9 if frame.degrees else 2e-2)
    middles = frame.centres(ROTATED, BOXES)
    np.testing.assert_allclose(middles, expected.mean(axis=1), atol=1e-6 if frame.degrees else 1e-1)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("crs", ["EPSG:4326", "native", "EPSG:4258"])
@pytest.mark.parametrize("multi", [False, True])
def test_wkb_is_shapelys_and_the_same_as_geojson(scene, crs, multi):
    georef = SCENES[scene]
    places = frame_of(georef, crs).footprints(georef, BOXES)
    shapes = shapely.from_wkb(polygon_wkbs(places, multi=multi))
    assert shapely.is_valid(shapes).all()
    texts = [shapely.geometry.shape(one) for one in geometries(places, 7)]
    for shape, text in zip(shapes, texts, strict=True):
        assert shapely.hausdorff_distance(shape, text) <= 1e-7
        for part in shapely.get_parts(shape):
            assert part.exterior.is_ccw
    if multi:
        assert set(shapely.get_type_id(shapes)) == {shapely.GeometryType.MULTIPOLYGON}
    assert has_several_parts(places) == any(text.geom_type == "MultiPolygon" for text in texts)


def test_a_datum_does_not_take_a_box_to_the_other_side_of_the_antimeridian():
    places = frame_of(MERIDIAN, "EPSG:4269").footprints(
        MERIDIAN, np.array([[480.0, 10, 500, 20], [500, 10, 520, 20]])
    )
    west, east = shapely.from_wkb(polygon_wkbs(places))
    assert west.bounds[2] <= 180
    assert west.bounds[0] > 179
    assert east.bounds[0] >= -180
    assert east.bounds[2] < -179


def test_points_are_written_like_shapely_writes_them():
    points = np.array([[1.5, -2.25], [179.123456789, 80.0]])
    assert [shapely.to_wkb(shapely.Point(point), byte_order=1) for point in points] == point_wkbs(points)
    assert point_texts(points, 7)[1] == b'{"type":"Point","coordinates":[179.1234568,80.0]}'
    assert point_wkbs(np.empty((0, 2))) == point_texts(np.empty((0, 2)), 7) == []


def test_what_is_no_frame_is_said():
    with pytest.raises(GeoRefError, match="the scene has no CRS"):
        frame_of(GeoRef((1, 0, 0, 0, -1, 0)), "native")
    with pytest.raises(GeoRefError, match="the scene has no CRS"):
        frame_of(GeoRef(), "EPSG:3857")
    with pytest.raises(GeoRefError, match="counts from the middle of the Earth, which no map does"):
        frame_of(POLAR, "EPSG:4978")
    moon = GeoRef((1, 0, 0, 0, -1, 0), "IAU_2015:30100")
    assert frame_of(moon, "native").own
    with pytest.raises(GeoRefError, match="has no longitude and latitude on the Earth"):
        frame_of(moon, "EPSG:4326")
