from __future__ import annotations

import json
import sqlite3
import sys
import zipfile

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import ArrayScene, BlobDetector, GeoRef, SodsliceError, run
from sodslice.place.areas import read_area
from sodslice.place.extent import Rectangle, restrict
from tests.rasters import scene_with_blobs, write_raster

UTM = GeoRef((0.5, 0, 500_000.0, 0, -0.5, 5_300_000.0), "EPSG:32632")
TURNED = GeoRef((0.3, 0.2, 500_000.0, 0.2, -0.3, 5_300_000.0), "EPSG:32632")
DATELINE = GeoRef((10.0, 0, 830_000.0, 0, -10.0, 200_000.0), "EPSG:32660")
SIZE = (1000, 800)

points = st.tuples(st.floats(0, 1000), st.floats(0, 800))


def polygon_px(georef: GeoRef, ring, crs: str = "EPSG:4326") -> shapely.Polygon:
    """The polygon in a CRS whose corners are the given scene pixels."""
    way = pyproj.Transformer.from_crs(georef.crs, crs, always_xy=True)
    places = georef.to_map(np.array(ring, float))
    return shapely.Polygon(np.stack(way.transform(*places.T), axis=1))


@settings(deadline=None, max_examples=50)
@given(st.lists(points, min_size=1, max_size=20), st.integers(1, 999), st.integers(1, 799))
def test_windows_side_by_side_share_no_point_and_miss_none(places, x, y):
    table = np.array(places)
    parts = [Rectangle(a, b, c, d) for a, c in ((0, x), (x, 1001)) for b, d in ((0, y), (y, 801))]
    assert (sum(part.holds(table).astype(int) for part in parts) == 1).all()


@pytest.mark.parametrize("georef", [UTM, TURNED, DATELINE], ids=["UTM", "turned", "antimeridian"])
@settings(deadline=None, max_examples=40)
@given(
    st.lists(points, min_size=3, max_size=6, unique=True),
    st.tuples(st.floats(0, 900), st.floats(0, 700), st.floats(10, 300), st.floats(10, 300)),
)
def test_a_tile_that_holds_a_point_of_the_area_touches_it(georef, ring, tile):
    pixels = shapely.convex_hull(shapely.multipoints(ring))
    if pixels.area < 1:
        return
    outline = shapely.get_coordinates(pixels)
    places = georef.to_lonlat(outline)
    places[:, 0] = np.where(places[:, 0] < 0, places[:, 0] + 360, places[:, 0])
    within = restrict(georef, SIZE, area=read_area(shapely.Polygon(places).wkt))
    x, y, width, height = tile
    box = np.array([[x, y, x + width, y + height]])
    inside = np.stack(
        [a.ravel() for a in np.meshgrid(np.linspace(x, x + width, 12), np.linspace(y, y + height, 12))],
        axis=1,
    )
    flags = within.holds(inside)
    plain = shapely.intersects_xy(pixels.buffer(0.01), inside)
    strict = shapely.intersects_xy(pixels.buffer(-0.01), inside)
    assert (flags <= plain).all()
    assert (strict <= flags).all()
    if flags.any():
        assert within.touches(box).all()


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32633", "EPSG:3857"])
def test_an_area_counts_in_its_own_crs(tmp_path, crs):
    ring = [(100, 100), (600, 120), (580, 500), (90, 480)]
    shape = polygon_px(TURNED, ring, crs)
    srid = crs.partition(":")[2]
    within = restrict(TURNED, SIZE, area=read_area(f"SRID={srid};{shape.wkt}"))
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 800, (500, 2))
    assert np.array_equal(within.holds(places), shapely.intersects_xy(shapely.Polygon(ring), places))


def test_an_area_that_is_cut_at_the_antimeridian_is_whole(tmp_path):
    meridian = float(DATELINE.from_lonlat(np.array([[180.0, 1.78]]))[0, 0])
    halves = [shapely.box(179.99, 1.7, 180, 1.8), shapely.box(-180, 1.7, -179.99, 1.8)]
    within = restrict(DATELINE, SIZE, area=read_area(shapely.MultiPolygon(halves).wkt))
    row = float(DATELINE.from_lonlat(np.array([[180.0, 1.75]]))[0, 1])
    around = np.array([[meridian + dx, row] for dx in (-200, -50, -1, 1, 50, 200)])
    assert within.holds(around).tolist() == [False, True, True, True, True, False]
    across = np.array([[meridian - 300, row - 5, meridian + 300, row + 5], [0, row, meridian - 250, row + 5]])
    assert within.touches(across).tolist() == [True, False]


