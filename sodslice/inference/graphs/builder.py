"""`Builder`: an ONNX graph that grows by one operation of Paddle after the other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.inference.graphs.pir import NOTHING, Operation, Value

DTYPES = {
    "f32": "float32",
    "f64": "float64",
    "f16": "float16",
    "i32": "int32",
    "i64": "int64",
    "bool": "bool",
}
"""Numpy's words for those of PIR."""


class Builder:
    """An ONNX graph that grows by one operation of Paddle after the other.

    Constants are known while the graph is built, since ONNX wants many of Paddle's inputs as fixed numbers.

    Args:
        onnx: the module.
    """

    def __init__(self, onnx: Any) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self.values: dict[int, Value] = {}
        self._onnx = onnx
        self._names: dict[int, str | list[str]] = {}
        self._numbers = count()

    def name(self, value_id: int) -> str:
        """What ONNX calls a value."""
        name = self._names[value_id]
        if not isinstance(name, str):
            raise ModelError("a list stands where one value should")
        return name

    def listed(self, value_id: int) -> list[str]:
        """The names of the values in a list."""
        names = self._names[value_id]
        return names if isinstance(names, list) else [names]

    def is_given(self, operation: Operation, place: int) -> bool:
        """Whether an operation has an input at a place."""
        return place < len(operation.inputs) and operation.inputs[place] != NOTHING

    def known(self, value_id: int) -> npt.NDArray[Any]:
        """A constant.

        Raises:
            ModelError: the value is only known when the graph runs.
        """
        name = self.name(value_id)
        if name not in self.constants:
            raise ModelError("an input that must be fixed is computed")
        return self.constants[name]

    def number(self, value_id: int) -> int:
        """A constant that is one whole number.

        Raises:
            ModelError: as `known`.
        """
        return int(self.known(value_id).item())

    def constant(self, array: Any) -> str:
        """A new constant."""
        name = f"c{next(self._numbers)}"
        self.constants[name] = np.asarray(array)
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; the name of its only output."""
        return self.node_of_many(1, kind, *inputs, **attributes)[0]

    def node_of_many(self, outputs: int, kind: str, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node; the names of its outputs."""
        names = [f"v{next(self._numbers)}" for _ in range(outputs)]
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def cast(self, name: str, dtype: str) -> str:
        """A value in another type."""
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", name, to=kind)

    def set(self, value: Value, name: str | list[str]) -> None:
        """Say how a value of Paddle's graph is called here."""
        self._names[value.id] = name
        self.values[value.id] = value


Translate = Callable[[Builder, Operation], Any]
"""Adds what an operation is, and gives the name of its first output, or a list of names."""
