"""Records to JSON and back, and what is said of those that are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from sodslice.values.records import plain_record, read_record


@dataclass(frozen=True)
class Inner:
    name: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: tuple[float, str]
    maybe: int | None
    mixed: float | str | None
    truth: bool | tuple[int, ...]
    facts: Mapping[str, float]
    anything: Any = None
    many: tuple[Inner, ...] = field(default=())


RECORD = Outer(Inner("a", (1, 2)), (0.1, "x"), None, "nan", (3, 4), {"all": 0.5}, {"k": [1]}, (Inner("b"),))


def test_a_record_survives_json():
    assert read_record(Outer, orjson.loads(orjson.dumps(plain_record(RECORD))), where="it") == RECORD


def test_whole_numbers_are_numbers_and_defaults_are_filled_in():
    given = plain_record(RECORD)
    given["pair"] = [1, "x"]
    del given["many"]
    again = read_record(Outer, given, where="it")
    assert again.pair == (1.0, "x")
    assert isinstance(again.pair[0], float)
    assert again.many == ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("inner", None, "it.inner must be a mapping, got None"),
        ("inner", {"name": 3}, "it.inner.name must be a text, got 3"),
        ("inner", {"sizes": []}, "it.inner has no 'name'"),
        ("inner", {"name": "a", "sizes": [1, "2"]}, r"it.inner.sizes\[1\] must be a whole number, got '2'"),
        ("inner", {"name": "a", "sizes": [True]}, r"it.inner.sizes\[0\] must be a whole number, got True"),
        ("pair", [1.0], r"it.pair must be a list of 2, got \[1.0\]"),
        ("pair", "ab", "it.pair must be a list, got 'ab'"),
        ("maybe", 1.5, "it.maybe must be a whole number, got 1.5"),
        ("truth", "yes", "it.truth must be a list, got 'yes'"),
        ("facts", [1], r"it.facts must be a mapping, got \[1\]"),
        ("facts", {"all": None}, "it.facts.all must be a number, got None"),
    ],
)
def test_what_is_no_such_record_is_refused_with_its_place(name, value, words):
    with pytest.raises(ValueError, match=words):
        read_record(Outer, {**plain_record(RECORD), name: value}, where="it")
    with pytest.raises(ValueError, match="it must be a mapping"):
        read_record(Outer, [1], where="it")
