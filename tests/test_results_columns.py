"""Columns, pieces and batches: what every format of tables and maps is made of."""

from __future__ import annotations

import numpy as np
import pytest

from sodslice import GeoRef
from sodslice.results import COLUMNS, Writing, columns_of, writing_of
from sodslice.results.arrow import schema
from sodslice.results.batches import Batches
from sodslice.results.columns import pieces_of
from tests.placed_results import MERIDIAN, POLAR, UTM, nothing, placed_result


def test_columns_are_flat_and_rounded_as_files_are():
    result = placed_result()
    columns = columns_of(result, first_id=7)
    assert tuple(columns) == COLUMNS
    assert columns["id"].tolist() == list(range(7, 47))
    assert set(columns["source"]) == {"a.tif"}
    assert columns["label"].tolist() == result.labels
    np.testing.assert_array_equal(columns["x0"], np.round(result.detections.boxes[:, 0], 3))
    assert columns["length_m"] == pytest.approx(
        UTM.ground_size_m(result.detections.boxes).max(axis=1), abs=1e-3
    )
    assert columns["area_m2"] == pytest.approx(UTM.area_m2(result.detections.boxes), abs=1e-3)


def test_measures_are_nan_where_metres_are_not_known():
    flat = columns_of(placed_result(GeoRef((0.1, 0, 0, 0, -0.1, 0), 'LOCAL_CS["a",UNIT["unknown",1]]')))
    assert flat["area_m2"] == pytest.approx(np.round(flat["area_m2"], 4))
    beyond = GeoRef((1.2e4, 0, -6e6, 0, -1.2e4, 5e6), "+proj=geos +h=35785831 +sweep=y +datum=WGS84")
    columns = columns_of(placed_result(beyond))
    assert np.isnan(columns["area_m2"]).any()
    assert (np.isnan(columns["area_m2"]) == np.isnan(columns["width_m"])).all()


@pytest.mark.parametrize("geometry", ["box", "point"])
def test_pieces_hold_all_rows_in_order_whatever_their_size(monkeypatch, geometry):
    result, writing = placed_result(), Writing(geometry=geometry)
    (whole,) = pieces_of(result, writing)
    monkeypatch.setattr("sodslice.results.columns.ROWS_AT_ONCE", 7)
    pieces = list(pieces_of(result, writing))
    assert len(pieces) == 6
    for name in COLUMNS:
        joined = np.concatenate([piece.columns[name] for piece in pieces])
        np.testing.assert_array_equal(joined, whole.columns[name])
    np.testing.assert_array_equal(np.concatenate([piece.extents for piece in pieces]), whole.extents)


def test_rows_without_a_place_are_left_out_and_keep_their_ids():
    beyond = GeoRef((1.2e4, 0, -6e6, 0, -1.2e4, 5e6), "+proj=geos +h=35785831 +sweep=y +datum=WGS84")
    (piece,) = pieces_of(placed_result(beyond), Writing())
    kept = piece.columns["id"]
    assert 0 < len(kept) < 40
    np.testing.assert_array_equal(kept, np.flatnonzero(piece.placed) + 1)
    assert len(piece.bounds) == len(kept)


def test_settings_of_writing_are_those_of_the_run():
    result = placed_result(geometry="point", output_crs="native", tile=640)
    assert writing_of(result) == Writing(geometry="point", output_crs="native")


@pytest.mark.parametrize(
    ("georef", "alone", "kind"),
    [
        (UTM, True, "Polygon"),
        (UTM, False, "MultiPolygon"),
        (MERIDIAN, True, "MultiPolygon"),
        (POLAR, True, "MultiPolygon"),
    ],
)
def test_a_layer_is_of_one_kind_of_geometry(georef, alone, kind):
    batches = Batches([placed_result(georef)], alone=alone)
    assert batches.kind == kind
    (batch,) = batches.of(schema())
    heads = {value.as_py()[:5] for value in batch.column("geometry")}
    assert heads == {b"\x01\x03\x00\x00\x00" if kind == "Polygon" else b"\x01\x06\x00\x00\x00"}
    assert Batches([nothing(georef)], alone=True).kind == "Polygon"


def test_nan_is_null():
    result = placed_result(
        GeoRef((1.2e4, 0, -6e6, 0, -1.2e4, 5e6), "+proj=geos +h=35785831 +sweep=y +datum=WGS84"),
        output_crs="native",
    )
    (batch,) = Batches([result], alone=True).of(schema())
    assert batch.num_rows == 40
    assert batch.column("area_m2").null_count == np.isnan(columns_of(result)["area_m2"]).sum() > 0