SQUARE = [[[11, 48], [11.1, 48], [11.1, 48.1], [11, 48.1], [11, 48]]]
POLYGON = {"type": "Polygon", "coordinates": SQUARE}
WKT = "POLYGON ((11 48, 11.1 48, 11.1 48.1, 11 48.1, 11 48))"


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(POLYGON),
        json.dumps({"type": "Feature", "properties": {}, "geometry": POLYGON}),
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "properties": {"a": 1}, "geometry": POLYGON},
                    {
                        "type": "Feature",
                        "properties": {},
                        "geometry": {"type": "Point", "coordinates": [1, 2]},
                    },
                ],
            }
        ),
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "properties": None, "geometry": None},
                    {"type": "Feature", "properties": None, "geometry": POLYGON},
                ],
            }
        ),
        "\ufeff" + json.dumps(POLYGON),
        WKT,
        f"\n {WKT}\n",
        f"GEOMETRYCOLLECTION (POINT (1 2), MULTI{WKT.replace('((', '(((').replace('))', ')))')})",
        WKT.replace("POLYGON", "POLYGON Z").replace(",", " 5,").replace("))", " 5))"),
    ],
    ids=[
        "geometry",
        "feature",
        "collection",
        "collection with a feature without a place",
        "byte order mark",
        "WKT",
        "WKT with space",
        "collection of WKT",
        "3D",
    ],
)
def test_areas_are_read_from_geojson_and_wkt(tmp_path, content):
    path = tmp_path / "area"
    path.write_text(content, encoding="utf-8")
    area = read_area(str(path))
    assert area.shape.equals(shapely.from_wkt(WKT))
    assert area.crs is None
    assert area.sha256 == read_area(WKT).sha256


def test_an_area_may_say_its_crs(tmp_path):
    old = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({**POLYGON, "crs": old}))
    assert read_area(str(path)).crs == "urn:ogc:def:crs:EPSG::32632"
    assert read_area(f"SRID=32632;{WKT}").crs == "EPSG:32632"


def test_a_polygon_that_crosses_itself_is_mended_and_that_is_said():
    area = read_area("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))")
    assert area.shape.area == pytest.approx(2)
    assert "cross themselves" in area.notes[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"type": "Point", "coordinates": [1, 2]}', "holds no polygons"),
        ('{"type": "FeatureCollection", "features": []}', "holds no polygons"),
        ('{"type": "FeatureCollection", "features": [3]}', "is not GeoJSON"),
        ('{"type": "Feature", "properties": {}, "geometry": null}', "holds no polygons"),
        (json.dumps({**POLYGON, "crs": {"properties": {"name": "foo"}}}), "names the CRS 'foo', which PROJ"),
        (
            f"SRID=0;{WKT}",
            "names the CRS 'EPSG:0', which PROJ does not know; name another, such as EPSG:32632",
        ),
        ('{"type": "Polygon"', "is not GeoJSON"),
        ('{"a": 1}', "is not GeoJSON"),
        (json.dumps({**POLYGON, "crs": 3}), "names no CRS"),
        ("POLYGON ((1 2, 3))", "is malformed"),
        ("LINESTRING (1 2, 3 4)", "is neither GeoJSON nor WKT"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_area_is_refused_in_one_line(tmp_path, monkeypatch, content, words):
    monkeypatch.setitem(sys.modules, "pyogrio.errors", None)
    path = tmp_path / "area.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SodsliceError, match=words) as caught:
        read_area(str(path))
    assert "\n" not in str(caught.value)


def test_other_vector_files_need_pyogrio_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyogrio.errors", None)
    path = tmp_path / "area.gpkg"
    path.write_bytes(b"SQLite format 3\x00")
    with pytest.raises(SodsliceError, match=r"pip install 'sodslice\[vector\]'"):
        read_area(str(path))


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_other_vector_files_are_read_with_their_crs(tmp_path, suffix):
    raw = pytest.importorskip("pyogrio.raw")
    path = tmp_path / f"area{suffix}"
    shape = polygon_px(UTM, [(0, 0), (500, 0), (500, 800)], "EPSG:32633")
    raw.write(path, np.array([shape.wkb], object), [], [], geometry_type="Polygon", crs="EPSG:32633")
    within = restrict(UTM, SIZE, area=read_area(str(path)))
    assert within.holds(np.array([[400.0, 300.0], [100.0, 300.0]])).tolist() == [True, False]


LEFT, RIGHT = [shapely.box(x, 5_299_800, x + 200, 5_300_000) for x in (500_000, 500_300)]


def add_layer(path, layer, shape, crs="EPSG:32632"):
    raw = pytest.importorskip("pyogrio.raw")
    shapes = np.array([shape.wkb], object)
    more = {"append": True} if path.exists() else {}
    raw.write(path, shapes, [], [], geometry_type=shape.geom_type, crs=crs, layer=layer, **more)


def add_table(path):
    """A layer without geometry, as a style or a list of codes is."""
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE codes (id INTEGER PRIMARY KEY, code TEXT)")
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('codes','attributes','c')"
        )
    file.close()


