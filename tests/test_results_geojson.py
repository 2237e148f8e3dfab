"""Results of scenes that a map holds only in part, at the poles, and in local CRSs: what each file holds."""

from __future__ import annotations

import json

import geojson_validator
import geopandas
import numpy as np
import pyproj
import pytest
from shapely.geometry import shape

from sodslice import Detections, GeoRef, RunResult, load_result, run, write
from sodslice.errors import OutputError, SodsliceError
from sodslice.results import Writing, is_own
from sodslice.results.geojson import combine_lines
from sodslice.results.limits import within_limits
from sodslice.results.provenance import Provenance, SceneFacts
from sodslice.running.events import Events
from tests.placed_results import MERIDIAN, SCENES, nothing, placed_result
from tests.rasters import write_raster
from tests.written import box_of

GEOD = pyproj.Geod(ellps="WGS84")
WGS84 = "+datum=WGS84"
SPOTS = [(30, 40, 70, 60), (5, 2, 15, 12), (90, 70, 110, 80)]
EDGES = {
    "geostationary": (f"+proj=geos +h=35785831 +sweep=y {WGS84}", (1e5, 0, -6e6, 0, -1e5, 5e6), [1, 2]),
    "orthographic": (f"+proj=ortho +lat_0=40 {WGS84}", (1e5, 0, -5e6, 0, -1e5, 5e6), [1, 2]),
    "Mollweide": (f"+proj=moll {WGS84}", (3e5, 0, -1.8e7, 0, -2e5, 9e6), [1, 2]),
    "sinusoidal": ("+proj=sinu +R=6371007.181", (3e5, 0, -1.8e7, 0, -2e5, 1e7), [1, 2]),
    "Equal Earth": (f"+proj=eqearth {WGS84}", (3e5, 0, -1.8e7, 0, -2e5, 9e6), [1, 2]),
    "Albers": ("EPSG:5070", (2e5, 0, -1.2e7, 0, -2e5, 1.5e7), [0, 1]),
}


class Heard(Events):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def drawn(folder, crs, transform, spots=SPOTS):
    pixels = np.zeros((3, 100, 120), np.uint8)
    for x0, y0, x1, y1 in spots:
        pixels[:, y0:y1, x0:x1] = 255
    return write_raster(folder / "a.tif", pixels, crs=crs, transform=transform)


def content(path) -> dict:
    return json.loads(path.read_text())


@pytest.mark.parametrize(("crs", "transform", "lost"), EDGES.values(), ids=EDGES.keys())
@pytest.mark.parametrize(
    "options", [{}, {"min_size": 1.0}, {"max_size": 1e9}], ids=["", "min_size", "max_size"]
)
def test_one_box_beyond_the_edge_of_the_earth_does_not_lose_the_others(
    tmp_path, crs, transform, lost, options
):
    raster, heard = drawn(tmp_path, crs, transform), Heard()
    outputs = [tmp_path / "a.geojson", tmp_path / "a.json"]
    result = run(raster, model="blobs", output=outputs, options=options, events=heard)
    on_map, all_of_it = (content(path) for path in outputs)
    assert len(all_of_it["boxes"]) == len(result) == 3
    kept = {tuple(box_of(f)) for f in on_map["features"]}
    assert kept == {tuple(map(float, SPOTS[row])) for row in range(3) if row not in lost}
    for feature in on_map["features"]:
        assert shape(feature["geometry"]).is_valid
        assert feature["properties"]["area_m2"] > 0
    assert (
        on_map["run"]["unplaced"] == all_of_it["run"]["unplaced"] == result.provenance.unplaced == len(lost)
    )
    said = (
        f"{len(lost)} of 3 objects lie where the scene's CRS has no longitude and latitude: JSON holds them, "
    )
    assert any(note.startswith(said) for note in heard.notes)
    assert any(note.startswith(said) for note in on_map["scene"]["notes"])
    assert any("lies in part where its CRS has no longitude and latitude" in note for note in heard.notes)
    assert ("limits of size do not apply to them" in heard.notes[-1]) == bool(options)
    assert load_result(outputs[1]).provenance.unplaced == len(lost)


