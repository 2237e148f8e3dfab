from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from sodslice import Detections, GeoRef, RunResult, SodsliceError, load_result, write
from sodslice.place.georef import corners
from sodslice.results import Provenance, SceneFacts, TileCounts, Timings, is_own
from sodslice.results.columns import COLUMNS
from tests.written import box_of

UTM = GeoRef((0.12, 0, 305_000.0, 0, -0.12, 4_770_000.0), "EPSG:32616")
ROTATED = GeoRef((0.1, 0.05, 500_000.0, 0.05, -0.1, 5_300_000.0), "EPSG:32632")
DATELINE = GeoRef((1.0, 0, 833_900.0, 0, -1.0, 20_000.0), "EPSG:32660")
DEGREES = GeoRef((1e-5, 0, 179.995, 0, -1e-5, 0.1), "EPSG:4326")


def result(georef=UTM, boxes=None, **scene) -> RunResult:
    boxes = (
        np.array([[10.5, 20.25, 40.125, 50], [100, 200, 130.0004, 215.5]])
        if boxes is None
        else np.asarray(boxes, float)
    )
    n = len(boxes)
    found = Detections(boxes, np.linspace(0.9, 0.5, n), np.arange(n) % 2, np.arange(n))
    facts = SceneFacts(**{"path": "a.tif", "width": 1000, "height": 800, "gsd_m": 0.12} | scene)
    provenance = Provenance(version="1", options={"tile": 640}, counts=TileCounts(tiles=n, read=n))
    return RunResult(found, ("car", "van"), georef, facts, provenance, Timings(readers=1))


def test_json_is_paddlexs_schema_with_the_run_beside_it(tmp_path):
    content = json.loads(write(result(), tmp_path / "a.json").read_text())
    assert content["input_path"] == "a.tif"
    assert content["page_index"] is None
    assert content["boxes"][0] == {
        "cls_id": 0,
        "label": "car",
        "score": 0.9,
        "coordinate": [10.5, 20.25, 40.125, 50.0],
    }
    assert list(content) == ["input_path", "page_index", "boxes", "scene", "georef", "run", "timings"]
    assert content["scene"] == {"path": "a.tif", "width": 1000, "height": 800, "gsd_m": 0.12, "notes": []}
    assert content["run"]["class_names"] == ["car", "van"]
    assert content["run"]["counts"] == {
        "tiles": 2,
        "read": 2,
        "skipped_nodata": 0,
        "saturated": 0,
        "failed": 0,
        "cut_short": 0,
    }
    assert content["timings"]["readers"] == 1


def test_geojson_follows_rfc_7946(tmp_path):
    content = json.loads(write(result(), tmp_path / "a.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    assert "crs" not in content
    for feature in content["features"]:
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert len(ring) == 5
        assert shapely.LinearRing(ring).is_ccw
        assert tuple(feature["properties"]) == COLUMNS
    west, south, east, north = content["bbox"]
    assert west < east
    assert south < north


@pytest.mark.parametrize("georef", [UTM, ROTATED], ids=["UTM", "rotated"])
def test_every_polygon_is_its_own_bbox_through_affine_and_crs(tmp_path, georef):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 900, (200, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 50, (200, 2))], axis=1)
    content = json.loads(write(result(georef, boxes), tmp_path / "a.geojson").read_text())
    for feature in content["features"]:
        expected = georef.to_lonlat(corners(np.array([box_of(feature)]))[0])
        ring = np.array(feature["geometry"]["coordinates"][0])[:-1]
        distance = np.abs(ring[:, None] - expected[None]).max(axis=2).min(axis=1)
        assert distance.max() <= 1e-7


@pytest.mark.parametrize("georef", [DATELINE, DEGREES], ids=["UTM", "degrees beyond 180"])
def test_boxes_across_the_antimeridian_are_cut_there(tmp_path, georef):
    pole = 180.0
    meridian_px = float(georef.from_lonlat(np.array([[pole, 0.1]]))[0, 0])
    boxes = [
        [meridian_px - 20, 100, meridian_px + 30, 140],
        [meridian_px - 90, 0, meridian_px - 60, 20],
        [meridian_px + 60, 0, meridian_px + 90, 20],
    ]
    content = json.loads(write(result(georef, boxes), tmp_path / "a.geojson").read_text())
    crossing, west, east = (feature["geometry"] for feature in content["features"])
    assert crossing["type"] == "MultiPolygon"
    assert (west["type"], east["type"]) == ("Polygon", "Polygon")
    for geometry in (crossing, west, east):
        for part in getattr(shape(geometry), "geoms", [shape(geometry)]):
            x0, _, x1, _ = part.bounds
            assert x1 - x0 < 1
            assert x0 >= -180
            assert x1 <= 180
            assert part.exterior.is_ccw
    x0, _, x1, _ = content["bbox"]
    assert x0 > 179
    assert x1 < -179


