from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import ArrayScene, BlobDetector, Detections, GeoRef, ModelInfo, Options, SodsliceError, run
from sodslice.results import SceneFacts, TileCounts
from tests.rasters import scene_with_blobs, write_raster
from tests.written import without_timings

CORNERS = [(5, 7), (100, 30), (300, 200), (390, 290), (635, 100), (700, 500), (790, 590)]


def blob_scene(width: int = 800, height: int = 600) -> ArrayScene:
    pixels = scene_with_blobs(width, height, CORNERS).transpose(1, 2, 0)
    return ArrayScene(
        np.ascontiguousarray(pixels), georef=GeoRef((0.5, 0, 5e5, 0, -0.5, 5.3e6), "EPSG:32632")
    )


def found_corners(result) -> list[tuple[float, ...]]:
    return sorted(tuple(b) for b in result.detections.boxes.tolist())


EXPECTED = sorted((x, y, x + 10, y + 10) for x, y in CORNERS)


@pytest.mark.parametrize("tile", [64, 100, 256, 1024])
def test_every_blob_is_found_once_at_its_own_pixels(tile):
    result = run(blob_scene(), model="blobs", options={"tile": tile, "overlap": 20, "merge": "seam"})
    assert found_corners(result) == EXPECTED


def test_a_raster_gives_the_same_as_the_array(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, CORNERS))
    result = run(path, model="blobs", options=Options.from_mapping({"tile": 256}))
    assert found_corners(result) == EXPECTED
    assert result.scene == SceneFacts(
        path=str(path),
        width=800,
        height=600,
        gsd_m=pytest.approx(0.5, rel=1e-3),
        notes=(),
    )
    assert "stretch" not in result.scene.as_dict()


@pytest.mark.parametrize("readers", [2, 4])
def test_output_is_byte_identical_for_any_number_of_readers(tmp_path, readers):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, CORNERS), compress="deflate")
    one = run(path, model="blobs", options={"tile": 128, "readers": 1})
    many = run(path, model="blobs", options={"tile": 128, "readers": readers})
    assert without_timings(one) == without_timings(many)


@pytest.mark.parametrize("readers", [1, 4])
def test_a_stretched_scene_is_byte_identical_whichever_reader_measures_it(tmp_path, readers):
    pixels = scene_with_blobs(800, 600, CORNERS).astype(np.uint16) * 13
    path = write_raster(tmp_path / "a.tif", pixels, compress="deflate")
    options = {"tile": 128, "gsd": 0.4, "window": (50, 0, 700, 600)}
    one = run(path, model="blobs", options=options)
    many = run(path, model="blobs", options={**options, "readers": readers})
    assert without_timings(one) == without_timings(many)


@pytest.fixture(scope="module")
def town():
    """A scene with texture on which the default model finds something to disagree about."""
    from sodslice.synthetic import SceneSpec, render

    spec = SceneSpec(width=800, height=640, gsd_m=0.12, seed=1)
    return ArrayScene(render(spec))


TOWN = {"tile": 320, "threshold": 0.3, "device": "cpu"}


@pytest.fixture(scope="module")
def found_in_town(town):
    return run(town, options=TOWN | {"batch": 1, "readers": 2}).detections


@pytest.mark.parametrize(("batch", "readers"), [(1, 1), (1, 4), (2, 2), (5, 1), (5, 4)])
def test_boxes_do_not_depend_on_batch_and_readers(town, found_in_town, batch, readers):
    one = found_in_town
    other = run(town, options=TOWN | {"batch": batch, "readers": readers}).detections
    sure, found = one[one.scores > 0.301], other[other.scores > 0.301]
    assert len(sure) > 3
    assert len(sure) == len(found)
    order = [np.lexsort(d.boxes.round(0).T) for d in (sure, found)]
    np.testing.assert_allclose(sure.boxes[order[0]], found.boxes[order[1]], atol=1e-2)
    np.testing.assert_allclose(sure.scores[order[0]], found.scores[order[1]], atol=1e-4)


