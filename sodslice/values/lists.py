"""Kinds of lists: of numbers, and of values that have settings themselves."""

from __future__ import annotations

import itertools
import numbers
from dataclasses import dataclass, field
from typing import Any

from sodslice.values.kinds import Kind, Real, Schema, parts
from sodslice.values.setting import default_values, mapping_schema, plain_values, settings_of, value_from


@dataclass(frozen=True)
class Numbers(Kind):
    """Numbers from a list, a text with commas, or one number alone.

    Args:
        words: what is wanted, for errors.
        count: how many at least and at most.
        each: the kind of each of them.
        rising: whether each is at least as large as the one before it.
    """

    words: str
    count: tuple[int, int]
    each: Kind = field(default_factory=Real)
    rising: bool = False
    metavar = "N,N"

    def read(self, given: Any) -> tuple[Any, ...]:
        """See `Kind`."""
        try:
            row = [given] if isinstance(given, numbers.Real) else parts(given)
            found = tuple(self.each.read(number) for number in row)
        except (TypeError, ValueError):
            raise ValueError(self.words) from None
        falls = any(one > other for one, other in itertools.pairwise(found))
        if not self.count[0] <= len(found) <= self.count[1] or (self.rising and falls):
            raise ValueError(self.words)
        return found

    def schema(self) -> Schema:
        """See `Kind`."""
        fewest, most = self.count
        return {"type": "array", "items": self.each.schema(), "minItems": fewest, "maxItems": most}


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of values of one dataclass with settings, from such values or from mappings.

    Args:
        holder: the dataclass.
        noun: what one of them is called in errors, such as "source": the first is "source 1".
    """

    holder: type[Any]
    noun: str

    def read(self, given: Any) -> tuple[Any, ...]:
        """See `Kind`.

        Raises:
            OptionError: one of them is wrong; it says which.
        """
        if not isinstance(given, (list, tuple)):
            raise ValueError(f"a list of {self.noun}s")  # noqa: TRY004 -- the caller makes it an OptionError
        return tuple(self._one(item, f"{self.noun} {number}") for number, item in enumerate(given, start=1))

    def plain(self, value: Any) -> list[dict[str, Any]]:
        """See `Kind`."""
        return [plain_values(item) for item in value]

    def schema(self) -> Schema:
        """See `Kind`."""
        return {
            "type": "array",
            "items": mapping_schema(settings_of(self.holder), default_values(self.holder)),
        }

    def _one(self, item: Any, where: str) -> Any:
        return item if isinstance(item, self.holder) else value_from(self.holder, item, where=where)
