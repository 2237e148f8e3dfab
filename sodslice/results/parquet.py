"""GeoParquet 1.1: WKB geometries with their bounds, written by row groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pyproj

from sodslice.errors import SodsliceError
from sodslice.place.frames import WGS84, Frame
from sodslice.place.georef import GeoRef
from sodslice.results.arrow import BOUNDS, GEOMETRY, MEMBER, content_of, missing, package, said_in, schema
from sodslice.results.batches import Batches, why_not_placed
from sodslice.results.columns import TEXTS
from sodslice.results.document import COMBINED, about
from sodslice.results.format import Format
from sodslice.results.reading import result_from
from sodslice.results.result import RunResult
from sodslice.results.writing import Writing

VERSION = "1.1.0"


def write_parquet(result: RunResult, path: Path) -> None:
    """Write a GeoParquet file; its key `sodslice` says how the result came to be."""
    _write(Batches([result], alone=True), path, about(result))


def combine_parquet(results: Iterable[RunResult], path: Path) -> None:
    """Write one GeoParquet file of many results, in which each row names its `source`.

    Raises:
        OutputError: the results differ in their coordinates.
    """
    _write(Batches(results, alone=False), path, COMBINED)


def read_parquet(path: Path) -> RunResult:
    """The result in a GeoParquet file that a run wrote.

    Raises:
        SodsliceError: it cannot be read, or was not written by a run.
    """
    pa, parquet = package("pyarrow"), package("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            said = _said(file)
            table = file.read() if said else None
    except (pa.ArrowException, OSError) as error:
        raise SodsliceError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    return result_from(content_of(said, table), str(path))


def _write(batches: Batches, path: Path, said: Mapping[str, Any]) -> None:
    parquet, columns = package("pyarrow.parquet"), schema(bounds=True)
    with parquet.ParquetWriter(path, columns, compression="snappy", use_dictionary=list(TEXTS)) as file:
        for batch in batches.of(columns):
            file.write_batch(batch)
        file.add_key_value_metadata(
            {"geo": orjson.dumps(_geo(batches.frame, batches.kind)), MEMBER: orjson.dumps(said)}
        )


def _geo(frame: Frame, kind: str) -> dict[str, Any]:
    """The metadata of GeoParquet (https://geoparquet.org/releases/v1.1.0)."""
    column = {
        "encoding": "WKB",
        "geometry_types": [kind],
        "crs": None if frame.crs is None else pyproj.CRS.from_user_input(_as_read(frame.crs)).to_json_dict(),
        "covering": {"bbox": {edge: ["bbox", edge] for edge in BOUNDS}},
    }
    if kind != "Point":
        column["orientation"] = "counterclockwise"
    return {"version": VERSION, "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


def _as_read(crs: str) -> str:
    """OGC's name of WGS 84 with longitude first, which is what the coordinates are."""
    return "OGC:CRS84" if crs == WGS84 else crs


def _said(file: Any) -> dict[str, Any]:
    return said_in((file.metadata.metadata or {}).get(MEMBER.encode()))


def _is_own(path: Path) -> bool:
    pa, parquet = package("pyarrow"), package("pyarrow.parquet")
    with suppress(pa.ArrowException, OSError), parquet.ParquetFile(path) as file:
        return bool(_said(file))
    return False


def _why_not(georef: GeoRef, writing: Writing) -> str:
    return missing("pyarrow", "pyarrow.parquet") or why_not_placed(georef, writing, "GeoParquet")


FORMAT = Format(
    "parquet",
    (".parquet", ".geoparquet"),
    write=write_parquet,
    why_not=_why_not,
    read=read_parquet,
    is_own=_is_own,
    heeds=("geometry", "output_crs", "pixel_coords"),
    combine=combine_parquet,
)
