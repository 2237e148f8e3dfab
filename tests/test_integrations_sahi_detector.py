"""`SahiDetector` by itself: classes, thresholds, limits, masks, threads."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import sodslice
from sodslice.errors import ModelError, OptionError
from sodslice.integrations.sahi import SahiDetector
from tests.rasters import scene_with_blobs
from tests.sahi_models import BatchingModel, BrightModel, MaskModel


def tiles(*corners, side=64) -> np.ndarray:
    """One tile for each corner of a bright square."""
    return np.stack([scene_with_blobs(side, side, [corner]).transpose(1, 2, 0) for corner in corners])


def test_it_says_what_sahis_model_says():
    detector = SahiDetector(BrightModel(confidence_threshold=0.25), tile=64)
    info = detector.info
    assert (info.name, info.class_names, info.input_size) == ("BrightModel", ("small", "large"), (64, 64))
    assert (info.threshold, info.scores_from, info.max_per_tile) == (0.25, 0.25, None)
    assert detector.category_ids == (1, 4)
    assert detector.engine.startswith("SAHI 0.")


def test_labels_count_from_0_in_the_order_of_ids():
    pixels = scene_with_blobs(64, 64, [(2, 3)])
    pixels[:, 30:50, 40:60] = 255
    (found,) = SahiDetector(BrightModel(), tile=64).detect(pixels.transpose(1, 2, 0)[None])
    assert found.labels.tolist() == [0, 1]
    assert found.boxes.tolist() == [[2, 3, 12, 13], [40, 30, 60, 50]]


def test_each_tile_has_its_table():
    for made in (BrightModel, BatchingModel):
        model = made()
        found = SahiDetector(model, tile=64).detect(tiles((5, 5), (20, 30)))
        assert [table.boxes.tolist() for table in found] == [[[5, 5, 15, 15]], [[20, 30, 30, 40]]]
        assert [table.tile_ids.tolist() for table in found] == [[0], [1]]
    assert model.calls == 1
    assert SahiDetector(model, tile=64).detect(np.zeros((0, 8, 8, 3), np.uint8)) == []


def test_a_sahi_without_batches_serves_too():
    class Old:
        """What SAHI 0.11.20 has."""

        confidence_threshold, category_mapping, category_remapping = 0.3, {"0": "blob"}, None
        image_size, model = 64, None

        def perform_inference(self, image):
            self.inner = BrightModel(category_mapping=self.category_mapping)
            self.inner.perform_inference(image)

        def convert_original_predictions(self, shift_amount, full_shape):
            self.inner.convert_original_predictions([shift_amount], [full_shape])

        @property
        def object_prediction_list_per_image(self):
            return self.inner.object_prediction_list_per_image

    found = SahiDetector(Old()).detect(tiles((5, 5), (20, 30)))
    assert [table.boxes.tolist() for table in found] == [[[5, 5, 15, 15]], [[20, 30, 30, 40]]]


def test_a_run_keeps_what_the_model_keeps_and_refuses_lower_thresholds():
    pixels = scene_with_blobs(200, 200, [(20, 20)], level=120) | scene_with_blobs(200, 200, [(90, 20)])
    scene = pixels.transpose(1, 2, 0)
    detector = SahiDetector(BrightModel(confidence_threshold=0.6), tile=200)
    assert len(sodslice.run(scene, model=detector).detections) == 1
    with pytest.raises(OptionError) as caught:
        sodslice.run(scene, model=detector, options={"threshold": 0.4})
    assert str(caught.value) == (
        "the model BrightModel gives no boxes with scores below 0.6, got `threshold=0.4`; take "
        "`threshold=0.6` or more, or make the model with a lower limit"
    )
    one_class = {"threshold": {"small": 0.7, "large": 0.4}, "classes": "small"}
    assert len(sodslice.run(scene, model=detector, options=one_class).detections) == 1
    low = SahiDetector(BrightModel(confidence_threshold=0.05), tile=200, threshold=0.6)
    assert len(sodslice.run(scene, model=low).detections) == 1
    assert len(sodslice.run(scene, model=low, options={"threshold": 0.4}).detections) == 2


def test_a_threshold_that_is_raised_later_is_found_out():
    model = BrightModel(confidence_threshold=0.3)
    detector = SahiDetector(model, tile=64)
    model.confidence_threshold = 0.5
    with pytest.raises(ModelError, match=r"went from 0.3 to 0.5; make a SahiDetector of it again"):
        detector.detect(tiles((5, 5)))


def test_ids_that_are_remapped_are_those_that_count():
    model = BrightModel(category_remapping={"1": 9, "4": 2})
    detector = SahiDetector(model, tile=64)
    assert (detector.category_ids, detector.info.class_names) == ((2, 9), ("large", "small"))
    (found,) = detector.detect(tiles((5, 5)))
    assert found.labels.tolist() == [1]
    with pytest.raises(
        ModelError, match=r"small and large the one category id 3; .*`class_group=small,large`"
    ):
        SahiDetector(BrightModel(category_remapping={"1": 3, "4": 3}), tile=64)


def test_masks_become_the_boxes_around_them_and_that_is_said_once(caplog):
    detector = SahiDetector(MaskModel(), tile=64)
    with caplog.at_level(logging.WARNING, "sodslice"):
        for _ in range(2):
            (found,) = detector.detect(tiles((5, 5)))
    assert found.boxes.tolist() == [[5, 5, 15, 15]]
    assert [record.getMessage() for record in caplog.records] == [
        "the SAHI model MaskModel gives masks or turned boxes; kept are the upright boxes around them"
    ]


class UltralyticsDetectionModel(BrightModel):
    """Called like SAHI's own, which needs torch."""

    def set_model(self, model):
        super().set_model(model)
        self.model.overrides = {"imgsz": [384, 640]}


