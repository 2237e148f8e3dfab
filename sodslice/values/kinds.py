"""Kinds of values: from what users write (texts, numbers, lists, mappings) to what the code works with.

Each kind says what it takes in words, for errors, and as a JSON Schema, for editors and services. Kinds that
only one stage needs stand in the room of that stage.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

Schema = dict[str, Any]


class Kind(ABC):
    """What a setting takes."""

    metavar = "TEXT"
    """What stands for the value in help texts."""

    @abstractmethod
    def read(self, given: Any) -> Any:
        """The value that was meant.

        Args:
            given: a text as typed, or what YAML, JSON or Python hold.

        Raises:
            ValueError: it is none; the message says what was expected, as in "a number from 0 to 1".
        """

    @abstractmethod
    def schema(self) -> Schema:
        """The JSON Schema of what `plain` gives."""

    def plain(self, value: Any) -> Any:
        """The value as JSON and YAML hold it; `read` takes it back."""
        return (
            [list(item) if isinstance(item, tuple) else item for item in value] if _is_row(value) else value
        )

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, where there are only some."""
        return ()


@dataclass(frozen=True)
class Whole(Kind):
    """Whole numbers from `low` to `high` (None: no limit) that are multiples of `multiple`."""

    low: int
    high: int | None = None
    multiple: int = 1
    metavar = "N"

    def read(self, given: Any) -> int:
        """See `Kind`."""
        number = finite(given, self._words())
        whole = _exact(given, number)
        high = math.inf if self.high is None else self.high
        if not number.is_integer() or not self.low <= whole <= high or whole % self.multiple:
            raise ValueError(self._words())
        return whole

    def schema(self) -> Schema:
        """See `Kind`."""
        limits = {"minimum": self.low, "maximum": self.high}
        steps = {"multipleOf": self.multiple} if self.multiple > 1 else {}
        return {"type": "integer", **{k: v for k, v in limits.items() if v is not None}, **steps}

    def _words(self) -> str:
        of = f" that is a multiple of {self.multiple}" if self.multiple > 1 else ""
        return f"a whole number{of} from {self.low}" + ("" if self.high is None else f" to {self.high}")


@dataclass(frozen=True)
class Real(Kind):
    """Finite numbers from `low` to `high`; `low` itself only if `open_` is false."""

    low: float = -math.inf
    high: float = math.inf
    open_: bool = False
    metavar = "NUMBER"

    def read(self, given: Any) -> float:
        """See `Kind`."""
        number = finite(given, self._words())
        if not self.low <= number <= self.high or (self.open_ and number == self.low):
            raise ValueError(self._words())
        return number

    def schema(self) -> Schema:
        """See `Kind`."""
        lowest = {} if math.isinf(self.low) else {"exclusiveMinimum" if self.open_ else "minimum": self.low}
        highest = {} if math.isinf(self.high) else {"maximum": self.high}
        return {"type": "number", **lowest, **highest}

    def _words(self) -> str:
        """What is wanted; "" where any number is."""
        lowest = "" if math.isinf(self.low) else f" {'above' if self.open_ else 'from'} {self.low:g}"
        highest = (
            "" if math.isinf(self.high) else f" {'up ' if self.open_ or not lowest else ''}to {self.high:g}"
        )
        return f"a number{lowest}{highest}" if lowest or highest else ""


@dataclass(frozen=True)
class Word(Kind):
    """A text or a path; an empty one only if `empty` is true."""

    empty: bool = False

    def read(self, given: Any) -> str:
        """See `Kind`."""
        if not isinstance(given, (str, Path)) or not (str(given) or self.empty):
            raise ValueError("a text" if self.empty else "a word")
        return str(given)

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "string"} if self.empty else {"type": "string", "minLength": 1}


@dataclass(frozen=True)
class OneOf(Kind):
    """One of some words."""

    words: tuple[str, ...]

    def read(self, given: Any) -> str:
        """See `Kind`."""
        if not isinstance(given, str) or given not in self.words:
            raise ValueError("one of " + ", ".join(self.words))
        return str(given)

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"enum": list(self.words)}

    @property
    def choices(self) -> tuple[str, ...]:
        """The words."""
        return self.words


@dataclass(frozen=True)
class Switch(Kind):
    """True or false, and nothing that only looks like it."""

    def read(self, given: Any) -> bool:
        """See `Kind`."""
        if not _is_truth(given):
            raise ValueError("true or false")
        return bool(given)

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Words(Kind):
    """Words from a text with commas, or from a list of such; with `listed`, from a list of texts alone."""

    listed: bool = False

    def read(self, given: Any) -> tuple[str, ...]:
        """See `Kind`."""
        if self.listed:
            if not isinstance(given, (list, tuple)) or not all(isinstance(w, str) and w for w in given):
                raise ValueError("a list of names")
            return tuple(given)
        given = items(given)
        parts = [w.strip() for item in given for w in str(item).split(",")]
        if not all(map(_is_word, given)) or not all(parts):
            raise ValueError("names or ids, parted by commas")
        return tuple(parts)

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "array", "items": {"type": "string", "minLength": 1}}


@dataclass(frozen=True)
class Maybe(Kind):
    """Another kind, or nothing: None, and a word that stands for it."""

    kind: Kind
    word: str = "auto"

    def read(self, given: Any) -> Any:
        """See `Kind`."""
        nothing = given is None or (isinstance(given, str) and given == self.word)
        return None if nothing else self.kind.read(given)

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"anyOf": [self.kind.schema(), {"type": "null"}]}

    def plain(self, value: Any) -> Any:
        """See `Kind`."""
        return None if value is None else self.kind.plain(value)

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """That of the other kind."""
        return self.kind.metavar


def finite(given: Any, words: str = "") -> float:
    """A number that is one, from a number or a text; true and false are not.

    Args:
        given: what was given.
        words: what was expected, for the error, where that is more than any number.

    Raises:
        ValueError: it is none.
    """
    if _is_truth(given):
        raise ValueError(words or "a number")
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(words or "a number") from None
    if not math.isfinite(number):
        raise ValueError(words or "a finite number")
    return number


def _is_truth(given: Any) -> bool:
    """Whether it is true or false, of Python or of numpy, which is not loaded for the question."""
    return isinstance(given, bool) or type(given).__name__ in ("bool_", "bool")


def items(given: Any) -> list[Any]:
    """What a list holds; what is no list as the only item of one."""
    if given is None:
        return []
    single = isinstance(given, (str, Mapping)) or not isinstance(given, Iterable)
    return [given] if single else list(given)


def parts(given: Any) -> list[Any]:
    """The items of a text with commas, of a list, or of one number.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(given, str):
        return given.split(",")
    if isinstance(given, (bytes, Mapping, Set)):
        raise TypeError("a list")
    return [given] if isinstance(given, int) else list(given)


def _exact(given: Any, number: float) -> int:
    """The whole part of a number; a float alone would be wrong beyond 2**53."""
    try:
        return int(given)
    except ValueError:  # a text such as "2.0"
        return int(number)


def _is_word(given: Any) -> bool:
    """Whether it is a name or an id."""
    return isinstance(given, (str, Integral)) and not isinstance(given, bool)


def _is_row(given: Any) -> bool:
    return isinstance(given, (list, tuple))
