"""ONNX files of YOLOs and RT-DETRs: recognised, run, and refused where they are something else."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import numpy as np
import onnx
import pytest
from onnx import helper

from sodslice import SodsliceError, load_model, make_plan, run
from sodslice.inference.detector import ThoroughDetector
from sodslice.inference.foreign.decoding import read_answers
from sodslice.inference.foreign.file import read_onnx_file
from sodslice.inference.foreign.kinds import DETR, ROWS, SIZED, V5, V8
from sodslice.inference.foreign.layouts import recognise
from sodslice.inference.foreign.letterbox import GREY, Letterbox
from sodslice.inference.foreign.metadata import read_metadata
from sodslice.inference.graphs.ports import read_ports
from sodslice.models import load_spec, model_info, model_layout
from tests.command_line import sodslice
from tests.onnx_detectors import (
    COLOURS,
    METADATA,
    NAMES,
    RTDETR,
    ULTRALYTICS,
    YOLOV5,
    boxed,
    cells,
    save,
    write_detector,
    write_ports,
)
from tests.rasters import write_raster

ENGINES = ("openvino", "onnxruntime")
LAYOUTS = {"v5": V5, "v8": V8, "rows": ROWS, "detr": DETR, "sized": SIZED}
TILES = {
    "square": ((128, 128), (40, 24, 72, 56)),
    "square and larger": ((256, 256), (41, 33, 90, 71)),
    "square and smaller": ((64, 64), (11, 13, 30, 40)),
    "wide": ((96, 200), (30, 20, 90, 70)),
    "tall": ((200, 96), (30, 20, 62, 140)),
}
NOTHING = ULTRALYTICS | {"description": "Ultralytics best model trained on data.yml"}


def named(count: int) -> dict[str, str]:
    return {"names": str({label: f"class {label}" for label in range(count)})}


# What is seen


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("layout", "half"), [*((layout, False) for layout in LAYOUTS), ("v5", True), ("v8", True), ("detr", True)]
)
def test_a_box_comes_back_in_tile_pixels_with_its_colours_name(tmp_path, layout, half, engine):
    path = write_detector(tmp_path / "model.onnx", layout, half=half)
    assert read_onnx_file(path).recognised.layout is LAYOUTS[layout]
    detector = load_model(path, engine=engine, device="cpu", threads=1)
    assert detector.info.class_names == ("red", "blue")
    for size, box in TILES.values():
        for label, colour in enumerate(COLOURS):
            (found,) = detector.detect(boxed(size, box, colour))
            assert found.labels.tolist() == [label]
            np.testing.assert_allclose(found.boxes, [box], atol=0.5)
            assert found.scores[0] == pytest.approx(0.9, abs=2e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_where_any_size_goes_a_tile_keeps_its_scale(tmp_path, engine):
    path = write_detector(tmp_path / "free.onnx", "v8", sides=None)
    detector = load_model(path, engine=engine, device="cpu")
    assert detector.info.input_size is None
    assert detector.info.stride == 32
    for size in ((256, 256), (250, 130), (100, 300)):
        (found,) = detector.detect(boxed(size, (33, 21, 62, 57)))
        np.testing.assert_allclose(found.boxes, [(33, 21, 62, 57)], atol=0.01)


def test_an_input_that_is_not_square_gets_tiles_of_its_shape_and_letterboxes_others(tmp_path, scene):
    path = write_detector(tmp_path / "wide.onnx", "v8", sides=(96, 160))
    plan = make_plan(scene, model=path)
    assert plan.grid.full_size == (160, 96)
    assert not plan.notes
    (found,) = load_model(path, device="cpu").detect(boxed((200, 200), (33, 21, 62, 57)))
    np.testing.assert_allclose(found.boxes, [(33, 21, 62, 57)], atol=0.5)


def test_a_grey_tile_holds_nothing(tmp_path):
    for layout in LAYOUTS:
        path = write_detector(tmp_path / f"{layout}.onnx", layout)
        (found,) = load_model(path, device="cpu").detect(np.full((1, 128, 128, 3), GREY, np.uint8))
        assert len(found) == 0, layout


def test_several_images_at_once_are_as_many_as_the_file_takes(tmp_path):
    path = write_detector(tmp_path / "two.onnx", "v8", batch=2)
    detector = load_model(path, device="cpu")
    assert detector.batch == 2
    boxes = [(10 + 5 * i, 20, 40 + 5 * i, 60) for i in range(3)]
    found = detector.detect(np.concatenate([boxed((128, 128), box) for box in boxes]))
    assert [table.tile_ids.tolist() for table in found] == [[0], [1], [2]]
    np.testing.assert_allclose(np.concatenate([table.boxes for table in found]), boxes, atol=0.01)
    with pytest.raises(
        SodsliceError, match="takes 2 tiles at a time, got `batch=3`; .* for any number of images"
    ):
        load_model(path, device="cpu", batch=3)
    free = write_detector(tmp_path / "any.onnx", "v8")
    assert load_model(free, device="cpu", batch=3).batch == 3


def test_a_box_that_is_seen_twice_is_one_where_nms_is_left_to_us(tmp_path):
    for layout, twice in (("v5", True), ("v8", True), ("rows", False)):
        file = read_onnx_file(write_detector(tmp_path / f"{layout}.onnx", layout))
        assert (file.suppression is not None) == twice
        assert file.info.suppressed
    assert read_onnx_file(tmp_path / "v5.onnx").suppression.iou == 0.45
    told = METADATA["v8"] | {"args": "{'nms': False, 'iou': 0.6, 'conf': 0.4}"}
    file = read_onnx_file(write_detector(tmp_path / "told.onnx", "v8", metadata=told))
    assert file.suppression.iou == 0.6
    assert file.info.threshold == 0.4


def test_a_layout_that_stops_says_where_and_what_may_be_missing(tmp_path):
    path = write_detector(tmp_path / "one.onnx", "rows", most=1)
    assert model_info(path).max_per_tile == 1
    detector = load_model(path, device="cpu")
    assert isinstance(detector, ThoroughDetector)
    (look,) = detector.look_down_to(boxed((128, 128), (40, 24, 72, 56)), 0.1)
    assert look.whole_from > look.found.scores[0]
    many = load_model(write_detector(tmp_path / "many.onnx", "rows"), device="cpu")
    (look,) = many.look_down_to(boxed((128, 128), (40, 24, 72, 56)), 0.1)
    assert look.whole_from == 0


def test_where_no_shape_says_how_many_boxes_there_are_the_first_answer_does(tmp_path):
    path = write_detector(tmp_path / "sized.onnx", "sized", most=7)
    model = onnx.load(str(path))
    for port in model.graph.output:
        port.type.tensor_type.shape.dim[1].dim_param = "K"
    save(model, path, METADATA["sized"])
    assert model_info(path).max_per_tile is None
    assert load_model(path, device="cpu").info.max_per_tile == 7


def test_a_box_of_no_number_is_refused(tmp_path):
    file = read_onnx_file(write_detector(tmp_path / "v8.onnx", "v8"))
    _, place = file.feeds(boxed((128, 128), (1, 2, 3, 4)))
    answer = np.zeros((1, 6, 336), np.float32)
    answer[0, 4, 9] = np.nan
    with pytest.raises(SodsliceError, match="which is not finite"):
        read_answers([answer], file.recognised, place, file.info)
    with pytest.raises(
        SodsliceError, match=r"recognised as YOLOv8.*, and gave float32 \(1, 7, 336\); export it again"
    ):
        file.tables([np.zeros((1, 7, 336), np.float32)], place, file.info)


def answers_of(file, rows, tile=(128, 128)):
    """What is read where a file answers with some rows, and with zeros besides."""
    _, place = file.feeds(boxed(tile, (1, 2, 3, 4)))
    shape = {"v5": (1, 1008, 7), "v8": (1, 6, 336)}.get(file.recognised.layout.key, (1, 300, 6))
    answer = np.zeros(shape, np.float32)
    (answer[0].T if file.recognised.layout is V8 else answer[0])[: len(rows)] = rows
    return file.tables([answer], place, file.info)


@pytest.mark.parametrize(
    ("layout", "row"),
    [
        ("v5", (60, 60, 20, 20, 2, -4, -5)),
        ("v8", (60, 60, 20, 20, -4, -5)),
        ("rows", (50, 50, 70, 70, -4, 0)),
        ("detr", (0.5, 0.5, 0.2, 0.2, -4, -5)),
    ],
)
def test_logits_are_refused_also_where_all_are_low(tmp_path, layout, row):
    file = read_onnx_file(write_detector(tmp_path / "a.onnx", layout))
    with pytest.raises(
        SodsliceError, match=r"gave the score -\d+, so it gives logits; export it with the sig"
    ):
        answers_of(file, [row])


def test_logits_of_a_model_that_is_told_sizes_are_refused(tmp_path):
    file = read_onnx_file(write_detector(tmp_path / "a.onnx", "sized"))
    _, place = file.feeds(boxed((128, 128), (1, 2, 3, 4)))
    boxes, scores, labels = (
        np.zeros((1, 300, 4), np.float32),
        np.full((1, 300), -3.0),
        np.zeros((1, 300), int),
    )
    given = [boxes, scores, labels]
    outputs = [given[file.recognised.outputs.index(i)] for i in range(3)]
    with pytest.raises(SodsliceError, match="gave the score -3, so it gives logits"):
        file.tables(outputs, place, file.info)


def test_a_file_that_gives_logits_is_refused_when_it_is_loaded(tmp_path):
    path = write_detector(tmp_path / "a.onnx", "v8")
    model = onnx.load(str(path))
    (most,) = (node for node in model.graph.node if node.output[0] == "scores")
    most.op_type, most.input[1] = "Sub", "one"
    save(model, path, ULTRALYTICS)
    with pytest.raises(SodsliceError, match="gives logits"):
        load_model(path, device="cpu")


@pytest.mark.parametrize(
    ("layout", "row", "words"),
    [
        ("v5", (500, 60, 20, 20, 1, 0.9, 0), "box 490, 50, 510, 70 in an image of 128 x 128 pixels, outside"),
        (
            "v8",
            (60, -40, 20, 20, 0.9, 0),
            "box 50, -50, 70, -30 in an image of 128 x 128 pixels, outside of it",
        ),
        ("rows", (200, 50, 220, 70, 0.9, 0), "outside of it; export it with boxes in pixels"),
        ("detr", (60, 60, 20, 20, 0.9, 0), "outside of it; export it with boxes in shares of the image"),
        ("v5", (0.5, 0.5, 0.2, 0.2, 1, 0.9, 0), "shares, not pixels; export it with boxes in pixels"),
        ("v8", (0.5, 0.5, 0.25, 0.25, 0.9, 0), "the box 0.375, 0.375, 0.625, 0.625 .* shares, not pixels"),
        ("rows", (0.4, 0.4, 0.6, 0.6, 0.9, 0), "shares, not pixels"),
    ],
)
def test_boxes_in_another_frame_are_refused_from_the_threshold_on(tmp_path, layout, row, words):
    file = read_onnx_file(write_detector(tmp_path / "a.onnx", layout))
    with pytest.raises(SodsliceError, match=words):
        answers_of(file, [row], tile=(64, 64))
    score = row.index(0.9)
    low = [0.1 if place == score else number for place, number in enumerate(row)]
    assert len(answers_of(file, [low])) == 1


def test_a_tiny_box_beside_a_usual_one_is_taken(tmp_path):
    file = read_onnx_file(write_detector(tmp_path / "a.onnx", "v8"))
    ((boxes, _, _),) = answers_of(file, [(0.5, 0.5, 1, 1, 0.9, 0), (60, 60, 20, 20, 0.9, 0)])
    assert len(boxes) == 2


# How tiles are shown


def test_a_letterbox_keeps_the_ratio_and_is_grey_around(tmp_path):
    tile = np.full((2, 50, 100, 3), 200, np.uint8)
    shown, place = Letterbox((64, 64))(tile)
    assert shown.shape == (2, 64, 64, 3)
    assert (shown[:, 16:48] == 200).all()
    assert (shown[:, :16] == GREY).all()
    assert (shown[:, 48:] == GREY).all()
    assert place.back(np.array([[0.0, 16, 64, 48]])).tolist() == [[0, 0, 100, 50]]


def test_a_tile_of_an_odd_size_is_padded_on_all_sides_and_not_resized():
    tile = np.random.default_rng(0).integers(0, 255, (1, 50, 97, 3), np.uint8)
    shown, place = Letterbox(None, stride=32)(tile)
    assert shown.shape == (1, 64, 128, 3)
    assert place.scale == (1, 1)
    assert place.corner == (15, 7)
    assert (shown[:, 7:57, 15:112] == tile).all()


def test_what_a_detr_sees_is_stretched():
    shown, place = Letterbox((64, 64), stretched=True)(np.full((1, 32, 128, 3), 9, np.uint8))
    assert (shown == 9).all()
    assert place.scale == (0.5, 2)


@pytest.mark.parametrize("own", [(31, 77), (640, 480), (1, 500), (64, 64)])
@pytest.mark.parametrize("size", [None, (64, 64), (96, 160)])
@pytest.mark.parametrize("stretched", [False, True])
def test_the_whole_tile_comes_back_as_the_whole_tile(own, size, stretched):
    letterbox = Letterbox(size, stretched=stretched and size is not None)
    shown, place = letterbox(np.full((1, *own, 3), 255, np.uint8))
    bright = np.argwhere(shown[0, ..., 0] == 255)
    (y0, x0), (y1, x1) = bright.min(axis=0), bright.max(axis=0) + 1
    np.testing.assert_allclose(place.back(np.array([[x0, y0, x1, y1]], float)), [[0, 0, own[1], own[0]]])


# What metadata says


@pytest.mark.parametrize(
    "names", [NAMES, "['red', 'blue']", '{"0": "red", "1": "blue"}', "{1: 'blue', 0: ' red '}"]
)
def test_class_names_are_read_from_every_spelling(tmp_path, names):
    assert read_metadata({"names": names}, tmp_path / "a.onnx").names == ("red", "blue")


@pytest.mark.parametrize(
    "names",
    [
        "{0: 'red', 2: 'blue'}",
        "{0: 'red', 1: ''}",
        "__import__('os').system('touch evil')",
        "{",
        "(" * 100_000,
        "{0x" + "f" * 6000 + ": 'a'}",
        "{'" + "9" * 5000 + "': 'a'}",
        "[0x" + "f" * 6000 + "]",
        str([f"class {label}" for label in range(20_000)]),
        "3",
        "{}",
    ],
)
def test_names_that_are_none_are_refused_and_nothing_is_run(tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SodsliceError, match=r"a\.onnx must have a name for each class from 0 on as names"):
        read_metadata({"names": names}, tmp_path / "a.onnx")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("stride", "zero", "a number of pixels, at most 256,"),
        ("stride", "512", "a number of pixels, at most 256,"),
        ("imgsz", "[640]", "height and width in pixels"),
        ("conf", "25", "a share from 0 to 1"),
        ("args", "{'conf': 'high'}", "a share from 0 to 1"),
    ],
)
def test_other_values_that_cannot_be_read_are_refused(tmp_path, key, value, wanted):
    with pytest.raises(SodsliceError, match=rf"must have {wanted} as \w+, got .*; export it again"):
        read_metadata({"names": NAMES, key: value}, tmp_path / "a.onnx")


def test_names_may_stand_beside_the_file(tmp_path):
    path = write_detector(tmp_path / "bare.onnx", "v5", metadata={})
    with pytest.raises(
        SodsliceError, match=r"no `names` in its metadata.*one a line, into bare\.names beside"
    ):
        load_model(path)
    (tmp_path / "bare.names").write_text("crimson\nnavy\n")
    detector = load_model(path, device="cpu")
    assert detector.info.class_names == ("crimson", "navy")
    (found,) = detector.detect(boxed((128, 128), (40, 24, 72, 56), "blue"))
    np.testing.assert_allclose(found.boxes, [(40, 24, 72, 56)], atol=0.5)
    assert found.labels.tolist() == [1]


# What is recognised


@pytest.mark.parametrize(
    ("dims", "metadata", "layout"),
    [
        ((1, 25200, 85), YOLOV5 | named(80), V5),
        ((1, 25200, 6), YOLOV5 | named(1), V5),
        ((1, 25200, 6), named(1), V5),
        ((1, 84, 8400), ULTRALYTICS | named(80), V8),
        ((1, 84, 8400), named(80), V8),
        ((1, 84, "anchors"), ULTRALYTICS | named(80), V8),
        (("batch", "anchors", 85), YOLOV5 | named(80), V5),
        ((1, 300, 6), ULTRALYTICS | named(80), ROWS),
        ((1, 300, 6), ULTRALYTICS | named(1), ROWS),
        ((1, 300, 6), named(1), ROWS),
        ((1, 300, 6), ULTRALYTICS | named(2), ROWS),
        ((1, 300, 6), NOTHING | named(2) | {"end2end": "True"}, ROWS),
        ((1, 300, 6), NOTHING | named(2) | {"args": "{'nms': True}"}, ROWS),
        (("batch", 300, "anchors"), ULTRALYTICS | named(80) | {"end2end": "True"}, ROWS),
        (("batch", 300, "anchors"), ULTRALYTICS | named(80) | {"description": "YOLOv10n"}, ROWS),
        ((1, 300, 84), RTDETR | named(80), DETR),
        ((1, 300, 6), RTDETR | named(2), DETR),
        ((1, 300, 6), NOTHING | named(2) | {"end2end": "False"}, DETR),
        ((1, 300, 6), YOLOV5 | named(1), ROWS),
    ],
)
def test_the_layout_is_told_by_shapes_and_where_these_are_not_clear_by_metadata(
    tmp_path, dims, metadata, layout
):
    path = write_ports(tmp_path / "a.onnx", [dims], metadata)
    ports = read_ports(path)
    assert recognise(ports, read_metadata(ports.metadata, path), path).layout is layout


def test_maps_that_old_exports_of_yolov5_give_besides_are_passed_over(tmp_path):
    maps = [(1, 3, side, side, 85) for side in (80, 40, 20)]
    path = write_ports(tmp_path / "a.onnx", [*maps, (1, 25200, 85)], YOLOV5 | named(80))
    recognised = read_onnx_file(path).recognised
    assert recognised.layout is V5
    assert recognised.outputs == (3,)


@pytest.mark.parametrize(
    ("outputs", "metadata", "words"),
    [
        ([(1, 1000)], named(1000), "says what a whole image shows (task classify)"),
        ([(1, 80)], ULTRALYTICS | {"task": "classify"}, "says what a whole image shows (task classify)"),
        ([(1, 116, 8400), (1, 32, 160, 160)], named(80), "gives masks (task segment)"),
        ([(1, 116, 8400), (1, 32, 160, 160)], ULTRALYTICS | {"task": "segment"}, "gives masks"),
        ([(1, 19, 640, 640)], named(19), "says what each pixel shows (task semantic)"),
        ([(1, 56, 8400)], ULTRALYTICS | named(1) | {"task": "pose"}, "gives key points (task pose)"),
        ([(1, 56, 8400)], named(52) | {"kpt_shape": "[17, 3]"}, "gives key points (task pose)"),
        ([(1, 20, 21504)], ULTRALYTICS | named(15) | {"task": "obb"}, "gives turned boxes (task obb)"),
        ([(1, 84, 8400)], ULTRALYTICS | named(80) | {"task": "obb"}, "gives turned boxes (task obb)"),
        ([(1, 84, 8400)], ULTRALYTICS | named(80) | {"task": "depth"}, "is for something else (task depth)"),
        ([(1, 56, 8400)], named(1), "perhaps those of a pose model"),
        ([(1, 300, 57)], named(1), "perhaps those of a pose model"),
        ([(1, 20, 21504)], named(15), "perhaps those of a model of turned boxes (OBB)"),
        ([(1, 300, 7)], named(15), "perhaps those of a model of turned boxes (OBB)"),
        ([(1, 116, 8400)], named(80), "perhaps those of a segmenter"),
        ([(1, 300, 6)], NOTHING | named(2), "could be YOLOv10, YOLO26"),
        ([(1, 8400, 85)], named(80), "one box a cell with objectness, as YOLOX has"),
        ([(1, 8400, 6)], named(1), "one box a cell with objectness, as YOLOX has"),
        ([(1, 84, 8400)], ULTRALYTICS | named(80) | {"end2end": "True"}, "not those of a YOLO or RT-DETR"),
        ([(1, 8400, 84)], named(80), "looks like YOLOv8 transposed; export it as (N, 84, boxes)"),
        ([(1, 8400, 84)], ULTRALYTICS | named(80), "looks like YOLOv8 transposed"),
        ([(1, 25200, 6)], named(2), "looks like YOLOv8 transposed; export it as (N, 6, boxes)"),
        ([(1, 25200, 6)], named(3), "not those of a YOLO or RT-DETR with the 3 classes"),
        ([(1, 8400, 6)], ULTRALYTICS | named(2), "looks like YOLOv8 transposed"),
        ([(1, 300, 85)], YOLOV5 | named(80), "not those of a YOLO or RT-DETR"),
        ([(1, 300, 4), (1, 300, 80)], named(80), "not those of a YOLO or RT-DETR"),
        ([("N", 7)], named(80), "not those of a YOLO or RT-DETR"),
    ],
)
def test_what_is_no_detector_or_not_clear_is_refused_in_a_line_with_the_shapes(
    tmp_path, outputs, metadata, words
):
    path = write_ports(tmp_path / "a.onnx", outputs, metadata)
    with pytest.raises(SodsliceError) as refusal:
        load_model(path)
    said = str(refusal.value)
    assert words in said
    assert "\n" not in said
    for dims in outputs:
        assert f"({', '.join('?' if isinstance(side, str) else str(side) for side in dims)})" in said


def test_the_refusal_of_an_unknown_layout_is_one_line(tmp_path):
    path = write_ports(tmp_path / "a.onnx", [(1, 7, 9)], named(80))
    with pytest.raises(SodsliceError) as refusal:
        model_info(path)
    assert str(refusal.value) == (
        f"{path} gives answers that are not those of a YOLO or RT-DETR with the 80 classes that it names; "
        "export a detection model as Ultralytics, YOLOv5 or RT-DETR do "
        "(it takes images float32 (1, 3, 640, 640) and gives output0 float32 (1, 7, 9))"
    )


@pytest.mark.parametrize(
    ("images", "others", "words"),
    [
        ((1, 640, 640, 3), (), "does not take RGB as (N, 3, height, width) floats"),
        ((1, 1, 640, 640), (), "does not take RGB as (N, 3, height, width) floats"),
        ((1, 3, 640, "W"), (), "takes images of one fixed side only"),
        ((1, 640), (), "does not take one image"),
        ((1, 3, 1 << 20, 1 << 20), (), "takes images of 1048576 x 1048576 pixels, more than any model"),
        ((1, 3, 1 << 14, 1 << 13), (), "takes images of 16384 x 8192 pixels, more than any model"),
        ((1, 3, 640, 640), ("scale_factor", "im_shape"), "of a PaddleDetection export give the folder"),
    ],
)
def test_inputs_that_cannot_be_fed_are_refused(tmp_path, images, others, words):
    more = tuple(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 2)) for name in others)
    path = write_ports(tmp_path / "a.onnx", [(1, 84, 8400)], named(80), images=images, others=more)
    with pytest.raises(SodsliceError, match=re.escape(words)):
        load_model(path)


@pytest.mark.parametrize("layout", ["detr", "sized"])
def test_a_size_of_the_metadata_that_no_model_has_is_refused(tmp_path, layout):
    large = METADATA[layout] | {"imgsz": "[65536, 65536]"}
    path = write_detector(tmp_path / "a.onnx", layout, sides=None, metadata=large)
    with pytest.raises(SodsliceError, match="takes images of 65536 x 65536 pixels, more than any model"):
        model_info(path)


def test_what_was_recognised_is_told_without_a_look_at_other_models(tmp_path, monkeypatch):
    assert model_layout(write_detector(tmp_path / "a.onnx", "v8")) == f"{V8.words}; float32"
    monkeypatch.setattr("sodslice.models.loading.read_folder", None)
    assert model_layout("vehicle-t") == ""


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x01"])
def test_what_is_no_onnx_is_refused(tmp_path, content):
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(SodsliceError, match="is not an ONNX file, or is cut short; export or copy it again"):
        load_model(path)


def test_weights_beside_the_file_count_and_must_be_there(tmp_path):
    path = write_detector(tmp_path / "a.onnx", "v8")
    alone = model_info(path).sha256
    onnx.save(
        onnx.load(str(path)), str(path), save_as_external_data=True, location="a.data", size_threshold=0
    )
    whole = model_info(path).sha256
    assert whole != alone
    data = tmp_path / "a.data"
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    assert model_info(path).sha256 != whole
    data.unlink()
    with pytest.raises(SodsliceError, match=r"has its weights in a\.data, which is not beside it"):
        load_model(path)


def with_weights_in(path, location, *, where):
    """A file that has a tensor elsewhere: among its weights, in a node, or in a graph within a node."""
    write_ports(path, [(1, 6, 8400)], ULTRALYTICS)
    model = onnx.load(str(path))
    tensor = onnx.TensorProto(name="k", dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    node = helper.make_node("Constant", [], ["k"], value=tensor)
    if where == "weights":
        model.graph.initializer.append(tensor)
    elif where == "node":
        model.graph.node.append(node)
    else:
        inner = helper.make_graph([node], "inner", [], [])
        model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("where", ["weights", "node", "graph in a node"])
def test_weights_count_wherever_they_are_named(tmp_path, where):
    path = with_weights_in(tmp_path / "a.onnx", "k.bin", where=where)
    with pytest.raises(SodsliceError, match=r"has its weights in k\.bin, which is not beside it"):
        read_onnx_file(path)
    found = []
    for content in (b"1234", b"1235"):
        (tmp_path / "k.bin").write_bytes(content)
        found.append(read_onnx_file(path).info.sha256)
    assert found[0] != found[1]


@pytest.mark.parametrize("location", ["../k.bin", "{folder}/k.bin", "link", "a" * 5000, "C:k.bin", "loop"])
@pytest.mark.parametrize("where", ["weights", "node"])
def test_weights_that_are_not_in_the_folder_of_the_file_are_not_read(tmp_path, location, where):
    (tmp_path / "k.bin").write_bytes(b"1234")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "k.bin")
    (inside / "loop").symlink_to(inside / "loop")
    path = with_weights_in(inside / "a.onnx", location.format(folder=tmp_path), where=where)
    with pytest.raises(SodsliceError, match=r"has its weights in .*, which is not beside it"):
        read_onnx_file(path)


def test_sides_and_batches_below_one_are_free_ones(tmp_path):
    path = write_ports(tmp_path / "a.onnx", [(1, 6, 8400)], ULTRALYTICS, images=(-1, 3, -1, -1))
    assert read_ports(path).inputs[0].dims == (None, 3, None, None)
    assert read_onnx_file(path).batch is None


# As a user


@pytest.fixture
def scene(tmp_path):
    """A grey raster with a red and a blue box."""
    pixels = np.full((300, 420, 3), GREY, np.uint8)
    pixels[40:60, 300:330] = COLOURS["red"]
    pixels[200:236, 20:44] = COLOURS["blue"]
    return write_raster(tmp_path / "scene.tif", pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_with_a_file_gives_boxes_on_the_map(tmp_path, scene, layout):
    model = write_detector(tmp_path / "model.onnx", layout)
    result = run(scene, model=model, options={"overlap": 0.5})
    assert result.provenance.model.sha256 == read_onnx_file(model).info.sha256
    table = result.detections
    found = {result.labels[i]: box for i, box in zip(table.labels, table.boxes, strict=True)}
    assert found.keys() == {"red", "blue"}
    np.testing.assert_allclose(found["red"], (300, 40, 330, 60), atol=0.5)
    np.testing.assert_allclose(found["blue"], (20, 200, 44, 236), atol=0.5)
    corner = result.georef.to_map(found["red"][None, :2])[0]
    np.testing.assert_allclose(corner, (500_000 + 0.5 * 300, 5_300_000 - 0.5 * 40), atol=0.25)


def test_the_command_line_takes_a_file_in_one_process_and_in_two(tmp_path, scene):
    model = write_detector(tmp_path / "model.onnx", "v8")
    documents = []
    for workers in (1, 2):
        output = tmp_path / f"{workers}.geojson"
        done = sodslice(
            "run", scene, "--model", model, "--overlap", 0.5, "--workers", workers, "-o", output, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        documents.append(json.loads(output.read_text())["features"])
    assert len(documents[0]) == 2
    assert documents[0] == documents[1]


def test_a_plan_names_the_file_from_anywhere_and_holds_to_its_content(tmp_path, scene, monkeypatch):
    path = write_detector(tmp_path / "model.onnx", "v8")
    monkeypatch.chdir(tmp_path)
    spec = make_plan(scene, model="model.onnx").model
    assert spec.location == str(path)
    assert spec.info.sha256 == sha256(path.read_bytes()).hexdigest()
    monkeypatch.chdir("/")
    assert load_spec(spec).info.name == "model"
    write_detector(path, "v8", batch=1)
    with pytest.raises(SodsliceError, match="have changed since the plan was made; plan again"):
        load_spec(spec)
    path.unlink()
    with pytest.raises(SodsliceError, match=r"model\.onnx of the plan is not here"):
        load_spec(spec)


def test_models_info_says_what_was_recognised(tmp_path):
    path = write_detector(tmp_path / "my.onnx", "v5", batch=4, half=True)
    done = sodslice("models", "info", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = dict(re.split(r"\s{2,}| ", line, maxsplit=1) for line in done.stdout.splitlines())
    assert rows["layout"].strip() == f"{V5.words}; float16, 4 images at once"
    assert rows["classes"].strip() == "red, blue"
    assert rows["threshold"].strip() == "0.25"
    assert rows["preprocess"].strip() == "Letterbox114, Scale0to1"


def test_the_numbers_of_cells_are_those_of_the_makers():
    """So that files made by hand have the shapes of real ones."""
    assert cells((640, 640)) == 8400
