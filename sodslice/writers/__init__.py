"""Writers: the file's suffix chooses the format; files appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sodslice.errors import OutputError, did_you_mean
from sodslice.result import RunResult
from sodslice.writers.atomic import check_writable, write_atomically
from sodslice.writers.geojson import geojson_bytes
from sodslice.writers.json import json_bytes

__all__ = ["WRITERS", "check_output", "write", "write_atomically"]

WRITERS: Mapping[str, Callable[[RunResult], bytes]] = {".json": json_bytes, ".geojson": geojson_bytes}
"""Suffix -> the file's content."""


def check_output(path: str | Path, *, on_map: bool) -> None:
    """Make sure, before the work is done, that a result can be written to a path.

    Args:
        path: where to write.
        on_map: whether the scene has a transform and a CRS.

    Raises:
        OutputError: the suffix is unknown, GeoJSON is wanted without a CRS, or the folder cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        hint = did_you_mean(suffix, WRITERS)
        raise OutputError(f"{path} has the unknown suffix {suffix!r}{hint}; known are {', '.join(WRITERS)}")
    if suffix == ".geojson" and not on_map:
        raise OutputError(
            f"{path}: GeoJSON needs longitude and latitude, and the scene has no CRS; write .json instead"
        )
    check_writable(Path(path))


def write(result: RunResult, path: str | Path) -> Path:
    """Write a result; the suffix chooses the format. Folders are made as needed.

    Returns:
        The path.

    Raises:
        OutputError: see `check_output`; or the disk refuses.
    """
    check_output(path, on_map=result.georef.on_map)
    target = Path(path)
    write_atomically(target, WRITERS[target.suffix.lower()](result))
    return target
