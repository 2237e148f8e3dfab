"""What cannot be is refused where a place is needed, what is only strange is said, the rest is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from sodslice import ArrayScene, GeoRef, SodsliceError, make_plan, run
from sodslice.errors import OutputError
from sodslice.jobs import run_many
from sodslice.place.plausible import examined
from sodslice.results import check_output
from sodslice.scene.base import ForeignScene
from tests.rasters import write_raster

SIZE = (1440, 721)
WGS84 = "+datum=WGS84"


def seen(georef: GeoRef, size=SIZE) -> tuple[GeoRef, tuple[str, ...]]:
    return examined(georef, size, "a.tif")


@pytest.mark.parametrize(
    ("georef", "words"),
    [
        (
            GeoRef((0.1, 0, 460_000, 0, -0.1, 5_550_000), "EPSG:4326"),
            "latitude 5550000 (are its coordinates metres?)",
        ),
        (GeoRef((0.01, 0, 40, 0, -0.01, 145), "EPSG:4326"), "latitude 145 (are the two swapped?)"),
        (GeoRef((0.01, 0, 40, 0, 0.01, -145), "EPSG:4326"), "latitude -145 (are the two swapped?)"),
        (GeoRef((1.0, 0, 3000, 0, -1.0, 80), "EPSG:4326"), "latitude -641"),
        (
            GeoRef((0.1, 0, 460_000, 0, -0.1, 50), "EPSG:4326"),
            "longitude 460144 (are its coordinates metres?)",
        ),
        (GeoRef((0.25, 0, -0.125, 0, -0.25, 90.5), "EPSG:4326"), "latitude 90.5"),
        (GeoRef((0.1, 0, 460_000, 0, -0.1, 5_550_000), "EPSG:4258"), "latitude 5550000"),
        (GeoRef((0.1, 0, 0, 0, -0.1, 110), "EPSG:4807"), "latitude 99"),
        (GeoRef((0.1, 0, 460_000, 0, -0.1, 5_550_000), "IAU_2015:30100"), "latitude 5550000"),
        (
            GeoRef(None, "EPSG:4326", gcps=((0, 0, 40.0, 145.0), (9, 0, 40.1, 145.0), (0, 9, 40.0, 144.9))),
            "latitude 145 (are the two swapped?)",
        ),
    ],
)
def test_latitudes_beyond_the_poles_are_none(georef, words):
    found, notes = seen(georef)
    assert words in found.fault
    assert not found.on_map
    assert not found.measurable
    assert found.why_not_on_map == found.fault == found.why_not_measurable
    assert notes == (f"a.tif is taken as a scene without a map: {found.fault}; give its `crs`",)
    assert GeoRef.from_dict(found.as_dict()) == found
    for place in (found.to_lonlat, found.area_m2):
        with pytest.raises(SodsliceError, match="places cannot be computed|PROJ cannot turn"):
            place(np.zeros((1, 4 if place == found.area_m2 else 2)))


@pytest.mark.parametrize(
    "georef",
    [
        GeoRef((1e5, 0, 7e6, 0, -1e5, -7e6), f"+proj=ortho +lat_0=40 {WGS84}"),
        GeoRef((1.0, 0, 1.9e7, 0, -1.0, 1.9e7), f"+proj=moll {WGS84}"),
        GeoRef((1000.0, 0, 5e5, 0, -1000.0, 5e9), "EPSG:32632"),
    ],
)
def test_a_projection_that_reaches_nothing_of_a_scene_cannot_be_its_own(georef):
    found, _ = seen(georef, (40, 40))
    assert found.fault == "the scene's CRS has a longitude and latitude for no part of it"


@pytest.mark.parametrize(
    "georef",
    [
        GeoRef((0.25, 0, -0.125, 0, -0.25, 90.125), "EPSG:4326"),
        GeoRef((0.25, 0, -180.125, 0, 0.25, -90.125), "EPSG:4326"),
    ],
)
def test_grids_of_pixel_centres_end_at_the_pole(georef):
    found, notes = seen(georef)
    assert found == georef
    assert notes == (
        "a.tif reaches half a pixel beyond a pole, as grids of pixel centres do; places end at the pole",
    )
    rows = [0.0, 0.5, 1, 720, 721]
    latitudes = found.to_lonlat(np.array([[5.0, row] for row in rows]))[:, 1]
    assert sorted(np.abs(latitudes).tolist()) == pytest.approx([89.875, 89.875, 90, 90, 90])
    half, full = found.area_m2(np.array([[5.0, 0, 9, 1], [5.0, 0.5, 9, 1]]))
    assert half == pytest.approx(full)


@pytest.mark.parametrize(
    ("georef", "words"),
    [
        (GeoRef((1e-6, 0, 11, 0, -1e-6, 48), "EPSG:32632"), "has pixels of 9.97e-07 m by its CRS"),
        (GeoRef((1e-6, 0, 11, 0, -1e-6, 48), "EPSG:3857"), "has pixels of 9.97e-07 m by its CRS"),
        (GeoRef((1, 0, 0, 0, -1, 89), "EPSG:4326"), "has pixels of 98.1 km by its CRS"),
    ],
)
def test_pixels_of_a_micrometre_or_of_a_country_are_said(georef, words):
    found, (note,) = seen(georef, (100, 100))
    assert not found.fault
    assert note.startswith(f"a.tif {words}, which is hardly so")
    assert note.endswith("if it is another, give it with `crs`")


@pytest.mark.parametrize(
    "georef",
    [
        GeoRef(),
        GeoRef((0.1, 0, 0, 0, -0.1, 0)),
        GeoRef(None, "EPSG:4326"),
        GeoRef((0.1, 0, 5e5, 0, -0.1, 5.3e6), "EPSG:32632"),
        GeoRef((0.001, 0, 359.5, 0, -0.001, 60), "EPSG:4326"),
        GeoRef((0.1, 0, 2.1e7, 0, -0.1, 1e6), "EPSG:3857"),
        GeoRef((0.1, 0, 0, 0, -0.1, 0), "EPSG:3031"),
        GeoRef((0.1, 0, 0, 0, -0.1, 0), 'LOCAL_CS["site",UNIT["unknown",0]]'),
        GeoRef((0.1, 0, 0, 0, -0.1, 0), "EPSG:999999"),
    ],
)
def test_of_the_rest_nothing_is_said(georef):
    assert seen(georef) == (georef, ())


def test_a_scene_that_is_in_part_beyond_the_edge_says_so_before_the_work():
    georef = GeoRef((1e5, 0, -6e6, 0, -1e5, 5e6), f"+proj=geos +h=35785831 {WGS84}")
    found, notes = seen(georef, (120, 100))
    assert found == georef
    assert notes[0] == (
        "a.tif lies in part where its CRS has no longitude and latitude; "
        "GeoJSON leaves out what is found there"
    )


WRONG = GeoRef((0.1, 0, 460_000, 0, -0.1, 5_550_000), "EPSG:4326")


def test_every_scene_is_examined(tmp_path):
    pixels = np.zeros((100, 120, 3), np.uint8)
    raster = write_raster(
        tmp_path / "a.tif", pixels.transpose(2, 0, 1), crs="EPSG:4326", transform=WRONG.transform
    )

    class Own:
        name, width, height, georef, notes = "own", 120, 100, WRONG, ("said before",)

    for scene in (ArrayScene(pixels, georef=WRONG), ForeignScene(Own())):
        assert "latitude 5550000" in scene.georef.fault
        assert "is taken as a scene without a map" in scene.notes[-1]
    plan = make_plan(raster, model="blobs")
    assert "latitude 5550000" in plan.scene.georef.fault
    assert type(plan).from_json(plan.to_json()).scene.georef == plan.scene.georef


def test_an_impossible_place_is_refused_for_geojson_and_kept_out_of_json(tmp_path):
    pixels = np.zeros((3, 100, 120), np.uint8)
    pixels[:, 40:60, 30:70] = 255
    raster = write_raster(tmp_path / "a.tif", pixels, crs="EPSG:4326", transform=WRONG.transform)
    with pytest.raises(OutputError) as caught:
        run(raster, model="blobs", output=tmp_path / "a.geojson")
    assert str(caught.value).endswith(
        "GeoJSON needs longitude and latitude, and the scene's CRS is one of longitude and latitude and puts "
        "it at latitude 5550000 (are its coordinates metres?); give its own `crs`, write .json instead, or "
        "GeoJSON in pixels with `pixel_coords`"
    )
    assert not (tmp_path / "a.geojson").exists()
    result = run(raster, model="blobs", output=tmp_path / "a.json", options={"min_size": 15})
    assert (len(result), result.scene.gsd_m, result.provenance.unplaced) == (1, None, 0)
    assert any(
        "`min_size` and `max_size` are in pixels: the scene's CRS is one" in note
        for note in result.scene.notes
    )
    with pytest.raises(
        SodsliceError, match="`gsd` needs a scene whose metres are known: the scene's CRS is one of lon"
    ):
        run(raster, model="blobs", options={"gsd": 0.5})
    with pytest.raises(
        SodsliceError, match="cannot be put on the scene: the scene's CRS is one of .* or use `window`"
    ):
        run(raster, model="blobs", options={"aoi": "POLYGON ((0 0, 1 0, 1 1, 0 0))"})
    right = run(raster, model="blobs", output=tmp_path / "b.geojson", options={"crs": "EPSG:32633"})
    assert right.scene.gsd_m == pytest.approx(0.1, rel=1e-3)


def test_a_map_is_meant_where_a_crs_is_wrong(tmp_path):
    fault = examined(WRONG, (120, 100), "a")[0]
    assert fault.meant_for_map
    assert not GeoRef().meant_for_map
    assert GeoRef((0.1, 0, 5e5, 0, -0.1, 5.3e6), "EPSG:32632").meant_for_map
    with pytest.raises(OutputError, match="give its own `crs`"):
        check_output(tmp_path / "a.geojson", georef=fault)


def test_in_a_folder_an_impossible_place_fails_its_scene_and_no_other(tmp_path):
    pixels = np.full((3, 100, 120), 200, np.uint8)
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    write_raster(scenes / "a.tif", pixels, crs="EPSG:4326", transform=WRONG.transform)
    write_raster(scenes / "b.tif", pixels)
    wrong, right = run_many(scenes, model="blobs", output=tmp_path / "out")
    assert wrong.failed
    assert "latitude 5550000" in wrong.why
    assert [path.name for path in right.outputs] == ["b.tif.geojson"]
