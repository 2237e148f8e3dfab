from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
import yaml

from sodslice import BlobDetector, SodsliceError, load_model
from sodslice.detector import Preprocess, read_folder
from tests.tiny_models import PERMUTE, export_bright_box

NORMALIZE = {"type": "NormalizeImage", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def bright_tile(size: tuple[int, int] = (96, 128), box=(40, 24, 72, 56)) -> np.ndarray:
    """One tile `(1, H, W, 3)` with a bright rectangle x0, y0, x1, y1."""
    tile = np.full((1, *size, 3), 20, np.uint8)
    x0, y0, x1, y1 = box
    tile[:, y0:y1, x0:x1] = 250
    return tile


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


def test_a_graph_with_nearest_interp_runs_through_onednn_without_placement(tmp_path):
    detector = load_model(
        export_bright_box(tmp_path / "m", preprocess=[PERMUTE], nearest=True), device="cpu", threads=1
    )
    plain = load_model(export_bright_box(tmp_path / "n", preprocess=[PERMUTE]), device="cpu", threads=1)
    assert detector.engine.endswith(", cpu, oneDNN without placement")
    assert plain.engine.endswith(", cpu, oneDNN")


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
    from sodslice.detector import ExportedDetector, ModelInfo

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


def test_cubic_resizing_equals_opencv():
    tile = np.random.default_rng(0).integers(0, 255, (2, 100, 140, 3), dtype=np.uint8)
    steps = Preprocess(
        ({"type": "Resize", "target_size": [64, 96], "keep_ratio": False, "interp": 2}, PERMUTE)
    )
    images, scale = steps(tile)
    assert scale == (0.64, 96 / 140)
    for image, pixels in zip(images, tile, strict=True):
        expected = cv2.resize(pixels, (96, 64), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
        assert np.array_equal(image, expected.astype(np.float32))


def test_tiles_of_odd_size_are_padded_to_the_stride():
    images, scale = Preprocess((PERMUTE,))(np.full((1, 50, 70, 3), 7, np.uint8))
    assert images.shape == (1, 3, 64, 96)
    assert scale == (1.0, 1.0)
    assert images[:, :, 50:].max() == 0


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"type": "Reszie"}, r"'Reszie', known are .* \(did you mean 'Resize'\?\)"),
        ({"type": "Resize"}, r"Resize needs a target_size \[height, width\] in pixels, got None"),
        ({"type": "Resize", "target_size": [64, 64], "interp": 9}, "Resize knows interp 0 nearest"),
    ],
)
def test_preprocessing_that_cannot_be_obeyed_is_refused(operation, words):
    with pytest.raises(SodsliceError, match=words):
        Preprocess((operation,))


def test_a_folder_says_what_it_lacks(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    settings = yaml.safe_load((folder / "inference.yml").read_text())
    for key, words in (("label_list", "has no `label_list`"), ("Preprocess", "has no list `Preprocess`")):
        (folder / "inference.yml").write_text(yaml.safe_dump({k: v for k, v in settings.items() if k != key}))
        with pytest.raises(SodsliceError, match=words):
            read_folder(folder)
    (folder / "inference.yml").write_text("a: [")
    with pytest.raises(SodsliceError, match="is not YAML"):
        read_folder(folder)
    (folder / "inference.yml").write_text(yaml.safe_dump(settings))
    (folder / "inference.pdiparams").rename(folder / "elsewhere")
    with pytest.raises(SodsliceError, match="holds no inference.pdiparams"):
        read_folder(folder)
    (folder / "inference.json").unlink()
    with pytest.raises(SodsliceError, match=r"holds no inference.json and no inference.pdmodel"):
        read_folder(folder)
    (folder / "inference.yml").unlink()
    with pytest.raises(SodsliceError, match="holds no inference.yml or infer_cfg.yml"):
        read_folder(folder)


def test_a_plain_paddledetection_export_is_a_model_folder_too(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    for old, new in (
        ("inference.json", "model.json"),
        ("inference.pdiparams", "model.pdiparams"),
        ("inference.yml", "infer_cfg.yml"),
    ):
        (folder / old).rename(folder / new)
    (found,) = load_model(folder, device="cpu").detect(bright_tile())
    assert len(found) == 1


def test_a_broken_graph_is_one_line(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    (folder / "inference.json").write_text("{}")
    with pytest.raises(SodsliceError, match="Paddle cannot run") as caught:
        load_model(folder, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("gpu", "--device gpu:0 (needs Paddle's GPU build|is not there)"),
        ("xpu:7", "--device xpu:7 is not there"),
        ("cpu:0", "the CPU takes no index"),
        ("gpu:0,1", "one run uses one device"),
        ("gpu:x", "a device index is a number"),
        ("gpi", r"unknown device 'gpi'; known are auto, cpu, .*\(did you mean 'gpu'\?\)"),
    ],
)
def test_a_device_that_is_not_there_is_an_error_and_never_replaced(device, words):
    with pytest.raises(SodsliceError, match=words):
        load_model("vehicle-t", device=device)


@pytest.mark.parametrize("device", ["gpu", "gpu:1", "xpu"])
def test_a_model_without_weights_takes_no_device_but_the_cpu(device):
    with pytest.raises(
        SodsliceError, match=f"model blobs has no weights .* got --device {device}; use --device cpu"
    ):
        load_model("blobs", device=device)
    for here in ("auto", "cpu"):
        assert load_model("blobs", device=here).info.name == "blobs"


def test_blobs_have_exact_pixel_edges():
    tile = np.zeros((2, 60, 80, 3), np.uint8)
    tile[0, 10:15, 20:40] = 255
    tile[0, 30:32, 5:7] = 210
    first, second = BlobDetector().detect(tile)
    assert sorted(first.boxes.tolist()) == [[5, 30, 7, 32], [20, 10, 40, 15]]
    assert sorted(first.scores.tolist()) == pytest.approx([210 / 255, 1.0])
    assert len(second) == 0
    assert len(BlobDetector(smallest=5).detect(tile)[0]) == 1
    with pytest.raises(SodsliceError, match="level of 1..255"):
        BlobDetector(level=0)


def test_the_shipped_model_is_silent_on_loading(caplog, capfd):
    with caplog.at_level(logging.WARNING):
        load_model("vehicle-t", device="cpu")
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
