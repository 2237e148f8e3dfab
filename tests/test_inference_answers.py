"""What detectors are shown and what they answer: anything odd is one line that names it, and no output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sodslice import BlobDetector, Detections, ModelInfo, SodsliceError, load_model, run
from sodslice.inference import ExportedDetector, Preprocess
from tests.tiny_models import PERMUTE, export_bright_box

SCENE = np.full((200, 200, 3), 90, np.uint8)


class Answering:
    """A detector of somebody else's, that answers what it was given."""

    def __init__(self, answer, names=("car", "van"), **facts):
        self._answer = answer
        self.info = ModelInfo(names, name="mine", **facts)

    def detect(self, pixels):
        return self._answer(pixels) if callable(self._answer) else self._answer


def one(box=(10, 10, 20, 20), score=0.9, label=0) -> Detections:
    return Detections([box], [score], [label], [0])


def forged(**columns) -> Detections:
    """A table that went past its own checks, as one of a subclass or of another version may."""
    table = one()
    for name, values in columns.items():
        object.__setattr__(table, name, np.array(values))
    return table


OTHER_KINDS = {
    "nothing at all": (None, "must give a list with one table .* per tile, got NoneType"),
    "a generator": (lambda p: (one() for _ in p), "per tile, got generator"),
    "an array": (np.zeros((1, 6)), "per tile, got ndarray"),
    "a table that is not in a list": (one(), "per tile, got Detections"),
    "a list of arrays": ([np.zeros((3, 6))], "must give a table .* for each tile, got ndarray"),
    "a list of dicts": ([{"boxes": []}], "for each tile, got dict; an empty one is Detections.empty()"),
    "a list of nothing": ([None], "for each tile, got NoneType"),
    "too few": ([], "the model mine gave 0 tables for 1 tiles; one per tile is needed"),
    "too many": ([one(), one()], "gave 2 tables for 1 tiles"),
    "a label without a name": (
        [one(label=2)],
        r"gave the class id 2, which has no name: it names 2, the ids 0 to 1",
    ),
    "a label that counts backwards": ([one(label=-1)], "gave the class id -1"),
    "labels that count from 1": (
        [Detections([[0, 0, 9, 9]] * 2, [0.9, 0.9], [1, 2], [0, 0])],
        r"class id 2, .* \(car, van\); name all of its classes .* and count from 0",
    ),
    "half a label": ([forged(labels=[0.5])], "gave the class id 0.5"),
    "percents": ([one(score=87.0)], "gave the score 87; scores are from 0 to 1"),
    "a score of 1.01": ([one(score=1.01)], "gave the score 1.01"),
    "logits": ([one(score=-2.5)], "gave the score -2.5; .* give probabilities, not percents or logits"),
    "a score that is no number": ([forged(scores=[np.nan])], "gave the score nan, which is not finite"),
    "an endless score": ([forged(scores=[np.inf])], "gave the score inf"),
    "a box that is no number": (
        [forged(boxes=[[0, 0, np.nan, 9]])],
        r"gave the box \[0.0, 0.0, nan, 9.0\], which is not finite",
    ),
    "a box in the frame of the scene": (
        [one((1010, 10, 1020, 20))],
        "gave the box 1010, 10, 1020, 20 in a tile of 200 x 200 pixels; give boxes in pixels of the tile",
    ),
    "a box above the tile": ([one((10, -40, 20, -10))], "gave the box 10, -40, 20, -10"),
    "a box far larger than the tile": ([one((0, 0, 999, 10))], "gave the box 0, 0, 999, 10"),
}


@pytest.mark.parametrize(("answer", "words"), OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_an_odd_answer_is_one_line_and_nothing_is_written(tmp_path, answer, words):
    with pytest.raises(SodsliceError, match=words) as caught:
        run(SCENE, model=Answering(answer), output=tmp_path / "a.json")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_same_is_asked_of_detectors_that_bring_an_engine(tmp_path):
    class Own(BlobDetector):
        def detect(self, pixels):
            return [one(label=1) for _ in pixels]

    with pytest.raises(SodsliceError, match="the model blobs gave the class id 1, .* the ids 0 to 0"):
        run(SCENE, model=Own(), output=tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_tuples_rounding_and_objects_that_go_on_behind_the_edge_are_fine():
    inside = run(SCENE, model=Answering((one((-0.5, 10, 9, 20.5), score=1.0005),)))
    assert inside.detections.boxes.tolist() == [[0, 10, 9, 20.5]]
    assert inside.detections.scores.tolist() == [1.0]
    assert inside.scene.notes == ()
    outside = run(SCENE, model=Answering([one((-30, 10, 9, 20))]))
    assert outside.detections.boxes.tolist() == [[0, 10, 9, 20]]
    assert outside.scene.notes == (
        "boxes of the model reach beyond their tiles by more than a pixel; they are cut to them",
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"threshold": 50}, "must have a score from 0 to 1 as threshold, got 50"),
        ({"threshold": None}, "as threshold, got None"),
        ({"scores_from": 1.5}, "must have a score from 0 to 1 as scores_from, got 1.5"),
        ({"max_per_tile": 0}, "must have a number from 1 on as max_per_tile, got 0"),
        ({"input_size": 640}, "must have height and width in pixels as input_size, got 640"),
        ({"stride": 0}, "as stride, got 0"),
        ({"gsd_m": -1.0}, "must have metres above 0 as gsd_m, got -1.0"),
    ],
)
def test_facts_that_would_mislead_are_refused(facts, words):
    with pytest.raises(SodsliceError, match=words):
        run(SCENE, model=Answering([one()], **facts))


