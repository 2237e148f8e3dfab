"""`SodsliceDetectionModel` by itself: what SAHI's users give is obeyed or refused."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import sahi
from sahi.predict import get_prediction

from sodslice import BlobDetector, Detections, ModelInfo
from sodslice.errors import DeviceError, ModelError, OptionError
from sodslice.integrations.sahi import SodsliceDetectionModel
from sodslice.integrations.sahi.arguments import check_image, check_image_size, device_word
from sodslice.integrations.sahi.classes import chosen_ids, chosen_names, known_classes
from sodslice.integrations.sahi.registration import TYPE, register
from tests.rasters import scene_with_blobs
from tests.tiny_models import PERMUTE, export_bright_box

NAMES = {"0": "car", "1": "van"}


class Two:
    """Two classes: each bright blob is a car of 0.9 and a van of 0.4; counts calls."""

    info = ModelInfo(("car", "van"), name="two", suppressed=True)

    def __init__(self):
        self.calls, self.closed = [], False

    def detect(self, pixels):
        self.calls.append(pixels.shape)
        blobs = BlobDetector().detect(pixels)
        return [
            Detections(
                np.repeat(b.boxes, 2, axis=0), [0.9, 0.4] * len(b), [0, 1] * len(b), [row] * 2 * len(b)
            )
            for row, b in enumerate(blobs)
        ]


def image(width=64, height=48, corners=((10, 20),)) -> np.ndarray:
    return scene_with_blobs(width, height, corners).transpose(1, 2, 0)


def ids_and_names(model) -> list[tuple]:
    return [(p.category.id, p.category.name) for p in get_prediction(image(), model).object_prediction_list]


def test_a_loaded_detector_is_taken_as_it_is():
    model = SodsliceDetectionModel(model=BlobDetector(), confidence_threshold=0.5)
    (found,) = get_prediction(image(), model).object_prediction_list
    assert found.bbox.to_xyxy() == [10, 20, 20, 30]
    assert (type(found.category.id), found.category.name, found.score.value) == (int, "blob", 1.0)
    assert (model.category_names, model.num_categories, model.has_mask) == (["blob"], 1, False)


def test_sahi_may_shift_what_it_found():
    model = SodsliceDetectionModel(model=BlobDetector())
    model.perform_batch_inference([image(), image(corners=[(0, 0), (30, 0)])])
    model.convert_original_predictions(shift_amount=[[100, 0], [0, 200]], full_shape=[[900, 900]] * 2)
    shifted = [
        [p.get_shifted_object_prediction().bbox.to_xyxy() for p in found]
        for found in model.object_prediction_list_per_image
    ]
    assert shifted == [[[110, 20, 120, 30]], [[0, 200, 10, 210], [30, 200, 40, 210]]]
    with pytest.raises(ModelError, match="3 shifts or shapes were given for 2 images"):
        model.convert_original_predictions(shift_amount=[[0, 0]] * 3)


def test_images_of_one_size_go_through_in_one_call_and_keep_their_places():
    detector = Two()
    model = SodsliceDetectionModel(model=detector)
    model.perform_batch_inference([image(), image(100), image(corners=[]), image(100, corners=[])])
    model.convert_original_predictions()
    assert detector.calls == [(2, 48, 64, 3), (2, 48, 100, 3)]
    assert [len(found) for found in model.object_prediction_list_per_image] == [2, 2, 0, 0]


def test_the_threshold_is_the_lowest_score_that_is_kept():
    for threshold, left in ((0.4, 2), (0.41, 1), (0.95, 0)):
        model = SodsliceDetectionModel(model=Two(), confidence_threshold=threshold)
        assert len(get_prediction(image(), model).object_prediction_list) == left


def test_classes_are_renamed_by_their_ids():
    model = SodsliceDetectionModel(model=Two(), category_mapping={"0": "Auto", 1: "Bus"})
    assert ids_and_names(model) == [(0, "Auto"), (1, "Bus")]


@pytest.mark.parametrize("mapping", [{"0": 3, "1": 7}, {"car": 3, "van": 7}, {0: 3, "van": 7}])
def test_ids_are_changed_by_ids_as_in_sahis_code_and_by_names_as_in_its_manual(mapping):
    model = SodsliceDetectionModel(model=Two(), category_remapping=mapping)
    assert ids_and_names(model) == [(3, "car"), (7, "van")]


def test_a_model_that_is_not_to_be_loaded_yet_waits():
    model = SodsliceDetectionModel(model=Two(), load_at_init=False)
    with pytest.raises(ModelError, match=r"not loaded; call load_model\(\) first"):
        model.perform_inference(image())
    model.load_model()
    assert len(ids_and_names(model)) == 2
    model.unload_model()
    assert model.model is None


def test_what_was_loaded_here_is_closed_and_what_was_given_is_not(monkeypatch):
    closed = []
    monkeypatch.setattr(BlobDetector, "close", lambda self: closed.append(self))
    given = SodsliceDetectionModel(model=BlobDetector())
    given.unload_model()
    assert not closed
    own = SodsliceDetectionModel("blobs")
    own.unload_model()
    own.load_model()
    assert len(closed) == 1
    with pytest.raises(DeviceError, match=r"call unload_model\(\) before set_device\(\)"):
        own.set_device("cpu")


def test_a_size_is_obeyed_where_it_is_the_models(tmp_path):
    resize = {"type": "Resize", "target_size": [96, 96], "keep_ratio": False, "interp": 2}
    folder = export_bright_box(tmp_path / "m", preprocess=[resize, PERMUTE])
    model = SodsliceDetectionModel(str(folder), image_size=96, device="cpu")
    assert model.model.info.input_size == (96, 96)
    with pytest.raises(OptionError, match=r"takes images at 96 x 96 pixels, got `image_size=640`"):
        SodsliceDetectionModel(str(folder), image_size=640, device="cpu")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "which model is wanted is not said"),
        ({"model_path": "vehicle-t", "model": Two()}, "leave out `model_path`"),
        ({"model": "vehicle-t"}, "a model must be a name, a path, or have `info` and `detect`, got str"),
        ({"model": Two(), "device": "cpu"}, "`device` is for loading"),
        ({"model": Two(), "threads": 2}, "`threads` is for loading"),
        ({"model": Two(), "image_size": 640}, "takes images as large as they are"),
        ({"model": Two(), "config_path": "a.yml"}, "no `config_path`"),
        ({"model": Two(), "mask_threshold": 0.4}, "leave out `mask_threshold`"),
        ({"model": Two(), "confidence_threshold": 0.001}, "from 0.01 to 1, got 0.001"),
        ({"model": Two(), "confidence_threshold": "high"}, "from 0.01 to 1, got 'high'"),
        ({"model": Two(), "category_mapping": {"1": "car"}}, r"the ids 0, 1 of the model's classes"),
        ({"model": Two(), "category_remapping": {"car": 3}}, "for every class, van has none"),
        ({"model": Two(), "category_remapping": {"cra": 3, "van": 1}}, "did you mean 'car'"),
        ({"model": Two(), "category_remapping": {"car": 3.0, "van": 1}}, "whole numbers, got 3.0 for car"),
        ({"model_path": "vehicle-x"}, "vehicle-x"),
        ({"model_path": "vehicle-t", "device": "mps"}, "unknown device 'mps'"),
        ({"model_path": "vehicle-t", "engine": "onyx"}, "onyx"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_in_one_line(arguments, said):
    with pytest.raises((ModelError, OptionError, DeviceError), match=said) as caught:
        SodsliceDetectionModel(**arguments)
    assert "\n" not in str(caught.value)


def test_a_threshold_below_what_the_model_gives_is_refused():
    two = Two()
    two.info = replace(Two.info, scores_from=0.25)
    with pytest.raises(OptionError) as caught:
        SodsliceDetectionModel(model=two, confidence_threshold=0.2)
    assert str(caught.value) == (
        "`confidence_threshold` must be a score from 0.25 to 1, got 0.2; two keeps no boxes below 0.25"
    )


def test_what_is_no_rgb_is_refused():
    for wrong in (image()[..., :1], image()[..., 0], image().astype(np.uint16), [[0]]):
        with pytest.raises(ModelError, match=r"images must be arrays \(H, W, 3\) of uint8 RGB, got"):
            check_image(wrong)
    check_image(image())


def test_an_image_that_is_full_is_told(caplog):
    two = Two()
    two.info = replace(Two.info, max_per_tile=2)
    model = SodsliceDetectionModel(model=two)
    with caplog.at_level(logging.WARNING, "sodslice"):
        model.perform_batch_inference([image(), image(corners=[])])
    assert "1 of 2 images were cut short" in caplog.text


def test_devices_are_called_as_torch_calls_them_or_as_sodslice_does():
    words = {None: "auto", "cpu": "cpu", "CUDA": "gpu", "cuda:1": "gpu:1", "gpu:0": "gpu:0"}
    assert {asked: device_word(asked) for asked in words} == words


def test_registering_twice_is_once():
    for _ in range(2):
        register()
    model = sahi.AutoDetectionModel.from_pretrained(TYPE, model=Two())
    assert type(model) is SodsliceDetectionModel


def test_names_and_ids_of_nothing_are_the_models_own():
    assert chosen_names(None, ("car", "van")) == NAMES
    assert chosen_ids({}, NAMES) is None
    assert known_classes("m", {"7": "a", 2: "b"}, None) == ((2, 7), ("b", "a"))
    check_image_size(None, Two.info)
