"""Records: frozen dataclasses to JSON and back, checked against their annotations.

For what programs write and read again: plans, results, raw stores. What people write is settings
(`setting.py`).
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def plain_record(value: Any) -> Any:
    """A record as JSON holds it: mappings, lists, texts and numbers.

    A class with a method `as_dict` (and a classmethod `from_dict`) says itself how.
    """
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if dataclasses.is_dataclass(value):
        return {f.name: plain_record(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain_record(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain_record(item) for item in value]
    return value


def read_record(kind: type[Record], given: Any, *, where: str) -> Record:
    """The inverse of `plain_record`.

    Args:
        kind: a dataclass of texts, numbers, booleans, tuples, mappings and other such dataclasses.
        given: what JSON held.
        where: what to call it in messages.

    Raises:
        ValueError: something is missing or of another type; the message says where, what was expected, and
            what was there.
    """
    found: Record = _read(kind, given, where)
    return found


def _read(kind: Any, given: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return given
    if origin in (Union, types.UnionType):
        return _read_union(arguments, given, where)
    if origin is tuple:
        return _read_tuple(arguments, given, where)
    return (
        _read_mapping(kind, arguments, given, where) if _is_mapping(kind) else _read_plain(kind, given, where)
    )


def _is_mapping(kind: Any) -> bool:
    """Whether JSON holds such values as mappings."""
    return get_origin(kind) is not None or hasattr(kind, "from_dict") or dataclasses.is_dataclass(kind)


def _read_mapping(kind: Any, arguments: tuple[Any, ...], given: Any, where: str) -> Any:
    """A Mapping[str, X], a class that reads itself, or a dataclass."""
    _expect(isinstance(given, Mapping), "a mapping", given, where)
    if arguments:
        return {str(key): _read(arguments[1], item, f"{where}.{key}") for key, item in given.items()}
    return kind.from_dict(given) if hasattr(kind, "from_dict") else kind(**read_fields(kind, given, where))


def read_fields(kind: Any, given: Any, where: str) -> dict[str, Any]:
    """The fields of a dataclass out of a mapping; see `read_record`.

    Raises:
        ValueError: as `read_record`.
    """
    _expect(isinstance(given, Mapping), "a mapping", given, where)
    hints = get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in given:
            values[field.name] = _read(hints[field.name], given[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where} has no {field.name!r}")
    return values


def _read_union(kinds: tuple[Any, ...], given: Any, where: str) -> Any:
    if given is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return _read(kind, given, where)
        except ValueError:
            continue
    return _read(others[-1], given, where)


def _read_tuple(kinds: tuple[Any, ...], given: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(given, (list, tuple)), "a list", given, where)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_read(kinds[0], item, f"{where}[{row}]") for row, item in enumerate(given))
    _expect(len(given) == len(kinds), f"a list of {len(kinds)}", given, where)
    return tuple(
        _read(kind, item, f"{where}[{row}]")
        for row, (kind, item) in enumerate(zip(kinds, given, strict=True))
    )


def _read_plain(kind: Any, given: Any, where: str) -> Any:
    """A text, number or boolean; a whole number is a number, true is none."""
    accepted = (int, float) if kind is float else kind
    fits = isinstance(given, accepted) and (kind is bool or not isinstance(given, bool))
    _expect(fits, _WORDS[kind], given, where)
    return kind(given)


def _expect(fits: bool, words: str, given: Any, where: str) -> None:  # noqa: FBT001 -- an assertion
    if not fits:
        shown = repr(given)
        raise ValueError(f"{where} must be {words}, got {shown if len(shown) <= 60 else shown[:57] + '...'}")


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
