"""Graphs of Paddle in ONNX: every operation against Paddle's own answer, then whole networks."""

from __future__ import annotations

import json
import shutil
import struct

import numpy as np
import pytest

from sodslice.errors import ModelError
from sodslice.inference.engines import Device, Request
from sodslice.inference.engines.onnxruntime import OnnxruntimeSession
from sodslice.inference.engines.openvino import OpenvinoSession
from sodslice.inference.engines.paddle import PaddleSession, import_paddle
from sodslice.inference.graphs import builder, layers, operations, pir, shaping
from sodslice.inference.graphs.parameters import read_parameters
from sodslice.inference.graphs.translation import raw_copy, translate_graph, what_hinders
from sodslice.ppyoloe.description import ExportSettings
from sodslice.ppyoloe.export import export_folder
from tests.ppyoloe_weights import TINY, TINY_ANY_SIZE, lively
from tests.test_export import network_answers, pictures
from tests.tiny_exports import tiny_export

CPU = Device("cpu")


def paddle_operations():
    """What is done to `x` `(N, 4, 8, 12)`, by name; each is one operation of Paddle, or a few."""
    paddle = import_paddle()
    f = paddle.nn.functional
    first, last = (slice(None), slice(0, 1)), (slice(None), slice(3, 4))
    return {
        "arithmetic": lambda x: (x + 2) * x - x / 3,
        "scale before the bias": lambda x: paddle.scale(x, 0.5, 2.0),
        "scale behind the bias": lambda x: paddle.scale(x, 0.5, 2.0, bias_after_scale=False),
        "power": lambda x: paddle.pow(x.abs() + 1, paddle.to_tensor(1.5)),
        "extremes": lambda x: paddle.maximum(x, paddle.minimum(-x, x * 0.5)),
        "bends": lambda x: f.relu(x) + f.leaky_relu(x, 0.1) + f.silu(x) + f.swish(x) + f.hardsigmoid(x),
        "functions": lambda x: paddle.exp(x * 0.01) + paddle.sin(x) + paddle.cos(x) + paddle.tanh(x),
        "roots": lambda x: paddle.sqrt(x.abs()) + paddle.log(x.abs() + 1) + paddle.floor(x),
        "gelu": lambda x: f.gelu(x * 0.1),
        "softmax": lambda x: f.softmax(x * 0.1, axis=1),
        "highest of windows": lambda x: f.max_pool2d(x, 3, 2, 1),
        "highest of windows, rounded up": lambda x: f.max_pool2d(x, 3, 2, 0, ceil_mode=True),
        "mean of windows": lambda x: f.avg_pool2d(x, 3, 2, 1),
        "mean of windows with the border": lambda x: f.avg_pool2d(x, 3, 2, 1, exclusive=False),
        "mean of all": lambda x: f.adaptive_avg_pool2d(x, 1) + x,
        "nearest": lambda x: f.interpolate(x, scale_factor=2.0, mode="nearest"),
        "bilinear": lambda x: f.interpolate(x, scale_factor=2.0, mode="bilinear"),
        "bilinear from corners": lambda x: f.interpolate(
            x, scale_factor=2.0, mode="bilinear", align_corners=True
        ),
        "bilinear without halves": lambda x: f.interpolate(
            x, scale_factor=2.0, mode="bilinear", align_mode=1
        ),
        "parts": lambda x: paddle.concat(paddle.split(x, [1, 3], axis=1)[::-1], axis=1),
        "equal parts": lambda x: paddle.concat(paddle.split(x, 2, axis=1)[::-1], axis=1),
        "slices": lambda x: x[first] + x[last],
        "a slice that drops an axis": lambda x: x[:, 0].unsqueeze(1),
        "stack": lambda x: paddle.stack([x, -x], axis=2).flatten(1, 2),
        "flatten behind": lambda x: x.flatten(2),
        "flatten in the middle": lambda x: x.flatten(1, 2),
        "reshape": lambda x: paddle.reshape(x, [0, 2, 2, -1]),
        "reshape to what is computed": lambda x: paddle.reshape(x, [paddle.shape(x)[0], 4, -1]),
        "transpose": lambda x: x.transpose([0, 2, 3, 1]),
        "squeeze": lambda x: x.unsqueeze([1, 3]).squeeze([1, 3]),
        "expand": lambda x: x[:, :1].expand([-1, 4, -1, -1]) + x,
        "means": lambda x: x.mean(axis=[2, 3], keepdim=True) + x.mean(axis=1, keepdim=True),
        "greatest": lambda x: x.max(axis=-1, keepdim=True) + x,
        "matrices": lambda x: paddle.matmul(x, x, transpose_y=True),
        "matrices, the first turned": lambda x: paddle.matmul(x, x, transpose_x=True),
        "a vector behind": lambda x: paddle.matmul(x, paddle.ones([12])),
        "casts": lambda x: x.astype("int32").astype("float32"),
        "grid": lambda x: x + paddle.meshgrid(paddle.arange(8.0), paddle.arange(0.0, 24.0, 2.0))[1],
    }