def test_sizes_and_limits_of_known_models_are_known():
    ultralytics = SahiDetector(UltralyticsDetectionModel())
    assert (ultralytics.info.input_size, ultralytics.info.max_per_tile) == ((640, 640), 300)
    ultralytics = UltralyticsDetectionModel(image_size=1280)
    ultralytics.model.overrides = {"max_det": 1000}
    assert SahiDetector(ultralytics).info.input_size == (1280, 1280)
    assert SahiDetector(ultralytics).info.max_per_tile == 1000
    torchvision = BrightModel()
    torchvision.model.roi_heads = SimpleNamespace(detections_per_img=100)
    assert SahiDetector(torchvision, tile=64).info.max_per_tile == 100
    assert SahiDetector(torchvision, tile=64, max_per_tile=7).info.max_per_tile == 7


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        (
            object(),
            {},
            "needs a DetectionModel of SAHI, such as .*, got object, which lacks perform_inference",
        ),
        (
            BrightModel(load_at_init=False),
            {"tile": 64},
            "must name its classes as category_mapping, .*got None",
        ),
        (BrightModel(), {}, r"say it, for example SahiDetector\(model, tile=640\)"),
        (BrightModel(), {"tile": 0}, "height and width in pixels"),
        (BrightModel(), {"tile": 64, "max_per_tile": 0}, "a number from 1 on as max_per_tile"),
        (BrightModel(category_mapping={"a": "car"}), {"tile": 64}, "whole numbers as category ids, got 'a'"),
        (BrightModel(confidence_threshold=3), {"tile": 64}, "a score from 0 to 1"),
    ],
)
def test_what_is_no_whole_model_is_refused(model, settings, said):
    with pytest.raises(ModelError, match=said):
        SahiDetector(model, **settings)


def test_a_category_without_a_name_is_refused():
    model = BrightModel()
    detector = SahiDetector(model, tile=64)
    model.category_mapping = {"8": "new"}
    with pytest.raises(ModelError, match=r"gave the category id 8, and its category_mapping names 1, 4"):
        detector.detect(tiles((5, 5)))


def test_threads_take_turns_even_with_detectors_of_their_own():
    class Slow(BrightModel):
        """Would mix up what two threads see."""

        def perform_inference(self, image):
            super().perform_inference(image)
            assert self.busy.acquire(blocking=False), "two threads at once"
            time.sleep(0.001)
            self.busy.release()

    model = Slow()
    model.busy = threading.Lock()
    corners = [(x, y) for x in range(0, 50, 10) for y in range(0, 50, 10)]

    def seen(corner):
        (found,) = SahiDetector(model, tile=64).detect(tiles(corner))
        return tuple(found.boxes[0, :2].astype(int).tolist())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(seen, corners)) == corners