class FixedSession:
    """A session that gives fixed outputs."""

    input_names = ("image",)
    description = "fixed"

    def __init__(self, *outputs):
        self.outputs = outputs

    def run(self, feeds):
        return list(self.outputs)

    def close(self):
        pass


def exported(*outputs, names=("a", "b")) -> ExportedDetector:
    return ExportedDetector(FixedSession(*outputs), Preprocess((PERMUTE,)), ModelInfo(names, name="net"))


def rows(*row) -> tuple[np.ndarray, np.ndarray]:
    return np.float32([row]), np.int32([1])


TILES = np.zeros((1, 64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (rows(2, 0.9, 1, 1, 9, 9), "the model net gave the class id 2, which has no name"),
        (rows(9, 0.02, 1, 1, 9, 9), r"class id 9, .* \(a, b\); name all of its classes .*label_list"),
        (rows(-1, 0.9, 1, 1, 9, 9), "class id -1"),
        (rows(0.5, 0.9, 1, 1, 9, 9), "class id 0.5"),
        (rows(0, 1.5, 1, 1, 9, 9), "the score 1.5"),
        (rows(0, -3, 1, 1, 9, 9), "the score -3"),
        (rows(0, np.nan, 1, 1, 9, 9), "the score nan"),
        (rows(np.nan, 0.9, 1, 1, 9, 9), "the class id nan"),
        (rows(0, 0.9, 1, np.inf, 9, 9), "the box .* not finite"),
    ],
)
def test_odd_rows_of_a_graph_with_nms_are_refused(outputs, words):
    with pytest.raises(SodsliceError, match=words):
        exported(*outputs).detect(TILES)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (
            np.full((1, 3, 2), 0.001),
            "the model net gives scores of 3 classes, and names 2; complete the label",
        ),
        (np.array([[[0.5, np.nan], [0.1, 0.1]]]), "the score nan"),
        (np.array([[[0.5, 4.0], [0.1, 0.1]]]), "the score 4"),
        (np.array([[[0.5, -4.0], [0.1, 0.1]]]), "the score -4"),
    ],
)
def test_odd_planes_of_a_raw_graph_are_refused(scores, words):
    boxes = np.float32([[[1, 1, 9, 9], [2, 2, 8, 8]]])
    with pytest.raises(SodsliceError, match=words):
        exported(boxes, scores.astype(np.float32)).detect(TILES)


def test_boxes_of_a_graph_stick_out_of_their_tile_as_ever():
    (found,) = exported(*rows(0, 0.9, -77, 10, 709, 20)).detect(TILES)
    assert found.boxes.tolist() == [[0, 10, 64, 20]]


@pytest.mark.parametrize("model", ["exported", "blobs"])
def test_pixels_that_are_no_tiles_are_refused_in_words(model, tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    detector = BlobDetector() if model == "blobs" else load_model(folder, device="cpu")
    assert detector.detect(np.zeros((0, 64, 64, 3), np.uint8)) == []
    for odd, words in (
        (np.zeros((1, 64, 64, 3)), r"got float64 \(1, 64, 64, 3\)"),
        (np.zeros((1, 64, 64, 3), np.uint16), r"got uint16 \(1, 64, 64, 3\)"),
        (
            np.zeros((64, 64, 3), np.uint8),
            r"got uint8 \(64, 64, 3\); put a single tile into a batch with pixels\[None\]",
        ),
        (np.zeros((1, 3, 64, 64), np.uint8), r"got uint8 \(1, 3, 64, 64\)"),
        (np.zeros((1, 64, 64, 4), np.uint8), r"got uint8 \(1, 64, 64, 4\)"),
        (np.zeros((1, 0, 64, 3), np.uint8), r"got uint8 \(1, 0, 64, 3\)"),
        ([np.zeros((64, 64, 3), np.uint8)], "got list"),
        (None, "got NoneType"),
    ):
        with pytest.raises(
            SodsliceError, match=rf"tiles must be an array \(B, H, W, 3\) of uint8 RGB, {words}"
        ):
            detector.detect(odd)


def test_a_folder_that_names_too_few_classes_is_refused(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE], nms=False)
    detector = load_model(folder, device="cpu")
    detector.info = replace(detector.info, class_names=("bright",))
    assert len(detector.detect(TILES)) == 1
    detector.info = replace(detector.info, class_names=())
    with pytest.raises(SodsliceError, match="gives scores of 1 classes, and names 0"):
        detector.detect(TILES)
