"""Entries of the manifest, from outcomes and from results."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from sodslice.jobs.manifest import Entry
from sodslice.jobs.outcomes import Outcome
from sodslice.results import RunResult
from sodslice.running import RAW_SUFFIX


def entry_of(outcome: Outcome, folder: Path, number: int) -> Entry:
    """What the manifest says of a scene. Of one that was skipped, what its result says.

    Args:
        outcome: of the scene.
        folder: of the job.
        number: of the scene in it.
    """
    output = outcome.outputs[0] if outcome.outputs else None
    width, height = outcome.size or (None, None)
    entry = Entry(
        outcome.name,
        str(outcome.path),
        status_of(outcome),
        "" if output is None else output.relative_to(folder).as_posix(),
        width,
        height,
        _bytes_of(outcome.path),
        tiles=outcome.tiles,
        seconds=outcome.seconds,
        finished=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        error=outcome.why if outcome.failed else "",
        number=number,
    )
    if entry.status != "done":
        return entry
    return with_result(entry, outcome.load(), output)


def status_of(outcome: Outcome) -> str:
    """What became of a scene, now or before."""
    if not outcome.skipped:
        return outcome.status
    return "part" if outcome.outputs[0].suffix == RAW_SUFFIX else "done"


def _bytes_of(path: Path) -> int | None:
    """Size of a file; None of what is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def with_result(entry: Entry, result: RunResult, output: Path | None) -> Entry:
    """An entry with what a result says.

    Args:
        entry: of the scene.
        result: of the scene.
        output: its file.
    """
    counts, timings = result.provenance.counts, result.timings
    return replace(
        entry,
        width=result.scene.width,
        height=result.scene.height,
        tiles=counts.tiles,
        failed_tiles=counts.failed,
        objects=len(result),
        classes=dict(Counter(result.labels).most_common()),
        plan="" if timings is None else timings.plan,
        result_bytes=None if output is None else output.stat().st_size,
    )
