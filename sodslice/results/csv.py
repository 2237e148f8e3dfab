"""CSV: one line an object, with its middle in longitude and latitude, for spreadsheets and databases."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from sodslice.results.columns import EDGES, MEASURES, Column, columns_of, slices
from sodslice.results.document import json_cells
from sodslice.results.format import Format
from sodslice.results.geojson import degree_decimals
from sodslice.results.result import RunResult, rounded_boxes
from sodslice.system.ahead import made_ahead
from sodslice.tables.boxes import centers

HEADER = ("lon", "lat", "score", "label", "cls_id", *EDGES, *MEASURES, "id", "source")
HEADER_LINE = ",".join(HEADER).encode() + b"\n"

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in spreadsheets."""
SPECIAL = '",\r\n'
"""What must stand within quotes."""


def write_csv(result: RunResult, path: Path) -> None:
    """Write a table of all objects (RFC 4180, UTF-8); what is not known is empty.

    Objects without longitude and latitude stand in it too. A text that a spreadsheet would take for a
    formula begins with an apostrophe.
    """
    combine_csv([result], path)


def combine_csv(results: Iterable[RunResult], path: Path) -> None:
    """Write one table of many results, in which each line names its `source`."""
    before = 0
    with path.open("wb") as file:
        file.write(HEADER_LINE)
        for result in results:
            lines = made_ahead(partial(_lines, result, before + 1), slices(len(result)))
            file.writelines(chain.from_iterable(lines))
            before += len(result)


def _lines(result: RunResult, first_id: int, part: slice) -> list[bytes]:
    some = result.rows(part)
    columns = columns_of(some, first_id=first_id + part.start)
    columns["lon"], columns["lat"] = _middles(some)
    template = b",".join([b"%b"] * len(HEADER)) + b"\n"
    return [template % row for row in zip(*(_cells(columns[name]) for name in HEADER), strict=True)]


def _middles(some: RunResult) -> Column:
    """Longitudes and latitudes `(2, N)` of the middles of boxes; NaN where there are none."""
    if not some.georef.on_map:
        return np.full((2, len(some)), np.nan)
    places = some.georef.to_known_lonlat(centers(rounded_boxes(some)))
    rounded: Column = np.round(places.T, degree_decimals(some))
    return rounded


def _cells(column: Column) -> list[bytes]:
    """A column as it is written; what is not known is empty."""
    if column.dtype == object:
        known = {value: _text(value) for value in set(column.tolist())}
        return [known[value] for value in column.tolist()]
    cells = json_cells(column)
    return (
        cells
        if column.dtype.kind == "i" or not np.isnan(column).any()
        else [b"" if cell == b"null" else cell for cell in cells]
    )


def _text(value: str) -> bytes:
    """A text as a cell: quoted where it must be, and no formula."""
    safe = f"'{value}" if value.startswith(FORMULAS) else value
    quoted = '"' + safe.replace('"', '""') + '"' if any(one in safe for one in SPECIAL) else safe
    return quoted.encode(errors="surrogateescape")


def _is_own(path: Path) -> bool:
    """Whether a file begins with our header."""
    with path.open("rb") as file:
        return file.readline(1024).rstrip(b"\r\n") == HEADER_LINE.rstrip()


FORMAT = Format(
    "csv",
    (".csv",),
    write=write_csv,
    is_own=_is_own,
    heeds=("pixel_coords",),
    combine=combine_csv,
)