def save(folder, forward, layer_parts=()):
    """Export a network of `forward` and of parts with weights; its second table is the image."""
    paddle = import_paddle()

    class Network(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.parts = paddle.nn.LayerList(list(layer_parts))
            self.one = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(1.0))

        def forward(self, image):
            x = image
            for part in self.parts:
                x = part(x)
            return forward(x), image * self.one

    network = Network()
    network.eval()
    spec = paddle.static.InputSpec([None, 4, 8, 12], "float32", "image")
    folder.mkdir(parents=True)
    static = paddle.jit.to_static(network, input_spec=[spec], full_graph=True)
    paddle.jit.save(static, str(folder / "inference"))
    return folder / "inference.json", folder / "inference.pdiparams"


def sessions(tmp_path, graph, parameters):
    """Paddle's own, and those of the translation on each engine."""
    onnx = pytest.importorskip("onnx")
    made = translate_graph(graph, parameters)
    onnx.checker.check_model(made.model, full_check=True)
    file = tmp_path / "x.onnx"
    onnx.save(made.model, str(file))
    yield PaddleSession(Request(graph, parameters, CPU, 1, None, backend="plain"))
    yield OnnxruntimeSession(Request(file, None, CPU, 1, None))
    yield OpenvinoSession(Request(file, None, CPU, 1, None))


