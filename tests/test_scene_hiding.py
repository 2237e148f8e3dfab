"""What hides pixels, against GDAL's own masks."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as gdal_copy

from sodslice import SodsliceError, open_scene, run
from sodslice.scene.scaled import ScaledScene
from tests.rasters import write_raster

LARGEST = float(np.finfo(np.float32).max)
TYPES = {
    "uint8": "Byte",
    "int16": "Int16",
    "uint16": "UInt16",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
    "int64": "Int64",
    "uint64": "UInt64",
}
LEVELS = {
    "uint8": [0, 1, 254, 255],
    "int16": [0, 1, -1, -32768, 32767],
    "uint16": [0, 1, 65535],
    "int32": [0, -(2**31), 2**31 - 1],
    "float32": [-LARGEST, -3.4e38, -2e38, 3.4e38, -9999, 0.1, 0, 1e-40, np.inf, -np.inf, np.nan],
    "float64": [-LARGEST, -3.4e38, -1.7976931348623157e308, -1.2e308, 0.1, float(np.float32(0.1)), 0],
    "int64": [2**63 - 1, -(2**63), 2**53, 2**53 + 1],
    "uint64": [2**64 - 1, 0, 2**63],
}
DECLARED = {
    "uint8": ["0", "255", "0.5", "-1", "256", "nan"],
    "int16": ["-32768", "0.7", "-0.7", "1e5"],
    "uint16": ["65535", "65536"],
    "int32": ["-2147483648", "2147483647"],
    "float32": ["-3.4e38", "-3.4028235e+38", "-3.40282346638529e+38", "3.4e38", "-1e39", "-9999.0001"]
    + ["0.1", "0.1000001", "1e-40", "inf", "nan"],
    "float64": [
        "-3.4028234663852886e+38",
        "-3.4e38",
        "-1.7976931348623157e308",
        "0.1",
        "0.10000000000000002",
    ],
    "int64": ["9223372036854775807", "-9223372036854775808", "9007199254740993"],
    "uint64": ["18446744073709551615", "0"],
}


def vrt_of(path, dtype: str, bands: str, *, width: int, height: int = 1, head: str = ""):
    """A VRT with bands out of the file of the same name that ends in .tif."""
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{head}'
        + bands.replace("DTYPE", TYPES[dtype]).replace("SOURCE", path.with_suffix(".tif").name)
        + "</VRTDataset>"
    )
    return path


def band(number: int, more: str = "") -> str:
    return (
        f'<VRTRasterBand dataType="DTYPE" band="{number}">{more}<SimpleSource>'
        f'<SourceFilename relativeToVRT="1">SOURCE</SourceFilename><SourceBand>{number}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
    )


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(("dtype", "text"), [(d, text) for d, texts in DECLARED.items() for text in texts])
def test_a_declared_value_hides_what_gdal_says_that_it_hides(tmp_path, dtype, text):
    levels = np.array(LEVELS[dtype], dtype)
    plain = {"crs": None, "transform": rasterio.Affine.identity(), "tiled": False}
    write_raster(tmp_path / "a.tif", levels[None, None], **plain)
    value = f"<NoDataValue>{text}</NoDataValue>"
    path = vrt_of(tmp_path / "a.vrt", dtype, band(1, value), width=len(levels))
    with rasterio.open(path) as dataset:
        expected = dataset.read_masks(1) > 0
    if levels.dtype.kind == "f":  # these never are data
        expected &= np.isfinite(levels)
    with open_scene(path, {"stretch": "minmax:0,1"}) as scene:
        assert np.array_equal(scene.read(0, 0, len(levels), 1)[1], expected)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [-9999.0, 0.1, 1e-30, -3e37, 1e38, 2e38, 1e300])
def test_what_is_nearly_a_value_is_hidden_as_far_as_gdal_says(tmp_path, dtype, value):
    if dtype == "float32" and value > 1e40:
        return
    near = value * (1 + np.arange(-40, 41) * 2.0**-25)
    levels = np.append(near, [0, -value, value / 2]).astype(dtype)
    path = write_raster(tmp_path / "a.tif", levels[None, None], tiled=False, nodata=value)
    with rasterio.open(path) as dataset:
        expected = dataset.read_masks(1) > 0
    with open_scene(path, {"stretch": "minmax:0,1"}) as scene:
        assert np.array_equal(scene.read(0, 0, len(levels), 1)[1], expected)


@pytest.mark.parametrize("tag", ["-3.4e38", "-3.40282346638529e+38", "-3.4028235e38"])
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("gsd", [None, 0.2, 0.3, 1.3])
def test_a_rounded_value_is_hidden_at_any_scale_and_stretches_nothing(tmp_path, tag, asked, gsd):
    pixels = np.full((1, 100, 120), 40, np.float32)
    pixels[0, 40:60, 30:70] = 250
    pixels[0, 80:] = -LARGEST
    declared = {} if asked else {"nodata": float(tag)}
    path = write_raster(tmp_path / "a.tif", pixels, **declared)
    options = {"gsd": gsd, "nodata": tag if asked else None, "stretch": "0,100", "tile": 64}
    result = run(path, model="blobs", options=options)
    assert np.abs(result.detections.boxes - [30, 40, 70, 60]).max() < 3
    assert len(result) == 1
    assert result.scene.stretch["low"] == [40.0]


def test_a_value_that_no_float_can_hold_is_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((1, 10, 10), np.float32))
    with pytest.raises(SodsliceError, match=r"can hold `nodata=1e\+39`, they are float32"):
        open_scene(path, {"nodata": 1e39})


@pytest.mark.parametrize("value", [2**63 - 1, 2**53 + 1])
def test_a_whole_number_counts_to_its_last_digit(tmp_path, value):
    pixels = np.array([[[value, value - 1, 7, 8]]], np.int64)
    path = write_raster(tmp_path / "a.tif", pixels, tiled=False)
    with open_scene(path, {"nodata": str(value), "stretch": "minmax:0,9"}) as scene:
        assert scene.read(0, 0, 4, 1)[1].tolist() == [[False, True, True, True]]


def masks(*heights: int, level: int = 255) -> np.ndarray:
    """Masks `(n, 100, 120)` of which each hides so many rows at the top."""
    found = np.full((len(heights), 100, 120), level, np.uint8)
    for mask, height in zip(found, heights, strict=True):
        mask[:height] = 0
    return found


def rgb() -> np.ndarray:
    pixels = np.full((3, 100, 120), 90, np.uint8)
    pixels[:, 40:60, 30:70] = 250
    pixels[:, :30] = 255
    return pixels


def vrt_with_masks(path, heights: tuple[int, ...], more: str = ""):
    """A VRT whose bands have masks of their own; 0 for a band without."""
    write_raster(path.with_suffix(".tif"), rgb(), tiled=False)
    write_raster(path.with_name("m.tif"), masks(*heights), tiled=False)
    one = (
        '<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">m.tif</SourceFilename><SourceBand>%d</SourceBand>'
        "</SimpleSource></VRTRasterBand></MaskBand>"
    )
    bands = "".join(
        band(number, (one % number if height else "") + more) for number, height in enumerate(heights, 1)
    )
    return vrt_of(path, "uint8", bands, width=120, height=100)


def with_msk(path, heights: tuple[int, ...]):
    """A TIFF with masks of its bands in the file beside it."""
    write_raster(path, rgb(), tiled=False)
    beside = write_raster(path.with_name(f"{path.name}.msk"), masks(*heights), tiled=False)
    with rasterio.open(beside, "r+") as dataset:
        dataset.update_tags(**{f"INTERNAL_MASK_FLAGS_{i}": "0" for i in range(1, len(heights) + 1)})
    return path


def hidden_rows(path, bands=None, **how) -> int:
    with open_scene(path, {"bands": bands, **how}) as scene:
        valid = scene.read(0, 0, 120, 100)[1]
    rows = np.flatnonzero(valid.all(axis=1))
    assert (valid == valid[:, :1]).all()
    return int(rows[0]) if len(rows) else 100


@pytest.mark.parametrize("build", [vrt_with_masks, with_msk])
def test_masks_of_single_bands_hide_where_all_that_are_read_hide(tmp_path, build):
    suffix = "vrt" if build is vrt_with_masks else "tif"
    path = build(tmp_path / f"a.{suffix}", (10, 30, 20))
    with rasterio.open(path) as dataset:
        assert (dataset.dataset_mask() == 0).sum() == 10 * 120  # rasterio has the same rule
    assert hidden_rows(path) == 10
    assert hidden_rows(path, bands=(2,)) == 30
    assert hidden_rows(path, bands=(3, 3, 2)) == 20
    assert hidden_rows(path, mask="none") == 0


def test_a_band_without_a_mask_shows_all(tmp_path):
    path = vrt_with_masks(tmp_path / "a.vrt", (10, 0, 0))
    assert hidden_rows(path) == 0
    assert hidden_rows(path, bands=(1,)) == 10


def test_a_mask_of_a_band_goes_before_its_value(tmp_path):
    path = vrt_with_masks(tmp_path / "a.vrt", (10, 10, 10), "<NoDataValue>90</NoDataValue>")
    assert hidden_rows(path) == 10


def test_a_value_asked_for_hides_beside_masks_of_bands(tmp_path):
    path = vrt_with_masks(tmp_path / "a.vrt", (10, 10, 10))
    assert hidden_rows(path, nodata=255) == 30


def test_special_constants_of_pds4_hide(tmp_path):
    write_raster(tmp_path / "a.tif", rgb(), tiled=False)
    path = tmp_path / "a.xml"
    gdal_copy(tmp_path / "a.tif", path, driver="PDS4")
    label = path.read_text()
    end = label.index("</Array_3D_Image>")
    constants = (
        "<Special_Constants><missing_constant>255</missing_constant>"
        "<saturated_constant>251</saturated_constant></Special_Constants>"
    )
    path.write_text(label[:end] + constants + label[end:])
    with rasterio.open(path) as dataset:
        assert dataset.mask_flag_enums[0] == []
        assert (dataset.read_masks(1) == 0).sum() == 30 * 120
    assert hidden_rows(path) == 30
    assert hidden_rows(path, mask="none") == 0


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_hidden_pixels_of_single_bands_count_in_no_average(tmp_path, factor):
    path = vrt_with_masks(tmp_path / "a.vrt", (30, 31, 33))
    with open_scene(path) as scene:
        scaled = ScaledScene(scene, (int(120 * factor), int(100 * factor)))
        pixels, valid = scaled.read(0, 0, scaled.width, scaled.height)
    assert not valid[: int(29 * factor)].any()
    assert (pixels[int(30 * factor) : int(38 * factor)] == 90).all()


def test_a_run_does_not_see_what_a_band_mask_hides(tmp_path):
    result = run(vrt_with_masks(tmp_path / "a.vrt", (30, 30, 30)), model="blobs")
    assert np.abs(result.detections.boxes - [30, 40, 70, 60]).max() < 1


NEAR_INFRARED = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


@pytest.mark.parametrize("gsd", [None, 0.8, 0.4])
def test_a_near_infrared_band_that_is_flagged_as_alpha_can_be_told_not_to_hide(tmp_path, gsd):
    pixels = np.full((4, 100, 120), 40, np.uint8)
    pixels[:3, 40:60, 30:70] = 250
    pixels[3, 40:60, 30:70] = 0  # metal is dark in it
    path = write_raster(tmp_path / "a.tif", pixels, colours=NEAR_INFRARED)
    assert len(run(path, model="blobs", options={"gsd": gsd})) == 0
    result = run(path, model="blobs", options={"gsd": gsd, "mask": "none"})
    assert np.abs(result.detections.boxes - [30, 40, 70, 60]).max() < 2
    assert result.provenance.options["mask"] == "none"


def test_a_mask_of_the_file_and_clear_colours_can_be_told_not_to_hide(tmp_path):
    path = write_raster(tmp_path / "a.tif", rgb(), tiled=False)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(masks(10)[0])
    assert (hidden_rows(path), hidden_rows(path, mask="none")) == (10, 0)
    palette = tmp_path / "a.png"
    with rasterio.open(
        palette, "w", driver="PNG", width=120, height=100, count=1, dtype="uint8", **PLACED
    ) as dataset:
        dataset.write_colormap(1, {0: (9, 9, 9, 0), 255: (200, 100, 50, 255)})
        dataset.write(masks(20))
    assert (hidden_rows(palette), hidden_rows(palette, mask="none")) == (20, 0)


PLACED = {"crs": "EPSG:32632", "transform": rasterio.Affine(1, 0, 0, 0, -1, 0)}


def test_a_mask_that_comes_of_one_colour_is_a_value(tmp_path):
    """The clear colour of an RGB PNG: GDAL calls it no-data, and a mask of the file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    rows = b"".join(b"\0" + row.tobytes() for row in rgb().transpose(1, 2, 0))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 100, 8, 2, 0, 0, 0))
    clear = chunk(b"tRNS", struct.pack(">HHH", 255, 255, 255))
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + clear + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert hidden_rows(path) == 30
    assert hidden_rows(path, nodata="none") == 0
    assert hidden_rows(path, nodata=7) == 0


@pytest.mark.shared
def test_the_cases_show_one_object(shared):
    for name in ("f1_nodata_f32.tif", "f6_band_masks.vrt"):
        result = run(shared / "cases" / "scenes" / name, model="blobs")
        assert np.abs(result.detections.boxes - [30, 40, 70, 60]).max() < 1
        assert len(result) == 1
