"""Results as other people's tables and objects, and back."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sahi.prediction import ObjectPrediction, PredictionResult

from sodslice import GeoRef, RunResult
from sodslice.errors import DataError
from sodslice.results import COLUMNS, columns_of
from sodslice.results.exchange import MOST_CLASSES
from tests.placed_results import CLASSES, MERIDIAN, UTM, nothing, placed_result
from tests.rasters import scene_with_blobs, write_raster
from tests.test_results_layers import columns_agree, places_agree


def test_a_data_frame_has_the_columns_of_files():
    table = placed_result().to_dataframe()
    assert tuple(table.columns) == COLUMNS
    columns_agree(table, placed_result())
    assert (table.groupby("label")["score"].count() > 0).all()
    assert tuple(nothing().to_dataframe().columns) == COLUMNS


@pytest.mark.parametrize("crs", ["EPSG:4326", "native", "EPSG:3857"])
def test_a_geo_data_frame_has_places_too(crs):
    table = placed_result().to_geodataframe(crs=crs)
    assert table.crs == (UTM.crs if crs == "native" else crs)
    columns_agree(table, placed_result())
    places_agree(table, placed_result())
    points = placed_result().to_geodataframe(crs=crs, geometry="point")
    inside = points.geometry.within(table.geometry.buffer(1e-9))
    assert inside.all()
    assert len(nothing().to_geodataframe(crs=crs)) == 0
    assert "MultiPolygon" in set(placed_result(MERIDIAN).to_geodataframe().geom_type)


def test_a_scene_without_a_place_has_no_geo_data_frame():
    with pytest.raises(
        DataError, match="the scene has no CRS; `to_dataframe` gives the columns without places"
    ):
        placed_result(GeoRef()).to_geodataframe()


def test_supervision_gets_boxes_scores_classes_and_their_names():
    supervision = pytest.importorskip("supervision")
    result = placed_result()
    found = result.to_supervision()
    assert isinstance(found, supervision.Detections)
    np.testing.assert_array_equal(found.xyxy, np.round(result.detections.boxes, 3))
    np.testing.assert_allclose(found.confidence, result.detections.scores, atol=1e-6)
    assert found.data["class_name"].tolist() == result.labels
    assert (
        found[found.class_id == 1].data["class_name"].tolist() == result[result.label_names == "van"].labels
    )
    assert len(nothing().to_supervision()) == 0


def test_sahi_and_back_is_the_same_result(tmp_path):
    result = placed_result()
    objects = result.to_sahi()
    assert isinstance(objects[0], ObjectPrediction)
    assert objects[0].bbox.to_xyxy() == result.detections.boxes[0].tolist()
    again = RunResult.from_sahi(objects)
    np.testing.assert_array_equal(again.detections.boxes, result.detections.boxes)
    np.testing.assert_array_equal(again.detections.labels, result.detections.labels)
    assert again.class_names == CLASSES
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(1000, 800, []))
    placed = RunResult.from_sahi(
        PredictionResult(objects, np.zeros((800, 1000, 3), np.uint8)), scene=str(scene)
    )
    assert (placed.scene.width, placed.scene.height, placed.georef.on_map) == (1000, 800, True)
    assert placed.scene.gsd_m is not None
    alone = RunResult.from_sahi(PredictionResult(objects, np.zeros((800, 1000, 3), np.uint8)))
    assert (alone.scene.width, alone.scene.height) == (1000, 800)


def test_what_a_tile_of_sahi_saw_is_moved_to_the_image():
    one = ObjectPrediction(
        bbox=[1.0, 2.0, 11.0, 12.0], category_id=3, category_name="car", score=0.5, shift_amount=[100, 200],
        full_shape=[500, 400],
    )  # fmt: skip
    result = RunResult.from_sahi([one])
    assert result.detections.boxes.tolist() == [[101, 202, 111, 212]]
    assert result.class_names == ("class 0", "class 1", "class 2", "car")
    assert (len(RunResult.from_sahi([])), RunResult.from_sahi([]).class_names) == (0, ())
    far = ObjectPrediction(bbox=[1, 2, 3, 4], category_id=MOST_CLASSES + 1, category_name="car", score=0.5)
    with pytest.raises(
        DataError, match="SAHI's categories have ids from 100001 to 100001; number them from 0"
    ):
        RunResult.from_sahi([far])


@pytest.mark.parametrize(
    ("package", "method"),
    [("pandas", "to_dataframe"), ("geopandas", "to_geodataframe"), ("supervision", "to_supervision")],
)
def test_a_package_that_is_missing_is_named(monkeypatch, package, method):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=f"this needs the package {package}; pip install {package}"):
        getattr(placed_result(), method)()


def test_rows_are_chosen_by_name_score_and_number():
    result = placed_result()
    cars = result[result.label_names == "car"]
    assert set(cars.labels) == {"car"}
    assert cars.class_names == CLASSES
    assert len(result[result.detections.scores > 0.5]) == int((result.detections.scores > 0.5).sum())
    assert len(result[0]) == 1
    assert columns_of(result[:3])["id"].tolist() == [1, 2, 3]


def test_iteration_gives_each_object():
    result = placed_result()
    first, *others = result
    assert (first.label, first.cls_id) == ("car", 0)
    assert first.score == pytest.approx(0.95)
    assert first.box == tuple(result.detections.boxes[0])
    assert len(others) == len(result) - 1


def test_a_result_is_shown_in_a_line():
    assert repr(placed_result()) == (
        '<RunResult: 40 objects (car 14, van 13, a "b", <c> 13) in a.tif, 1000 x 800 px>'
    )
    assert repr(nothing()) == "<RunResult: 0 objects in a.tif, 1000 x 800 px>"
    assert repr(placed_result().detections) == "<Detections: 40 boxes>"
    assert len(repr(placed_result(count=1))) < 100
