"""What a cell of somebody's JSON holds: its value, or None where it is not of the kind."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

MOST_LETTERS = 60
FLOAT32_MAX = (2 - 2**-23) * 2.0**127
EXACT = 2.0**53
"""From here on neighbouring whole numbers are one and the same float."""


def number(value: Any, most: float = math.inf) -> float | None:
    """A finite number, from -most to most; true and false are none, nor is a text of digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > most:
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def numbers(value: Any, count: int | None = None, most: float = math.inf) -> list[float] | None:
    """A list of finite numbers; of so many, where a count is given."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        return None
    found = [number(item, most) for item in value]
    return None if None in found else found  # type: ignore[return-value]


def whole(value: Any, most: float = math.inf, *, least: float = -math.inf) -> int | None:
    """A whole number in a range; 3.0 is one, as tables that once held a gap write it."""
    found = number(value, most)
    if found is None or found < least or not found.is_integer() or inexact(value):
        return None
    return int(value)


def inexact(value: Any) -> bool:
    """Whether it is a float that may have been another whole number, as JSON's above 64 bits become."""
    return isinstance(value, float) and abs(value) > EXACT


def score(value: Any) -> float | None:
    """A number that a column of scores, float32, can hold."""
    return number(value, FLOAT32_MAX)


def text(value: Any) -> str | None:
    """A text, or the digits of a number: names of classes are codes in some files."""
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def name(value: Any) -> str | None:
    """A name as people read it: one space between words, none around it, letters composed (Unicode's NFC)."""
    found = text(value)
    return None if found is None else unicodedata.normalize("NFC", " ".join(found.split())) or None


def flag(value: Any) -> bool | None:
    """Yes or no: 1 or 0, as COCO writes it, or true or false; as texts too, and an empty cell is no."""
    if empty(value):
        return False
    word = value.strip().lower() if isinstance(value, str) else value
    return _FLAGS.get(word) if isinstance(word, (str, int, float)) else None


def empty(value: Any) -> bool:
    """Whether a cell holds nothing: null, or a text without a letter, as tables write it."""
    return value is None or (isinstance(value, str) and not value.strip())


def shown(value: Any) -> str:
    """A cell in a message: on one line, and cut where it is long."""
    words = repr(value)
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 3]}..."


def bare(value: Any) -> str:
    """A name or an id in a message, without quotes; on one line, and cut where it is long."""
    words = " ".join(str(value).split())
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 3]}..."


_FLAGS = {0: False, 1: True, "0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
"""0.0 and false are the key 0, 1.0 and true the key 1."""
