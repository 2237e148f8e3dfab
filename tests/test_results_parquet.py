"""GeoParquet, read back by pyarrow and geopandas."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest

from sodslice import load_result, write
from sodslice.errors import SodsliceError
from sodslice.results import COLUMNS, Writing, is_own
from sodslice.results.parquet import combine_parquet
from tests.placed_results import CLASSES, MERIDIAN, SCENES, UTM, nothing, placed_result
from tests.test_results_layers import columns_agree, places_agree


@pytest.mark.parametrize("scene", SCENES)
def test_geoparquet_holds_the_same_boxes_in_the_same_places(tmp_path, scene):
    result = placed_result(SCENES[scene])
    path = write(result, tmp_path / "a.parquet")
    table = geopandas.read_parquet(path)
    assert table.crs == pyproj.CRS.from_user_input("OGC:CRS84")
    assert table.geometry.is_valid.all()
    columns_agree(table, result)
    if scene != "polar":  # a box over the pole is taken up to it
        places_agree(table, result)
    if scene != "antimeridian":
        rows = [
            [row[edge] for edge in ("xmin", "ymin", "xmax", "ymax")]
            for row in pq.read_table(path)["bbox"].to_pylist()
        ]
        np.testing.assert_array_equal(rows, table.bounds.to_numpy())


def test_metadata_is_that_of_geoparquet_1_1(tmp_path):
    path = write(placed_result(), tmp_path / "a.parquet")
    metadata = json.loads(pq.read_metadata(path).metadata[b"geo"])
    column = metadata["columns"]["geometry"]
    assert (metadata["version"], metadata["primary_column"]) == ("1.1.0", "geometry")
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert column["orientation"] == "counterclockwise"
    assert pq.read_schema(path).names == ["geometry", *COLUMNS, "bbox"]


def test_a_part_is_read_by_its_bounds(tmp_path):
    result = placed_result()
    path = write(result, tmp_path / "a.parquet", writing=Writing(output_crs="native"))
    whole = geopandas.read_parquet(path)
    west, south, east, north = whole.total_bounds
    window = (west, south, (west + east) / 2, (south + north) / 2)
    part = geopandas.read_parquet(path, bbox=window)
    assert 0 < len(part) < len(whole)
    assert set(part["id"]) == set(whole.cx[window[0] : window[2], window[1] : window[3]]["id"])


def test_a_box_across_the_antimeridian_is_bounded_by_both_its_sides(tmp_path):
    table = pq.read_table(write(placed_result(MERIDIAN), tmp_path / "a.parquet")).to_pylist()
    first = next(row for row in table if row["id"] == 1)["bbox"]
    assert (first["xmin"], first["xmax"]) == (-180, 180)


def test_rows_stand_in_groups_so_that_they_can_be_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr("sodslice.results.columns.ROWS_AT_ONCE", 16)
    path = write(placed_result(), tmp_path / "a.parquet")
    assert pq.ParquetFile(path).metadata.num_row_groups == 3


def test_no_objects_have_their_schema_and_crs(tmp_path):
    path = write(nothing(), tmp_path / "a.geoparquet")
    table = geopandas.read_parquet(path)
    assert list(table.columns) == ["geometry", *COLUMNS]
    assert (len(table), table.crs.is_geographic) == (0, True)
    assert load_result(path).class_names == CLASSES


def test_a_result_can_be_read_back_and_is_known_as_our_own(tmp_path):
    result = placed_result()
    path = write(result, tmp_path / "a.parquet")
    again = load_result(path)
    np.testing.assert_array_equal(again.detections.boxes, np.round(result.detections.boxes, 3))
    assert (again.georef, again.scene, again.class_names) == (UTM, result.scene, CLASSES)
    assert is_own(path)
    other = tmp_path / "b.parquet"
    geopandas.read_parquet(path)[["geometry"]].to_parquet(other)
    assert not is_own(other)
    with pytest.raises(SodsliceError, match=r"b\.parquet was not written by `sodslice run`"):
        load_result(other)
    other.write_bytes(b"nothing of the kind")
    assert not is_own(other)
    with pytest.raises(SodsliceError, match=r"b\.parquet cannot be read: "):
        load_result(other)


def test_many_results_are_one_table(tmp_path):
    results = [placed_result(count=5), nothing(), placed_result(count=7, path="b.tif")]
    combine_parquet(results, tmp_path / "all.parquet")
    table = geopandas.read_parquet(tmp_path / "all.parquet")
    assert table["id"].tolist() == list(range(1, 13))
    assert table["source"].tolist() == ["a.tif"] * 5 + ["b.tif"] * 7
    assert is_own(tmp_path / "all.parquet")
