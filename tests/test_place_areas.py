"""Areas of interest in JSON of every kind that GDAL reads, and in local CRSs."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import shapely

from sodslice import GeoRef, SodsliceError
from sodslice.errors import SceneError
from sodslice.place.areas import read_area
from sodslice.place.extent import restrict
from sodslice.place.geojson import json_texts
from sodslice.place.vector import only_polygons, polygons_in

RING = [[7.1, 51.2], [7.2, 51.2], [7.2, 51.3], [7.1, 51.3], [7.1, 51.2]]
OTHER = [[x + 1, y] for x, y in RING]
BOX, BOTH = shapely.Polygon(RING), shapely.MultiPolygon([shapely.Polygon(RING), shapely.Polygon(OTHER)])
POLYGONS = [{"type": "Polygon", "coordinates": [ring]} for ring in (RING, OTHER)]
FEATURES = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in POLYGONS]
ESRI = {
    "geometryType": "esriGeometryPolygon",
    "spatialReference": {"wkid": 4326},
    "features": [{"attributes": {}, "geometry": {"rings": [RING[::-1]]}}],
}
IN_METRES = {
    **ESRI,
    "spatialReference": {"wkid": 102100, "latestWkid": 3857},
    "features": [{"attributes": {}, "geometry": {"rings": [[[0, 0], [0, 9], [9, 9], [9, 0], [0, 0]]]}}],
}
TOPOLOGY = {"type": "Topology", "objects": {"a": {"type": "Polygon", "arcs": [[0]]}}, "arcs": [RING]}
JSON_FG = {
    "type": "FeatureCollection",
    "conformsTo": ["http://www.opengis.net/spec/json-fg-1/0.2/conf/core"],
    "coordRefSys": "http://www.opengis.net/def/crs/EPSG/0/25832",
    "features": [
        {
            "type": "Feature", "id": 1, "geometry": None, "properties": {}, "time": None,
            "place": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]},
        }
    ],
}  # fmt: skip
KINDS = {
    "ESRI JSON": (ESRI, BOX, "EPSG:4326"),
    "ESRI JSON without a CRS": ({**ESRI, "spatialReference": None}, BOX, None),
    "ESRI JSON in metres": (IN_METRES, shapely.box(0, 0, 9, 9), "EPSG:3857"),
    "TopoJSON": (TOPOLOGY, BOX, None),
    "TopoJSON, its type last": (dict(reversed(TOPOLOGY.items())), BOX, None),
    "JSON-FG": (JSON_FG, shapely.box(0, 0, 9, 9), "EPSG:25832"),
}


@pytest.mark.parametrize(("document", "shape", "crs"), KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_json_of_other_kinds_is_read(tmp_path, document, shape, crs, indent, mark):
    pytest.importorskip("pyogrio")
    path = tmp_path / "a.json"
    path.write_text(mark + json.dumps(document, indent=indent), encoding="utf-8")
    area = read_area(str(path))
    assert area.shape.equals(shape)
    assert area.crs == crs


@pytest.mark.parametrize(
    ("document", "kind"), [(ESRI, "ESRI JSON"), (TOPOLOGY, "TopoJSON"), (JSON_FG, "JSON-FG")]
)
def test_without_pyogrio_the_message_names_the_kind_and_what_to_install(
    tmp_path, monkeypatch, document, kind
):
    monkeypatch.setitem(sys.modules, "pyogrio.errors", None)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    with pytest.raises(SceneError) as caught:
        read_area(str(path))
    assert str(caught.value) == f"`aoi` {path} is {kind}; to read it pip install 'sodslice[vector]'"
    with pytest.raises(SceneError, match="is neither GeoJSON nor WKT; to read it pip install"):
        polygons_in(path)


SEQUENCES = {
    "lines": "\n".join(map(json.dumps, FEATURES)),
    "lines with gaps": "\n" + "\r\n\r\n".join(map(json.dumps, FEATURES)) + "\r\n",
    "geometries": "\n".join(map(json.dumps, POLYGONS)),
    "collections": "\n".join(json.dumps({"type": "FeatureCollection", "features": [f]}) for f in FEATURES),
    "records": "".join(f"\x1e{json.dumps(f)}\n" for f in FEATURES),
    "records over several lines": "".join(f"\x1e{json.dumps(f, indent=1)}\n" for f in FEATURES),
}


@pytest.mark.parametrize("text", SEQUENCES.values(), ids=SEQUENCES.keys())
@pytest.mark.parametrize("name", ["a.geojsonl", "a.json", "a.geojson", "a.txt"])
def test_sequences_of_texts_are_read_whole_and_without_pyogrio(tmp_path, monkeypatch, text, name):
    monkeypatch.setitem(sys.modules, "pyogrio.errors", None)
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    area = read_area(str(path))
    assert area.shape.equals(BOTH)
    assert area.crs is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{json.dumps(FEATURES[0])}\n{json.dumps(FEATURES[1])[:-9]}",
            "is not GeoJSON: its text 2 of 2: unexpected end",
        ),
        (
            f"{json.dumps(FEATURES[0])}\nhello\n{json.dumps(FEATURES[1])}",
            "is not GeoJSON: its text 2 of 3: unexpected",
        ),
        (f"{json.dumps(FEATURES[0])}\n[1]", "a.json, text 2 is not GeoJSON; it is a JSON list"),
        (
            f"{json.dumps(FEATURES[0])}\n" + '{"type": "Polygon", "coordinates": 3}',
            "text 2: feature 0 has no readable",
        ),
        (
            json.dumps({"type": "FeatureCollection", "features": FEATURES}, indent=1)[:-30],
            "is not GeoJSON: unexpected end",
        ),
        (json.dumps(FEATURES[0])[:-20], "is not GeoJSON: unexpected end"),
        ("\x1e", "a.json cannot be read"),
        ('{"a": 1}', "is not GeoJSON; it has the keys a"),
        (
            json.dumps({**ESRI, "features": [*ESRI["features"], {"geometry": {"curveRings": []}}]}),
            "a.json is ESRI JSON with curves, which are not read; save it with straight edges",
        ),
        (
            "\n".join(
                json.dumps({**p, "crs": {"properties": {"name": f"EPSG:{n}"}}})
                for n, p in zip((4326, 3857), POLYGONS, strict=True)
            ),
            "a.json holds texts in different CRSs; give a file whose polygons are all in one",
        ),
    ],
)
def test_what_is_broken_is_refused_and_nothing_of_it_is_left_out(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(SceneError) as caught:
        read_area(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_text_is_one_document():
    assert json_texts(b'{"a":\n 1}') == [{"a": 1}]
    assert json_texts(b'{"a": 1}\n') == [{"a": 1}]
    assert json_texts(b"\x1e1\n\x1e2\n") == [1, 2]


METRE = 'UNIT["metre",1,AUTHORITY["EPSG","9001"]]'
SITE = f'LOCAL_CS["Site grid",{METRE},AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
AXES = 'AXIS["(E)",east,ORDER[1]],AXIS["(N)",north,ORDER[2]]'
SPELT = {
    "as it is": SITE,
    "WKT of ESRI": 'LOCAL_CS["Site_grid",UNIT["Meter",1]]',
    "WKT 2": f'ENGCRS["Site grid",EDATUM[""],CS[Cartesian,2],{AXES},LENGTHUNIT["metre",1]]',
    "with other axes": 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["X",OTHER],AXIS["Y",OTHER]]',
}
GRID = GeoRef((0.1, 0, 1000, 0, -0.1, 2000), SITE)
SQUARE = [[1002.5, 1996.5], [1008.0, 1996.5], [1008.0, 1993.5], [1002.5, 1993.5], [1002.5, 1996.5]]


def in_crs(tmp_path, crs):
    document = {"type": "Polygon", "coordinates": [SQUARE]}
    member = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({**document, **member}))
    return read_area(str(path))


@pytest.mark.parametrize("crs", [None, *SPELT.values()], ids=["none", *SPELT.keys()])
def test_an_area_in_the_local_crs_of_the_scene_lies_on_it(tmp_path, crs):
    within = restrict(GRID, (120, 100), area=in_crs(tmp_path, crs))
    points = np.array([[50.0, 50], [10, 10], [24.9, 50], [25.1, 50]])
    assert within.holds(points).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    "crs",
    [
        'LOCAL_CS["Another grid",UNIT["metre",1]]',
        'LOCAL_CS["Site grid",UNIT["foot",0.3048]]',
        "EPSG:4326",
        "EPSG:32632",
    ],
)
def test_an_area_in_another_crs_cannot_be_put_on_a_local_scene(tmp_path, crs):
    with pytest.raises(
        SodsliceError, match="cannot be put on the scene: PROJ finds no way from Site grid to .*; use `win"
    ):
        restrict(GRID, (120, 100), area=in_crs(tmp_path, crs))


@pytest.mark.parametrize("driver", ["GPKG", "ESRI Shapefile", "FlatGeobuf"])
def test_vector_files_keep_the_local_crs(tmp_path, driver):
    pyogrio = pytest.importorskip("pyogrio")
    path = tmp_path / ("a.shp" if "Shape" in driver else "a.gpkg" if driver == "GPKG" else "a.fgb")
    content = shapely.to_wkb(np.array([shapely.Polygon(SQUARE)], object))
    pyogrio.raw.write(
        path, content, field_data=[], fields=[], geometry_type="Polygon", crs=SITE, driver=driver
    )
    within = restrict(GRID, (120, 100), area=read_area(str(path)))
    assert within.holds(np.array([[50.0, 50], [10, 10]])).tolist() == [True, False]


def test_polygons_are_taken_out_of_collections():
    parts = [
        shapely.GeometryCollection([BOX, shapely.Point(1, 2), BOTH]),
        None,
        shapely.Polygon(),
        shapely.LineString(RING),
    ]
    assert len(only_polygons(np.array(parts, object))) == 3


@pytest.mark.shared
@pytest.mark.parametrize("name", ["f11_no_crs", "f11_with_crs"])
def test_the_area_in_the_local_crs_of_a_site_holds_its_box(shared, tmp_path, name):
    from sodslice import run

    folder = shared / "cases" / "scenes"
    result = run(folder / "f11_local.tif", model="blobs", options={"aoi": str(folder / f"{name}.geojson")})
    assert len(result) == 1
