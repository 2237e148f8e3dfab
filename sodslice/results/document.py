"""JSON documents of results: one item a line, written as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import orjson

from sodslice.results.result import RunResult
from sodslice.values.records import plain_record

ROWS_AT_ONCE = 50_000
"""Rows that are turned into JSON together, so that memory does not grow with their number."""


def write_document(
    file: BinaryIO, head: Mapping[str, Any], name: str, items: Iterable[Any], tail: Mapping[str, Any]
) -> None:
    """Write a JSON object, one member or one item of the list `name` per line: quick to read and compare."""
    file.write(b"{\n")
    for key, value in head.items():
        file.write(_member(key, orjson.dumps(value)) + b",\n")
    file.write(_member(name, b"["))
    separator = b""
    for item in items:
        file.write(separator + b"\n" + orjson.dumps(item))
        separator = b","
    file.write(b"]")
    for key, value in tail.items():
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


def slices(count: int) -> Iterable[slice]:
    """Rows 0 to count in pieces."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE))


def _member(name: str, value: bytes) -> bytes:
    return orjson.dumps(name) + b": " + value
