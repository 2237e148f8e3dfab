from __future__ import annotations

import numpy as np
import pytest

from sodslice import SodsliceError, load_model
from sodslice.inference import ExportedDetector, ModelInfo, Preprocess
from sodslice.inference.dialect import PaddleDialect
from tests.tiny_models import PERMUTE, bright_tile, export_bright_box

NORMALIZE = {"type": "NormalizeImage", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


VARIANTS = {
    "as official: stretched, cubic": (
        [{"type": "Resize", "target_size": [64, 160], "keep_ratio": False, "interp": 2}, PERMUTE],
        128,
        2.0,
    ),
    "any size": ([PERMUTE], 128, 1e-3),
    "normalised": ([NORMALIZE | {"is_scale": True, "norm_type": "mean_std"}, PERMUTE], 0.5, 1e-3),
    "scaled only": ([{"type": "NormalizeImage", "is_scale": True, "norm_type": "none"}, PERMUTE], 0.5, 1e-3),
    "mean without scale": (
        [{"type": "NormalizeImage", "mean": [100.0] * 3, "std": [50.0] * 3, "is_scale": False}, PERMUTE],
        1.0,
        1e-3,
    ),
    "keeping the ratio": (
        [{"type": "Resize", "target_size": [192, 256], "keep_ratio": True, "interp": 1}, PERMUTE],
        128,
        1.0,
    ),
    "keeping the ratio, padded to a stride": (
        [
            {"type": "Resize", "target_size": [100, 120], "keep_ratio": True, "interp": 0},
            {"type": "PadStride", "stride": 32},
            PERMUTE,
        ],
        128,
        1.5,
    ),
    "padded to a size": (
        [{"type": "Pad", "size": [128, 160], "fill_value": [0.0, 0.0, 0.0]}, PERMUTE],
        128,
        1e-3,
    ),
}


@pytest.mark.parametrize("nearest", [False, True], ids=["plain graph", "nearest_interp as upstream"])
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_preprocess_is_obeyed_and_boxes_come_back_in_tile_pixels(tmp_path, variant, nearest):
    operations, level, tolerance = variant
    folder = export_bright_box(tmp_path / "model", preprocess=operations, level=level, nearest=nearest)
    detector = load_model(folder, device="cpu", threads=1)
    (found,) = detector.detect(bright_tile())
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], (40, 24, 72, 56), atol=tolerance + 2 * nearest)
    assert found.scores[0] == pytest.approx(0.9)


def test_a_batch_is_padded_and_gives_one_table_per_tile(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    tiles = np.concatenate([bright_tile(box=(i, i, i + 10, i + 12)) for i in range(5)])
    found = load_model(folder, device="cpu", batch=4).detect(tiles)
    assert [t.boxes[0].tolist() for t in found] == [[i, i, i + 10, i + 12] for i in range(5)]
    assert [t.tile_ids.tolist() for t in found] == [[i] for i in range(5)]


def test_an_export_without_nms_gives_boxes_above_the_floor(tmp_path):
    resize = {"type": "Resize", "target_size": [192, 256], "keep_ratio": False, "interp": 0}
    folder = export_bright_box(tmp_path / "m", preprocess=[resize, PERMUTE], nms=False)
    detector = load_model(folder, device="cpu")
    assert not detector.info.suppressed
    (found,) = detector.detect(bright_tile())
    np.testing.assert_allclose(found.boxes, [[40, 24, 72, 56]])
    (nothing,) = detector.detect(np.zeros((1, 96, 128, 3), np.uint8))
    assert len(nothing) == 0


def test_a_graph_that_wants_im_shape_gets_it(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE], im_shape=True)
    (found,) = load_model(folder, device="cpu").detect(bright_tile())
    assert found.boxes.tolist() == [[40, 24, 72, 56]]


def test_nothing_bright_is_no_detection(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    (found,) = load_model(folder, device="cpu").detect(np.zeros((1, 64, 64, 3), np.uint8))
    assert len(found) == 0


class Fixed:
    """An engine that gives fixed outputs."""

    input_names = ("image",)
    description = "fixed"

    def __init__(self, *outputs):
        self.outputs = list(outputs)

    def run(self, feeds):
        return self.outputs


def detect_fixed(*outputs, batch=1):
    detector = ExportedDetector(Fixed(*outputs), Preprocess(()), ModelInfo(("a", "b")), batch=batch)
    return detector.detect(np.zeros((batch, 64, 64, 3), np.uint8))


def test_outputs_are_told_apart_by_rank_and_dtype_in_any_order():
    rows = np.float32([[1, 0.8, 1, 2, 3, 4], [0, 0.7, 5, 6, 7, 8]])
    counts = np.int32([1, 1])
    for outputs in ((rows, counts), (counts, rows)):
        first, second = detect_fixed(*outputs, batch=2)
        assert first.labels.tolist() == [1]
        assert second.boxes.tolist() == [[5, 6, 7, 8]]


def test_old_paddles_word_for_nothing_and_scores_below_the_floor_are_dropped():
    rows = np.float32([[-1, -1, -1, -1, -1, -1]])
    assert len(detect_fixed(rows, np.int32([1]))[0]) == 0
    rows = np.float32([[0, 0.009, 1, 1, 2, 2], [0, 0.011, 1, 1, 2, 2]])
    assert len(detect_fixed(rows, np.int32([2]))[0]) == 1


def test_boxes_are_cut_to_the_tile_and_those_turned_inside_out_become_empty():
    rows = np.float32([[0, 0.9, -77, 10, 709, 20], [0, 0.8, 30, 30, 20, 40]])
    (found,) = detect_fixed(rows, np.int32([2]))
    assert found.boxes.tolist() == [[0, 10, 64, 20], [30, 30, 30, 40]]


@pytest.mark.parametrize(
    "outputs",
    [
        (np.zeros((3, 6), np.float32),),
        (np.zeros((3, 6), np.float32), np.int32([2])),
        (np.zeros((1, 5, 4), np.float32), np.zeros((1, 2, 6), np.float32)),
    ],
)
def test_outputs_of_something_else_are_refused(outputs):
    with pytest.raises(SodsliceError, match=r"the model's outputs are not|the model counts"):
        detect_fixed(*outputs)


class Spoken:
    """A dialect of its own: the graph takes the mean level, and answers with a box's side."""

    def feeds(self, tiles):
        return {"level": tiles.mean(axis=(1, 2, 3))}, len(tiles)

    def tables(self, outputs, place, info):
        sides = outputs[0][:place].astype(np.float64)
        scores, labels = np.float32([0.5]), np.int32([0])
        return [(np.array([[0, 0, side, side]]), scores, labels) for side in sides]


class Levels(Fixed):
    """An engine that gives the levels that it gets."""

    input_names = ("level",)

    def run(self, feeds):
        return [feeds["level"]]


def test_a_graph_is_spoken_to_in_its_dialect():
    assert isinstance(PaddleDialect(Preprocess(())).feeds(bright_tile())[0]["image"], np.ndarray)
    detector = ExportedDetector(Levels(), Spoken(), ModelInfo(("a",)), batch=2)
    tiles = np.stack([np.full((64, 64, 3), level, np.uint8) for level in (10, 20, 30)])
    assert [table.boxes.tolist() for table in detector.detect(tiles)] == [
        [[0, 0, side, side]] for side in (10, 20, 30)
    ]
