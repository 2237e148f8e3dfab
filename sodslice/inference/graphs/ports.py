"""What an ONNX file takes and gives, and its metadata, without running it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from sodslice.errors import ModelError

Dims = tuple[int | None, ...]
"""Lengths of the axes of an array; None where any length goes, or none is stated."""


class Port(NamedTuple):
    """An input or an output: its `name`, its `dtype` as numpy names it, and its `dims`."""

    name: str
    dtype: str
    dims: Dims

    @property
    def is_float(self) -> bool:
        """Whether it holds floats, of whatever length."""
        return self.dtype.startswith("float")

    def __str__(self) -> str:
        dims = ", ".join("?" if side is None else str(side) for side in self.dims)
        return f"{self.name} {self.dtype} ({dims})"


@dataclass(frozen=True)
class Ports:
    """What an ONNX file shows of itself.

    Args:
        inputs: what it takes.
        outputs: what it gives, in its order.
        metadata: texts by name, which whoever wrote the file added.
        beside: files that hold its weights; none where they are in the file.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]
    beside: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return f"it takes {_listed(self.inputs)} and gives {_listed(self.outputs)}"


def read_ports(path: Path) -> Ports:
    """What a file takes and gives.

    Args:
        path: an `.onnx` file.

    Raises:
        ModelError: it cannot be read, is no ONNX, or lacks a file with its weights.
    """
    model = _loaded(path)
    return Ports(
        _inputs(model),
        tuple(map(_port, model.graph.output)),
        {entry.key: entry.value for entry in model.metadata_props},
        tuple(_files_beside(path, model)),
    )


def images_at_once(graph: Path) -> int | None:
    """How many images a graph of Paddle takes, no more and no less; None: any number, or not known.

    Args:
        graph: an `.onnx` file; its weights may lie elsewhere.
    """
    try:
        inputs = _inputs(_loaded(graph))
    except ModelError:
        return None
    return next((port.dims[0] for port in inputs if port.name == "image" and port.dims), None)


def _loaded(path: Path) -> Any:
    """The model of a file, without weights that lie elsewhere.

    Raises:
        ModelError: it cannot be read, or is no ONNX.
    """
    onnx: Any = importlib.import_module("onnx")
    unreadable = importlib.import_module("google.protobuf.message").Error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    except unreadable:
        model = None
    if model is None or not model.graph.output:
        raise ModelError(f"{path} is not an ONNX file, or is cut short; export or copy it again")
    return model


def _inputs(model: Any) -> tuple[Port, ...]:
    """What a model takes, but for what it holds itself."""
    held = {tensor.name for tensor in model.graph.initializer}
    return tuple(_port(port) for port in model.graph.input if port.name not in held)


def _port(given: Any) -> Port:
    onnx: Any = importlib.import_module("onnx")
    tensor = given.type.tensor_type
    dims = tuple(side.dim_value if side.dim_value > 0 else None for side in tensor.shape.dim)
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, TypeError, ValueError):
        dtype = "unknown"
    return Port(given.name, dtype, dims)


def _tensors(model: Any) -> Iterator[Any]:
    """All that a model holds: its weights, and what stands in nodes, also of graphs within nodes."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            sparse = list(graph.sparse_initializer)
            nodes.extend(graph.node)
        else:
            sparse = []
            for attribute in nodes.pop().attribute:
                yield from (attribute.t, *attribute.tensors)
                sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
                graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        for tensor in sparse:
            yield from (tensor.values, tensor.indices)


def _files_beside(path: Path, model: Any) -> Iterator[Path]:
    """The files that hold weights, each once, in the order of their names.

    Raises:
        ModelError: one is missing, or is elsewhere than beside the model.
    """
    external = importlib.import_module("onnx").TensorProto.EXTERNAL
    names = {
        entry.value
        for tensor in _tensors(model)
        if tensor.data_location == external
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for name in sorted(names):
        if not _is_beside(path, name):
            raise ModelError(
                f"{path} has its weights in {name[:80]}, which is not beside it; bring that file too"
            )
        yield path.parent / name


def _is_beside(path: Path, name: str) -> bool:
    """Whether a file lies in the folder of a model, or below it, and nowhere else."""
    for pure in (PurePosixPath(name), PureWindowsPath(name)):
        if pure.anchor or ".." in pure.parts:
            return False
    try:
        file = (path.parent / name).resolve()
        return file.is_file() and file.is_relative_to(path.parent.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, of no characters, or a link to itself
        return False


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(map(str, ports)) or "nothing"
