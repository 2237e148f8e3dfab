"""Tables in somebody's JSON, lists of mappings: read column by column, with checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sodslice.errors import did_you_mean
from sodslice.values import cells


class Cell(NamedTuple):
    """What stands in a column.

    Args:
        read: gives the value of a cell, or None where it is none of the kind.
        what: the kind in words, as in "a whole number".
        why: words after what was got, where they explain why it is none.
    """

    read: Callable[[Any], Any]
    what: str
    why: Callable[[Any], str] = lambda _: ""


def _beyond_64_bits(value: Any) -> str:
    return " (JSON's numbers beyond 64 bits are not exact)" if cells.inexact(value) else ""


WHOLE = Cell(cells.whole, "a whole number", _beyond_64_bits)
TEXT = Cell(cells.text, "a text")
NAME = Cell(cells.name, "a text")
SCORE = Cell(cells.score, "a number")
FLAG = Cell(cells.flag, "0 or 1")


class Place(NamedTuple):
    """A row and its number in the list."""

    number: int
    row: Mapping[str, Any]


class Columns:
    """Some rows of a list, column by column; what is wrong gathers in `problems`, a sentence for each kind.

    Args:
        table: what messages call the list, in the plural.
        places: the rows.
        usual: keys that are no slip of the pen for another one.
    """

    def __init__(self, table: str, places: Iterable[Place], usual: Iterable[str] = ()) -> None:
        self.table = table
        self.places = tuple(places)
        self.problems: list[str] = []
        self._usual = frozenset(usual)

    def needed(self, key: str, cell: Cell) -> list[Any]:
        """A column that each row must have; None in cells that are wrong or missing."""
        self.refuse_lacking(key, [place for place in self.places if key not in place.row])
        found = [cell.read(place.row[key]) if key in place.row else None for place in self.places]
        self._refuse_wrong(key, cell, [value is None and key in p.row for value, p in self._with(found)])
        return found

    def optional(self, key: str, cell: Cell, default: Any) -> list[Any]:
        """A column with a default for rows where it is missing or empty; None in cells that are wrong."""
        given = [not cells.empty(place.row.get(key)) for place in self.places]
        found = [
            cell.read(place.row[key]) if there else default
            for there, place in zip(given, self.places, strict=True)
        ]
        wrong = [value is None and there for value, there in zip(found, given, strict=True)]
        self._refuse_wrong(key, cell, wrong)
        return found

    def _with(self, column: Sequence[Any]) -> Iterable[tuple[Any, Place]]:
        return zip(column, self.places, strict=True)

    def _refuse_wrong(self, key: str, cell: Cell, flags: Sequence[bool]) -> None:
        wrong = [place for flag, place in self._with(flags) if flag]
        if wrong:
            value = wrong[0].row[key]
            count = f" in {len(wrong)} rows" if len(wrong) > 1 else ""
            got = f"got {cells.shown(value)}{cell.why(value)}{count}"
            self.problems.append(f"{key} in {self.table} must be {cell.what}, {got}, {_first(wrong[0])}")

    def refuse_lacking(self, key: str, lacking: Sequence[Place]) -> None:
        """Note that some rows have no such key, with the misspelt one where there is one."""
        if lacking:
            hint = did_you_mean(
                key, sorted({key for place in self.places for key in place.row} - self._usual)
            )
            rows = f"{len(lacking)} of {len(self.places)} {self.table}"
            self.problems.append(f"{rows} lack {key!r}{hint}, {_first(lacking[0])}")

    def refuse_repeated(self, keys: Sequence[Hashable], what: str) -> None:
        """Note that some values of a column, as in "ids of images", come more than once."""
        twice = [key for key, count in Counter(keys).items() if count > 1 and key is not None]
        if twice:
            self.problems.append(f"{len(twice)} {what}, first {cells.bare(twice[0])}")

    def called(self, place: Place) -> str:
        """What messages call a row: by its id, or by its number where it has none."""
        key = cells.whole(place.row.get("id"))
        return f"{self.table}[{place.number}]" if key is None else f"{self.table.removesuffix('s')} {key}"


def wrong_tables(document: Any, tables: Iterable[str]) -> list[str]:
    """What keeps the tables of a parsed document from being read at all, one sentence for each."""
    tables = list(tables)
    if not isinstance(document, Mapping):
        wanted = " and ".join(filter(None, (", ".join(tables[:-1]), tables[-1])))
        return [f"the top level must be a mapping of {wanted}, got a {type(document).__name__}"]
    problems = []
    for table in tables:
        if document.get(table) is None:
            hint = did_you_mean(table, [key for key in document if key not in tables])
            problems.append(f"the table {table!r} is missing{hint}")
        else:
            problems += wrong_table(repr(table), document[table])
    return problems


def wrong_table(what: str, value: Any) -> list[str]:
    """What keeps a value, which messages call so, from being a table: one sentence, or none."""
    if not isinstance(value, list):
        return [f"{what} must be a list of mappings, got a {type(value).__name__}"]
    wrong = [number for number, row in enumerate(value) if not isinstance(row, Mapping)]
    if not wrong:
        return []
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return [f"{what} must be a list of mappings, got {cells.shown(value[wrong[0]])} in row {wrong[0]}{more}"]


def is_table(value: Any) -> bool:
    """Whether it is a list of mappings."""
    return isinstance(value, list) and all(isinstance(row, Mapping) for row in value)


def _first(place: Place) -> str:
    key = cells.whole(place.row.get("id"))
    return f"first row {place.number}" if key is None else f"first id {key}"