def test_two_equal_runs_are_equal_to_the_last_byte(town):
    options = {"tile": 320, "device": "cpu"}
    assert without_timings(run(town, options=options)) == without_timings(run(town, options=options))


def test_rows_are_ordered_by_score_then_label_then_place():
    result = run(blob_scene(), model="blobs", options={"tile": 256})
    assert np.array_equal(result.detections.canonical_order(), np.arange(len(CORNERS)))


def test_tiles_without_data_are_skipped_and_counted():
    scene = blob_scene()
    valid = np.zeros((600, 800), bool)
    valid[:, 700:] = True
    holey = ArrayScene(scene._pixels, valid=valid)
    result = run(holey, model="blobs", options={"tile": 100, "overlap": 0})
    counts = TileCounts(tiles=48, read=6, skipped_nodata=42, saturated=0, failed=0)
    assert result.provenance.counts == counts
    assert found_corners(result) == [b for b in EXPECTED if b[0] >= 700]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 256), st.integers(1, 256), st.integers(32, 128), st.integers(0, 31))
def test_every_pixel_is_seen_by_the_detector(width, height, tile, overlap):
    seen = np.zeros((height, width), bool)

    class Coordinates:
        """Each pixel holds its own place, so the detector can tell which it was shown."""

        engine = "none"
        info = ModelInfo(("x",), stride=1)

        def detect(self, pixels):
            for image in pixels.astype(int):
                inside = image[..., 2] == 1
                seen[image[..., 1][inside], image[..., 0][inside]] = True
            return [Detections.empty() for _ in pixels]

    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x, y, np.ones_like(x)], axis=2).astype(np.uint8)
    run(pixels, model=Coordinates(), options={"tile": tile, "overlap": overlap})
    assert seen.all()


class Everything:
    """Gives a fixed table for each tile."""

    engine = "none"

    def __init__(self, boxes, scores, labels=None, **info):
        self.table = Detections(boxes, scores, labels or [0] * len(scores), [0] * len(scores))
        self.info = ModelInfo(("car", "van"), **info)

    def detect(self, pixels):
        return [self.table for _ in pixels]


def test_thresholds_and_classes_apply():
    model = Everything([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], [0.9, 0.6, 0.6], [0, 0, 1])
    scene = np.zeros((64, 64), np.uint8)
    assert len(run(scene, model=model).detections) == 3
    assert len(run(scene, model=model, options={"threshold": "car=0.8"}).detections) == 2
    assert run(scene, model=model, options={"classes": "van"}).labels == ["van"]
    with pytest.raises(SodsliceError, match="the model knows car, van"):
        run(scene, model=model, options={"classes": "bus"})


def test_classes_of_a_group_are_joined_as_one():
    model = Everything([[0, 0, 9, 9], [0, 0, 9, 10], [40, 0, 49, 9]], [0.9, 0.8, 0.6], [0, 1, 1])
    scene = np.zeros((64, 64), np.uint8)
    assert run(scene, model=model).labels == ["car", "van", "van"]
    for group in ("car,van", [["car", "van"]], ["0,1"]):
        assert run(scene, model=model, options={"class_group": group}).labels == ["car", "van"]
    with pytest.raises(SodsliceError, match=r"`class_group` names 'vam' \(did you mean 'van'\?\)"):
        run(scene, model=model, options={"class_group": "car,vam"})
    with pytest.raises(SodsliceError, match="`class_group` names 'car' in two groups"):
        run(scene, model=model, options={"class_group": ["car,van", "0,1"]})


def test_methods_of_sahi_join_only_what_is_above_the_threshold():
    model = Everything([[0, 0, 20, 20], [0, 0, 40, 20]], [0.9, 0.2])
    scene = np.zeros((64, 64), np.uint8)
    for threshold, width in ((0.5, 20), (0.1, 40)):
        options = {"merge": "sahi-greedy-nmm", "threshold": threshold}
        assert run(scene, model=model, options=options).detections.boxes.tolist() == [[0, 0, width, 20]]


