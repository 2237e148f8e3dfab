"""sodslice.jobs.combining: one table of all results, in which each row names its image."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sodslice import run_many
from sodslice.errors import OutputError, SodsliceError
from sodslice.jobs import combine
from tests.rasters import scene_with_blobs, write_raster


@pytest.fixture
def out(tmp_path):
    """Results of two scenes on the map, one that is not, and one without objects."""
    (tmp_path / "in").mkdir()
    for name, corners, crs in (
        ("a", [(5, 5), (40, 20)], "EPSG:32632"),
        ("b", [(9, 9)], None),
        ("c", [], "EPSG:32632"),
        ("d", [(30, 30)], "EPSG:32632"),
    ):
        write_raster(tmp_path / "in" / f"{name}.tif", scene_with_blobs(80, 60, corners), crs=crs)
    list(run_many(tmp_path / "in", model="blobs", output=tmp_path / "out"))
    return tmp_path / "out"


def own(out, name):
    return json.loads((out / name).read_text())


def test_json_holds_all_rows_as_their_own_files_do(out, tmp_path):
    assert combine(out, tmp_path / "all.json") == (4, 4, 0)
    table = own(tmp_path, "all.json")
    expected = [
        {"image": document["input_path"], **row}
        for document in (own(out, f"{name}.tif.json") for name in "b")
        for row in document["boxes"]
    ]
    assert [row for row in table["boxes"] if row["image"].endswith("b.tif")] == expected
    assert [(image["image"][-5:], image["objects"]) for image in table["images"]] == [
        ("a.tif", 2),
        ("b.tif", 1),
        ("c.tif", 0),
        ("d.tif", 1),
    ]
    assert "UTM zone 32N" in table["images"][0]["georef"]["crs"]


def test_geojson_holds_those_that_are_on_the_map_and_says_how_many_are_not(out, tmp_path):
    assert combine(out, tmp_path / "all.geojson") == (3, 3, 1)
    table = own(tmp_path, "all.geojson")
    features = [
        feature for name in ("a.tif.geojson", "d.tif.geojson") for feature in own(out, name)["features"]
    ]
    for number, feature in enumerate(features, start=1):
        feature["properties"]["id"] = number
    assert table["features"] == features
    assert [feature["properties"]["source"][-5:] for feature in features] == ["a.tif", "a.tif", "d.tif"]
    parts = np.array([own(out, name)["bbox"] for name in ("a.tif.geojson", "d.tif.geojson")])
    assert table["bbox"] == [*parts[:, :2].min(axis=0), *parts[:, 2:].max(axis=0)]
    assert table["type"] == "FeatureCollection"
    combine(out, tmp_path / "all.geojson")
    assert own(tmp_path, "all.geojson") == table


def test_pixels_and_degrees_do_not_mix(out, tmp_path):
    pixels = {"pixel_coords": True}
    list(run_many(tmp_path / "in" / "d.tif", model="blobs", options=pixels, output=out))
    with pytest.raises(OutputError, match="differ in `pixel_coords`; run them alike"):
        combine(out, tmp_path / "all.geojson")
    assert not (tmp_path / "all.geojson").exists()
    list(run_many(tmp_path / "in", model="blobs", options=pixels, output=tmp_path / "pixels"))
    assert combine(tmp_path / "pixels", tmp_path / "all.geojson") == (4, 4, 0)
    assert "pixel" in own(tmp_path, "all.geojson")["coordinates"]


def test_what_is_no_table_or_no_job_is_refused(out, tmp_path):
    with pytest.raises(OutputError, match=r"`combine=.*a\.txt` is no table .* one of \.json, \.geojson"):
        combine(out, tmp_path / "a.txt")
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(OutputError, match=r"mine\.json is here and is no table of a job"):
        combine(out, tmp_path / "mine.json")
    with pytest.raises(SodsliceError, match=r"holds no manifest\.jsonl of a job"):
        combine(tmp_path / "in", tmp_path / "x.json")
    assert combine(out, tmp_path / "some.json", names=["d.tif", "a.tif", "gone.tif"]) == (2, 3, 0)
    assert combine(out, tmp_path / "some.json", names=[]) == (0, 0, 0)
    (out / "a.tif.geojson").unlink()
    with pytest.raises(SodsliceError, match=r"a\.tif\.geojson"):
        combine(out, tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()
