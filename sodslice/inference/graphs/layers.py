"""Layers of networks in ONNX: what has weights, what pools and resizes, and what bends."""

from __future__ import annotations

from typing import Any

import numpy as np

from sodslice.errors import ModelError
from sodslice.inference.graphs.builder import Builder, Translate
from sodslice.inference.graphs.pir import NOTHING, Operation


def _padding(o: Operation) -> dict[str, Any]:
    """Padding as ONNX words it, from two numbers (both sides alike) or four (top, bottom, left, right)."""
    algorithm = o.attributes.get("padding_algorithm", "EXPLICIT")
    if algorithm == "SAME":
        return {"auto_pad": "SAME_UPPER"}
    given = [int(side) for side in o.attributes["paddings"]] if algorithm == "EXPLICIT" else [0, 0]
    return {"pads": [*given, *given] if len(given) == 2 else [given[0], given[2], given[1], given[3]]}


def convolution(b: Builder, o: Operation) -> str:
    """A convolution, of whatever groups."""
    _check_layout(o)
    return b.node(
        "Conv",
        *(b.name(i) for i in o.inputs),
        strides=o.attributes["strides"],
        dilations=o.attributes["dilations"],
        group=o.attributes["groups"],
        **_padding(o),
    )


def normalised_by_batch(b: Builder, o: Operation) -> str:
    """Batch normalisation, as it is after training."""
    if not (o.attributes.get("is_test") or o.attributes.get("use_global_stats")):
        raise ModelError("its batch_norm is exported for training")
    values, mean, variance, scale, bias = (b.name(i) for i in o.inputs[:5])
    epsilon = o.attributes["epsilon"]
    return b.node("BatchNormalization", values, scale, bias, mean, variance, epsilon=epsilon)


def normalised_by_layer(b: Builder, o: Operation) -> str:
    """Layer normalisation with weight and bias."""
    if not b.is_given(o, 1):
        raise ModelError("its layer_norm has no weight")
    axis = o.attributes["begin_norm_axis"]
    sides = b.constant(np.array(b.values[o.inputs[0]].shape[axis:], np.int64))
    values, *weights = (b.name(i) for i in o.inputs if i != NOTHING)
    shaped = (
        weights
        if axis == len(b.values[o.inputs[0]].shape) - 1
        else [b.node("Reshape", weight, sides) for weight in weights]
    )
    return b.node("LayerNormalization", values, *shaped, axis=axis, epsilon=o.attributes["epsilon"])


def swish(b: Builder, o: Operation) -> str:
    """X times its sigmoid."""
    values = b.name(o.inputs[0])
    return b.node("Mul", values, b.node("Sigmoid", values))


def gelu(b: Builder, o: Operation) -> str:
    """X times the normal distribution up to x, exact."""
    if o.attributes.get("approximate"):
        raise ModelError("its gelu is the approximate one")
    values = b.name(o.inputs[0])
    share = b.node("Erf", b.node("Div", values, b.constant(np.float32(2**0.5))))
    doubled = b.node("Mul", values, b.node("Add", share, b.constant(np.float32(1))))
    return b.node("Mul", doubled, b.constant(np.float32(0.5)))


def hard_sigmoid(b: Builder, o: Operation) -> str:
    """A line cut to 0..1."""
    return b.node(
        "HardSigmoid", b.name(o.inputs[0]), alpha=o.attributes["slope"], beta=o.attributes["offset"]
    )


def leaky_relu(b: Builder, o: Operation) -> str:
    """A line with a bend at 0."""
    return b.node("LeakyRelu", b.name(o.inputs[0]), alpha=o.attributes["negative_slope"])


def softmax(b: Builder, o: Operation) -> str:
    """Shares along an axis."""
    return b.node("Softmax", b.name(o.inputs[0]), axis=o.attributes["axis"])


def dropout(b: Builder, o: Operation) -> str:
    """Nothing, or a constant factor, once training is over."""
    if not o.attributes.get("is_test", True):
        raise ModelError("its dropout is exported for training")
    values = b.name(o.inputs[0])
    if o.attributes.get("mode") == "upscale_in_train":
        return values
    kept = np.float32(1 - b.known(o.inputs[2]).item())
    return b.node("Mul", values, b.constant(kept))


def pool(b: Builder, o: Operation) -> str:
    """The highest, or the mean, of windows or of all."""
    _check_layout(o)
    attributes, values, size = o.attributes, b.name(o.inputs[0]), b.known(o.inputs[1]).tolist()
    highest = attributes["pooling_type"] == "max"
    whole = attributes.get("global_pooling") or (attributes.get("adaptive") and size == [1, 1])
    if whole:
        return b.node("GlobalMaxPool" if highest else "GlobalAveragePool", values)
    if attributes.get("adaptive"):
        raise ModelError(f"its pooling adapts to the size {size}")
    words: dict[str, Any] = {
        "kernel_shape": size,
        "strides": attributes["strides"],
        "ceil_mode": int(attributes["ceil_mode"]),
        **_padding(o),
    }
    if not highest:
        words["count_include_pad"] = int(not attributes["exclusive"])
    return b.node("MaxPool" if highest else "AveragePool", values, **words)


def product(b: Builder, o: Operation) -> str:
    """A product of matrices; a vector behind becomes a matrix of one column, which all runtimes take."""
    left, right = (b.name(i) for i in o.inputs)
    for place, word in enumerate(("transpose_x", "transpose_y")):
        rank = len(b.values[o.inputs[place]].shape)
        if o.attributes.get(word) and rank > 1:
            order = [*range(rank - 2), rank - 1, rank - 2]
            turned = b.node("Transpose", (left, right)[place], perm=order)
            left, right = (turned, right) if place == 0 else (left, turned)
    if len(b.values[o.inputs[1]].shape) > 1:
        return b.node("MatMul", left, right)
    column = b.node("Unsqueeze", right, b.constant(np.array([1], np.int64)))
    return b.node("Squeeze", b.node("MatMul", left, column), b.constant(np.array([-1], np.int64)))


def resized(mode: str) -> Translate:
    """Images resized by a fixed factor, `mode` as ONNX names it."""

    def add(b: Builder, o: Operation) -> str:
        _check_layout(o)
        scale = o.attributes["scale"]
        if not scale or any(b.is_given(o, place) for place in (1, 2, 3)):
            raise ModelError("its images are resized otherwise than by a fixed factor")
        factors = b.constant(np.array([1, 1, *(scale * 2)[:2]], np.float32))
        none = b.constant(np.empty(0, np.float32))
        if o.attributes.get("align_corners"):
            place = "align_corners"
        else:
            place = "asymmetric" if mode == "nearest" or o.attributes.get("align_mode") == 1 else "half_pixel"
        words: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": place}
        words |= {"nearest_mode": "floor"} if mode == "nearest" else {}
        return b.node("Resize", b.name(o.inputs[0]), none, factors, **words)

    return add


def _check_layout(o: Operation) -> None:
    if o.attributes.get("data_format", "NCHW") != "NCHW":
        raise ModelError(f"its {o.kind} has the layout {o.attributes['data_format']}")
