"""What each operation of Paddle is in ONNX."""

from __future__ import annotations

from collections.abc import Mapping

from sodslice.inference.graphs import layers, shaping
from sodslice.inference.graphs.builder import Builder, Translate
from sodslice.inference.graphs.pir import Operation


def translate(builder: Builder, operation: Operation) -> None:
    """Add one operation to a graph.

    Raises:
        ModelError: it cannot be said in ONNX.
    """
    result = TRANSLATIONS[operation.kind](builder, operation)
    if operation.kind == "split" and isinstance(result, list) and len(operation.outputs) > 1:
        for value, name in zip(operation.outputs, result, strict=True):
            builder.set(value, name)
    else:
        builder.set(operation.outputs[0], result)


TRANSLATIONS: Mapping[str, Translate] = {
    **{
        kind: shaping.same(word)
        for kind, word in {
            "abs": "Abs",
            "add": "Add",
            "subtract": "Sub",
            "multiply": "Mul",
            "divide": "Div",
            "elementwise_pow": "Pow",
            "maximum": "Max",
            "minimum": "Min",
            "relu": "Relu",
            "sigmoid": "Sigmoid",
            "tanh": "Tanh",
            "exp": "Exp",
            "log": "Log",
            "sqrt": "Sqrt",
            "sin": "Sin",
            "cos": "Cos",
            "floor": "Floor",
        }.items()
    },
    **dict.fromkeys(("assign", "assign_"), shaping.unchanged),
    **dict.fromkeys(("assign_value", "assign_value_"), shaping.assigned),
    **dict.fromkeys(("batch_norm", "batch_norm_"), layers.normalised_by_batch),
    **dict.fromkeys(("conv2d", "depthwise_conv2d"), layers.convolution),
    **dict.fromkeys(("shape", "shape64"), shaping.shape_of),
    **dict.fromkeys(("swish", "silu"), layers.swish),
    "arange": shaping.arange,
    "bilinear_interp": layers.resized("linear"),
    "cast": shaping.cast,
    "combine": shaping.combined,
    "concat": shaping.concatenated,
    "dropout": layers.dropout,
    "expand": shaping.expanded,
    "flatten": shaping.flattened,
    "full": shaping.filled,
    "full_int_array": shaping.integers,
    "gelu": layers.gelu,
    "hardsigmoid": layers.hard_sigmoid,
    "layer_norm": layers.normalised_by_layer,
    "leaky_relu": layers.leaky_relu,
    "matmul": layers.product,
    "max": shaping.reduced("ReduceMax"),
    "mean": shaping.reduced("ReduceMean"),
    "meshgrid": shaping.grid,
    "nearest_interp": layers.resized("nearest"),
    "pool2d": layers.pool,
    "reshape": shaping.reshaped,
    "slice": shaping.sliced,
    "softmax": layers.softmax,
    "scale": shaping.scaled,
    "split": shaping.unpacked,
    "split_with_num": shaping.split_evenly,
    "squeeze": shaping.with_axes("Squeeze"),
    "stack": shaping.stacked,
    "transpose": shaping.transposed,
    "unsqueeze": shaping.with_axes("Unsqueeze"),
}
"""By kind of Paddle's operation. What is not here makes a graph one that only Paddle runs."""
