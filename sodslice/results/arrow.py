"""Rows of results as Arrow record batches: what formats for maps and tables are made of."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from sodslice.errors import OutputError, SodsliceError
from sodslice.place.polygons import point_wkbs, polygon_wkbs
from sodslice.results.columns import COLUMNS, TEXTS, Piece

GEOMETRY = "geometry"
BOUNDS = ("xmin", "ymin", "xmax", "ymax")
MEMBER = "sodslice"
"""Under this name files hold, as JSON, what JSON and GeoJSON say of a result beside its rows."""


def _no_vector(name: str) -> OutputError:
    return OutputError(
        f"this format needs the package {name}; install sodslice[vector], or write .geojson or .csv"
    )


def package(name: str, error: Callable[[str], SodsliceError] = _no_vector) -> Any:
    """A package that is imported when it is used; by itself, one of the extra `vector`.

    Raises:
        OutputError: it is not installed; or what `error` makes of its name.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise error(name.partition(".")[0]) from None


def missing(*names: str) -> str:
    """Why a format cannot be written here; "" where all packages of some names are installed."""
    try:
        for name in names:
            package(name)
    except OutputError as error:
        return str(error)
    return ""


def schema(*, bounds: bool = False) -> Any:
    """Types of the columns, geometry first.

    Args:
        bounds: with a column `bbox` of west, south, east and north of each geometry, for readers of parts.
    """
    pa = package("pyarrow")
    kinds = {"id": pa.int64(), "cls_id": pa.int32(), **dict.fromkeys(TEXTS, pa.string())}
    fields = [pa.field(name, kinds.get(name, pa.float64())) for name in COLUMNS]
    box = [pa.field("bbox", pa.struct([(edge, pa.float64()) for edge in BOUNDS]))] if bounds else []
    return pa.schema([pa.field(GEOMETRY, pa.binary()), *fields, *box])


def batch_of(piece: Piece, wanted: Any, *, multi: bool = False) -> Any:
    """A record batch of some rows.

    Args:
        piece: the rows.
        wanted: its schema.
        multi: polygons are MultiPolygons, all of them.
    """
    pa = package("pyarrow")
    wkbs = wkbs_of(piece, multi=multi)
    arrays = [pa.array(wkbs, pa.binary())]
    columns = piece.columns
    arrays += [
        pa.array(columns[name], wanted.field(name).type, from_pandas=True)  # NaN is nothing
        for name in COLUMNS
    ]
    if "bbox" in wanted.names:
        edges = piece.bounds.T
        arrays.append(pa.StructArray.from_arrays([pa.array(edge) for edge in edges], names=list(BOUNDS)))
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


def wkbs_of(piece: Piece, *, multi: bool) -> list[bytes]:
    """WKB of the rows that have a place."""
    if piece.places is not None:
        return polygon_wkbs(piece.places, multi=multi)
    assert piece.points is not None
    return point_wkbs(piece.points[piece.placed])


def reader_of(batches: Iterable[Any], wanted: Any) -> Any:
    """A stream of record batches."""
    return package("pyarrow").RecordBatchReader.from_batches(wanted, iter(batches))


def said_in(text: str | bytes | None) -> dict[str, Any]:
    """What a file says of its rows, of the text under `MEMBER`; {} where it says nothing in our way."""
    with suppress(ValueError):
        said = orjson.loads(text or "{}")
        return said if isinstance(said, dict) else {}
    return {}


def content_of(said: Mapping[str, Any], table: Any) -> dict[str, Any]:
    """What GeoJSON would hold of a table: what the file says of it, and its rows as bare features."""
    if table is None:
        return dict(said)
    rows = table.select([name for name in COLUMNS if name in table.column_names]).to_pylist()
    return {**said, "features": [{"properties": row} for row in rows]}