def test_sizes_limit_what_has_one(tmp_path):
    crs, transform, _ = EDGES["geostationary"]
    raster = drawn(tmp_path, crs, transform)
    assert len(run(raster, model="blobs", options={"min_size": 1e12})) == 2
    assert len(run(raster, model="blobs", options={"max_size": 1.0})) == 2
    found = Detections(np.array(SPOTS, float), [0.9, 0.8, 0.7], [0, 0, 0], [0, 0, 0])
    here = within_limits(found, GeoRef(transform, crs), within=_Everywhere(), min_size=3e6)
    assert here.boxes.tolist() == [list(spot) for spot in SPOTS]


class _Everywhere:
    def holds(self, points):
        return np.ones(len(points), bool)


def test_pixels_are_written_of_all(tmp_path):
    crs, transform, _ = EDGES["geostationary"]
    path = tmp_path / "a.geojson"
    run(drawn(tmp_path, crs, transform), model="blobs", output=path, options={"pixel_coords": True})
    features = content(path)["features"]
    assert [f["properties"]["area_m2"] for f in features].count(None) == 2
    assert len(features) == 3


def test_a_scene_that_no_map_holds_is_refused_before_the_work(tmp_path):
    raster = drawn(tmp_path, f"+proj=ortho +lat_0=40 {WGS84}", (1e3, 0, 6.3e6, 0, -1e3, 6.3e6))
    with pytest.raises(
        OutputError, match="the scene's CRS has a longitude and latitude for no part of it; give its"
    ):
        run(raster, model="blobs", output=tmp_path / "a.geojson")
    assert len(run(raster, model="blobs", output=tmp_path / "a.json")) == 3


POLES = {
    "EPSG:3031": (0.0, 0.0, 0.1 / 0.97277),
    "EPSG:3413": (0.0, 0.0, 0.1 / 0.96986),
    "EPSG:3995": (0.0, 0.0, 0.1 / 0.97277),
    "EPSG:5041": (2e6, 2e6, 0.1 / 0.994),
    "EPSG:5042": (2e6, 2e6, 0.1 / 0.994),
    "EPSG:3574": (0.0, 0.0, 0.1),
    "EPSG:6932": (0.0, 0.0, 0.1),
    f"+proj=aeqd +lat_0=90 {WGS84}": (0.0, 0.0, 0.1),
}


@pytest.mark.parametrize("shift", [0, 1, 3])
@pytest.mark.parametrize(("crs", "x", "y", "gsd"), [(crs, *values) for crs, values in POLES.items()])
def test_polar_scenes_have_areas_and_polygons(tmp_path, crs, x, y, gsd, shift):
    raster = drawn(tmp_path, crs, (0.1, 0, x - 5 + shift, 0, -0.1, y + 5), SPOTS[:1])
    path = tmp_path / "a.geojson"
    result = run(raster, model="blobs", output=path)
    (feature,) = content(path)["features"]
    geometry = shape(feature["geometry"])
    assert result.scene.gsd_m == pytest.approx(gsd, rel=1e-4)
    assert feature["properties"]["area_m2"] == pytest.approx(800 * gsd**2, rel=1e-4)
    assert geometry.is_valid
    assert abs(GEOD.geometry_area_perimeter(geometry)[0]) == pytest.approx(800 * gsd**2, rel=0.02)


@pytest.mark.parametrize(("gsd", "side"), [(0.2, 52), (0.05, 206)])
def test_a_scene_on_the_pole_is_resampled_by_its_true_scale(tmp_path, gsd, side):
    raster = drawn(tmp_path, "EPSG:3031", (0.1, 0, -6, 0, -0.1, 5), SPOTS[:1])
    result = run(raster, model="blobs", options={"gsd": gsd})
    assert result.provenance.seen_px == (round(120 * 0.10279933 / gsd), round(100 * 0.10279933 / gsd))
    assert result.provenance.seen_px[1] == pytest.approx(side, abs=1)
    assert result.detections.boxes == pytest.approx(np.array([SPOTS[0]], float), abs=1.5)