def test_a_box_that_ends_at_the_antimeridian_is_not_cut(tmp_path):
    meridian_px = 500.0000000001
    boxes = [[meridian_px - 20, 100, meridian_px, 140], [meridian_px, 0, meridian_px + 20, 20]]
    content = json.loads(write(result(DEGREES, boxes), tmp_path / "a.geojson").read_text())
    west, east = (shape(feature["geometry"]) for feature in content["features"])
    assert west.bounds[2] == 180
    assert east.bounds[0] == -180
    assert west.area == pytest.approx(2 * east.area, rel=1e-3)


def test_longitudes_up_to_360_are_written_from_minus_180_to_180(tmp_path):
    georef = GeoRef((1e-5, 0, 359.0, 0, -1e-5, 0.1), "EPSG:4326")
    content = json.loads(write(result(georef), tmp_path / "a.geojson").read_text())
    assert content["bbox"] == pytest.approx([-1 + 10.5e-5, 0.1 - 215.5e-5, -1 + 130e-5, 0.1 - 20.25e-5])


def test_fine_scenes_get_an_eighth_decimal(tmp_path):
    text = write(result(gsd_m=0.01), tmp_path / "a.geojson").read_text()
    lon = json.loads(text)["features"][0]["geometry"]["coordinates"][0][0][0]
    assert round(lon, 8) == lon
    assert round(lon, 7) != lon


def test_no_detections_is_a_valid_file(tmp_path):
    for suffix in (".json", ".geojson"):
        path = write(result(boxes=np.empty((0, 4))), tmp_path / f"a{suffix}")
        assert len(load_result(path)) == 0


@pytest.mark.parametrize("suffix", [".json", ".geojson"])
def test_a_result_can_be_read_back(tmp_path, suffix):
    one = result()
    again = load_result(write(one, tmp_path / f"a{suffix}"))
    np.testing.assert_allclose(again.detections.boxes, one.detections.boxes, atol=5e-4)
    np.testing.assert_allclose(again.detections.scores, one.detections.scores, atol=1e-6)
    assert (again.labels, again.georef, again.scene) == (one.labels, one.georef, one.scene)
    assert (again.class_names, again.provenance, again.timings) == (
        one.class_names,
        one.provenance,
        one.timings,
    )
    assert is_own(tmp_path / f"a{suffix}")


def test_files_that_are_no_results_are_refused(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(SodsliceError, match="cannot be read"):
        load_result(path)
    path.write_text("nonsense")
    with pytest.raises(SodsliceError, match="is not JSON"):
        load_result(path)
    path.write_text("{}")
    with pytest.raises(SodsliceError, match="was not written by `sodslice run`"):
        load_result(path)


def test_an_unknown_suffix_lists_what_exists(tmp_path):
    with pytest.raises(
        SodsliceError,
        match=r"unknown suffix '.geojsn' \(did you mean '.geojson'\?\); known are .json, .geojson",
    ):
        write(result(), tmp_path / "a.geojsn")


def test_geojson_without_crs_is_refused_with_the_reason(tmp_path):
    with pytest.raises(SodsliceError, match="the scene has no CRS; write .json instead"):
        write(result(GeoRef()), tmp_path / "a.geojson")


def test_a_folder_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SodsliceError, match="cannot write to the folder"):
        write(result(), tmp_path / "file" / "a.json")
    (tmp_path / "a.json").mkdir()
    with pytest.raises(SodsliceError, match="it is a folder"):
        write(result(), tmp_path / "a.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "file"]


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    from pathlib import Path

    path = write(result(), tmp_path / "a.json")
    before = path.read_bytes()

    def crash(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(SodsliceError, match="cannot write .*a.json: No space left on device"):
        write(result(boxes=[[0, 0, 1, 1]]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
