"""`flop_of`: how much a graph in ONNX has to compute, from the shapes of its products."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from sodslice.errors import ModelError

Shape = tuple[int, ...]


def flop_of(graph: Path, sides: tuple[int, int]) -> float:
    """Multiplications and additions of a graph for one image, of its convolutions and matrix products alone.

    Args:
        graph: `.onnx`, whose first input of four axes is the image.
        sides: height and width of the image in pixels.

    Raises:
        ModelError: onnx is not installed, the file cannot be read, or a shape in it cannot be told.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError:
        raise ModelError("what a graph computes is counted with onnx, which is not installed") from None
    try:
        model = onnx.load(str(graph))
        _fix_image(model.graph, sides)
        _fold_casts(model.graph, onnx)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # noqa: BLE001 -- its parsers' errors have no common base
        raise ModelError(f"{graph} is not a graph that onnx understands: {error}") from None
    shapes = dict(_shapes(inferred))
    try:
        return float(sum(2 * _products(node, shapes) for node in inferred.node if node.op_type in _COUNTERS))
    except KeyError as error:
        raise ModelError(f"the shape of {error} in {graph} cannot be told") from None


def _fix_image(graph: Any, sides: tuple[int, int]) -> None:
    """Give the image its size, and every batch one row."""
    for port in graph.input:
        axes = port.type.tensor_type.shape.dim
        wanted = (1, 3, *sides) if len(axes) == 4 else (1, *(axis.dim_value for axis in axes[1:]))
        for axis, size in zip(axes, wanted, strict=True):
            axis.dim_value = size


def _fold_casts(graph: Any, onnx: Any) -> None:
    """Cast constants now: where a slice begins and ends is a shape that inference follows no cast for."""
    constants = {one.name: one for one in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Cast" and node.input[0] in constants]:
        values = onnx.numpy_helper.to_array(constants[node.input[0]])
        kind = onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
        graph.initializer.append(onnx.numpy_helper.from_array(values.astype(kind), node.output[0]))
        graph.node.remove(node)


def _shapes(graph: Any) -> Iterator[tuple[str, Shape]]:
    """The shape of each value that has one."""
    for weights in graph.initializer:
        yield weights.name, tuple(weights.dims)
    for value in (*graph.input, *graph.value_info, *graph.output):
        axes = value.type.tensor_type.shape.dim
        if all(axis.dim_value > 0 for axis in axes):
            yield value.name, tuple(axis.dim_value for axis in axes)


def _products(node: Any, shapes: Mapping[str, Shape]) -> int:
    return _COUNTERS[node.op_type](node, shapes)


def _of_convolution(node: Any, shapes: Mapping[str, Shape]) -> int:
    """Each number that comes out takes the weights of one filter."""
    return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])


def _of_transposed(node: Any, shapes: Mapping[str, Shape]) -> int:
    """Each number that goes in meets the weights of one filter."""
    return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])


def _of_product(node: Any, shapes: Mapping[str, Shape]) -> int:
    """Each number that comes out is a sum over the last axis of the first factor."""
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


def _of_gemm(node: Any, shapes: Mapping[str, Shape]) -> int:
    turned = any(given.name == "transA" and given.i for given in node.attribute)
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if turned else -1]


_COUNTERS: Mapping[str, Callable[[Any, Mapping[str, Shape]], int]] = {
    "Conv": _of_convolution,
    "ConvTranspose": _of_transposed,
    "MatMul": _of_product,
    "Gemm": _of_gemm,
}
