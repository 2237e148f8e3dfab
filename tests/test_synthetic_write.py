from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from pycocotools.coco import COCO

from sodslice.errors import GeoRefError, OptionError, OutputError
from sodslice.synthetic import SceneSpec, draw_scene, render, truth

SPEC = SceneSpec(760, 560, gsd_m=0.15, seed=2, crs="EPSG:25832", origin=(412_345.5, 5_400_321.25))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "new"
    calls = []
    found = draw_scene(
        folder / "town.tif",
        SPEC,
        coco=folder / "town.truth.json",
        geojson=folder / "town.truth.geojson",
        progress=lambda done, total: calls.append((done, total)),
    )
    return folder, found, calls


def test_what_is_streamed_is_what_is_drawn_in_memory(drawn):
    with rasterio.open(drawn[0] / "town.tif") as dataset:
        np.testing.assert_array_equal(dataset.read().transpose(1, 2, 0), render(SPEC))


def test_the_geotiff_says_where_it_is_and_where_it_is_empty(drawn):
    with rasterio.open(drawn[0] / "town.tif") as dataset:
        assert dataset.crs == rasterio.CRS.from_epsg(25832)
        assert dataset.transform[:6] == (0.15, 0.0, 412_345.5, 0.0, -0.15, 5_400_321.25)
        assert dataset.block_shapes == [(512, 512)] * 3
        assert dataset.nodata == 0
        x, y = np.meshgrid(np.arange(760) + 0.5, np.arange(560) + 0.5)
        np.testing.assert_array_equal(dataset.dataset_mask() > 0, SPEC.holds_data(x, y))


def test_returned_truth_is_that_of_the_spec(drawn):
    np.testing.assert_array_equal(drawn[1].boxes, truth(SPEC).boxes)
    assert len(drawn[1]) > 20


def test_geojson_truth_is_the_pixel_truth_through_affine_and_crs(drawn):
    folder, found, _ = drawn
    document = json.loads((folder / "town.truth.geojson").read_text())
    to_degrees = pyproj.Transformer.from_crs("EPSG:25832", "EPSG:4326", always_xy=True)
    assert len(document["features"]) == len(found)
    for feature, box in zip(document["features"], found.boxes, strict=True):
        x0, y0, x1, y1 = box
        columns, rows = np.array([x0, x0, x1, x1]), np.array([y0, y1, y1, y0])
        lon, lat = to_degrees.transform(412_345.5 + 0.15 * columns, 5_400_321.25 - 0.15 * rows)
        ring = np.array(feature["geometry"]["coordinates"][0])
        np.testing.assert_allclose(ring[:4], np.stack([lon, lat], axis=1), atol=1e-7)
        assert ring[0].tolist() == ring[4].tolist()
        assert shapely.LinearRing(ring).is_ccw
        np.testing.assert_allclose(feature["properties"]["bbox_px"], box, atol=5e-4)
    assert document["scene"] == {"path": "town.tif", "width": 760, "height": 560, "gsd_m": 0.15}
    assert document["georef"]["transform"] == [0.15, 0.0, 412_345.5, 0.0, -0.15, 5_400_321.25]


def test_coco_truth_is_read_by_pycocotools(drawn, capsys):
    folder, found, _ = drawn
    coco = COCO(folder / "town.truth.json")
    rows = coco.loadAnns(coco.getAnnIds())
    boxes = np.array([row["bbox"] for row in rows])
    np.testing.assert_allclose(boxes[:, :2], found.boxes[:, :2], atol=1e-3)
    np.testing.assert_allclose(boxes[:, :2] + boxes[:, 2:], found.boxes[:, 2:], atol=2e-3)
    assert [row["kind"] for row in rows] == found.kind_names
    assert coco.dataset["images"] == [{"id": 1, "file_name": "town.tif", "width": 760, "height": 560}]
    assert SceneSpec(**coco.dataset["info"]["spec"] | {"origin": SPEC.origin}) == SPEC


def test_progress_counts_blocks(drawn):
    assert drawn[2] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_scene_without_crs_has_no_transform_and_no_geojson(tmp_path):
    spec = replace(SPEC, crs=None, width=64, height=64)
    draw_scene(tmp_path / "a.tif", spec)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        dataset = rasterio.open(tmp_path / "a.tif")
    with dataset:
        assert dataset.crs is None
        assert dataset.transform.is_identity
    with pytest.raises(GeoRefError, match="GeoJSON needs longitude and latitude"):
        draw_scene(tmp_path / "b.tif", spec, geojson=tmp_path / "b.geojson")
    assert not (tmp_path / "b.tif").exists()


def test_an_interrupted_drawing_leaves_nothing(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_scene(tmp_path / "a.tif", SPEC, coco=tmp_path / "a.json", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_another_format_is_refused(tmp_path):
    with pytest.raises(
        OptionError, match=r"a drawn scene is a GeoTIFF: its name must end in .tif, got a.png"
    ):
        draw_scene(tmp_path / "a.png", SPEC)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2263"])
def test_a_crs_that_does_not_count_in_metres_is_refused(tmp_path, crs):
    with pytest.raises(OptionError, match=f"a scene is drawn in metres, and {crs} counts otherwise"):
        draw_scene(tmp_path / "a.tif", replace(SPEC, crs=crs))


def test_an_unknown_crs_is_refused(tmp_path):
    with pytest.raises(OptionError, match="unknown CRS 'EPSG:1'; give a projected one in metres"):
        draw_scene(tmp_path / "a.tif", replace(SPEC, crs="EPSG:1"))


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        draw_scene(tmp_path / "file" / "a.tif", replace(SPEC, width=64, height=64))


MEASURE = """
import resource, sys
from sodslice.synthetic import SceneSpec, draw_scene
width, height = int(sys.argv[2]), int(sys.argv[3])
draw_scene(sys.argv[1], SceneSpec(width, height, gsd_m=float(sys.argv[4]), seed=1))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(path, width, height, gsd_m=0.12):
    arguments = [str(path), str(width), str(height), str(gsd_m)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=True, timeout=1200
    )
    return int(done.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_scene(tmp_path):
    """144 times the pixels, in less than 150 MB more: plans that are kept, and the vehicles' truth."""
    small = peak_mb(tmp_path / "small.tif", 1024, 1024)
    large = peak_mb(tmp_path / "large.tif", 12_288, 12_288)
    assert large - small < 150
