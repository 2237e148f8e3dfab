"""JSON documents of results: one item a line, written as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from sodslice.results.columns import Column
from sodslice.results.result import RunResult
from sodslice.values.records import plain_record

Tail = Mapping[str, Any] | Iterable[tuple[str, Any]]


def write_document(
    file: BinaryIO, head: Mapping[str, Any], name: str, pieces: Iterable[list[bytes]], tail: Tail
) -> None:
    """Write a JSON object, one member or one item of the list `name` per line: quick to read and compare.

    Args:
        file: to write to.
        head: members before the list.
        name: of the list.
        pieces: items of the list as JSON, some at a time.
        tail: members behind it, which are looked at when all items are written.
    """
    file.write(b"{\n")
    for key, value in head.items():
        file.write(_member(key, orjson.dumps(value)) + b",\n")
    file.write(_member(name, b"["))
    separator = b""
    for items in pieces:
        if items:
            file.write(separator + b"\n" + b",\n".join(items))
            separator = b","
    file.write(b"]")
    for key, value in tail.items() if isinstance(tail, Mapping) else tail:
        file.write(b",\n" + _member(key, orjson.dumps(value)))
    file.write(b"\n}\n")


def about(result: RunResult) -> dict[str, Any]:
    """What every output says of how it came to be."""
    return {
        "scene": result.scene.as_dict(),
        "georef": result.georef.as_dict(),
        "run": result.provenance.as_dict(result.class_names),
        "timings": {} if result.timings is None else plain_record(result.timings),
    }


COMBINED = {"combined_by": "sodslice"}
"""What tells a file of many results from others."""


def image_facts(result: RunResult) -> dict[str, Any]:
    """What a file of many results says of an image: which it is, where it lies and what was found."""
    facts = {"image": result.scene.path, "objects": len(result)}
    model, version = result.provenance.model, result.provenance.version
    made = {"version": version, "model": plain_record(model), "options": dict(result.provenance.options)}
    return {**facts, "scene": result.scene.as_dict(), "georef": result.georef.as_dict(), "run": made}


def json_objects(columns: Mapping[str, Column | list[bytes]]) -> list[bytes]:
    """JSON objects `(N,)`, one a row, of columns by name; those that are lists are JSON already."""
    template = b"{" + b",".join(orjson.dumps(name) + b":%b" for name in columns) + b"}"
    cells = [column if isinstance(column, list) else json_cells(column) for column in columns.values()]
    return [template % row for row in zip(*cells, strict=True)]


def array_cells(rows: npt.NDArray[np.float64]) -> list[bytes]:
    """JSON arrays `(N,)` of rows of numbers `(N, K)`."""
    return [b"[%b]" % row for row in _dumped(rows)[2:-2].split(b"],[")] if len(rows) else []


def json_cells(column: Column) -> list[bytes]:
    """JSON of each value of a column `(N,)` of numbers or texts; null for NaN."""
    if column.dtype == object:
        known = {value: orjson.dumps(value) for value in set(column.tolist())}
        return [known[value] for value in column.tolist()]
    return _dumped(column)[1:-1].split(b",") if len(column) else []


def _dumped(values: Column) -> bytes:
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)


def _member(name: str, value: bytes) -> bytes:
    return orjson.dumps(name) + b": " + value
