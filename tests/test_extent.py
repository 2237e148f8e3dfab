from __future__ import annotations

import json
import sys

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import ArrayScene, BlobDetector, GeoRef, SodsliceError, run
from sodslice.aoi import read_area
from sodslice.extent import Rectangle, restrict
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
    within = restrict(georef, SIZE, aoi=shapely.Polygon(places).wkt)
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
    within = restrict(TURNED, SIZE, aoi=f"SRID={srid};{shape.wkt}")
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 800, (500, 2))
    assert np.array_equal(within.holds(places), shapely.intersects_xy(shapely.Polygon(ring), places))


def test_an_area_that_is_cut_at_the_antimeridian_is_whole(tmp_path):
    meridian = float(DATELINE.from_lonlat(np.array([[180.0, 1.78]]))[0, 0])
    halves = [shapely.box(179.99, 1.7, 180, 1.8), shapely.box(-180, 1.7, -179.99, 1.8)]
    within = restrict(DATELINE, SIZE, aoi=shapely.MultiPolygon(halves).wkt)
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
    within = restrict(UTM, SIZE, aoi=str(path))
    assert within.holds(np.array([[400.0, 300.0], [100.0, 300.0]])).tolist() == [True, False]


def test_extents_that_do_not_touch_the_scene_are_refused():
    with pytest.raises(SodsliceError, match="lies outside the scene of 1000 x 800 px"):
        restrict(UTM, SIZE, window=(1000, 0, 10, 10))
    with pytest.raises(SodsliceError, match="does not touch the scene: it spans x 11 to 11.1 and y 48"):
        restrict(UTM, SIZE, aoi=WKT)


def test_an_area_needs_a_place_to_be_put():
    with pytest.raises(SodsliceError, match="cannot be put on the scene: the scene has no CRS; use --window"):
        restrict(GeoRef(), SIZE, aoi=WKT)
    with pytest.raises(SodsliceError, match="has a CRS and the scene has none"):
        restrict(GeoRef((1, 0, 0, 0, 1, 0)), SIZE, aoi=f"SRID=32632;{WKT}")
    native = restrict(GeoRef((1, 0, 0, 0, 1, 0)), SIZE, aoi="POLYGON ((0 0, 100 0, 100 100, 0 0))")
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
    kept = whole.detections[
        restrict(UTM, (800, 600), window=window, aoi=restriction.get("aoi")).holds(centres)
    ]
    assert 0 < len(kept) < len(whole)
    assert np.array_equal(part.detections.boxes, kept.boxes)
    assert part.run["counts"]["tiles"] < whole.run["counts"]["tiles"]


def test_a_window_and_an_area_that_lie_apart_are_refused(blobs):
    aoi = polygon_px(UTM, [(0, 0), (50, 0), (50, 50)]).wkt
    with pytest.raises(SodsliceError, match="no tile of the scene touches both --window and --aoi"):
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
