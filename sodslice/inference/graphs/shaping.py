"""Constants, shapes and parts of tensors in ONNX."""

from __future__ import annotations

import numpy as np

from sodslice.inference.graphs.builder import DTYPES, Builder, Translate
from sodslice.inference.graphs.pir import Operation


def filled(b: Builder, o: Operation) -> str:
    """A constant of one number."""
    dtype = o.attributes["dtype"]
    return b.constant(np.full(o.attributes["shape"], o.attributes["value"], dtype))


def integers(b: Builder, o: Operation) -> str:
    """A constant row of whole numbers."""
    return b.constant(np.array(o.attributes["value"], o.attributes["dtype"]))


def assigned(b: Builder, o: Operation) -> str:
    """A constant."""
    return b.constant(np.array(o.attributes["values"], o.attributes["dtype"]).reshape(o.attributes["shape"]))


def combined(b: Builder, o: Operation) -> list[str]:
    """Several values as a list."""
    return [b.name(i) for i in o.inputs]


def unpacked(b: Builder, o: Operation) -> list[str]:
    """A list into its values (`builtin.split`), or a tensor into parts (`split`)."""
    if len(o.inputs) == 1:
        return b.listed(o.inputs[0])
    sections, axis = b.known(o.inputs[1]), b.number(o.inputs[2])
    name = b.constant(np.asarray(sections, np.int64))
    return b.node_of_many(sections.size, "Split", b.name(o.inputs[0]), name, axis=axis)


def split_evenly(b: Builder, o: Operation) -> list[str]:
    """A tensor in equal parts."""
    axis, parts = b.number(o.inputs[1]), o.attributes["num"]
    return b.node_of_many(parts, "Split", b.name(o.inputs[0]), axis=axis)


def concatenated(b: Builder, o: Operation) -> str:
    """Values of a list, one behind the other along an axis."""
    return b.node("Concat", *b.listed(o.inputs[0]), axis=b.number(o.inputs[1]))


def stacked(b: Builder, o: Operation) -> str:
    """Values of a list, side by side along a new axis."""
    axis = o.attributes["axis"]
    axes = b.constant(np.array([axis], np.int64))
    parts = [b.node("Unsqueeze", name, axes) for name in b.listed(o.inputs[0])]
    return b.node("Concat", *parts, axis=axis)


def _shape_input(b: Builder, value_id: int) -> str:
    """A shape as one tensor of int64, from a tensor or a list of numbers."""
    parts = b.listed(value_id)
    if len(parts) == 1 and b.values[value_id].dtype != "list":
        return b.cast(parts[0], "int64")
    one = b.constant(np.array([1], np.int64))
    flat = [b.cast(b.node("Reshape", part, one), "int64") for part in parts]
    return b.node("Concat", *flat, axis=0)


def reshaped(b: Builder, o: Operation) -> str:
    """The same numbers in another shape."""
    names = b.listed(o.inputs[1])
    if len(names) == 1 and names[0] in b.constants:
        shape = b.constant(b.constants[names[0]].reshape(-1).astype(np.int64))
    else:
        shape = _shape_input(b, o.inputs[1])
    return b.node("Reshape", b.name(o.inputs[0]), shape)


def flattened(b: Builder, o: Operation) -> str:
    """Axes from one to another, made one."""
    rank = len(b.values[o.inputs[0]].shape)
    first, last = (o.attributes[word] % rank for word in ("start_axis", "stop_axis"))
    behind = b.values[o.inputs[0]].shape[last + 1 :]
    values = b.name(o.inputs[0])
    if all(side > 0 for side in behind):
        shape = b.constant(np.array([0] * first + [-1, *behind], np.int64))
    else:
        sides = b.node("Shape", values)
        ends = b.constant(np.array([last + 1], np.int64)), b.constant(np.array([rank], np.int64))
        kept = b.constant(np.array([0] * first + [-1], np.int64))
        shape = b.node("Concat", kept, b.node("Slice", sides, *ends), axis=0)
    return b.node("Reshape", values, shape)


def transposed(b: Builder, o: Operation) -> str:
    """Axes in another order."""
    return b.node("Transpose", b.name(o.inputs[0]), perm=o.attributes["perm"])


