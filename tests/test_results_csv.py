"""CSV, read back by Python's own reader and by pandas."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pandas
import pytest

from sodslice import GeoRef, write
from sodslice.results import columns_of, is_own
from sodslice.results.csv import HEADER, combine_csv
from sodslice.tables.boxes import centers
from tests.placed_results import CLASSES, SCENES, nothing, placed_result


@pytest.mark.parametrize("scene", SCENES)
def test_a_table_holds_all_objects_with_their_middles(tmp_path, scene):
    result = placed_result(SCENES[scene])
    table = pandas.read_csv(write(result, tmp_path / "a.csv"))
    assert tuple(table.columns) == HEADER
    for name, column in columns_of(result).items():
        if column.dtype != object:
            np.testing.assert_array_equal(table[name].to_numpy(column.dtype), column, err_msg=name)
        else:
            assert table[name].tolist() == column.tolist()
    middles = SCENES[scene].to_lonlat(centers(np.round(result.detections.boxes, 3)))
    np.testing.assert_allclose(table[["lon", "lat"]], middles, atol=6e-8)


def test_what_is_not_known_is_empty(tmp_path):
    path = write(
        replace(placed_result(GeoRef()), scene=replace(nothing().scene, gsd_m=None)), tmp_path / "a.csv"
    )
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert {rows[0][name] for name in ("lon", "lat", "area_m2", "length_m", "width_m")} == {""}
    assert float(rows[0]["x0"]) == 480


def test_texts_are_quoted_and_are_no_formulas(tmp_path):
    names = ("=1+1", 'a "quoted", name', "two\nlines")
    result = replace(placed_result(count=3), class_names=names)
    with write(result, tmp_path / "a.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == ["'=1+1", 'a "quoted", name', "two\nlines"]


def test_many_results_are_one_table_and_ours_is_known_by_its_header(tmp_path):
    combine_csv([placed_result(count=5), nothing(), placed_result(count=7, path="b.tif")], tmp_path / "a.csv")
    table = pandas.read_csv(tmp_path / "a.csv")
    assert table["id"].tolist() == list(range(1, 13))
    assert table["source"].tolist() == ["a.tif"] * 5 + ["b.tif"] * 7
    assert is_own(tmp_path / "a.csv")
    empty = write(nothing(), tmp_path / "b.csv")
    assert empty.read_text() == ",".join(HEADER) + "\n"
    (tmp_path / "c.csv").write_text("lon,lat\n1,2\n")
    assert not is_own(tmp_path / "c.csv")
    assert CLASSES[0] in (tmp_path / "a.csv").read_text()