@pytest.mark.filterwarnings("error")
def test_the_polygons_of_all_layers_count(tmp_path):
    path = tmp_path / "area.gpkg"
    add_layer(path, "corners", shapely.Point(7.0, 50.0), crs="EPSG:4326")
    add_layer(path, "left", LEFT)
    add_layer(path, "right", RIGHT)
    add_table(path)
    area = read_area(str(path))
    assert area.shape.equals(shapely.union(LEFT, RIGHT))
    assert area.crs == "EPSG:32632"


def test_layers_in_different_crss_are_refused(tmp_path):
    path = tmp_path / "area.gpkg"
    add_layer(path, "left", LEFT)
    add_layer(path, "right", RIGHT, crs="EPSG:32633")
    with pytest.raises(SodsliceError, match="has layers in different CRSs, EPSG:32632, EPSG:32633; give"):
        read_area(str(path))


def test_a_zipped_shapefile_is_read_and_one_in_a_folder_of_the_zip_is_refused(tmp_path):
    add_layer(tmp_path / "area.shp", "area", LEFT)
    for name, folder in (("flat.zip", ""), ("deep.zip", "folder/")):
        with zipfile.ZipFile(tmp_path / name, "w") as file:
            for part in tmp_path.glob("area.*"):
                file.write(part, folder + part.name)
    assert read_area(str(tmp_path / "flat.zip")).shape.equals(LEFT)
    with pytest.raises(SodsliceError, match=r"deep.zip cannot be read: .*; unpack it and give the vector"):
        read_area(str(tmp_path / "deep.zip"))


def test_of_folders_only_a_geodatabase_is_read(tmp_path):
    raw = pytest.importorskip("pyogrio.raw")
    path = tmp_path / "area.gdb"
    shapes = np.array([shapely.MultiPolygon([LEFT]).wkb], object)
    raw.write(path, shapes, [], [], geometry_type="MultiPolygon", crs="EPSG:32632", driver="OpenFileGDB")
    assert path.is_dir()
    assert read_area(str(path)).shape.equals_exact(LEFT, 0.01, normalize=True)
    with pytest.raises(SodsliceError, match="is a folder; give one vector file in it, or a geodatabase"):
        read_area(str(tmp_path))


def test_coordinates_that_were_taken_as_degrees_are_called_so(tmp_path):
    path = tmp_path / "area.shp"
    add_layer(path, "area", LEFT)
    path.with_suffix(".prj").unlink()
    with pytest.raises(
        SodsliceError, match="does not touch the scene: it spans x 500000 .*; it names no CRS"
    ):
        restrict(UTM, SIZE, area=read_area(str(path)))
    with pytest.raises(SodsliceError, match="does not touch the scene") as caught:
        restrict(UTM, SIZE, area=read_area(f"SRID=4326;{WKT}"))
    assert "names no CRS" not in str(caught.value)


def test_an_area_on_another_planet_is_refused_by_its_name(tmp_path):
    path = tmp_path / "area.geojson"
    moon = {"type": "name", "properties": {"name": "+proj=longlat +R=1737400"}}
    path.write_text(json.dumps({**POLYGON, "crs": moon}))
    with pytest.raises(SodsliceError, match=r"area.geojson cannot be put on the scene: PROJ finds no way"):
        restrict(UTM, SIZE, area=read_area(str(path)))


