"""The NMS inside a graph of Paddle: what it lets through, and copies of the graph that let more through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sodslice.errors import ModelError, SodsliceError

CANDIDATES, KEPT = "nms_top_k", "keep_top_k"
NO_LIMIT = -1


class Nms(NamedTuple):
    """What an NMS lets through; -1 where it lets all through.

    Fields: `candidates`, the best boxes of each class that it compares; `kept`, the best boxes of all classes
    that it gives for an image; `classes`, how many the graph tells apart, None where it does not say.
    """

    candidates: int
    kept: int
    classes: int | None = None


def read_nms(graph: Path) -> Nms | None:
    """What the NMS of a graph lets through.

    Args:
        graph: `.json` (PIR) or `.pdmodel`.

    Returns:
        None where there is no NMS, or the graph cannot be read here.
    """
    reader = {".json": _read_pir, ".pdmodel": _read_program}.get(graph.suffix)
    if reader is None:
        return None
    try:
        return reader(graph)
    except _UNREADABLE:
        return None


def write_copy(graph: Path, copy: Path, limits: Nms) -> None:
    """Write a graph with other limits of its NMS; nothing else differs.

    Args:
        graph: for which `read_nms` gave something.
        copy: the file to write.
        limits: new ones; `classes` is of no weight.

    Raises:
        OSError: it cannot be written.
        ModelError: this version of Paddle cannot change such a graph.
    """
    wanted = {CANDIDATES: limits.candidates, KEPT: limits.kept}
    if graph.suffix == ".json":
        content = json.loads(graph.read_bytes())
        for operation in _suppressing(content):
            for name, value in wanted.items():
                _attributes(operation)[name]["D"] = value
        copy.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
        return
    try:
        program, operations = _program(graph)
        for operation in operations:
            for name, value in wanted.items():
                operation._set_attr(name, value)
        changed = program.serialize_to_string()
    except _NOT_HERE as error:
        raise ModelError(f"{graph} cannot be changed by this version of Paddle: {error}") from None
    copy.write_bytes(changed)


_NOT_HERE = (AttributeError, TypeError, RuntimeError)
"""Raised by versions of Paddle that have no such functions."""

_UNREADABLE = (*_NOT_HERE, ValueError, LookupError, OSError, SodsliceError)
"""Raised by files that are something else, too."""


def _read_pir(graph: Path) -> Nms | None:
    content = json.loads(graph.read_bytes())
    operations = list(_suppressing(content))
    if not operations:
        return None
    given = [_attributes(operation) for operation in operations]
    return Nms(
        _least(attributes[CANDIDATES]["D"] for attributes in given),
        _least(attributes[KEPT]["D"] for attributes in given),
        _classes(content, operations[0]),
    )


def _read_program(graph: Path) -> Nms | None:
    _, operations = _program(graph)
    if not operations:
        return None
    return Nms(*(_least(operation.attr(name) for operation in operations) for name in (CANDIDATES, KEPT)))


def _least(limits: Iterator[int]) -> int:
    """The strictest of some limits."""
    return min((limit for limit in limits if limit != NO_LIMIT), default=NO_LIMIT)


def _operations(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All operations of a PIR program, those inside of others too."""
    for region in content.get("regions", ()):
        for block in region["blocks"]:
            for operation in block["ops"]:
                yield operation
                yield from _operations(operation)


def _suppressing(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of a PIR graph that are an NMS, of whatever kind."""
    for operation in _operations(content["program"]):
        if {CANDIDATES, KEPT} <= _attributes(operation).keys():
            yield operation


def _attributes(operation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The attributes of an operation by name, as the graph holds them."""
    given = operation.get("A")
    if not isinstance(given, list):
        return {}
    return {one["N"]: one["AT"] for one in given if isinstance(one, dict) and "N" in one}


def _classes(content: Mapping[str, Any], suppressing: Mapping[str, Any]) -> int | None:
    """How many classes the scores `(N, C, A)` have that go into an NMS; None where the graph does not say."""
    scores = suppressing["I"][1]["%"]
    for operation in _operations(content["program"]):
        outputs = operation.get("O")
        for output in outputs if isinstance(outputs, list) else ():
            if output["%"] == scores:
                shape = output["TT"]["D"][1]
                return shape[1] if len(shape) == 3 and shape[1] > 0 else None
    return None


def _program(graph: Path) -> tuple[Any, list[Any]]:
    """A legacy program, and those of its operations that are an NMS."""
    from sodslice.inference.engines.paddle import import_paddle

    program = import_paddle().base.core.ProgramDesc(graph.read_bytes())
    blocks = [program.block(number) for number in range(program.num_blocks())]
    operations = [block.op(place) for block in blocks for place in range(block.op_size())]
    return program, [o for o in operations if {CANDIDATES, KEPT} <= set(o.attr_names())]
