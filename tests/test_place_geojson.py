"""GeoJSON: what is read from it and what is refused, and how boxes are written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import DataError, SceneError
from sodslice.metrics import read_results, read_truth
from sodslice.metrics.reading import read_region
from sodslice.place.areas import read_area
from sodslice.place.edges import corners
from sodslice.place.footprints import Footprints, corner_extents
from sodslice.place.geojson import read_features
from tests.broken_documents import refusals
from tests.written import bounds, geometries

RING = [[9, 47], [9.1, 47], [9.1, 47.1], [9, 47.1], [9, 47]]
POLYGON = {"type": "Polygon", "coordinates": [RING]}
POINT = {"type": "Point", "coordinates": [1, 2]}


def feature(geometry=POLYGON, **properties) -> dict:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features, **members) -> dict:
    return {"type": "FeatureCollection", "features": list(features), **members}


@pytest.mark.parametrize(
    "document",
    [
        POLYGON,
        feature(),
        collection(feature()),
        {"type": "MultiPolygon", "coordinates": [[RING]]},
        {"type": "Polygon", "coordinates": [RING[:-1]]},
        {"type": "Polygon", "coordinates": [[[*point, 5] for point in RING]]},
        {"type": "Polygon", "coordinates": [[[*RING[0], 5], *RING[1:]]]},
    ],
    ids=["geometry", "feature", "collection", "multipolygon", "open ring", "heights", "some heights"],
)
def test_polygons_are_read_from_whatever_holds_them(document):
    (shape,) = read_features(document, "a.geojson").polygons()
    assert shape.equals(shapely.box(9, 47, 9.1, 47.1))


def test_geometries_may_be_of_any_kind_or_missing():
    parts = {"type": "GeometryCollection", "geometries": [POLYGON, POINT]}
    features = read_features(collection(feature(parts), feature(None), feature(POINT)), "a.geojson")
    kinds = [shape and shape.geom_type for shape in features.geometries()]
    assert kinds == ["GeometryCollection", None, "Point"]
    assert read_features(parts, "a.geojson").geometries()[0].geom_type == "GeometryCollection"


def test_the_crs_of_a_collection_a_feature_or_a_geometry_counts():
    crs = {"type": "name", "properties": {"name": "EPSG:3857"}}
    metres = shapely.box(0, 0, 111_319.490793, 110)
    geometry = json.loads(shapely.to_geojson(metres))
    for document in ({**geometry, "crs": crs}, {**feature(geometry), "crs": crs}):
        features = read_features(document, "a.geojson")
        assert features.crs == "EPSG:3857"
        assert features.polygons()[0].bounds == pytest.approx((0, 0, 1, 0.001), abs=2e-5)
        assert features.polygons(in_degrees=False)[0].equals(metres)


def test_columns_are_read_from_the_properties_of_all_features():
    rows = [
        feature(label="car", score=0.5, bbox_px=[1, 2, 3, 4]),
        feature(label=3, score=1, bbox_px=[0, 0, 1, 1]),
    ]
    features = read_features(collection(*rows), "a.geojson")
    assert features.column("label") == ["car", 3]
    assert features.scores().tolist() == [0.5, 1.0]
    assert features.boxes().tolist() == [[1, 2, 3, 4], [0, 0, 1, 1]]
    empty = read_features(collection(), "a.geojson")
    assert (empty.scores().shape, empty.boxes().shape, empty.polygons().shape) == ((0,), (0, 4), (0,))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (3, "a.geojson is not GeoJSON; it is a JSON int"),
        ({"type": "FeatureCollection", "features": None}, "is not GeoJSON; it has the keys type, features"),
        (collection(3), "a.geojson is not GeoJSON: feature 0 must be a mapping, got 3"),
        (
            collection(feature(), {"type": "Feature"}),
            "a.geojson: feature 1 has no readable geometry; it needs a P",
        ),
        (collection(feature(None)), "a.geojson: feature 0 has no readable geometry; it needs a Polygon"),
        (collection(feature(POINT)), "feature 0 is a Point, which has no extent; it needs a Polygon"),
        (POINT, "feature 0 is a Point, which has no extent; it needs a Polygon"),
        ({"type": "Polygon", "coordinates": []}, "feature 0 is a empty Polygon, which has no extent"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [1e300, 0], [1, 1], [0, 0]]]},
            "has no readable geometry",
        ),
        (
            {"type": "Polygon", "coordinates": [[[7, 91], [8, 91], [8, 92], [7, 91]]]},
            "holds the point 7, 91, which",
        ),
        (collection(feature(), crs="EPSG:4326"), "a.geojson has a crs member that names no CRS: 'EPSG:4326'"),
        (collection(feature(), crs={"properties": {"name": None}}), "has a crs member that names no CRS"),
        (
            collection(feature(), crs={"properties": {"name": "EPSG:0"}}),
            "a.geojson: PROJ does not know the CRS 'EPSG:0', or no way from it to longitude and latitude; "
            "save the file as WGS 84 (EPSG:4326)",
        ),
        (
            collection(feature(), crs={"properties": {"name": "+proj=longlat +R=1737400"}}),
            "PROJ does not know the CRS",
        ),
    ],
)
def test_what_holds_no_polygons_is_refused_in_one_line(document, message):
    for kind in (DataError, SceneError):
        with pytest.raises(kind) as caught:
            read_features(document, "a.geojson", error=kind).polygons()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"properties": [1]}], "a.geojson: the properties of feature 0 must be a mapping, got [1]"),
        ([feature(score="0.5")], "a.geojson: each property 'score' must be a number from 0 to 1"),
        ([feature(score=None)], "each property 'score' must be a number from 0 to 1"),
        ([feature(score=True)], "each property 'score' must be a number from 0 to 1"),
        ([feature(score=1e300)], "each property 'score' must be a number from 0 to 1"),
        (
            [feature(score=0.5), feature(scor=1)],
            "feature 1 has no property 'score' (did you mean 'scor'?); it has scor",
        ),
    ],
)
def test_a_column_with_something_else_in_it_is_refused(rows, message):
    with pytest.raises(DataError) as caught:
        read_features(collection(*rows), "a.geojson").scores()
    assert message in str(caught.value)


@pytest.mark.parametrize("box", [None, "1234", [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, True], [3, 2, 1, 4], {}])
def test_a_property_that_is_no_box_is_refused(box):
    features = read_features(collection(feature(bbox_px=[0, 0, 1, 1]), feature(bbox_px=box)), "a.geojson")
    with pytest.raises(DataError, match="each property 'bbox_px' must be x0, y0, x1, y1 with x0 <= x1"):
        features.boxes()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"scene": 3}, "its member 'scene' must be a mapping of path, width and height, got 3"),
        (
            {"scene": {"width": "wide", "height": 3}},
            "its member 'scene' must be a mapping of path, width and height",
        ),
        (
            {"georef": {"crs": 3}},
            "its member 'georef' places no scene: its CRS must be a text, got {'crs': 3}",
        ),
        (
            {"georef": {"transform": [1]}},
            "its member 'georef' places no scene: a georeference needs six transform",
        ),
        ({"georef": {"gcps": 5}}, "its member 'georef' places no scene: "),
    ],
)
def test_members_of_other_kinds_than_a_run_writes_are_refused(tmp_path, member, message):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(collection(feature(label="car"), **member)))
    with pytest.raises(DataError) as caught:
        read_truth(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"label": None}, "feature 1 has None as its 'label'; a class must be a text or a number"),
        ({"label": ["car"]}, "feature 1 has ['car'] as its 'label'; a class must be a text or a number"),
        ({"label": "car", "iscrowd": "yes"}, "each property 'iscrowd' must be 0 or 1, got 'yes'"),
        ({"label": "car", "iscrowd": 2}, "each property 'iscrowd' must be 0 or 1, got 2"),
    ],
)
def test_classes_and_crowds_of_other_kinds_are_refused(tmp_path, properties, message):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(collection(feature(label="car"), feature(**properties))))
    with pytest.raises(DataError) as caught:
        read_truth(path)
    assert message in str(caught.value)


def test_crowds_are_numbers_yes_or_no_or_empty_cells(tmp_path):
    path = tmp_path / "a.geojson"
    rows = [feature(label="car", iscrowd=value) for value in (0, 1, 1.0, True, False, None)]
    path.write_text(json.dumps(collection(*rows, feature(label="car"))))
    (layer,) = read_truth(path)
    assert layer.crowd.tolist() == [False, True, True, True, False, False, False]


degrees = st.tuples(st.floats(-180, 180), st.floats(-80, 80), st.floats(1e-4, 5), st.floats(1e-4, 5))


@settings(deadline=None)
@given(st.lists(degrees, min_size=1, max_size=5), st.booleans())
def test_written_boxes_are_closed_counter_clockwise_and_read_back(boxes, mirrored):
    table = np.array([[x, y, x + width, y + height] for x, y, width, height in boxes])
    places = corners(table)
    places[..., 0] = np.mod(places[..., 0] + 180, 360) - 180
    places = places[:, ::-1] if mirrored else places
    written = geometries(Footprints(places), 7)
    shapes = read_features(collection(*map(feature, written)), "a.geojson").polygons()
    for shape, box in zip(shapes, table, strict=True):
        for part in shapely.get_parts(shape):
            assert part.exterior.is_ccw
            assert part.bounds[2] - part.bounds[0] <= 5.0001
        assert shape.area == pytest.approx((box[2] - box[0]) * (box[3] - box[1]), abs=2e-6)


@settings(deadline=None)
@given(st.lists(degrees, min_size=1, max_size=9), st.integers(1, 4))
def test_bounds_do_not_depend_on_the_pieces(boxes, size):
    places = corners(np.array([[x, y, x + width, y + height] for x, y, width, height in boxes]))
    places[..., 0] = np.mod(places[..., 0] + 180, 360) - 180
    whole = bounds([corner_extents(places)])
    parts = [corner_extents(places[i : i + size]) for i in range(0, len(places), size)]
    assert bounds(parts) == whole
    west, south, east, north = whole
    middle = np.mod((west + (east if east >= west else east + 360)) / 2 + 180, 360) - 180
    width = east - west if east >= west else east + 360 - west
    near = 1e-6 + width / 2
    turned = np.mod(places[..., 0] - middle + 180, 360) - 180
    assert (np.abs(turned) <= near).all()
    assert (np.ptp(turned, axis=1) <= 5.0001).all() or width > 350
    assert (south, north) == pytest.approx((places[..., 1].min(), places[..., 1].max()), abs=1e-7)


def test_bounds_hold_boxes_over_greenwich_and_over_the_antimeridian():
    greenwich, antimeridian = [-5.0, 1, 5, 2], [178.0, 3, -178, 4]
    assert bounds([np.array([greenwich])]) == greenwich
    assert bounds([np.array([antimeridian])]) == antimeridian
    assert bounds([np.array([greenwich, antimeridian])]) == [-180, 1, 180, 4]
    assert bounds([np.array([greenwich, [-170.0, 0, -160, 1], [160.0, 0, 170, 1]])]) == [
        -170, 0, 170, 2,
    ]  # fmt: skip
    assert bounds([np.array([[-170.0, 0, -160, 1], [160.0, 0, 170, 1]])]) == [
        160,
        0,
        -160,
        1,
    ]


def test_bounds_are_the_narrower_way_round():
    beside_0 = [[0.0, 0, 5, 1], [-176.0, 0, -175, 1], [-1.1, 0, 0, 1]]
    assert bounds([np.array(beside_0)]) == [-176, 0, 5, 1]
    assert bounds([np.array([[90.0, 0, 91, 1], [-92.0, 0, -91, 1]])]) == [90, 0, -91, 1]
    assert bounds([np.array([[88.0, 0, 89, 1], [-90.0, 0, -89, 1]])]) == [-90, 0, 89, 1]


def test_bounds_of_nothing_are_none_and_those_of_pixels_have_no_antimeridian():
    assert bounds([]) is None
    assert bounds([np.empty((0, 4))]) is None
    assert bounds([np.array([[1.0, 2, 300, 4]]), np.array([[200.0, 0, 900, 1]])], 3, degrees=False) == [
        1, 0, 900, 4,
    ]  # fmt: skip


def test_pixels_are_never_cut():
    (geometry,) = geometries(Footprints(corners(np.array([[10.0, 10, 900, 20]])), degrees=False), 3)
    assert geometry["type"] == "Polygon"


TRUTH = collection(
    feature(label="car", bbox_px=[1, 2, 3, 4], iscrowd=0, score=0.5),
    feature(
        {"type": "MultiPolygon", "coordinates": [[RING], [RING]]}, label="van", bbox_px=[5, 6, 7, 8], score=1
    ),
    crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
    scene={"path": "a.tif", "width": 100, "height": 80},
    georef={"crs": "EPSG:32632", "transform": [0.5, 0, 500_000, 0, -0.5, 5_300_000]},
)
AREA = {
    "type": "GeometryCollection",
    "geometries": [POLYGON, POINT, {"type": "MultiPolygon", "coordinates": [[RING]]}],
}


@pytest.mark.parametrize(
    ("document", "read"),
    [
        (TRUTH, read_truth),
        (TRUTH, lambda path: read_results([path])),
        (TRUTH, lambda path: read_region(path, in_degrees=True)),
        (TRUTH, lambda path: read_area(str(path)).sha256),
        (AREA, lambda path: read_area(str(path)).sha256),
        (AREA, lambda path: read_region(path, in_degrees=False)),
    ],
    ids=["truth", "detections", "region", "area of features", "area", "region in pixels"],
)
def test_a_broken_document_is_read_or_refused_in_one_line(tmp_path, document, read):
    said = refusals(document, tmp_path / "broken.geojson", read, 400)
    assert said
    assert not any("\n" in message for message in said)
