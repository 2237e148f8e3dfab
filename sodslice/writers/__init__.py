"""Writers: the file's suffix chooses the format; files appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sodslice.errors import OutputError, did_you_mean
from sodslice.georef import GeoRef
from sodslice.result import RunResult
from sodslice.writers.atomic import check_writable, write_atomically
from sodslice.writers.geojson import geojson_bytes, in_pixels, no_geojson
from sodslice.writers.json import json_bytes

__all__ = ["WRITERS", "check_output", "is_own", "write", "write_atomically"]

WRITERS: Mapping[str, Callable[[RunResult], bytes]] = {".json": json_bytes, ".geojson": geojson_bytes}
"""Suffix -> the file's content."""


def check_output(path: str | Path, *, georef: GeoRef, pixel_coords: bool = False) -> None:
    """Make sure, before the work is done, that a result can be written to a path.

    Args:
        path: where to write.
        georef: where the scene lies.
        pixel_coords: whether GeoJSON is to be in scene pixels.

    Raises:
        OutputError: the suffix is unknown, GeoJSON is wanted of a scene that is not on the map, or the
            folder cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        hint = did_you_mean(suffix, WRITERS)
        raise OutputError(f"{path} has the unknown suffix {suffix!r}{hint}; known are {', '.join(WRITERS)}")
    if suffix == ".geojson" and not pixel_coords and not georef.on_map:
        raise OutputError(f"{path}: {no_geojson(georef)}")
    check_writable(Path(path))


def is_own(path: Path) -> bool:
    """Whether a file was written by `write`, so that a rerun may take its place."""
    try:
        return b'\n"run": {"version":' in path.read_bytes()
    except OSError:
        return False


def write(result: RunResult, path: str | Path) -> Path:
    """Write a result; the suffix chooses the format. Folders are made as needed.

    Returns:
        The path.

    Raises:
        OutputError: see `check_output`; or the disk refuses.
    """
    check_output(path, georef=result.georef, pixel_coords=in_pixels(result))
    target = Path(path)
    write_atomically(target, WRITERS[target.suffix.lower()](result))
    return target
