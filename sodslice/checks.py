"""From what users write to values: the checks behind the settings.

Each takes a text, number, list or mapping, as flags and YAML give them, and returns the value of the setting;
a ValueError says what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

Check = Callable[[Any], Any]

Thresholds = tuple[tuple[str, float], ...]
"""Scores by class name; "" stands for all classes that are not named. Empty: the model's own."""

ALL_CLASSES = ""

PERCENTILES = (2.0, 98.0)
"""What `--stretch auto` takes."""


def whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    """A check for whole numbers in a range."""

    def check(value: Any) -> int:
        number = finite(value)
        if number != int(number) or number < low or (high is not None and number > high):
            raise ValueError(f"a whole number from {low}" + ("" if high is None else f" to {high}"))
        return int(number)

    return check


def real(low: float, high: float = math.inf) -> Callable[[Any], float]:
    """A check for numbers in a range."""

    def check(value: Any) -> float:
        number = finite(value)
        if not low <= number <= high:
            raise ValueError(f"a number from {low:g}" + ("" if math.isinf(high) else f" to {high:g}"))
        return number

    return check


def positive(value: Any) -> float:
    """A number above 0."""
    number = finite(value)
    if number <= 0:
        raise ValueError("a number above 0")
    return number


def finite(value: Any) -> float:
    """A number that is one; true and false are not."""
    if isinstance(value, bool):
        raise ValueError("a number")  # noqa: TRY004 -- the caller turns it into an OptionError
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a number") from None
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def optional(check: Check) -> Check:
    """The check, with None and "auto" as None."""
    return lambda value: None if value is None or value == "auto" else check(value)


def overlap(value: Any) -> float:
    """A share of the tile, or pixels."""
    number = finite(value)
    if number < 0 or (number >= 1 and number != int(number)):
        raise ValueError("a share from 0 to below 1, or whole pixels from 1")
    return number


def word(value: Any) -> str:
    """A text that is not empty, or a path."""
    if not isinstance(value, (str, Path)) or not str(value):
        raise ValueError("a word")
    return str(value)


def one_of(known: tuple[str, ...]) -> Callable[[Any], str]:
    """A check for some words."""

    def check(value: Any) -> str:
        if value not in known:
            raise ValueError("one of " + ", ".join(known))
        return str(value)

    return check


def yes_no(value: Any) -> bool:
    """True or false, and nothing that only looks like it."""
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004
    return value


def words(value: Any) -> tuple[str, ...]:
    """Words from a text with commas, or from a list of such."""
    items = _items(value)
    parts = [w.strip() for item in items for w in str(item).split(",")]
    if not all(map(_is_word, items)) or not all(parts):
        raise ValueError("names or ids, parted by commas")
    return tuple(parts)


def groups(value: Any) -> tuple[tuple[str, ...], ...]:
    """Groups of words: from "car,van", a list of such texts, or a list of lists."""
    try:
        found = tuple(words(group) for group in _items(value))
    except ValueError:
        found = ((),)
    if any(len(set(group)) < 2 for group in found):
        raise ValueError("two classes or more that can be one object, for example car,van")
    return found


def _items(value: Any) -> list[Any]:
    """What a list holds; what is no list as the only item of one."""
    if value is None:
        return []
    single = isinstance(value, (str, Mapping)) or not isinstance(value, Iterable)
    return [value] if single else list(value)


def _is_word(value: Any) -> bool:
    """Whether it is a name or an id."""
    return isinstance(value, (str, Integral)) and not isinstance(value, bool)


def bands(value: Any) -> tuple[int, ...] | None:
    """One band or three, or None for what the file says."""
    if value is None or value in ("auto", ()):
        return None
    try:
        chosen = tuple(int(part) for part in _parts(value))
    except (TypeError, ValueError, OverflowError):
        chosen = ()
    if len(chosen) not in (1, 3) or min(chosen) < 1:
        raise ValueError("one band or three, counted from 1, for example 4,3,2")
    return chosen


def window(value: Any) -> tuple[int, int, int, int] | None:
    """x, y, width, height in scene pixels."""
    if value is None:
        return None
    try:
        x, y, width, height = (int(part) for part in _parts(value))
    except (TypeError, ValueError, OverflowError):
        x = y = width = height = -1
    if min(x, y) < 0 or min(width, height) < 1:
        raise ValueError("x,y,width,height in whole pixels of the scene, for example 1000,2000,4096,4096")
    return x, y, width, height


def nodata(value: Any) -> float | str | None:
    """A number, "nan", or "none" for no value at all; None leaves it to the file."""
    if value is None or value == "auto":
        return None
    if isinstance(value, str) and value.strip().lower() in ("none", "nan"):
        return value.strip().lower()
    try:
        return finite(value)
    except ValueError:
        raise ValueError("a number, nan or none") from None


class StretchRule(NamedTuple):
    """How levels become 8 bits.

    Fields: `kind`, one of "auto", "none", "percentiles" and "minmax"; `low`, `high`: percentiles of "auto"
    and "percentiles", levels of "minmax".
    """

    kind: str
    low: float = PERCENTILES[0]
    high: float = PERCENTILES[1]

    def __str__(self) -> str:
        if self.kind in ("auto", "none"):
            return self.kind
        low, high = (repr(level).removesuffix(".0") for level in (self.low, self.high))
        return f"{'minmax:' if self.kind == 'minmax' else ''}{low},{high}"


def parse_stretch(value: Any) -> StretchRule:
    """The rule that a text names: auto, none, LOW,HIGH percentiles, or minmax:A,B levels."""
    if isinstance(value, str) and value in ("auto", "none"):
        return StretchRule(value)
    text = value if isinstance(value, str) else None
    kind, _, numbers = text.rpartition(":") if text is not None else ("", "", value)
    try:
        low, high = (finite(part) for part in _parts(numbers))
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if kind == "minmax" and low < high:
        return StretchRule("minmax", low, high)
    if kind == "" and 0 <= low < high <= 100:
        return StretchRule("percentiles", low, high)
    raise ValueError("auto, none, two percentiles such as 2,98, or two levels such as minmax:0,3000")


def stretch(value: Any) -> str:
    """The text of a stretch rule, always spelt the same way."""
    return str(parse_stretch(value))


def thresholds(value: Any) -> Thresholds:
    """From a number, `class=number` texts, a mapping, or a list of those."""
    pairs: dict[str, float] = {}
    for name, score in _threshold_pairs(value):
        number = finite(score)
        if not 0 <= number <= 1:
            raise ValueError("a score from 0 to 1, or class=score")
        pairs[name] = number
    return tuple(sorted(pairs.items()))


def _threshold_pairs(value: Any) -> Iterable[tuple[str, Any]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [("" if name in ("all", "") else str(name), score) for name, score in value.items()]
    if isinstance(value, str):
        name, equals, score = value.rpartition("=")
        return [(name.strip(), score)] if equals else [(ALL_CLASSES, value)]
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], float):
            return [(value[0], value[1])]
        return [pair for item in value for pair in _threshold_pairs(item)]
    return [(ALL_CLASSES, value)]


def _parts(value: Any) -> list[Any]:
    """The items of a text with commas, of a list, or of one number."""
    if isinstance(value, str):
        return value.split(",")
    return [value] if isinstance(value, int) else list(value)
