"""What a graph computes: known graphs by hand, the default model by its docs."""

from __future__ import annotations

import numpy as np
import pytest

from sodslice.errors import ModelError
from sodslice.inference.graphs.counting import flop_of
from sodslice.models import MODELS

onnx = pytest.importorskip("onnx")

SHIPPED = MODELS["vehicle-t"].folder / "translation" / "inference.onnx"


def save(path, nodes, weights, outputs=("y",)):
    """A graph over `image` `(N, 3, H, W)`."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    image = helper.make_tensor_value_info("image", kind, ["N", 3, "H", "W"])
    ends = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph(
        [helper.make_node(*n[:3], **n[3]) for n in nodes], "g", [image], ends, constants
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_convolution_is_two_for_each_weight_of_each_number_that_comes_out(tmp_path):
    weights = {"w": np.zeros((8, 3, 3, 3), np.float32)}
    file = save(
        tmp_path / "a.onnx", [("Conv", ["image", "w"], ["y"], {"strides": [2, 2], "pads": [1] * 4})], weights
    )
    assert flop_of(file, (32, 64)) == 2 * (8 * 16 * 32) * (3 * 3 * 3)


def test_groups_and_transposed_convolutions(tmp_path):
    weights = {"w": np.zeros((3, 1, 3, 3), np.float32), "t": np.zeros((3, 5, 2, 2), np.float32)}
    nodes = [
        ("Conv", ["image", "w"], ["x"], {"group": 3, "pads": [1] * 4}),
        ("ConvTranspose", ["x", "t"], ["y"], {"strides": [2, 2]}),
    ]
    wanted = 2 * (3 * 32 * 32) * 9 + 2 * (3 * 32 * 32) * (5 * 4)
    assert flop_of(save(tmp_path / "a.onnx", nodes, weights), (32, 32)) == wanted


def test_a_matrix_product_with_a_slice_whose_ends_are_cast(tmp_path):
    weights = {
        "w": np.zeros((32, 12), np.float32),
        "from": np.array([0], np.int32),
        "to": np.array([5], np.int32),
        "axis": np.array([1], np.int64),
    }
    int64 = {"to": onnx.TensorProto.INT64}
    nodes = [
        ("Cast", ["from"], ["a"], int64),
        ("Cast", ["to"], ["b"], int64),
        ("Slice", ["w", "a", "b", "axis"], ["part"], {}),
        ("MatMul", ["image", "part"], ["y"], {}),
    ]
    assert flop_of(save(tmp_path / "a.onnx", nodes, weights), (4, 32)) == 2 * (3 * 4 * 5) * 32


def test_gemm_sums_over_the_axis_that_is_not_turned(tmp_path):
    weights = {"a": np.zeros((7, 4), np.float32), "b": np.zeros((7, 6), np.float32)}
    file = save(tmp_path / "a.onnx", [("Gemm", ["a", "b"], ["y"], {"transA": 1})], weights)
    assert flop_of(file, (32, 32)) == 2 * (4 * 6) * 7


def test_the_default_model_takes_4_gflop_at_640_and_four_times_that_at_1280():
    assert flop_of(SHIPPED, (640, 640)) / 1e9 == pytest.approx(4.02, abs=0.01)
    assert flop_of(SHIPPED, (1280, 1280)) == pytest.approx(4 * flop_of(SHIPPED, (640, 640)), rel=1e-3)


def test_files_that_are_no_graphs_are_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="is not a graph that onnx understands"):
        flop_of(tmp_path / "a.onnx", (32, 32))
