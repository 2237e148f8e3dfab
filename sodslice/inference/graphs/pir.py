"""A PIR program, as `inference.json` holds it: operations with their attributes, inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sodslice.errors import ModelError

NOTHING = 0
"""The id of an input that is left out."""


class Value(NamedTuple):
    """What an operation gives: its `id`, `dtype` ("f32", "i64", ...) and `shape`, -1 where it is not fixed.

    Lists of values have the dtype "list" and no shape.
    """

    id: int
    dtype: str
    shape: tuple[int, ...]


class Operation(NamedTuple):
    """One operation: its `kind` without dialect, such as "conv2d", ids of its inputs, and what it gives."""

    kind: str
    attributes: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[Value, ...]


@dataclass(frozen=True)
class Program:
    """The operations of a graph, each behind those whose results it takes.

    Args:
        operations: without the parameters.
        parameters: by id of the value.
        names: of the parameters, by id.
    """

    operations: tuple[Operation, ...]
    parameters: Mapping[int, Value]
    names: Mapping[int, str]

    def needed_for(self, wanted: tuple[int, ...]) -> tuple[Operation, ...]:
        """The operations on which some values depend, in order."""
        open_, needed = set(wanted), list[Operation]()
        for operation in reversed(self.operations):
            if any(value.id in open_ for value in operation.outputs):
                needed.append(operation)
                open_.update(operation.inputs)
        return tuple(reversed(needed))

    def first(self, kind: str) -> Operation | None:
        """The first operation of a kind; None where there is none."""
        return next((operation for operation in self.operations if operation.kind == kind), None)


def read_program(graph: Path) -> Program:
    """The program of an `inference.json`.

    Raises:
        ModelError: the file is something else, or has control flow.
    """
    try:
        content = json.loads(graph.read_bytes())
        (region,) = content["program"]["regions"]
        (block,) = region["blocks"]
        parameters, names, operations = dict[int, Value](), dict[int, str](), list[Operation]()
        for given in block["ops"]:
            if given["#"] == "p":
                (value,) = _values([given["O"]])
                parameters[value.id], names[value.id] = value, given["A"][3]
            else:
                operations.append(_operation(given))
    except (ValueError, LookupError, TypeError, OSError) as error:
        raise ModelError(f"{graph} is no PIR graph that can be read: {error!r}") from None
    return Program(tuple(operations), parameters, names)


def _operation(given: Mapping[str, Any]) -> Operation:
    if given.get("regions"):
        raise ValueError(f"control flow ({given['#']})")
    attributes = {one["N"]: _plain(one["AT"]) for one in given["A"]}
    inputs = tuple(one["%"] for one in given["I"])
    return Operation(given["#"].partition(".")[2], attributes, inputs, tuple(_values(given["O"])))


def _values(outputs: list[Mapping[str, Any]]) -> Iterator[Value]:
    for output in outputs:
        kind = output["TT"]
        if kind.get("#") == "0.t_dtensor":
            dtype, shape = kind["D"][0]["#"].partition("t_")[2], tuple(kind["D"][1])
            yield Value(output["%"], dtype, shape)
        else:
            yield Value(output["%"], "list", ())


def _plain(attribute: Mapping[str, Any]) -> Any:
    """An attribute as a Python value."""
    value = attribute.get("D")
    return [_plain(one) for one in value or ()] if attribute["#"] == "0.a_array" else value
