"""The formats by name, and what a path's suffix chooses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from sodslice.errors import OutputError, SodsliceError, did_you_mean
from sodslice.place.georef import GeoRef
from sodslice.results.columns import writing_of
from sodslice.results.format import Format
from sodslice.results.result import RunResult
from sodslice.results.writing import Writing
from sodslice.system.files import appearing, check_writable, write_atomically
from sodslice.system.registry import Registry

HOMES = {
    "json": ("json", "FORMAT"),
    "geojson": ("geojson", "FORMAT"),
    "geojsonl": ("geojson", "LINES"),
    "gpkg": ("layers", "GEOPACKAGE"),
    "fgb": ("layers", "FLATGEOBUF"),
    "parquet": ("parquet", "FORMAT"),
    "csv": ("csv", "FORMAT"),
    "coco": ("coco", "FORMAT"),
    "png": ("picture", "PNG"),
    "jpeg": ("picture", "JPEG"),
}
"""Module and name of each of our own, so that none is loaded before it is asked for."""

FORMATS: Registry[Format] = Registry(
    "format",
    "sodslice.formats",
    {
        name: lambda home=home: getattr(import_module(f"sodslice.results.{home[0]}"), home[1])  # type: ignore[misc]
        for name, home in HOMES.items()
    },
)
"""What results can be written as; packages add theirs by the entry point `sodslice.formats`."""


def known_suffixes() -> tuple[str, ...]:
    """Suffixes of files that results can be written as."""
    return tuple(suffix for one in FORMATS for suffix in one.suffixes)


def format_of(path: str | Path) -> Format | None:
    """The format that a path's suffix chooses; None where none has it."""
    name = Path(path).name.lower()
    fitting = [
        (len(suffix), one)
        for one in FORMATS
        for suffix in one.suffixes
        if name.endswith(suffix) and len(name) > len(suffix)
    ]
    return max(fitting, key=lambda item: item[0])[1] if fitting else None


def check_output(path: str | Path, *, georef: GeoRef, writing: Writing | None = None) -> Format:
    """Make sure, before the work is done, that a result can be written to a path.

    Args:
        path: where to write.
        georef: where the scene lies.
        writing: settings of the formats.

    Returns:
        The format.

    Raises:
        OutputError: the suffix is unknown, the format cannot hold such a result, or the folder cannot be
            written.
    """
    chosen = format_of(path)
    if chosen is None:
        suffix, known = Path(path).suffix.lower(), known_suffixes()
        raise OutputError(
            f"{path} has the unknown suffix {suffix!r}{did_you_mean(suffix, known)}; "
            f"known are {', '.join(known)}"
        )
    reason = chosen.why_not(georef, writing or Writing())
    if reason:
        raise OutputError(f"{path}: {reason}")
    check_writable(Path(path))
    return chosen


def check_replaceable(path: str | Path) -> None:
    """Make sure that a file which is written takes no other place than that of one of our own.

    Raises:
        OutputError: something is there that sodslice did not write, or that somebody added to.
    """
    if Path(path).exists() and not is_own(Path(path)):
        raise OutputError(
            f"{path} is here and was not written by sodslice; give another `output`, or move it away"
        )


def check_heeded(paths: Sequence[str | Path], writing: Writing) -> None:
    """Make sure that each setting of the formats that was changed changes one of the files.

    Raises:
        OutputError: one does not, and would be passed over in silence.
    """
    chosen = [one for one in map(format_of, paths) if one is not None]
    plain, usual = dataclasses.asdict(writing), Writing()
    for name, value in plain.items():
        if value == getattr(usual, name) or not chosen or any(name in one.heeds for one in chosen):
            continue
        able = ", ".join(suffix for one in FORMATS for suffix in one.suffixes if name in one.heeds)
        shown = f"{name}={value}" if isinstance(value, str) else name
        raise OutputError(f"`{shown}` would change nothing in {', '.join(map(str, paths))}; it is for {able}")


def write(result: RunResult, path: str | Path, *, writing: Writing | None = None) -> Path:
    """Write a result; the suffix chooses the format. Folders are made as needed, files appear whole.

    Args:
        result: of a run.
        path: of the file.
        writing: settings of the formats; None for those that the result was made with.

    Returns:
        The path.

    Raises:
        OutputError: see `check_output`; or the disk refuses.
    """
    path = Path(path)
    asked = writing
    if asked is not None:
        options = {**result.provenance.options, **dataclasses.asdict(asked)}
        result = replace(result, provenance=replace(result.provenance, options=options))
    writing = writing_of(result)
    chosen = check_output(path, georef=result.georef, writing=writing)
    if asked is not None:
        check_heeded([path], asked)
    with appearing(path) as half:
        chosen.write(result, half)
    if writing.qml and "qml" in chosen.heeds:
        _write_style(result, path.with_suffix(".qml"), writing)
    return path


def _write_style(result: RunResult, path: Path, writing: Writing) -> None:
    """Write a QGIS style, unless there is one, which somebody may have made to their taste."""
    from sodslice.results.qgis_style import qml

    if not path.exists():
        write_atomically(path, qml(result.class_names, geometry=writing.geometry).encode())


def load_result(path: str | Path) -> RunResult:
    """Read back what a run wrote.

    Boxes have the 3 decimals of the file; tile ids are unknown (-1).

    Raises:
        SodsliceError: the file cannot be read, or was not written by a run.
    """
    chosen = format_of(path)
    readable = [suffix for one in FORMATS if one.read for suffix in one.suffixes]
    if chosen is None or chosen.read is None:
        raise SodsliceError(f"{path} is no file that results are read from; these are {', '.join(readable)}")
    return chosen.read(Path(path))


def is_own(path: Path) -> bool:
    """Whether a file was written by `write`, so that a rerun may take its place.

    Formats of other packages that neither tell whose a file is nor read it back are taken for our own.
    """
    chosen = format_of(path)
    if chosen is not None and chosen.is_own is not None:
        return chosen.is_own(path)
    if chosen is not None and chosen.read is None:
        return True
    try:
        load_result(path)
    except SodsliceError:
        return False
    return True
