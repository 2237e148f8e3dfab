"""Results as the bytes that are written, without what differs from run to run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sodslice import RunResult
from sodslice.results.json import write_json


def without_timings(result: RunResult) -> bytes:
    """The JSON document of a result but for its timings."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        write_json(replace(result, timings=None), path)
        return path.read_bytes()
