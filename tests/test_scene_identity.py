"""What tells a scene from another: its file, and all files that it is made of."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import rasterio

from sodslice import BlobDetector, SodsliceError, open_scene, run
from sodslice.scene import scene_identity
from tests.rasters import scene_with_blobs, write_raster
from tests.test_scene_hostile import vrt

CORNERS = [(5, 7), (60, 60), (100, 30)]
PLAIN = {"scene", "scene bytes", "scene changed (ns)"}


def identity(path, **how):
    with open_scene(path, how) as scene:
        return scene_identity(scene)


def touch(path) -> None:
    """Another time of change, as another file has."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


@pytest.fixture
def mosaic(tmp_path):
    """A VRT of a VRT of an image with a mask beside it."""
    folder = tmp_path / "mosaic"
    (folder / "parts").mkdir(parents=True)
    image = write_raster(folder / "parts" / "image.tif", scene_with_blobs(128, 128, CORNERS))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(image, "r+") as dataset:
        dataset.write_mask(np.full((128, 128), 255, np.uint8))
    vrt(folder / "parts" / "inner.vrt", "image.tif", relative=1)
    return vrt(folder / "scene.vrt", "parts/inner.vrt", relative=1)


def test_a_plain_file_is_told_by_its_name_size_and_time_alone(tmp_path):
    path = write_raster(tmp_path / "scene.tif", scene_with_blobs(128, 128, CORNERS))
    before = identity(path)
    for name in ("scene.json", "scene.geojson", "scene.tif.journal", "scene.json.raw", "other.tif.ovr"):
        (tmp_path / name).write_text("")
    assert identity(path) == before
    assert set(before) == PLAIN


@pytest.mark.parametrize("part", ["parts/inner.vrt", "parts/image.tif", "parts/image.tif.msk"])
def test_a_vrt_is_told_by_all_its_sources(mosaic, part):
    source = mosaic.parent / part
    with open_scene(mosaic) as scene:
        before = scene_identity(scene)
        assert set(before) == PLAIN | {"scene sources"}
        assert identity(mosaic) == before
        touch(source)
        changed = scene_identity(scene)
        source.unlink()
        gone = scene_identity(scene)
    assert len({found["scene sources"] for found in (before, changed, gone)}) == 3


def test_sources_that_change_places_are_other_sources(tmp_path):
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        write_raster(tmp_path / name / "a.tif", scene_with_blobs(128, 128, CORNERS))
        os.utime(tmp_path / name / "a.tif", ns=(1, {"left": 5, "right": 6}[name]))
    second = "<SimpleSource><SourceFilename relativeToVRT='1'>right/a.tif</SourceFilename></SimpleSource>"
    path = vrt(tmp_path / "scene.vrt", "left/a.tif", relative=1, more=second)
    before = identity(path)
    for old, new in (("left", "other"), ("right", "left"), ("other", "right")):
        (tmp_path / old).rename(tmp_path / new)
    assert identity(path) != before


def test_a_folder_that_was_moved_holds_the_same_scene(mosaic, tmp_path):
    before = identity(mosaic)
    mosaic.parent.rename(tmp_path / "moved")
    assert identity(tmp_path / "moved" / "scene.vrt") == before


def test_a_folder_that_is_reached_by_a_link_holds_the_same_scene(mosaic, tmp_path):
    (tmp_path / "link").symlink_to(mosaic.parent)
    assert identity(tmp_path / "link" / "scene.vrt") == identity(mosaic)


def test_a_link_to_a_vrt_is_told_by_the_sources_of_the_vrt(mosaic, tmp_path):
    link = tmp_path / "link.vrt"
    link.symlink_to(mosaic)
    before = identity(link)
    touch(mosaic.parent / "parts" / "image.tif")
    assert identity(link) != before


def test_a_vrt_that_is_trusted_is_told_by_sources_elsewhere(mosaic, tmp_path):
    path = vrt(tmp_path / "a.vrt", mosaic)
    code = "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    vrt(mosaic, "parts/inner.vrt", relative=1, more=code)
    before = identity(path, allow_vrt=True)
    touch(mosaic.parent / "parts" / "image.tif")
    assert identity(path, allow_vrt=True) != before


