"""Where rasters lie whose files state their place badly, and what a user can say instead."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.control import GroundControlPoint

from sodslice import SodsliceError, open_scene, run
from sodslice.scene.rendering import Rendering
from tests.rasters import UTM, write_raster

BOX = [30, 40, 70, 60]
WORLD = "0.5\n0\n0\n-0.5\n500000.25\n5299999.75\n"
LATIN = (
    'PROJCS["Gauß-Krüger",GEOGCS["GCS_Düsseldorf",DATUM["D_Düsseldorf",SPHEROID["Bessel",6377397.155,'
    '299.1528128]],PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",500000],PARAMETER["False_Northing",0],PARAMETER["Central_Meridian",9],'
    'PARAMETER["Scale_Factor",1],PARAMETER["Latitude_Of_Origin",0],UNIT["Meter",1]]'
)
GRID = "+proj=utm +zone=32 +ellps=bessel +nadgrids=no_such_grid.gsb +units=m"

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def picture() -> np.ndarray:
    pixels = np.full((1, 100, 120), 40, np.uint8)
    pixels[:, 40:60, 30:70] = 250
    return pixels


def with_aux(path, crs: str):
    """A raster whose CRS stands in the file that GDAL writes beside it."""
    write_raster(path, picture(), crs=None, transform=rasterio.Affine.identity(), tiled=False)
    place = "500000,.5,0,5300000,0,-.5"
    path.with_name(f"{path.name}.aux.xml").write_text(
        f"<PAMDataset><SRS>{escape(crs)}</SRS><GeoTransform>{place}</GeoTransform></PAMDataset>"
    )
    return path


def with_vrt(path, crs: str):
    write_raster(path.with_suffix(".tif"), picture(), crs=None, tiled=False)
    vrt = path.with_suffix(".vrt")
    vrt.write_text(
        f'<VRTDataset rasterXSize="120" rasterYSize="100"><SRS>{escape(crs)}</SRS>'
        "<GeoTransform>500000,.5,0,5300000,0,-.5</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">'
        f"{path.with_suffix('.tif').name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    return vrt


def with_prj(path, content: bytes):
    """An EHdr raster, whose CRS stands in a .prj."""
    bil = path.with_suffix(".bil")
    write_raster(bil, picture(), driver="EHdr", tiled=None, blockxsize=None, blockysize=None)
    bil.with_suffix(".prj").write_bytes(content)
    return bil


def files_of(path, tmp_path):
    """Objects in pixels as JSON has them, and the error of GeoJSON."""
    result = run(path, model="blobs", output=[tmp_path / "o.json", tmp_path / "p.geojson"], options=PIXELS)
    assert np.abs(result.detections.boxes - BOX).max() < 1
    assert json.loads((tmp_path / "o.json").read_text())["boxes"]
    with pytest.raises(SodsliceError) as caught:
        run(path, model="blobs", output=tmp_path / "o.geojson")
    assert not (tmp_path / "o.geojson").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


PIXELS = {"pixel_coords": True}
QUOTES = {'"': "&quot;"}


@pytest.mark.parametrize("build", [with_aux, with_vrt])
@pytest.mark.parametrize("crs", ["EPSG:99999", "ESRI:1", "no CRS at all", 'PROJCS["cut short",GEOGCS["x"'])
def test_a_crs_that_proj_does_not_know_is_no_damage(tmp_path, build, crs):
    path = build(tmp_path / "a.tif", crs)
    with open_scene(path) as scene:
        assert f"PROJ does not know its CRS, {crs}; `crs` gives another" in scene.notes[0]
        assert np.array_equal(scene.read(0, 0, 120, 100)[0][..., 0], picture()[0])
    assert f"PROJ does not know its CRS, {crs}" in files_of(path, tmp_path)


@pytest.mark.parametrize("build", [with_aux, with_vrt])
def test_a_grid_that_is_not_installed_is_named(tmp_path, build):
    path = build(tmp_path / "a.tif", GRID)
    assert "is the grid no_such_grid.gsb installed?" in files_of(path, tmp_path)
    assert open_scene(path).georef.measurable


def test_a_code_in_the_keys_of_a_geotiff_that_nobody_knows_is_no_damage(tmp_path):
    path = write_raster(tmp_path / "a.tif", picture(), crs="EPSG:32633", tiled=False)
    content = path.read_bytes()
    assert content.count((32633).to_bytes(2, "little")) == 1
    path.write_bytes(content.replace((32633).to_bytes(2, "little"), (59999).to_bytes(2, "little")))
    assert "WGS 84 / UTM zone 33N" in files_of(path, tmp_path)


def test_a_crs_in_latin_1_is_read_and_said(tmp_path):
    path = with_prj(tmp_path / "a", LATIN.encode("latin-1"))
    with open_scene(path) as scene:
        assert "in a text that is no UTF-8, read as Latin-1: Gauß-Krüger" in scene.notes[0]
        lonlat = scene.georef.to_lonlat(np.zeros((1, 2)))
    expected = pyproj.Transformer.from_crs(LATIN, "OGC:CRS84", always_xy=True).transform(500000, 5300000)
    assert np.allclose(lonlat, [expected])


def test_a_crs_in_latin_1_that_is_none_is_no_damage(tmp_path):
    path = with_prj(tmp_path / "a", LATIN.replace("Transverse_Mercator", "Quermercator").encode("latin-1"))
    assert "Gauß-Krüger" in files_of(path, tmp_path)


def lonlat_of(path, **how) -> list[float]:
    with open_scene(path, how) as scene:
        assert scene.georef.on_map, scene.georef.why_not_on_map
        return scene.georef.to_lonlat(np.array([[30.0, 40.0]]))[0].tolist()


def expected_lonlat(crs: str) -> tuple[float, float]:
    x, y = UTM @ (30.0, 40.0)
    return pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x, y)


@pytest.fixture
def prj(tmp_path):
    path = tmp_path / "site.prj"
    path.write_text(pyproj.CRS("EPSG:25832").to_wkt("WKT1_ESRI"), encoding="utf-8-sig")
    return str(path)


@pytest.mark.parametrize("crs", ["EPSG:32633", 32633, "+proj=utm +zone=33 +datum=WGS84", "WKT", "FILE"])
def test_a_crs_can_be_given_in_many_ways(tmp_path, prj, crs):
    given = {"WKT": pyproj.CRS("EPSG:31468").to_wkt(), "FILE": prj}.get(crs, crs)
    path = write_raster(tmp_path / "a.tif", picture(), crs=None)
    meant = {"FILE": "EPSG:25832", 32633: "EPSG:32633"}.get(crs, given)
    assert np.allclose(lonlat_of(path, crs=given), expected_lonlat(meant), atol=1e-9)


@pytest.mark.parametrize("build", [with_aux, with_vrt])
@pytest.mark.parametrize("stated", ["EPSG:99999", GRID, "EPSG:32601"])
def test_a_crs_that_is_given_goes_before_the_files(tmp_path, build, stated):
    path = build(tmp_path / "a.tif", stated)
    assert np.allclose(lonlat_of(path, crs="EPSG:32632"), expected_lonlat("EPSG:32632"))


@pytest.mark.parametrize(
    ("suffix", "world"), [("png", "pgw"), ("tif", "tfw"), ("jpg", "jgw"), ("ppm", "wld")]
)
def test_a_world_file_and_a_crs_make_a_map(tmp_path, suffix, world):
    from PIL import Image

    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.repeat(picture().transpose(1, 2, 0), 3, axis=2)).save(path)
    path.with_suffix(f".{world}").write_text(WORLD)
    assert np.allclose(lonlat_of(path, crs="EPSG:32632"), expected_lonlat("EPSG:32632"), atol=1e-9)
    result = run(path, model="blobs", options={"crs": "EPSG:32632"}, output=tmp_path / "o.geojson")
    assert 0.499 < result.scene.gsd_m < 0.501
    assert json.loads((tmp_path / "o.geojson").read_text())["features"]


def test_a_run_keeps_the_crs_and_not_the_file_that_held_it(tmp_path, prj):
    how = Rendering(crs=prj)
    assert how == Rendering(crs=how.crs)
    assert pyproj.CRS(how.crs).equals(pyproj.CRS(pyproj.CRS("EPSG:25832").to_wkt("WKT1_ESRI")))
    path = write_raster(tmp_path / "a.tif", picture(), crs=None)
    options = run(path, model="blobs", options={"crs": prj}).provenance.options
    assert options["crs"] == how.crs


@pytest.mark.parametrize("crs", ["EPSG:99999", "nonsense", "", "EPSG:5773", True, 1.5])
def test_a_crs_that_is_none_is_refused(crs):
    with pytest.raises(SodsliceError, match="`crs` must be a CRS that PROJ knows: a code such as EPSG:32633"):
        Rendering(crs=crs)


def test_a_crs_for_a_picture_without_any_place_says_that_it_places_nothing(tmp_path):
    path = write_raster(tmp_path / "a.tif", picture(), crs=None, transform=rasterio.Affine.identity())
    with open_scene(path, {"crs": "EPSG:32632"}) as scene:
        assert "`crs` places nothing" in scene.notes[0]
        assert scene.georef.why_not_on_map == "the scene has no geotransform"


def with_points(path, places, crs: str | None = "EPSG:32632"):
    write_raster(path, picture(), crs=None, transform=None, tiled=False)
    with rasterio.open(path, "r+") as dataset:
        points = [GroundControlPoint(row=r, col=c, x=x, y=y) for c, r, x, y in places]
        dataset.gcps = points, rasterio.CRS.from_string(crs)
    return path


CORNERS = [(c, r, *(UTM @ (c, r))) for c, r in [(0, 0), (120, 0), (120, 100), (0, 100)]]


@pytest.mark.parametrize(
    "places",
    [
        CORNERS[:2],
        CORNERS[:1],
        [(i, i, 500_000 + i, 5_300_000 + i) for i in range(5)],
        [CORNERS[0]] * 4,
        [(0, 0, float("nan"), 0), *CORNERS[1:3]],
    ],
)
def test_control_points_that_place_nothing_leave_the_pixels(tmp_path, places):
    path = with_points(tmp_path / "a.tif", places)
    with open_scene(path) as scene:
        assert f"{path} has a broken georeference" in scene.notes[0]
    assert "the scene's georeference is broken" in files_of(path, tmp_path)


def test_a_crs_that_is_given_is_that_of_control_points(tmp_path):
    path = with_points(tmp_path / "a.tif", CORNERS, "EPSG:32601")
    assert np.allclose(lonlat_of(path, crs="EPSG:32632"), expected_lonlat("EPSG:32632"), atol=1e-7)


def test_a_crs_that_is_given_is_not_that_of_rpcs(tmp_path):
    from rasterio.rpc import RPC

    numerator, one = [0.0, 0.0, 1.0, *[0.0] * 17], [1.0, *[0.0] * 19]
    rpc = RPC(
        err_bias=None,
        err_rand=None,
        height_off=100,
        height_scale=500,
        lat_off=48,
        lat_scale=0.1,
        line_den_coeff=one,
        line_num_coeff=[-v for v in numerator],
        line_off=50,
        line_scale=50,
        long_off=9,
        long_scale=0.1,
        samp_den_coeff=one,
        samp_num_coeff=[0.0, 1.0, *[0.0] * 18],
        samp_off=60,
        samp_scale=60,
    )
    path = write_raster(tmp_path / "a.tif", picture(), crs=None, transform=None, tiled=False)
    with rasterio.open(path, "r+") as dataset:
        dataset.rpcs = rpc
    plain = lonlat_of(path)
    assert lonlat_of(path, crs="EPSG:32632") == plain
    assert any("`crs` is of no use" in note for note in open_scene(path, {"crs": "EPSG:32632"}).notes)


@pytest.mark.parametrize("transform", ["0,0,0,0,0,0", "5,0,0,7,0,0", "0,1,1,0,1,1", "0,nan,0,0,0,1"])
def test_a_transform_that_places_nothing_leaves_the_pixels(tmp_path, transform):
    path = with_aux(tmp_path / "a.tif", "EPSG:32632")
    aux = path.with_name("a.tif.aux.xml")
    aux.write_text(aux.read_text().replace("500000,.5,0,5300000,0,-.5", transform))
    assert "georeference is broken" in files_of(path, tmp_path)


def test_a_pnm_without_a_world_file_has_no_place(tmp_path):
    """GDAL leaves its transform unset, and rasterio gives whatever lay in memory."""
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 120 100 255\n" + picture().tobytes())
    with open_scene(path) as scene:
        assert not scene.georef.placed
        assert scene.notes == ()


def test_control_points_whose_crs_is_in_latin_1_are_said(tmp_path):
    path = with_aux(tmp_path / "a.tif", "EPSG:32632")
    points = "".join(f'<GCP Id="{c}" Pixel="{c}" Line="{r}" X="{x}" Y="{y}"/>' for c, r, x, y in CORNERS)
    path.with_name("a.tif.aux.xml").write_bytes(
        (f'<PAMDataset><GCPList Projection="{escape(LATIN, QUOTES)}">{points}</GCPList></PAMDataset>').encode(
            "latin-1"
        )
    )
    assert "Gauß-Krüger" in files_of(path, tmp_path)


@pytest.mark.shared
def test_the_cases_are_read(shared, tmp_path):
    scenes = shared / "cases" / "scenes"
    assert "EPSG:99999" in files_of(scenes / "f8_unknown_code.tif", tmp_path)
    with open_scene(scenes / "f7_latin1.tif") as scene:
        assert "Gauss Krüg" in scene.notes[0]
        assert scene.read(0, 0, 120, 100)[0].max() == 250