def test_extents_that_do_not_touch_the_scene_are_refused():
    with pytest.raises(SodsliceError, match="lies outside the scene of 1000 x 800 px"):
        restrict(UTM, SIZE, window=(1000, 0, 10, 10))
    with pytest.raises(SodsliceError, match="does not touch the scene: it spans x 11 to 11.1 and y 48"):
        restrict(UTM, SIZE, area=read_area(WKT))


def test_an_area_needs_a_place_to_be_put():
    with pytest.raises(SodsliceError, match="cannot be put on the scene: the scene has no CRS; use `window`"):
        restrict(GeoRef(), SIZE, area=read_area(WKT))
    with pytest.raises(SodsliceError, match="has a CRS and the scene has none"):
        restrict(GeoRef((1, 0, 0, 0, 1, 0)), SIZE, area=read_area(f"SRID=32632;{WKT}"))
    native = restrict(
        GeoRef((1, 0, 0, 0, 1, 0)), SIZE, area=read_area("POLYGON ((0 0, 100 0, 100 100, 0 0))")
    )
    assert native.holds(np.array([[60.0, 50.0], [50.0, 60.0]])).tolist() == [True, False]


CORNERS = [(5, 7), (100, 30), (300, 200), (390, 290), (635, 100), (700, 500), (790, 590)]


@pytest.fixture(scope="module")
def blobs():
    pixels = scene_with_blobs(800, 600, CORNERS).transpose(1, 2, 0)
    return ArrayScene(np.ascontiguousarray(pixels), georef=UTM)


@pytest.mark.parametrize(
    "restriction",
    [
        {"window": (290, 90, 420, 300)},
        {"window": "305,0,495,600"},
        {"aoi": polygon_px(UTM, [(0, 0), (800, 0), (400, 600)]).wkt},
        {"aoi": polygon_px(UTM, [(0, 0), (640, 0), (640, 600), (0, 600)]).wkt, "window": (200, 0, 600, 600)},
    ],
    ids=["window", "window as text", "area", "both"],
)
def test_a_restricted_run_gives_the_objects_of_the_whole_run_whose_centre_lies_in_it(blobs, restriction):
    options = {"tile": 128, "overlap": 32}
    whole = run(blobs, model="blobs", options=options)
    part = run(blobs, model="blobs", options={**options, **restriction})
    centres = (whole.detections.boxes[:, :2] + whole.detections.boxes[:, 2:]) / 2
    window = restriction.get("window")
    window = tuple(map(int, window.split(","))) if isinstance(window, str) else window
    area = restriction.get("aoi") and read_area(restriction["aoi"])
    kept = whole.detections[restrict(UTM, (800, 600), window=window, area=area).holds(centres)]
    assert 0 < len(kept) < len(whole)
    assert np.array_equal(part.detections.boxes, kept.boxes)
    assert part.provenance.counts.tiles < whole.provenance.counts.tiles


def test_a_window_and_an_area_that_lie_apart_are_refused(blobs):
    aoi = polygon_px(UTM, [(0, 0), (50, 0), (50, 50)]).wkt
    with pytest.raises(SodsliceError, match="no tile of the scene touches both `window` and `aoi`"):
        run(blobs, model="blobs", options={"tile": 64, "aoi": aoi, "window": (700, 500, 50, 50)})


def test_a_journal_is_not_gone_on_with_when_the_polygons_have_changed(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, CORNERS))
    area = tmp_path / "area.wkt"
    area.write_text(polygon_px(UTM, [(0, 0), (800, 0), (800, 600)]).wkt)
    options = {"tile": 128, "aoi": str(area)}

    class Stopping(BlobDetector):
        left = 5

        def detect(self, pixels):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            return super().detect(pixels)

    with pytest.raises(KeyboardInterrupt):
        run(path, model=Stopping(), options=options, output=tmp_path / "a.json")
    area.write_text(polygon_px(UTM, [(0, 0), (800, 0), (400, 600)]).wkt)
    with pytest.raises(SodsliceError, match="polygons of the aoi"):
        run(path, model=BlobDetector(), options=options, output=tmp_path / "a.json")