UNKNOWN = [
    'LOCAL_CS["a",UNIT["unknown",1]]',
    'LOCAL_CS["a",UNIT["pixel",1]]',
    'LOCAL_CS["a",UNIT["unknown",0]]',
]


@pytest.mark.parametrize("crs", UNKNOWN)
def test_a_unit_of_unknown_length_gives_no_metres(tmp_path, crs):
    georef = GeoRef((0.1, 0, 0, 0, -0.1, 0), crs)
    boxes = np.array(SPOTS[:1], float)
    found = Detections(boxes, [0.9], [0], [0])
    result = RunResult(
        found, ("blob",), georef, SceneFacts("a.tif", 120, 100), Provenance(options={"pixel_coords": True})
    )
    (feature,) = content(write(result, tmp_path / "a.geojson"))["features"]
    assert [feature["properties"][name] for name in ("area_m2", "length_m", "width_m")] == [None] * 3
    for limit, kept in ((39, 1), (41, 0)):
        assert len(within_limits(found, georef, within=_Everywhere(), min_size=limit)) == kept


def test_a_run_in_a_unit_of_unknown_length_says_what_limits_and_gsd_mean(tmp_path):
    pixels = np.zeros((3, 100, 120), np.uint8)
    pixels[:, 40:60, 30:70] = 255
    from sodslice import ArrayScene

    scene = ArrayScene(pixels.transpose(1, 2, 0), georef=GeoRef((0.1, 0, 0, 0, -0.1, 0), UNKNOWN[0]))
    result = run(scene, model="blobs", options={"min_size": 39})
    assert (len(result), result.scene.gsd_m) == (1, None)
    assert result.scene.notes == (
        "`min_size` and `max_size` are in pixels: the scene's CRS counts in a unit of unknown length",
    )
    with pytest.raises(
        SodsliceError, match="known: the scene's CRS counts in a unit of unknown length; `scale`"
    ):
        run(scene, model="blobs", options={"gsd": 0.1})


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "area", "gsd"), [("f2_pole_0m", 8.454, 0.1028), ("f2_pole_centred", 8.454, 0.1028)]
)
def test_the_cases_at_the_pole(shared, tmp_path, name, area, gsd):
    path = tmp_path / "a.geojson"
    result = run(shared / "cases" / "scenes" / f"{name}.tif", model="blobs", output=path)
    (feature,) = content(path)["features"]
    assert feature["properties"]["area_m2"] == pytest.approx(area, rel=5e-3)
    assert result.scene.gsd_m == pytest.approx(gsd, abs=5e-5)
    assert shape(feature["geometry"]).is_valid


@pytest.mark.shared
def test_the_cases_of_impossible_hidden_and_missing_places(shared, tmp_path):
    cases = shared / "cases" / "scenes"
    path = tmp_path / "a.geojson"
    with pytest.raises(OutputError, match="latitude 5550000"):
        run(cases / "f3_utm_called_4326.tif", model="blobs", output=path)
    corners = []
    for name in ("f4_rpc_only", "f4_local_cs_and_rpc"):
        run(cases / f"{name}.tif", model="blobs", output=path)
        (feature,) = content(path)["features"]
        corners.append(feature["geometry"]["coordinates"])
        assert [12.799695, 45.000105] in feature["geometry"]["coordinates"][0]
    assert corners[0] == corners[1]
    result = run(cases / "f9_full_disk.tif", model="blobs", output=path)
    assert (len(result), result.provenance.unplaced, len(content(path)["features"])) == (2, 1, 1)
    result = run(cases / "f10_unit0.tif", model="blobs", options={"min_size": 39})
    assert (len(result), result.scene.gsd_m) == (1, None)