def test_the_models_own_threshold_is_the_default():
    model = Everything([[0, 0, 9, 9], [20, 0, 29, 9]], [0.9, 0.6], threshold=0.7)
    result = run(np.zeros((64, 64), np.uint8), model=model)
    assert len(result.detections) == 1
    assert result.provenance.options["threshold"] == {"all": 0.7}


def test_boxes_are_cut_to_the_tile_and_empty_ones_dropped():
    model = Everything([[-5, -5, 70, 10], [60, 20, 61, 30]], [0.9, 0.8])
    result = run(np.zeros((50, 60), np.uint8), model=model, options={"tile": 64})
    assert result.detections.boxes.tolist() == [[0, 0, 60, 10]]


def test_a_tile_at_the_models_limit_is_counted_and_only_warned_about_when_it_matters(caplog):
    model = Everything([[0, 0, 9, 9], [20, 0, 29, 9]], [0.9, 0.2], max_per_tile=2, suppressed=True)
    with caplog.at_level(logging.WARNING, logger="sodslice"):
        result = run(np.zeros((64, 64), np.uint8), model=model, options={"threshold": 0.5})
        assert result.provenance.counts.saturated == 1
        assert not caplog.records
        run(np.zeros((64, 64), np.uint8), model=model, options={"threshold": 0.1})
    assert "use smaller tiles" in caplog.text


def test_a_model_of_fixed_size_says_once_that_it_resizes(caplog):
    model = Everything([[0, 0, 9, 9]], [0.9], input_size=(640, 640))
    with caplog.at_level(logging.WARNING, logger="sodslice"):
        run(np.zeros((200, 200), np.uint8), model=model, options={"tile": 128})
    assert [r.message for r in caplog.records] == [
        "tiles of 128 x 128 are resized to the model's 640 x 640, "
        "so objects change their size by a factor of 5.00"
    ]


def test_a_small_scene_is_shown_to_a_model_of_fixed_size_at_the_scale_of_full_tiles():
    shapes = []

    class Watching(Everything):
        def detect(self, pixels):
            shapes.append(pixels.shape)
            return super().detect(pixels)

    run(np.zeros((50, 70), np.uint8), model=Watching([[0, 0, 9, 9]], [0.9], input_size=(640, 640)))
    run(np.zeros((50, 70), np.uint8), model=Watching([[0, 0, 9, 9]], [0.9]))
    assert shapes == [(1, 640, 640, 3), (1, 50, 70, 3)]


def test_what_is_no_model_is_refused():
    with pytest.raises(SodsliceError, match="must be a name, a path, or have `info` and `detect`, got int"):
        run(np.zeros((64, 64), np.uint8), model=3)
    with pytest.raises(
        SodsliceError,
        match=r"unknown model 'vehicle-s' \(did you mean 'vehicle-t'\?\); known are vehicle-t, blobs",
    ):
        run(np.zeros((64, 64), np.uint8), model="vehicle-s")
    with pytest.raises(SodsliceError, match="is not on this machine; fetch it with"):
        run(np.zeros((64, 64), np.uint8), model="PP-YOLOE_plus_SOD-S")


def test_a_model_that_gives_too_few_tables_is_refused():
    class Short(BlobDetector):
        def detect(self, pixels):
            return []

    with pytest.raises(SodsliceError, match="gave 0 tables for 1 tiles"):
        run(np.zeros((64, 64), np.uint8), model=Short())


def test_options_of_a_former_output_give_the_same_result(tmp_path):
    first = run(blob_scene(), model="blobs", options={"tile": 100, "iou": 0.3}, output=tmp_path / "a.json")
    again = run(blob_scene(), model="blobs", options=tmp_path / "a.json")
    assert without_timings(first) == without_timings(again)


def test_outputs_are_checked_before_the_work_begins(tmp_path):
    class Never(BlobDetector):
        def detect(self, pixels):
            raise AssertionError

    with pytest.raises(SodsliceError, match="unknown suffix"):
        run(blob_scene(), model=Never(), output=tmp_path / "a.txt")
    with pytest.raises(SodsliceError, match="the scene has no CRS; write .json instead"):
        run(np.zeros((9, 9), np.uint8), model=Never(), output=tmp_path / "a.geojson")
