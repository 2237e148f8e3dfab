"""Right pixels and right places: one bright rectangle, in every kind of file and on every kind of map."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.rpc import RPC
from rasterio.shutil import copy as gdal_copy
from rasterio.transform import RPCTransformer

from sodslice import SodsliceError, run
from tests.rasters import UTM

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

WIDTH, HEIGHT = 240, 160
RECTANGLE = (48, 64, 112, 88)
GEOD = pyproj.Geod(ellps="WGS84")

RED_GREEN_BLUE = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]


def levels(count: int, dark: float, spread: float, bright: float, dtype: str) -> np.ndarray:
    """Pixels `(count, H, W)`: a dark, uneven ground and the bright rectangle, which is 4 % of all."""
    rng = np.random.default_rng(0)
    pixels = dark + spread * rng.random((count, HEIGHT, WIDTH))
    x0, y0, x1, y1 = RECTANGLE
    pixels[:, y0:y1, x0:x1] = bright
    return pixels.astype(dtype)


def write(
    path: Path,
    pixels: np.ndarray,
    *,
    driver="GTiff",
    crs="EPSG:32632",
    transform=UTM,
    colours=None,
    **profile,
) -> Path:
    shape = {"count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2]}
    settings = {"driver": driver, "dtype": pixels.dtype, "crs": crs, "transform": transform}
    with rasterio.open(path, "w", **shape, **settings, **profile) as dataset:
        if colours:
            dataset.colorinterp = colours
        dataset.write(pixels)
    return path


TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}
BYTES = (10, 60, 250, "uint8")


class Pixels(NamedTuple):
    """A kind of file: how it is made, and the options that it needs."""

    make: Callable[[Path], Path]
    options: Mapping[str, object] = MappingProxyType({})


def plain(count=3, look=BYTES, name="a.tif", **profile) -> Pixels:
    return Pixels(lambda folder: write(folder / name, levels(count, *look), **profile))


def with_options(kind: Pixels, **options) -> Pixels:
    return Pixels(kind.make, options)


def rgba(folder: Path) -> Path:
    alpha = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    pixels = levels(3, *BYTES)
    pixels[:, :20], alpha[:, :20] = 255, 0
    alpha[:, 20:40] = 100
    return write(
        folder / "a.tif", np.concatenate([pixels, alpha]), colours=[*RED_GREEN_BLUE, ColorInterp.alpha]
    )


def grey_and_alpha(folder: Path) -> Path:
    alpha = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :20] = 0
    pixels = levels(1, *BYTES)
    pixels[:, :20] = 255
    colours = [ColorInterp.gray, ColorInterp.alpha]
    return write(folder / "a.tif", np.concatenate([pixels, alpha]), colours=colours)


def near_infrared(folder: Path) -> Path:
    pixels = levels(4, *BYTES)
    pixels[3] = 0
    return write(folder / "a.tif", pixels, colours=[*RED_GREEN_BLUE, ColorInterp.undefined])


def blue_first(folder: Path) -> Path:
    return write(folder / "a.tif", levels(3, *BYTES), colours=RED_GREEN_BLUE[::-1])


def eight_bands(folder: Path) -> Path:
    pixels = np.zeros((8, HEIGHT, WIDTH), np.uint8)
    pixels[[4, 2, 1]] = levels(3, *BYTES)
    return write(folder / "a.tif", pixels)


def palette(folder: Path) -> Path:
    pixels = (levels(1, *BYTES) > 200).astype(np.uint8)
    path = write(folder / "a.tif", pixels, photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (20, 30, 40, 255), 1: (250, 240, 230, 255)})
    return path


def internal_mask(folder: Path) -> Path:
    pixels = levels(3, *BYTES)
    pixels[:, :20] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(folder / "a.tif", pixels, **TILED)
        with rasterio.open(path, "r+") as dataset:
            mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
            mask[:20] = 0
            dataset.write_mask(mask)
    return path


def holey(value: float, dtype: str, look: tuple, declared: float | None = None):
    def make(folder: Path) -> Path:
        pixels = levels(3, *look)
        pixels[:, :20] = value
        return write(folder / "a.tif", pixels.astype(dtype), nodata=declared, **TILED)

    return make


def inverted(folder: Path) -> Path:
    return write(folder / "a.tif", 255 - levels(1, *BYTES), photometric="miniswhite")


def one_bit(folder: Path) -> Path:
    return write(folder / "a.tif", (levels(1, *BYTES) > 200).astype(np.uint8), nbits=1)


def cloud_optimised(folder: Path) -> Path:
    source = write(folder / "source.tif", levels(3, 400, 300, 3000, "uint16"), **TILED)
    with rasterio.open(source, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    gdal_copy(source, folder / "a.tif", driver="COG", blocksize=128, compress="deflate")
    return folder / "a.tif"


def virtual(folder: Path) -> Path:
    (folder / "parts").mkdir()
    source = write(folder / "parts" / "source.tif", levels(3, *BYTES), **TILED)
    gdal_copy(source, folder / "a.vrt", driver="VRT")
    return folder / "a.vrt"


def copied(driver: str, name: str, **settings):
    def make(folder: Path) -> Path:
        source = write(folder / "source.tif", levels(3, *BYTES))
        gdal_copy(source, folder / name, driver=driver, **settings)
        return folder / name

    return make


SIXTEEN = (400, 300, 3000, "uint16")

PIXELS = {
    "uint8": plain(),
    "uint8, one band": plain(1),
    "uint8, stretched": with_options(plain(look=(10, 20, 90, "uint8")), stretch="2,99"),
    "uint16": plain(look=SIXTEEN),
    "uint16, one band": plain(1, SIXTEEN),
    "uint16, by levels": with_options(plain(look=SIXTEEN), stretch="minmax:0,3000"),
    "uint16 that holds 8 bits": with_options(plain(look=(10, 60, 250, "uint16")), stretch="none"),
    "int16": plain(look=(-900, 300, 2500, "int16")),
    "int8": plain(look=(-120, 40, 120, "int8")),
    "uint32": plain(look=(4e5, 3e5, 3e6, "uint32")),
    "int32": plain(look=(-4e6, 3e5, 3e6, "int32")),
    "float32": plain(look=(0.1, 0.2, 0.9, "float32")),
    "float64": plain(1, (-1e5, 10.0, -9.99e4, "float64")),
    "alpha": Pixels(rgba),
    "grey and alpha": Pixels(grey_and_alpha),
    "near-infrared": Pixels(near_infrared),
    "blue before red": Pixels(blue_first),
    "eight bands": with_options(Pixels(eight_bands), bands="5,3,2"),
    "palette": Pixels(palette),
    "internal mask": Pixels(internal_mask),
    "no-data value": Pixels(holey(255, "uint8", (10, 60, 240, "uint8"), 255)),
    "no-data value of the user": with_options(
        Pixels(holey(255, "uint8", (10, 60, 240, "uint8"))), nodata=255
    ),
    "16-bit no-data value": Pixels(holey(65535, "uint16", SIXTEEN, 65535)),
    "float no-data value": Pixels(holey(-9999, "float32", (0.1, 0.2, 0.9, "float32"), -9999)),
    "NaN": Pixels(holey(math.nan, "float32", (0.1, 0.2, 0.9, "float32"))),
    "NaN declared": Pixels(holey(math.nan, "float64", (0.1, 0.2, 0.9, "float64"), math.nan)),
    "white is 0": Pixels(inverted),
    "one bit": Pixels(one_bit),
    "planar, tiled": plain(interleave="band", **TILED),
    "interleaved, tiled": plain(interleave="pixel", **TILED),
    "planar, striped": plain(interleave="band", blockysize=8, compress="lzw"),
    "interleaved, striped": plain(interleave="pixel", blockysize=8, compress="deflate", predictor=2),
    "one block": plain(look=SIXTEEN, tiled=True, blockxsize=240, blockysize=160, compress="deflate"),
    "BigTIFF": plain(bigtiff="YES", **TILED),
    "COG with overviews": Pixels(cloud_optimised),
    "VRT": Pixels(virtual),
    "JPEG": Pixels(copied("JPEG", "a.jpg", quality=95)),
    "JPEG in TIFF": plain(compress="jpeg", photometric="ycbcr", jpeg_quality=95, **TILED),
    "PNG": Pixels(copied("PNG", "a.png")),
    "JP2": Pixels(copied("JP2OpenJPEG", "a.jp2", quality=100, reversible="YES")),
    "ERDAS Imagine": plain(driver="HFA", name="a.img"),
}


def found_in(path: Path, **options) -> tuple[dict, list[dict]]:
    """The JSON of a run of the blob detector, and its boxes."""
    output = path.with_name("out.json")
    run(path, model="blobs", options={"threshold": 0.5, **options}, output=output)
    content = json.loads(output.read_text())
    return content, content["boxes"]


@pytest.mark.parametrize("kind", PIXELS.values(), ids=PIXELS.keys())
def test_the_rectangle_is_found_at_its_pixels_in_every_kind_of_file(tmp_path, kind):
    path = kind.make(tmp_path)
    _, boxes = found_in(path, **kind.options)
    assert [box["coordinate"] for box in boxes] == [list(RECTANGLE)]
    _, parts = found_in(path, **kind.options, tile=96, overlap=64, merge="none")
    assert list(RECTANGLE) in [box["coordinate"] for box in parts]


@pytest.mark.parametrize(
    ("profile", "pixels", "words"),
    [
        (
            {"photometric": "cmyk"},
            np.zeros((4, 64, 64), np.uint8),
            "a.tif is CMYK, which is for print; convert it to RGB first",
        ),
        ({}, np.zeros((1, 64, 64), np.complex64), "a.tif has complex64 pixels, which are no picture"),
        (
            {},
            np.zeros((2, 64, 64), np.uint8),
            "a.tif has 2 bands; choose one with `bands`, for example `bands=1`",
        ),
        (
            {},
            np.zeros((7, 64, 64), np.uint8),
            "a.tif has 7 bands; choose three with `bands`, for example `bands=3,2,1`",
        ),
    ],
    ids=["CMYK", "complex", "two bands", "seven bands"],
)
def test_what_cannot_be_meant_is_refused(tmp_path, profile, pixels, words):
    path = write(tmp_path / "a.tif", pixels, **profile)
    with pytest.raises(SodsliceError, match=words):
        run(path, model="blobs")


MOON = 'PROJCS["moon",GEOGCS["m",DATUM["D_Moon_2000",SPHEROID["Moon",1737400,0]],PRIMEM["R",0],UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],PARAMETER["standard_parallel_1",0],PARAMETER["central_meridian",0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'  # noqa: E501


def turned(degrees: float, gsd: float, x: float, y: float) -> Affine:
    c, s = gsd * math.cos(math.radians(degrees)), gsd * math.sin(math.radians(degrees))
    return Affine(c, s, x, s, -c, y)


def place(transform: Affine, col: float, row: float) -> tuple[float, float]:
    a, b, c, d, e, f = transform[:6]
    return a * col + b * row + c, d * col + e * row + f


MAPS = {
    "UTM": (UTM, "EPSG:32632"),
    "rotated": (turned(33, 0.25, 500_000, 5_300_000), "EPSG:32632"),
    "sheared": (Affine(0.2, 0.07, 500_000, 0.0, -0.2, 5_300_000), "EPSG:32632"),
    "south-up": (Affine(0.2, 0, 500_000, 0, 0.2, 5_300_000), "EPSG:32632"),
    "degrees": (Affine(2.7e-6, 0, -115.2474, 0, -2.7e-6, 36.2), "EPSG:4326"),
    "Web Mercator": (Affine(0.3, 0, 1_224_514, 0, -0.3, 8_399_737), "EPSG:3857"),
    "World Mercator": (Affine(0.1, 0, -5_743_476.5, 0, -0.1, -1_750_386), "EPSG:3395"),
    "feet": (Affine(1.0, 0, 985_000, 0, -1.0, 210_000), "EPSG:2263"),
    "Gauss-Krueger": (Affine(0.2, 0, 3_500_000, 0, -0.2, 5_300_000), "EPSG:31467"),
    "across the antimeridian": (Affine(0.5, 0, 833_940, 0, -0.5, 20_000), "EPSG:32660"),
    "polar": (Affine(5, 0, 300_000, 0, -5, 700_000), "EPSG:3413"),
}


def on_map(folder: Path, transform: Affine, crs: str) -> Path:
    return write(folder / "a.tif", levels(3, *BYTES), crs=crs, transform=transform)


def corner_points() -> list[tuple[float, float]]:
    x0, y0, x1, y1 = RECTANGLE
    return [(x0, y0), (x0, y1), (x1, y1), (x1, y0)]


def expected_lonlat(transform: Affine, crs: str) -> np.ndarray:
    """Corners `(4, 2)` of the rectangle by the plain affine and pyproj."""
    places = [place(transform, *point) for point in corner_points()]
    way = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return np.array([way.transform(x, y) for x, y in places])


def check_place(path: Path, expected: np.ndarray, **options) -> dict:
    """The one feature of a run lies at the expected corners and has their area and sides."""
    output = path.with_name("out.geojson")
    run(path, model="blobs", options={"threshold": 0.5, **options}, output=output)
    (feature,) = json.loads(output.read_text())["features"]
    geometry = feature["geometry"]
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    points = np.array([point for (ring,) in parts for point in ring[:-1]])
    distance = np.abs(expected[:, None] - points[None])
    distance[..., 0] = np.minimum(distance[..., 0], 360 - distance[..., 0])
    assert distance.max(axis=2).min(axis=1).max() <= 1e-7
    area, _ = GEOD.polygon_area_perimeter(*expected.T)
    properties = feature["properties"]
    assert properties["area_m2"] == pytest.approx(abs(area), rel=5e-3)
    left = GEOD.inv(*expected[0], *expected[1])[2]
    top = GEOD.inv(*expected[0], *expected[3])[2]
    assert properties["length_m"] == pytest.approx(max(left, top), rel=5e-3)
    assert properties["width_m"] == pytest.approx(min(left, top), rel=5e-3)
    return feature


@pytest.mark.parametrize(("transform", "crs"), MAPS.values(), ids=MAPS.keys())
def test_the_rectangle_is_where_it_lies_on_every_kind_of_map(tmp_path, transform, crs):
    feature = check_place(on_map(tmp_path, transform, crs), expected_lonlat(transform, crs))
    crosses = crs == "EPSG:32660"
    assert feature["geometry"]["type"] == ("MultiPolygon" if crosses else "Polygon")


def test_a_file_whose_transform_is_of_pixel_middles_is_not_half_a_pixel_off(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.Env(GTIFF_POINT_GEO_IGNORE=True):
        write(path, levels(3, *BYTES))
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(AREA_OR_POINT="Point")
    corner = place(UTM, -0.5, -0.5)
    moved = Affine(UTM.a, UTM.b, corner[0], UTM.d, UTM.e, corner[1])
    with rasterio.open(path) as dataset:
        assert dataset.tags()["AREA_OR_POINT"] == "Point"
    check_place(path, expected_lonlat(moved, "EPSG:32632"))


def test_ground_control_points_place_a_scene(tmp_path):
    truth = turned(12, 0.3, 500_000, 5_300_000)
    pixels = [(col, row) for row in (0, 75, 160) for col in (0, 110, 240)]
    points = [GroundControlPoint(row, col, *place(truth, col, row)) for col, row in pixels]
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=3, dtype="uint8"
    ) as dataset:
        dataset.gcps = points, rasterio.CRS.from_epsg(32632)
        dataset.write(levels(3, *BYTES))
    check_place(path, expected_lonlat(truth, "EPSG:32632"))


def rpc_of_a_tilted_camera() -> RPC:
    """Coefficients of a made-up camera that looks aslant, with some curvature, at heights of 100 to 500 m."""
    bottom = [1.0, 1e-3, -2e-3, 5e-4, 1e-6, *[0.0] * 15]
    line = [2e-3, 3e-3, -1.01, 2e-2, 1e-4, 0.0, 2e-5, 3e-4, *[0.0] * 12]
    sample = [-1e-3, 1.02, 4e-3, -3e-2, 2e-4, 1e-5, 0.0, 0.0, 1e-4, *[0.0] * 11]
    return RPC(
        height_off=300,
        height_scale=200,
        lat_off=-42.86,
        lat_scale=0.0004,
        line_den_coeff=bottom,
        line_num_coeff=line,
        line_off=80,
        line_scale=80,
        long_off=147.25,
        long_scale=0.0006,
        samp_den_coeff=bottom,
        samp_num_coeff=sample,
        samp_off=120,
        samp_scale=120,
        err_bias=None,
        err_rand=None,
    )


@pytest.mark.parametrize("height", [None, 420.0])
def test_rational_polynomials_place_a_scene_at_a_stated_height(tmp_path, height, caplog):
    rpcs = rpc_of_a_tilted_camera()
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=3, dtype="uint8"
    ) as dataset:
        dataset.rpcs = rpcs
        dataset.write(levels(3, *BYTES))
    col, row = np.array(corner_points(), float).T
    used = 300.0 if height is None else height
    with RPCTransformer(rpcs, rpc_height=used, rpc_pixel_error_threshold=1e-6) as oracle:
        lon, lat = oracle.xy(row, col, zs=np.zeros(4), offset="ul")
    check_place(path, np.stack([lon, lat], axis=1), rpc_height=height)
    assert f"placed by its RPCs at {used:g} m above the ellipsoid" in caplog.text


def test_a_scene_of_another_planet_has_its_own_coordinates_and_no_longitude(tmp_path):
    transform = Affine(2.0, 0, 50_000, 0, -2.0, 300_000)
    path = on_map(tmp_path, transform, MOON)
    with pytest.raises(SodsliceError, match="has no longitude and latitude on the Earth; write .json"):
        run(path, model="blobs", output=tmp_path / "out.geojson")
    content, (box,) = found_in(path)
    assert box["map"] == [list(place(transform, *point)) for point in corner_points()]
    scale = math.cos(300_000 / 1_737_400)
    assert content["scene"]["gsd_m"] == pytest.approx(2 * math.sqrt(scale), rel=1e-3)


def test_a_scene_without_a_place_is_written_in_pixels(tmp_path):
    path = on_map(tmp_path, Affine.identity(), "")
    with pytest.raises(
        SodsliceError, match="the scene has no CRS; write .json instead, or GeoJSON in pixels"
    ):
        run(path, model="blobs", output=tmp_path / "out.geojson")
    content, (box,) = found_in(path)
    assert box["coordinate"] == list(RECTANGLE)
    assert "map" not in box
    assert content["scene"]["gsd_m"] is None
    run(path, model="blobs", options={"pixel_coords": True}, output=tmp_path / "out.geojson")
    document = json.loads((tmp_path / "out.geojson").read_text())
    assert document["coordinates"] == "scene pixels, y downwards"
    assert document["bbox"] == list(RECTANGLE)
    (ring,) = document["features"][0]["geometry"]["coordinates"]
    assert sorted(map(tuple, ring[:-1])) == sorted(corner_points())
    assert document["features"][0]["properties"]["area_m2"] is None


SHARED = {
    "brazil_ortho_10cm.tif": {"gsd_m": 0.0962},
    "crosses_dateline.tif": {"gsd_m": 100.01, "stretch": "auto"},
    "drone_photo_exif_xmp.jpg": {"gsd_m": 0.018, "suffix": ".json"},
    "gcps_only.tif": {"gsd_m": 201.8, "stretch": "auto"},
    "madison_mosaic.tif": {"gsd_m": 0.12},
    "pix4d_alpha_nodata.tif": {"gsd_m": 0.3527},
    "rotated_sar_umbra.tif": {"gsd_m": 0.5943},
    "rpc_only.tif": {"gsd_m": 0.5002, "notes": "300 m above the ellipsoid"},
    "vegas_1band_float32.tif": {"gsd_m": 0.2697, "stretch": "auto"},
    "vegas_3band_uint16.tif": {"gsd_m": 0.2697, "stretch": "auto"},
    "vegas_8band_uint8.tif": {"gsd_m": 0.2697, "bands": "5,3,2"},
}


@pytest.mark.shared
def test_every_real_raster_is_in_the_table(shared):
    suffixes = {".tif", ".jpg"}
    assert sorted(p.name for p in (shared / "data/scenes").iterdir() if p.suffix in suffixes) == sorted(
        SHARED
    )


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED)
def test_real_rasters_run_with_the_right_facts(shared, tmp_path, name):
    facts = SHARED[name]
    path = shared / "data/scenes" / name
    options = {"tile": 512} | ({"bands": facts["bands"]} if "bands" in facts else {})
    suffix = facts.get("suffix", ".geojson")
    result = run(path, model="blobs", options=options, output=tmp_path / f"out{suffix}")
    assert result.scene.gsd_m == pytest.approx(facts["gsd_m"], rel=1e-3)
    assert (result.scene.stretch or {}).get("rule") == facts.get("stretch")
    assert facts.get("notes", "") in " ".join(result.scene.notes)
    assert result.provenance.counts.failed == 0


@pytest.mark.shared
def test_eight_real_bands_want_a_choice(shared):
    with pytest.raises(SodsliceError, match="has 8 bands; choose three with `bands`, for example"):
        run(shared / "data/scenes/vegas_8band_uint8.tif", model="blobs")


@pytest.mark.shared
def test_a_real_scene_across_the_antimeridian_is_cut_there(shared, tmp_path):
    output = tmp_path / "out.geojson"
    run(shared / "data/scenes/crosses_dateline.tif", model="blobs", options={"tile": 512}, output=output)
    west, _, east, _ = json.loads(output.read_text())["bbox"]
    assert west > 0 > east