def with_axes(kind: str) -> Translate:
    """An operation whose second input names axes."""

    def add(b: Builder, o: Operation) -> str:
        axes = b.constant(b.known(o.inputs[1]).reshape(-1).astype(np.int64))
        return b.node(kind, b.name(o.inputs[0]), axes)

    return add


def sliced(b: Builder, o: Operation) -> str:
    """A part of a tensor."""
    starts, ends = (_shape_input(b, i) for i in o.inputs[1:3])
    axes = b.constant(np.array(o.attributes["axes"], np.int64))
    result: str = b.node("Slice", b.name(o.inputs[0]), starts, ends, axes)
    dropped = o.attributes.get("decrease_axis") or []
    return b.node("Squeeze", result, b.constant(np.array(dropped, np.int64))) if dropped else result


def cast(b: Builder, o: Operation) -> str:
    """The same numbers in another type."""
    return b.cast(b.name(o.inputs[0]), DTYPES[o.outputs[0].dtype])


def shape_of(b: Builder, o: Operation) -> str:
    """The sides of a tensor."""
    return b.cast(b.node("Shape", b.name(o.inputs[0])), DTYPES[o.outputs[0].dtype])


def arange(b: Builder, o: Operation) -> str:
    """Numbers in equal steps."""
    scalar = b.constant(np.empty(0, np.int64))
    dtype = DTYPES[o.outputs[0].dtype]
    ends = [b.cast(b.node("Reshape", b.name(i), scalar), dtype) for i in o.inputs]
    return b.node("Range", *ends)


def grid(b: Builder, o: Operation) -> list[str]:
    """Each vector along its own axis, repeated along all others."""
    vectors = b.listed(o.inputs[0])
    sides = b.node("Concat", *(b.node("Shape", vector) for vector in vectors), axis=0)
    grids = []
    for place, vector in enumerate(vectors):
        shape = b.constant(np.array([-1 if i == place else 1 for i in range(len(vectors))], np.int64))
        grids.append(b.node("Expand", b.node("Reshape", vector, shape), sides))
    return grids


def expanded(b: Builder, o: Operation) -> str:
    """A tensor repeated to a shape, in which -1 leaves a side as it is."""
    names = b.listed(o.inputs[1])
    if len(names) == 1 and names[0] in b.constants:
        sides = b.constants[names[0]].reshape(-1).astype(np.int64)
        shape = b.constant(np.where(sides == -1, 1, sides))
    else:
        shape = _shape_input(b, o.inputs[1])
    return b.node("Expand", b.name(o.inputs[0]), shape)


def reduced(kind: str) -> Translate:
    """A number for all along some axes; no axes are all of them."""

    def add(b: Builder, o: Operation) -> str:
        given = b.known(o.inputs[1]) if b.is_given(o, 1) else o.attributes.get("axis", [])
        axes = np.asarray(given, np.int64).reshape(-1).tolist()
        keep = int(o.attributes.get("keepdim", False))
        return b.node(kind, b.name(o.inputs[0]), keepdims=keep, **({"axes": axes} if axes else {}))

    return add


def unchanged(b: Builder, o: Operation) -> str:
    """The first input."""
    return b.name(o.inputs[0])


def scaled(b: Builder, o: Operation) -> str:
    """Times a factor, plus a bias: before or behind; both of the input's type."""
    dtype = DTYPES[b.values[o.inputs[0]].dtype]
    factor, bias = b.known(o.inputs[1]).reshape(()).astype(dtype), np.array(o.attributes["bias"], dtype)
    steps = [("Mul", factor, 1), ("Add", bias, 0)]
    name = b.name(o.inputs[0])
    for kind, number, neutral in steps if o.attributes.get("bias_after_scale", True) else steps[::-1]:
        if number != neutral:
            name = b.node(kind, name, b.constant(number))
    return b.node("Identity", name) if name == b.name(o.inputs[0]) else name


def same(kind: str) -> Translate:
    """An operation that ONNX has, too, of as many inputs and without attributes."""

    def add(b: Builder, o: Operation) -> str:
        return b.node(kind, *(b.name(i) for i in o.inputs))

    return add
