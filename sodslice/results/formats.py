"""The formats by name, and what a path's suffix chooses."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from sodslice.errors import OutputError, SodsliceError, did_you_mean
from sodslice.place.georef import GeoRef
from sodslice.results.format import Format
from sodslice.results.result import RunResult
from sodslice.results.writing import Writing
from sodslice.system.files import appearing, check_writable
from sodslice.system.registry import Registry

FORMATS: Registry[Format] = Registry(
    "format",
    "sodslice.formats",
    {
        name: lambda name=name: import_module(f"sodslice.results.{name}").FORMAT  # type: ignore[misc]
        for name in ("json", "geojson")
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


def write(result: RunResult, path: str | Path) -> Path:
    """Write a result; the suffix chooses the format. Folders are made as needed, files appear whole.

    Returns:
        The path.

    Raises:
        OutputError: see `check_output`; or the disk refuses.
    """
    writing = writing_of(result)
    chosen = check_output(path, georef=result.georef, writing=writing)
    with appearing(Path(path)) as half:
        chosen.write(result, half)
    return Path(path)


def writing_of(result: RunResult) -> Writing:
    """The settings of the formats that a result was made with."""
    return Writing(pixel_coords=bool(result.provenance.options.get("pixel_coords", False)))


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
    """Whether a file was written by `write`, so that a rerun may take its place."""
    try:
        load_result(path)
    except SodsliceError:
        return False
    return True
