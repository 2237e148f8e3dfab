"""Metres on the ground: at the poles, over long ways, beyond the edge of a projection, and in local CRSs."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from sodslice import GeoRef, SodsliceError
from sodslice.place.edges import outlines
from sodslice.place.ground import ground_of

GEOD = pyproj.Geod(ellps="WGS84")
WGS84 = "+datum=WGS84"
POLAR = [
    "EPSG:3031",
    "EPSG:3413",
    "EPSG:3995",
    "EPSG:5041",
    "EPSG:5042",
    "EPSG:32661",
    "EPSG:32761",
    "EPSG:3571",
    "EPSG:3576",
    "EPSG:6931",
    "EPSG:6932",
    "EPSG:3408",
    f"+proj=aeqd +lat_0=90 {WGS84}",
    f"+proj=aeqd +lat_0=-90 +lon_0=30 {WGS84}",
    f"+proj=ortho +lat_0=90 {WGS84}",
    f"+proj=stere +lat_0=90 +lat_ts=75 {WGS84}",
    f"+proj=tmerc +lat_0=90 +lon_0=20 {WGS84}",
]
BOX = np.array([[30.0, 40, 70, 60]])


def pole_of(crs: str) -> tuple[np.ndarray, float]:
    """Map coordinates and latitude of the pole in whose middle a CRS lies."""
    way = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    south = crs in ("EPSG:3031", "EPSG:5042", "EPSG:32761", "EPSG:6932") or "lat_0=-90" in crs
    latitude = -90.0 if south else 90.0
    return np.array(way.transform(0.0, latitude, direction="INVERSE")), latitude


def at_pole(crs: str, shift_m: float, step: float = 0.1, *, turn: float = 0.0) -> GeoRef:
    """A grid whose pixel (50, 50) lies so many metres of the map to the right of the pole; half as far up."""
    (x, y), _ = pole_of(crs)
    cosine, sine = np.cos(np.radians(turn)) * step, np.sin(np.radians(turn)) * step
    corner = x - 50 * cosine - 50 * sine + shift_m, y - 50 * sine + 50 * cosine + shift_m / 2
    return GeoRef((cosine, sine, corner[0], sine, -cosine, corner[1]), crs)


@pytest.mark.parametrize("crs", POLAR)
@pytest.mark.parametrize("shift_m", [0, 1, 3, 50, 5000])
def test_areas_at_the_poles_follow_the_scale_of_the_projection(crs, shift_m):
    georef = at_pole(crs, shift_m)
    lon, lat = georef.to_lonlat(np.array([[50.0, 50.0]]))[0]
    factors = pyproj.Proj(crs).get_factors(lon, np.clip(lat, -89.99, 89.99))  # they are even so near the pole
    area, (width, height) = georef.area_m2(BOX)[0], georef.ground_size_m(BOX)[0]
    assert area == pytest.approx(8 / factors.areal_scale, rel=1e-5)
    assert (width, height) == pytest.approx(
        (4 / factors.areal_scale**0.5, 2 / factors.areal_scale**0.5), rel=1e-5
    )
    assert georef.gsd_m(100, 100) == pytest.approx(0.1 / factors.areal_scale**0.5, rel=1e-5)


@pytest.mark.parametrize("step", [1e-4, 0.01, 1, 100])
def test_the_size_of_a_pixel_at_the_pole_does_not_depend_on_how_fine_it_is(step):
    assert at_pole("EPSG:3031", 0, step).gsd_m(100, 100) / step == pytest.approx(1.0279933, rel=1e-6)
    assert at_pole("EPSG:6931", 0, step).gsd_m(100, 100) / step == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    ("georef", "box"),
    [
        (at_pole("EPSG:3031", 0, 1000), [0, 0, 200, 100]),
        (at_pole("EPSG:3413", 0, 10_000), [-200, -100, 300, 200]),
        (at_pole("EPSG:3571", 0, 10_000), [0, 0, 400, 200]),
        (GeoRef((0.1, 0, -180, 0, -0.1, 90), "EPSG:4326"), [100, 0, 400, 20]),
        (GeoRef((0.25, 0, -0.125, 0, -0.25, 90.125), "EPSG:4326"), [10, 0, 40, 2]),
        (GeoRef((0.25, 0, -0.125, 0, -0.25, 90.125), "EPSG:4326"), [0, 700, 40, 721]),
        (GeoRef((1e5, 0, -6e6, 0, -1e5, 5e6), f"+proj=geos +h=35785831 +sweep=y {WGS84}"), [30, 40, 70, 60]),
        (GeoRef((1e5, 0, -6.4e6, 0, -1e5, 6.4e6), f"+proj=ortho +lat_0=60 {WGS84}"), [50, 10, 60, 40]),
        (GeoRef((1e3, 0, 0, 0, -1e3, 9e6), "EPSG:32632"), [0, 0, 900, 900]),
    ],
)
def test_large_boxes_have_the_area_that_geodesics_enclose(georef, box):
    ring = georef.to_lonlat(outlines(np.array([box], float), 400)[0])
    expected, _ = GEOD.polygon_area_perimeter(*ring.T)
    assert georef.area_m2(np.array([box], float))[0] == pytest.approx(abs(expected), rel=2e-3)


@pytest.mark.parametrize(
    ("crs", "here", "beyond"),
    [
        ("+proj=sinu +R=6371007.181", (1e7, 2e6), (1.5e7, 8e6)),
        (f"+proj=moll {WGS84}", (1e7, 2e6), (1.7e7, 8e6)),
        (f"+proj=eqearth {WGS84}", (1e7, 2e6), (1.6e7, 8e6)),
        (f"+proj=eck6 {WGS84}", (1e7, 2e6), (1.75e7, 8e6)),
        (f"+proj=hammer {WGS84}", (1e7, 2e6), (1.7e7, 8e6)),
        (f"+proj=ortho +lat_0=40 {WGS84}", (1e6, 1e6), (6.3e6, 6e6)),
        (f"+proj=geos +h=35785831 {WGS84}", (1e6, 1e6), (5.4e6, 5e6)),
        ("EPSG:3571", (1e6, 1e6), (1.27e7, 3e6)),
        (f"+proj=aeqd +lat_0=90 {WGS84}", (1e6, 1e6), (2.1e7, 3e6)),
        ("EPSG:2154", (7e5, 6.6e6), (1.5e6, 2.6e7)),
        ("EPSG:5070", (0, 1e6), (2e6, 1.5e7)),
        (f"+proj=eqc {WGS84}", (1e6, 1e6), (0, 1.2e7)),
        ("EPSG:4326", (10, 50), (10, 95)),
        ("IAU_2015:30100", (10, 50), (10, 95)),
    ],
)
def test_a_projection_ends_where_its_way_back_leads_elsewhere(crs, here, beyond):
    """Beyond some edges PROJ fails, beyond others it gives a place on the other side of the Earth."""
    places = ground_of(crs).on_earth(np.array([here, beyond], float))
    assert places[0].tolist() == list(here)
    assert np.isnan(places[1]).all()
    georef = GeoRef((1.0, 0, 0, 0, -1.0, 0), crs)
    boxes = np.array([[x - 1, -y - 1, x + 1, 1 - y] for x, y in (here, beyond)], float)
    assert georef.has_place(boxes).tolist() == [True, False]
    assert np.isfinite(georef.area_m2(boxes)).tolist() == [True, False]
    if georef.on_map:
        with pytest.raises(
            SodsliceError, match="some pixels lie where the CRS has no longitude and latitude"
        ):
            georef.to_lonlat(boxes[:, :2])


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395", f"+proj=eqc {WGS84}", f"+proj=cea {WGS84}"])
def test_cylinders_go_on_beyond_the_antimeridian(crs):
    georef = GeoRef((1.0, 0, 2.1e7, 0, -1.0, 1e6), crs)
    box = np.array([[0, 0, 100, 100]])
    assert georef.has_place(box).all()
    assert georef.to_lonlat(np.array([[0.0, 0.0]]))[0, 0] == pytest.approx(-171.35, abs=0.01)


METRE = 'UNIT["metre",1,AUTHORITY["EPSG","9001"]]'


def engineering(unit: str) -> str:
    axes = 'AXIS["x",unspecified],AXIS["y",unspecified]'
    return f'ENGCRS["site",EDATUM["unknown"],CS[Cartesian,2],{axes},{unit}]'


@pytest.mark.parametrize(
    ("crs", "unit"),
    [
        (f'LOCAL_CS["site",{METRE}]', 1),
        ('LOCAL_CS["site",UNIT["Meter",1]]', 1),
        ('LOCAL_CS["site",UNIT["m",1]]', 1),
        ('LOCAL_CS["site",UNIT["mètre",1]]', 1),
        ('LOCAL_CS["site",UNIT["Foot_US",0.3048006096]]', 0.3048006096),
        ('LOCAL_CS["site",UNIT["millimetre",0.001]]', 0.001),
        (engineering('LENGTHUNIT["metre",1]'), 1),
        ('LOCAL_CS["site",UNIT["unknown",1]]', 0),
        ('LOCAL_CS["site",UNIT["unknown",0]]', 0),
        ('LOCAL_CS["site",UNIT["pixel",1]]', 0),
        ('LOCAL_CS["site",UNIT["unit",1]]', 0),
        ('LOCAL_CS["site",UNIT["unnamed",0.5]]', 0),
        ('LOCAL_CS["site",UNIT["degree",0.0174532925199433]]', 0),
        ('LOCAL_CS["site"]', 0),
        (engineering('LENGTHUNIT["unknown",0]'), 0),
        (engineering('SCALEUNIT["unity",1]'), 0),
        (
            'ENGCRS["site",EDATUM["unknown"],CS[Cartesian,2],AXIS["x",unspecified,LENGTHUNIT["metre",1]],'
            'AXIS["y",unspecified,LENGTHUNIT["foot",0.3048]]]',
            0,
        ),
    ],
)
def test_a_local_crs_has_metres_where_it_names_a_unit_of_length(crs, unit):
    georef = GeoRef((0.5, 0, 0, 0, -0.5, 0), crs)
    assert ground_of(crs).unit == pytest.approx(unit)
    assert georef.measurable == bool(unit)
    if unit:
        assert georef.area_m2(BOX)[0] == pytest.approx(800 * (unit / 2) ** 2)
        assert georef.has_place(BOX).all()
    else:
        assert georef.why_not_measurable == "the scene's CRS counts in a unit of unknown length"
        with pytest.raises(SodsliceError, match="a unit of unknown length"):
            georef.gsd_m(100, 100)


def test_a_datum_shift_and_heights_do_not_change_metres():
    plain = GeoRef((0.1, 0, 5e5, 0, -0.1, 5.3e6), "EPSG:32632")
    for crs in ("EPSG:32632+5773", "+proj=utm +zone=32 +ellps=WGS84 +towgs84=10,20,30"):
        assert GeoRef(plain.transform, crs).area_m2(BOX) == pytest.approx(plain.area_m2(BOX), rel=1e-9)
