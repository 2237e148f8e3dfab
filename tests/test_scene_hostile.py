"""Files that mean harm or are broken: clear words, bounded time and memory, nothing read beside them."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as gdal_copy

from sodslice import SodsliceError, open_scene, run
from sodslice.results import write
from tests.rasters import scene_with_blobs, write_raster


def tiny_tiff(width: int, height: int, tile: int) -> bytes:
    """A kilobyte that claims a raster of any size: one grey band in tiles, of which one is there in part."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1)]
    tags += [(322, tile), (323, tile), (324, 8), (325, 900)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    body = b"\x01" * 900
    return (
        struct.pack("<2sHI", b"II", 42, 8 + len(body))
        + body
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


@pytest.mark.parametrize(
    ("side", "tile", "words"),
    [
        (1_000_000, 256, "and at most 1000000 are run; use a larger `tile`"),
        (1_000_000, 999_936, "reading any pixel would decode"),
        (60_000, 60_000, "reading any pixel would decode 3433 MB"),
        (100_000, 256, "cannot be read at x 0, y 0"),
    ],
)
def test_a_kilobyte_that_claims_a_giant_is_refused_at_once(tmp_path, side, tile, words):
    path = tmp_path / "a.tif"
    path.write_bytes(tiny_tiff(side, side, tile))
    began = time.monotonic()
    with pytest.raises(SodsliceError, match=words) as caught:
        run(path, model="blobs", options={"tile": 1024})
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 10


def test_damage_to_the_index_of_blocks_is_not_taken_for_no_data(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiny_tiff(2000, 2000, 256))
    with pytest.raises(SodsliceError, match="cannot be read at x 0, y 0, 1024 x 1024 pixels"):
        run(path, model="blobs", options={"tile": 1024})


@pytest.fixture
def folder(tmp_path):
    """A folder with an image, and beside it one with another."""
    inner = tmp_path / "inner"
    (inner / "parts").mkdir(parents=True)
    write_raster(tmp_path / "secret.tif", scene_with_blobs(128, 128, [(10, 10)]))
    write_raster(inner / "parts" / "open.tif", scene_with_blobs(128, 128, [(60, 60)]))
    return inner


def vrt(path, source, *, relative=0, more="", tag="SourceFilename"):
    path.write_text(
        f"""<VRTDataset rasterXSize="128" rasterYSize="128"><VRTRasterBand dataType="Byte" band="1">
        <SimpleSource><{tag} relativeToVRT="{relative}">{source}</{tag}>
        <SourceBand>1</SourceBand></SimpleSource>{more}</VRTRasterBand></VRTDataset>"""
    )
    return path


def test_a_vrt_of_its_own_folder_is_read(folder):
    inside = folder / "parts" / "open.tif"
    for path in (
        vrt(folder / "a.vrt", "parts/open.tif", relative=1),
        vrt(folder / "b.vrt", inside),
        vrt(folder / "c.tif", inside),
    ):
        assert len(run(path, model="blobs")) == 1
    vrt(folder / "parts" / "nested.vrt", "open.tif", relative=1)
    assert len(run(vrt(folder / "d.vrt", "parts/nested.vrt", relative=1), model="blobs")) == 1
    gdal_copy(inside, folder / "e.vrt", driver="VRT")
    assert len(run(folder / "e.vrt", model="blobs")) == 1


def elsewhere(folder):
    outside = folder.parent / "secret.tif"
    (folder / "link.tif").symlink_to(outside)
    wms = folder / "wms.tif"
    wms.write_text(
        "<GDAL_WMS><Service name='TMS'><ServerUrl>http://localhost:9/</ServerUrl></Service></GDAL_WMS>"
    )
    vrt(folder / "deep.vrt", outside)
    code = "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    return {
        "outside": vrt(folder / "a.vrt", outside),
        "upwards": vrt(folder / "b.vrt", "../secret.tif", relative=1),
        "as tif": vrt(folder / "c.tif", outside),
        "nested": vrt(folder / "d.vrt", "deep.vrt", relative=1),
        "link": vrt(folder / "e.vrt", "link.tif", relative=1),
        "network": vrt(folder / "f.vrt", "/vsicurl/http://localhost:9/a.tif"),
        "archive": vrt(folder / "g.vrt", "/vsizip/parts/open.zip/a.tif"),
        "driver": vrt(folder / "h.vrt", "WMS:http://localhost:9/"),
        "XML": vrt(folder / "i.vrt", "&lt;GDAL_WMS/&gt;"),
        "code": vrt(folder / "j.vrt", folder / "parts" / "open.tif", more=code),
        "service": wms,
        "service in a VRT": vrt(folder / "k.vrt", "wms.tif", relative=1),
        "relative to the caller": vrt(folder / "l.vrt", "parts/open.tif", relative=0),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "outside",
        "upwards",
        "as tif",
        "nested",
        "link",
        "network",
        "archive",
        "driver",
        "XML",
        "code",
        "service",
        "service in a VRT",
        "relative to the caller",
    ],
)
def test_what_points_elsewhere_is_refused_unless_it_is_allowed(folder, kind):
    path = elsewhere(folder)[kind]
    with pytest.raises(SodsliceError, match="give `allow_vrt` if you trust it") as caught:
        open_scene(path)
    assert "\n" not in str(caught.value)


def test_what_points_elsewhere_is_read_where_that_is_allowed(folder):
    path = elsewhere(folder)["outside"]
    assert len(run(path, model="blobs", options={"allow_vrt": True})) == 1


def test_a_link_to_a_vrt_is_judged_by_the_files_that_gdal_reads(folder):
    far = folder.parent / "far"
    (far / "parts").mkdir(parents=True)
    vrt(far / "a.vrt", "parts/open.tif", relative=1)
    link = folder / "link.vrt"
    link.symlink_to("../far/a.vrt")
    (far / "parts" / "open.tif").symlink_to(folder.parent / "secret.tif")
    with pytest.raises(SodsliceError, match="reads parts/open.tif, which is not in its folder"):
        open_scene(link)
    (far / "parts" / "open.tif").unlink()
    (folder / "parts" / "open.tif").rename(far / "parts" / "open.tif")
    assert len(run(link, model="blobs")) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<VRTDataset", "is a VRT that is not well-formed XML"),
        ("<!DOCTYPE VRTDataset [<!ENTITY a 'b'>]><VRTDataset/>", "is a VRT with XML entities"),
        ("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>", "is not an image that GDAL can open"),
    ],
)
def test_a_vrt_that_is_no_plain_xml_is_refused(tmp_path, content, words):
    path = tmp_path / "a.vrt"
    path.write_text(content)
    with pytest.raises(SodsliceError, match=words):
        open_scene(path)


def test_a_broken_georeference_is_said_and_its_geojson_refused_in_one_line(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((1, 64, 64), np.uint8), crs=None, transform=None)
    with rasterio.open(path, "r+") as dataset:
        points = [rasterio.control.GroundControlPoint(i, i, 11 + i / 100, 48 + i / 100) for i in range(4)]
        dataset.gcps = points, rasterio.CRS.from_epsg(4326)
    with open_scene(path) as scene:
        assert scene.notes[0].startswith(f"{path} has a broken georeference: 4 ground control points do not")
        assert scene.read(0, 0, 64, 64)[1].all()
    result = run(path, model="blobs")
    with pytest.raises(
        SodsliceError, match="georeference is broken \\(4 ground control points do not place"
    ) as e:
        write(result, tmp_path / "a.geojson")
    assert "\n" not in str(e.value)