@pytest.mark.parametrize("geometry", ["box", "point"])
@pytest.mark.parametrize("scene", [*SCENES, "empty"])
def test_geojson_passes_a_validator(tmp_path, scene, geometry):
    result = (
        nothing(geometry=geometry) if scene == "empty" else placed_result(SCENES[scene], geometry=geometry)
    )
    document = content(write(result, tmp_path / "a.geojson"))
    assert geojson_validator.validate_structure(document) == {}
    if geometry == "box" and len(result):
        found = geojson_validator.validate_geometries(document)
        assert found["invalid"] == {}
        # it takes longitude 180 for -180, so a part that ends at the antimeridian "crosses" it
        cut = {"crosses_antimeridian"} if scene in ("antimeridian", "polar") else set()
        assert set(found["problematic"]) <= {"excessive_coordinate_precision"} | cut
    kinds = {feature["geometry"]["type"] for feature in document["features"]}
    assert kinds <= ({"Point"} if geometry == "point" else {"Polygon", "MultiPolygon"})


def test_lines_are_the_features_of_the_collection(tmp_path):
    result = placed_result(MERIDIAN)
    lines = write(result, tmp_path / "a.geojsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == content(write(result, tmp_path / "a.geojson"))["features"]
    assert len(geopandas.read_file(tmp_path / "a.geojsonl")) == len(result)
    assert is_own(tmp_path / "a.geojsonl")
    (tmp_path / "b.geojsonl").write_text(
        '{"type": "Feature", "properties": {"name": "a"}, "geometry": null}\n'
    )
    assert not is_own(tmp_path / "b.geojsonl")
    assert write(nothing(), tmp_path / "c.geojsonl").read_bytes() == b""
    assert is_own(tmp_path / "c.geojsonl")


def test_many_results_are_one_set_of_lines(tmp_path):
    combine_lines(
        [placed_result(count=5), nothing(), placed_result(count=7, path="b.tif")], tmp_path / "a.geojsonl"
    )
    rows = [json.loads(line)["properties"] for line in (tmp_path / "a.geojsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(1, 13))
    assert [row["source"] for row in rows] == ["a.tif"] * 5 + ["b.tif"] * 7


def test_bounds_of_points_are_those_of_points(tmp_path):
    document = content(write(placed_result(geometry="point"), tmp_path / "a.geojson"))
    points = np.array([feature["geometry"]["coordinates"] for feature in document["features"]])
    assert document["bbox"] == [*points.min(axis=0), *points.max(axis=0)]


def test_a_style_stands_beside_the_file_on_request_and_is_left_alone_where_it_is(tmp_path):
    for suffix in (".geojson", ".geojsonl", ".fgb"):
        path = write(placed_result(), tmp_path / f"a{suffix}", writing=Writing(qml=True))
        style = path.with_suffix(".qml")
        assert "<!DOCTYPE qgis" in style.read_text()
        style.unlink()
    (tmp_path / "a.qml").write_text("mine")
    write(placed_result(), tmp_path / "a.geojson", writing=Writing(qml=True))
    assert (tmp_path / "a.qml").read_text() == "mine"
    with pytest.raises(
        OutputError, match=r"`qml` would change nothing in .*b\.csv; it is for \.geojson, .*\.fgb"
    ):
        write(placed_result(), tmp_path / "b.csv", writing=Writing(qml=True))


def test_a_file_of_before_the_flat_columns_is_still_read(tmp_path):
    path = write(placed_result(), tmp_path / "a.geojson")
    document = content(path)
    document["run"]["schema"] = 2
    for feature in document["features"]:
        feature["properties"]["bbox_px"] = [
            feature["properties"].pop(edge) for edge in ("x0", "y0", "x1", "y1")
        ]
    path.write_text(json.dumps(document))
    np.testing.assert_array_equal(
        load_result(path).detections.boxes, np.round(placed_result().detections.boxes, 3)
    )