@pytest.mark.parametrize("suffix", [".tif.msk", ".tif.ovr", ".tfw"])
def test_a_file_is_told_by_what_lies_beside_it_and_changes_it(tmp_path, suffix):
    path = tmp_path / "scene.tif"
    write_raster(path, scene_with_blobs(512, 512, CORNERS), crs=None, transform=None)
    before = identity(path)
    beside = tmp_path / f"scene{suffix}"
    if suffix == ".tfw":
        beside.write_text("1\n0\n0\n-1\n5\n5\n")
    else:
        shutil.copy(path, beside)
    with open_scene(path) as scene:
        with_it = scene_identity(scene)
        touch(beside)
        changed = scene_identity(scene)
    assert set(before) == PLAIN
    assert {**with_it, **before} == with_it
    assert len({with_it["scene sources"], changed["scene sources"]}) == 2


def with_aux(path, *, transform="", band="") -> dict:
    """The identity of a scene beside which GDAL has written a transform, and things of a band."""
    first = f"  <GeoTransform> {transform}</GeoTransform>\n" if transform else ""
    second = f'  <PAMRasterBand band="1">\n{band}  </PAMRasterBand>\n' if band else ""
    path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>\n{first}{second}</PAMDataset>\n")
    return identity(path)


def test_statistics_that_qgis_leaves_beside_an_image_make_no_other_scene_of_it(tmp_path):
    path = write_raster(tmp_path / "scene.tif", scene_with_blobs(64, 64, [(5, 7)]), transform=None)
    plain = identity(path)
    statistics = (
        '    <Metadata>\n      <MDI key="STATISTICS_MAXIMUM">255</MDI>\n'
        '      <MDI key="STATISTICS_APPROXIMATE">YES</MDI>\n    </Metadata>\n'
    )
    histograms = (
        "    <Histograms>\n      <HistItem>\n        <HistCounts>1|2</HistCounts>\n"
        "      </HistItem>\n    </Histograms>\n"
    )
    for band in ("", statistics, histograms, histograms + statistics):
        assert with_aux(path, band=band) == plain
    placed = with_aux(path, transform="5, 1, 0, 9, 0, -1")
    assert placed.keys() - plain.keys() == {"scene sources"}
    assert with_aux(path, transform="5, 1, 0, 9, 0, -1", band=histograms + statistics) == placed
    assert with_aux(path, transform="6, 1, 0, 9, 0, -1") != placed
    hidden = with_aux(path, band=f"    <NoDataValue>0</NoDataValue>\n{statistics}")
    assert hidden["scene sources"] != placed["scene sources"]
    assert hidden != with_aux(path, band=statistics.replace("STATISTICS_MAXIMUM", "AREA_OR_POINT"))


class Stopping(BlobDetector):
    """Ends the run at the third batch."""

    left = 3

    def detect(self, pixels):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().detect(pixels)


OPTIONS = {"tile": 32, "overlap": 0, "batch": 2}


def test_a_run_does_not_go_on_after_a_source_was_replaced(mosaic, tmp_path):
    output = tmp_path / "a.json"
    with pytest.raises(KeyboardInterrupt):
        run(mosaic, model=Stopping(), options=OPTIONS, output=output)
    touch(mosaic.parent / "parts" / "image.tif")
    with pytest.raises(SodsliceError, match="was begun with scene sources .* or `fresh` to start over"):
        run(mosaic, model=BlobDetector(), options=OPTIONS, output=output)


def test_a_run_goes_on_where_all_sources_are_the_same(mosaic, tmp_path):
    output = mosaic.with_suffix(".json")
    with pytest.raises(KeyboardInterrupt):
        run(mosaic, model=Stopping(), options=OPTIONS, output=output)
    assert run(mosaic, model=BlobDetector(), options=OPTIONS, output=output).timings.tiles_from_journal


@pytest.mark.parametrize("gsd", [None, 0.4])
def test_a_source_that_is_replaced_during_the_run_is_noticed(mosaic, tmp_path, gsd):
    class Replacing(BlobDetector):
        def detect(self, pixels):
            touch(mosaic.parent / "parts" / "image.tif")
            return super().detect(pixels)

    place = "<SRS>EPSG:32632</SRS><GeoTransform>500000, 0.5, 0, 5300000, 0, -0.5</GeoTransform>"
    mosaic.write_text(mosaic.read_text().replace("<VRTRasterBand", f"{place}<VRTRasterBand", 1))
    with pytest.raises(SodsliceError, match="or a file that it is made of, was replaced or removed"):
        run(mosaic, model=Replacing(), options=OPTIONS | {"gsd": gsd}, output=tmp_path / "a.json")