def assert_same(tmp_path, graph, parameters, shapes=((1, 4, 8, 12), (3, 4, 8, 12))):
    paddle, *others = sessions(tmp_path, graph, parameters)
    for seed, shape in enumerate(shapes):
        image = np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)
        wanted = paddle.run({"image": image})
        for other in others:
            for one, expected in zip(other.run({"image": image}), wanted, strict=True):
                assert one.shape == expected.shape
                np.testing.assert_allclose(one, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("group", range(4))
def test_every_operation_gives_what_paddle_gives(tmp_path, group):
    known = paddle_operations()
    for number, (name, forward) in enumerate(known.items()):
        if number % 4 == group:
            folder = tmp_path / str(number)
            try:
                assert_same(tmp_path, *save(folder, forward))
            except (AssertionError, ModelError) as error:
                raise AssertionError(f"{name}: {error}") from error


def test_layers_with_weights_give_what_paddle_gives(tmp_path):
    paddle = import_paddle()
    nn = paddle.nn
    paddle.seed(3)
    parts = [
        nn.Conv2D(4, 6, 3, padding=1),
        nn.BatchNorm2D(6),
        nn.Conv2D(6, 6, 3, padding=[1, 2, 0, 1], groups=6, dilation=1),
        nn.Conv2D(6, 4, 3, padding="SAME", stride=2),
        nn.Dropout(0.5),
        nn.Dropout(0.5, mode="downscale_in_infer"),
        nn.LayerNorm([4, 5, 6]),
        nn.Linear(6, 5),
    ]
    assert_same(tmp_path, *save(tmp_path / "m", lambda x: x, parts))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The small network that takes tiles of any size, with safe upsampling."""
    return tiny_export("any size", tmp_path_factory)


@pytest.mark.parametrize(
    ("config", "size", "upsample"), [(TINY, (64, 96), "official"), (TINY_ANY_SIZE, None, "safe")]
)
def test_whole_networks_give_what_they_gave_for_any_batch(tmp_path, tiny, config, size, upsample):
    network, folder = lively(config), tiny
    if upsample == "official":
        folder = tmp_path / "m"
        export_folder(network, folder, ExportSettings(size, upsample=upsample))
    graph, parameters = folder / "inference.json", folder / "inference.pdiparams"
    made = translate_graph(graph, parameters)
    rule = made.suppression
    assert (rule.iou, rule.floor) == (pytest.approx(0.6), pytest.approx(0.01))
    _, *others = sessions(tmp_path, graph, parameters)
    for images in (pictures(1, 64, 96), pictures(3, *(size or (96, 128)))):
        wanted = network_answers(network, images)
        for session in others:
            boxes, scores = session.run({"image": images})
            np.testing.assert_allclose(boxes, wanted[0], atol=1e-2)
            np.testing.assert_allclose(scores, wanted[1], atol=1e-4)


def test_a_copy_without_nms_gives_all_anchors_in_paddle_itself(tmp_path, tiny):
    copy = raw_copy(tiny / "inference.json", tmp_path)
    session = PaddleSession(Request(copy, tiny / "inference.pdiparams", CPU, 1, None))
    feeds = {"image": pictures(1, 64, 96), "scale_factor": np.ones((1, 2), np.float32)}
    boxes, scores = session.run(feeds)
    anchors = (64 // 8) * (96 // 8) + (64 // 16) * (96 // 16) + (64 // 32) * (96 // 32)
    assert (boxes.shape, scores.shape) == ((1, anchors, 4), (1, 2, anchors))
    assert raw_copy(copy, tmp_path) == copy


def edited(folder, place, change):
    """A copy of a model's graph, changed."""
    copy = shutil.copytree(folder, place)
    content = json.loads((copy / "inference.json").read_text())
    change(content["program"]["regions"][0]["blocks"][0]["ops"])
    (copy / "inference.json").write_text(json.dumps(content))
    return copy / "inference.json"


def test_what_stands_in_the_way_is_named(tmp_path, tiny):
    def unknown(ops):
        next(one for one in ops if one["#"] == "1.swish")["#"] = "1.erfinv"

    def other_nms(ops):
        nms = next(one for one in ops if one["#"] == "1.multiclass_nms3")
        next(a for a in nms["A"] if a["N"] == "background_label")["AT"]["D"] = 0

    def control_flow(ops):
        ops[-1]["regions"] = [{"blocks": []}]

    assert what_hinders(tiny / "inference.json") == ""
    graph = edited(tiny, tmp_path / "a", unknown)
    assert what_hinders(graph) == "it has operations that only Paddle runs: erfinv"
    with pytest.raises(ModelError, match=r"cannot be translated to ONNX: .*erfinv$"):
        translate_graph(graph, graph.with_suffix(".pdiparams"))
    assert what_hinders(edited(tiny, tmp_path / "b", other_nms)) == "its NMS is not the plain one"
    assert "control flow" in what_hinders(edited(tiny, tmp_path / "c", control_flow))
    (tmp_path / "d.json").write_text("{}")
    assert "is no PIR graph" in what_hinders(tmp_path / "d.json")


def test_an_operation_that_cannot_be_said_names_itself(tmp_path, tiny):
    def training(ops):
        norm = next(one for one in ops if one["#"] == "1.batch_norm_")
        for attribute in norm["A"]:
            if attribute["N"] in ("is_test", "use_global_stats"):
                attribute["AT"]["D"] = False

    graph = edited(tiny, tmp_path / "a", training)
    with pytest.raises(ModelError, match=r"batch_norm_: its batch_norm is exported for training"):
        translate_graph(graph, graph.with_suffix(".pdiparams"))


def test_weights_come_by_name_and_wrong_files_are_refused(tmp_path, tiny):
    program = pir.read_program(tiny / "inference.json")
    shapes = {program.names[i]: value.shape for i, value in program.parameters.items()}
    file = tiny / "inference.pdiparams"
    arrays = read_parameters(file, shapes)
    assert {name: array.shape for name, array in arrays.items()} == shapes
    assert not any(array.flags.writeable for array in arrays.values())
    content = file.read_bytes()
    for wrong, words in (
        (content[:-5], "does not hold the weights"),
        (content + b"\0", "goes on behind"),
        (content[:20], "does not hold the weights"),
        (b"", "does not hold the weights"),
        (content[:16] + struct.pack("<i", 1 << 30) + content[20:], "does not hold the weights"),
    ):
        (tmp_path / "w").write_bytes(wrong)
        with pytest.raises(ModelError, match=words):
            read_parameters(tmp_path / "w", shapes)
    first = min(shapes)
    with pytest.raises(ModelError, match=f"{first} has the shape"):
        read_parameters(file, {**shapes, first: (1, 2, 3)})


def test_the_table_names_operations_as_paddle_does():
    assert len(operations.TRANSLATIONS) >= 50
    assert operations.TRANSLATIONS["conv2d"] is layers.convolution
    assert operations.TRANSLATIONS["concat"] is shaping.concatenated
    assert builder.DTYPES["f32"] == "float32"
