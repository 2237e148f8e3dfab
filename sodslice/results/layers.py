"""GeoPackage and FlatGeobuf: layers for maps, written by GDAL as their rows come."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from sodslice.errors import OutputError, SodsliceError
from sodslice.place.georef import GeoRef
from sodslice.results.arrow import GEOMETRY, MEMBER, content_of, missing, package, reader_of, said_in, schema
from sodslice.results.batches import Batches, why_not_placed
from sodslice.results.columns import writing_of
from sodslice.results.document import COMBINED, about
from sodslice.results.format import Format
from sodslice.results.qgis_style import add_style, qml, style_words
from sodslice.results.reading import result_from
from sodslice.results.result import RunResult
from sodslice.results.writing import Writing

LAYER = "detections"
OURS = {LAYER, "layer_styles"}
"""Tables of a GeoPackage that nobody else added anything to."""

STANDARD = ("gpkg_", "rtree_", "sqlite_")
"""What names of tables begin with that the format itself has."""
MOST_SAID = 4 << 20
"""Bytes of metadata in the header of a FlatGeobuf, which readers take whole."""

GPKG, FGB = "GPKG", "FlatGeobuf"
NAMES = {GPKG: "GeoPackage", FGB: "FlatGeobuf"}


def write_gpkg(result: RunResult, path: Path) -> None:
    """Write a GeoPackage with the layer `detections`, and a style that QGIS takes by itself.

    Raises:
        OutputError: GDAL refuses.
    """
    _write(Batches([result], alone=True), path, GPKG, about(result))
    _style(path, result.class_names, writing_of(result))


def combine_gpkg(results: Iterable[RunResult], path: Path) -> None:
    """Write one GeoPackage of many results, in which each row names its `source`.

    Raises:
        OutputError: GDAL refuses, or the results differ in their coordinates.
    """
    batches = Batches(results, alone=False)
    _write(batches, path, GPKG, COMBINED)
    _style(path, batches.class_names, batches.writing)


def write_fgb(result: RunResult, path: Path) -> None:
    """Write a FlatGeobuf with a spatial index.

    Raises:
        OutputError: GDAL refuses.
    """
    _write(Batches([result], alone=True), path, FGB, about(result))


def combine_fgb(results: Iterable[RunResult], path: Path) -> None:
    """Write one FlatGeobuf of many results, in which each row names its `source`.

    Raises:
        OutputError: GDAL refuses, or the results differ in their coordinates.
    """
    _write(Batches(results, alone=False), path, FGB, COMBINED)


def read_layer(path: Path) -> RunResult:
    """The result in a GeoPackage or FlatGeobuf that a run wrote.

    Raises:
        SodsliceError: it cannot be read, or was not written by a run.
    """
    pyogrio = package("pyogrio")
    try:
        said = _said(path)
        package("pyarrow")
        table = pyogrio.read_arrow(path, layer=LAYER, read_geometry=False)[1]
        if "id" in table.column_names:
            table = table.sort_by("id")  # an index orders a FlatGeobuf by place
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise SodsliceError(f"{path} cannot be read: {_line(error)}") from None
    return result_from(content_of(said, table), str(path))


def _write(batches: Batches, path: Path, driver: str, said: Mapping[str, Any]) -> None:
    """Write a layer.

    Args:
        batches: its rows.
        path: of the file.
        driver: GDAL's name of the format.
        said: what the file says of them.
    """
    pyogrio, columns = package("pyogrio"), schema()
    rows = _Told(batches.of(columns))
    settings = {"layer": LAYER, "driver": driver, "geometry_name": GEOMETRY, "geometry_type": batches.kind}
    metadata = {MEMBER: orjson.dumps(said).decode()}
    if driver == FGB and len(metadata[MEMBER]) > MOST_SAID:
        raise OutputError(
            "what is to be said of this run is too long for FlatGeobuf; write .gpkg or .parquet"
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # scene pixels
            pyogrio.write_arrow(
                reader_of(rows, columns),
                path,
                crs=batches.frame.crs,
                layer_metadata=metadata,
                **settings,
            )
    except (pyogrio.errors.DataSourceError, RuntimeError) as error:
        if rows.error is not None:
            raise rows.error from None
        raise OutputError(f"GDAL cannot write {NAMES[driver]}: {_line(error)}") from None


class _Told:
    """An iterator that keeps the error in which it ended; Arrow's streams only say that there was one.

    Args:
        items: what it gives.
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._items)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


def _style(path: Path, class_names: tuple[str, ...], writing: Writing) -> None:
    add_style(path, LAYER, "geom", qml(class_names, geometry=writing.geometry))


def _said(path: Path) -> dict[str, Any]:
    return said_in((package("pyogrio").read_info(path, layer=LAYER).get("layer_metadata") or {}).get(MEMBER))


def _is_own(path: Path) -> bool:
    """Whether a file says that it is of our making, and nobody added a layer to it."""
    if path.suffix.lower() == ".gpkg" and not _has_only_our_tables(path):
        return False
    pyogrio = package("pyogrio")
    with suppress(pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return bool(_said(path))
    return False


def _has_only_our_tables(path: Path) -> bool:
    """Whether nobody added a table, or changed the style: QGIS keeps projects and styles in such files."""
    place = f"{path.resolve().as_uri()}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(place, uri=True)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        styles = database.execute("SELECT styleQML, description FROM layer_styles").fetchall()
        others = {name for name in names if not name.startswith(STANDARD)} - OURS
        return not others and all(said == style_words(style) for style, said in styles) and len(styles) == 1
    return False


def _why_not(georef: GeoRef, writing: Writing, *, what: str) -> str:
    return missing("pyogrio", "pyarrow") or why_not_placed(georef, writing, what)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


HEEDS = ("geometry", "output_crs", "pixel_coords")

GEOPACKAGE = Format(
    "gpkg",
    (".gpkg",),
    write=write_gpkg,
    why_not=partial(_why_not, what="GeoPackage"),
    read=read_layer,
    is_own=_is_own,
    heeds=HEEDS,
    combine=combine_gpkg,
)
FLATGEOBUF = Format(
    "fgb",
    (".fgb",),
    write=write_fgb,
    why_not=partial(_why_not, what="FlatGeobuf"),
    read=read_layer,
    is_own=_is_own,
    heeds=(*HEEDS, "qml"),
    combine=combine_fgb,
)
