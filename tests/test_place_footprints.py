"""Boxes in degrees where their edges are no straight lines there: round a pole, beside it, and very large."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from sodslice import GeoRef
from sodslice.metrics.layer import envelopes
from sodslice.place.edges import outlines
from sodslice.place.footprints import Footprints, corner_extents, extent_of, footprints_of
from sodslice.place.rings import parts_of
from tests.test_place_ground import POLAR, at_pole, pole_of
from tests.written import bounds, geometries

DECIMALS = 8
PLACES = {
    "over the pole": (30, 40, 70, 60),
    "pole in its middle": (30, 35, 70, 65),
    "pole on an edge": (50, 40, 90, 60),
    "pole on a corner": (50, 50, 90, 70),
    "pole just inside": (49.9, 40, 90, 60),
    "pole just outside": (50.1, 40, 90, 60),
    "one metre off": (60, 40, 100, 60),
    "beside it": (30, 60, 70, 80),
    "thin, over the pole": (-150, 49, 250, 51),
    "thin, beside it": (-150, 51, 250, 53),
    "large, over the pole": (-3000, -2000, 3000, 2000),
    "a kilometre off": (10_000, 40, 10_040, 60),
}


def flat(crs: str) -> pyproj.Transformer:
    """From degrees to a plane around the pole of a CRS that is true to scale there."""
    latitude = pole_of(crs)[1]
    return pyproj.Transformer.from_crs(
        "OGC:CRS84", f"+proj=stere +lat_0={latitude:.0f} +datum=WGS84", always_xy=True
    )


def on_plane(geometry, way: pyproj.Transformer):
    """A polygon in degrees on a plane, its edges straight in degrees as RFC 7946 (3.1.1) has them."""
    parts = []
    for part in shapely.get_parts(shape(geometry)):
        points = shapely.get_coordinates(shapely.segmentize(part, 0.5))
        parts.append(shapely.make_valid(shapely.Polygon(np.stack(way.transform(*points.T), axis=1))))
    return shapely.union_all(parts)


def check_valid(geometry) -> None:
    polygon = shape(geometry)
    assert polygon.is_valid, shapely.is_valid_reason(polygon)
    points = shapely.get_coordinates(polygon)
    assert (np.abs(points) <= (180, 90)).all()
    for part in shapely.get_parts(polygon):
        assert part.exterior.is_ccw
        assert part.area > 0


@pytest.mark.parametrize("crs", POLAR)
@pytest.mark.parametrize("turn", [0, 20, 133])
def test_boxes_near_a_pole_are_polygons_that_other_readers_accept(crs, turn):
    georef, way = at_pole(crs, 0, turn=turn), flat(crs)
    boxes = np.array(list(PLACES.values()), float)
    places = footprints_of(georef, boxes)
    assert places.placed.all()
    for box, (name, geometry) in zip(
        boxes, zip(PLACES, geometries(places, DECIMALS), strict=True), strict=True
    ):
        check_valid(geometry)
        outline = georef.to_lonlat(outlines(box[None], 300)[0])
        truth = shapely.make_valid(shapely.Polygon(np.stack(way.transform(*outline.T), axis=1)))
        missed = on_plane(geometry, way).symmetric_difference(truth).area / truth.area
        assert missed < 0.02 if "thin" in name else missed < 0.006, name
        assert shapely.get_num_coordinates(shape(geometry)) < 600


@pytest.mark.parametrize(
    "crs", ["EPSG:3031", "EPSG:3413", "EPSG:5041", "EPSG:5042", "EPSG:3571", "EPSG:6932"]
)
def test_a_box_over_the_pole_is_cut_at_the_antimeridian_and_taken_up_to_the_pole(crs):
    _, pole = pole_of(crs)
    places = footprints_of(at_pole(crs, 0), np.array([[30.0, 40, 70, 60]]))
    (geometry,) = geometries(places, 7)
    assert geometry["type"] == "Polygon"
    (ring,) = geometry["coordinates"]
    assert [-180, pole] in ring
    assert [180, pole] in ring
    assert shape(geometry).contains(shapely.Point(0, pole * (1 - 1e-9)))
    west, south, east, north = bounds([places.extents])
    assert (west, east) == (-180, 180)
    assert pole in (south, north)


@pytest.mark.parametrize("crs", ["EPSG:3031", "EPSG:3413", "EPSG:5041", "EPSG:3571", "EPSG:6932"])
def test_polygons_near_a_pole_lead_back_to_their_boxes(crs):
    georef = at_pole(crs, 0, turn=20)
    boxes = np.array(list(PLACES.values()), float)
    shapes = np.array([shape(g) for g in geometries(footprints_of(georef, boxes), DECIMALS)], object)
    shorter = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, keepdims=True)
    assert (np.abs(envelopes(shapes, georef) - boxes) <= 0.015 + 2e-3 * shorter).all()


def test_gdal_writes_the_same_places(tmp_path):
    """GDAL cuts by slivers along the antimeridian, so its polygons lack the width of these."""
    pyogrio = pytest.importorskip("pyogrio")
    georef, way = at_pole("EPSG:3031", 0), flat("EPSG:3031")
    boxes = np.array(
        [PLACES["over the pole"], PLACES["one metre off"], (20, 60, 60, 90), (-3000, -2000, 3000, 2000)],
        float,
    )
    rings = [shapely.segmentize(shapely.Polygon(georef.to_map(ring)), 0.05) for ring in outlines(boxes, 40)]
    path = tmp_path / "gdal.geojson"
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(rings, object)), field_data=[], fields=[], geometry_type="Unknown",
        crs="EPSG:3031", driver="GeoJSON", layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "9"},
    )  # fmt: skip
    written = shapely.from_wkb(pyogrio.raw.read(path)[2])
    for ours, theirs in zip(geometries(footprints_of(georef, boxes), 9), written, strict=True):
        one, two = on_plane(ours, way), on_plane(shapely.geometry.mapping(theirs), way)
        assert one.symmetric_difference(two).area < 0.01 * two.area


@pytest.mark.parametrize(
    "georef",
    [
        GeoRef((0.1, 0, 5e5, 0, -0.1, 5.3e6), "EPSG:32632"),
        GeoRef((0.1, 0, 5e5, 0, -0.1, 9.2e6), "EPSG:32633"),
        GeoRef((0.15, 0, 1.2e6, 0, -0.15, 1.5e7), "EPSG:3857"),
        GeoRef((0.5, 0, 4e6, 0, -0.5, 3e6), "EPSG:3035"),
        at_pole("EPSG:3031", 300_000),
    ],
    ids=["UTM", "UTM at 83 degrees", "Web Mercator", "LAEA", "300 km from the pole"],
)
def test_other_boxes_are_their_four_corners(georef):
    low = np.random.default_rng(0).uniform(0, 20_000, (500, 2))
    places = footprints_of(
        georef, np.concatenate([low, low + np.random.default_rng(1).uniform(2, 200, (500, 2))], axis=1)
    )
    assert not places.parts
    assert all(len(g["coordinates"][0]) == 5 for g in geometries(places, 7))


@pytest.mark.parametrize(
    "box", [(0, 0, 1440, 2), (0, 700, 1440, 721), (0, 300, 1440, 310), (700, 0, 900, 100), (0, 0, 1000, 9)]
)
def test_boxes_of_a_grid_round_the_earth_stay_whole(box):
    georef = GeoRef((0.25, 0, -0.125, 0, -0.25, 90.125), "EPSG:4326")
    places = footprints_of(georef, np.array([box], float))
    (geometry,) = geometries(places, 7)
    check_valid(geometry)
    width, top, bottom = (box[2] - box[0]) / 4, *np.clip(90.125 - np.array([box[1], box[3]]) / 4, -90, 90)
    assert shape(geometry).area == pytest.approx(width * (top - bottom), rel=1e-6)


def test_boxes_beyond_the_edge_of_the_earth_have_no_place():
    georef = GeoRef((1e5, 0, -6e6, 0, -1e5, 5e6), "+proj=geos +h=35785831 +sweep=y +datum=WGS84")
    places = footprints_of(georef, np.array([[30.0, 40, 70, 60], [0, 0, 10, 10], [50, 10, 60, 20]]))
    assert places.placed.tolist() == [True, False, True]
    assert len(places.extents) == 2
    first, second = geometries(places, 7)
    check_valid(first)
    check_valid(second)
    assert shape(first).contains(shapely.Point(-5, 0))
    nothing = footprints_of(georef, np.array([[0.0, 0, 10, 10]]))
    assert geometries(nothing, 7) == []
    assert bounds([nothing.extents]) is None


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(
        ["EPSG:3031", "EPSG:3413", "EPSG:5042", "EPSG:6931", "+proj=aeqd +lat_0=90 +datum=WGS84"]
    ),
    st.tuples(st.floats(-400, 400), st.floats(-400, 400), st.floats(1, 300), st.floats(1, 300)),
    st.floats(0, 360),
    st.sampled_from([0.02, 0.1, 30.0]),
    st.sampled_from([7, 8]),
)
def test_whatever_the_box_its_polygon_is_valid(crs, box, turn, step, decimals):
    x, y, width, height = box
    georef = at_pole(crs, 0, step, turn=turn)
    places = footprints_of(georef, np.array([[x, y, x + width, y + height]]))
    (geometry,) = geometries(places, decimals)
    polygon = shape(geometry)
    if min(width, height) * step > 0.1:
        check_valid(geometry)
        west, south, east, north = places.extents[0]
        points = shapely.get_coordinates(polygon)
        assert ((points[:, 1] >= south - 1e-6) & (points[:, 1] <= north + 1e-6)).all()
        inside = (points[:, 0] >= west - 1e-6) & (points[:, 0] <= east + 1e-6)
        turned = (points[:, 0] >= west - 1e-6) | (points[:, 0] <= east + 1e-6)
        assert (turned if west > east else inside).all()


def test_a_ring_that_is_a_point_has_no_parts():
    assert parts_of(np.array([[0.0, 90], [10, 90], [20, 90]])) == ()


def test_extents_are_west_of_east_but_across_the_antimeridian():
    corners = np.array([[[179.0, 1], [179, 0], [-178, 0], [-178, 1]], [[5, 1], [5, 0], [-5, 0], [-5, 1]]])
    assert corner_extents(corners).tolist() == [[179, 0, -178, 1], [-5, 0, 5, 1]]
    east, west = np.array([[178.0, 0], [180, 0], [180, 1]]), np.array([[-180.0, 0], [-179, 0], [-180, 1]])
    assert extent_of((east, west)) == (178, 0, -179, 1)
    assert extent_of((east,)) == (178, 0, 180, 1)
    assert Footprints(corners, {0: (east, west)}).extents.tolist() == [[-5, 0, 5, 1], [178, 0, -179, 1]]
