"""What people and other programs write into files: texts, JSON and YAML, whatever saved them."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import orjson

from sodslice.errors import DataError, SodsliceError

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, the longer ones before those that they begin with."""

_OF_YAML = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What PyYAML raises, besides its own errors, where a tag such as `!!int` is on a value of another kind."""


def text_of(content: bytes) -> str:
    """The text of a file: UTF-8, with or without a byte order mark, or UTF-16 or 32 with one.

    Raises:
        ValueError: it is in no such encoding; the message says where and what to do.
    """
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        place = f"byte {error.start} is 0x{content[error.start]:02x}"
        raise ValueError(f"it is no {encoding.upper()} text, {place}; save it as UTF-8") from None


def json_of(content: bytes) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it is not JSON; the message, one line, says where.
    """
    if content.startswith(tuple(_MARKS)):
        content = text_of(content).encode()
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        text_of(content)  # another encoding says more than its first odd byte
        raise ValueError(" ".join(str(error).split())) from None


def yaml_of(content: bytes) -> Any:
    """What a YAML file holds; None where it holds nothing.

    Raises:
        ValueError: it is not YAML, or more than plain values; the message, one line, says where.
    """
    import yaml

    text = text_of(content)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, *_OF_YAML) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


def yaml_line(value: Any) -> str:
    """A plain value on one line of YAML, however long."""
    import yaml

    return str(yaml.safe_dump(value, default_flow_style=True, width=float("inf"))).splitlines()[0]


def read_json(path: str | Path, *, error: type[SodsliceError] = DataError) -> Any:
    """What a JSON file holds.

    Args:
        path: of the file.
        error: what a fault is raised as.

    Raises:
        SodsliceError: of the kind asked for: it cannot be read or is not JSON.
    """
    try:
        return json_of(Path(path).read_bytes())
    except OSError as fault:
        raise error(f"{path} cannot be read: {fault.strerror}") from None
    except ValueError as fault:  # also of a path that no disk knows
        raise error(f"{path} is not JSON: {fault}") from None
