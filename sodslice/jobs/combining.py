"""`combine`: one table of all that a job found."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from sodslice.errors import OutputError, SodsliceError
from sodslice.jobs.manifest import MANIFEST, entries_of, extents_of
from sodslice.place.georef import GeoRef
from sodslice.results import Format, RunResult, Writing, format_of, known_suffixes, load_result, writing_of
from sodslice.results.document import COMBINED
from sodslice.system.files import appearing, check_writable

HEAD_BYTES = 256
"""In so many bytes a file of many results says that it is one."""


class Combined(NamedTuple):
    """What a table holds: `images` and `objects`; `left_out` are images that its format cannot hold."""

    images: int
    objects: int
    left_out: int


def combine(folder: str | Path, path: str | Path, *, names: Collection[str] | None = None) -> Combined:
    """Write one file of all results of a job, in which each row names its image.

    The results are read one by one, in the order of the manifest, so memory grows with the largest of them.

    Args:
        folder: of the job.
        path: the file; its suffix chooses the format.
        names: of the scenes whose results are meant; None for all that the manifest knows.

    Raises:
        OutputError: the format cannot hold many results, or the file is somebody else's or cannot be written.
        SodsliceError: there is no job in the folder, or one of its results cannot be read.
    """
    chosen = check_combined(path)
    write = chosen.combine
    assert write is not None
    entries = entries_of(Path(folder))
    if not (entries or extents_of(Path(folder))):
        raise SodsliceError(f"{folder} holds no {MANIFEST} of a job; run one first")
    meant = entries.values() if names is None else [entries[name] for name in names if name in entries]
    done = [entry for entry in meant if entry.status == "done"]
    counts = [0, 0, 0]

    def fitting() -> Iterator[RunResult]:
        for entry in done:
            result = load_result(Path(folder) / entry.output)
            if chosen.why_not(result.georef, writing_of(result)):
                counts[2] += 1
                continue
            counts[0] += 1
            counts[1] += len(result)
            yield result

    with appearing(Path(path)) as half:
        write(fitting(), half)
    return Combined(*counts)


def check_combined(path: str | Path, *, writes: bool = True) -> Format:
    """Make sure, before the work is done, that a table can be written to a path.

    Args:
        path: of the table.
        writes: whether to make its folder and try to write there.

    Returns:
        Its format.

    Raises:
        OutputError: it cannot, or would take the place of something else.
    """
    chosen = format_of(path)
    if chosen is None or chosen.combine is None:
        raise OutputError(
            f"`combine={path}` is no table of many results; its suffix must be one of "
            f"{', '.join(suffix for suffix in known_suffixes() if _combines(suffix))}"
        )
    reason = chosen.why_not(GeoRef((1, 0, 0, 0, -1, 0), "EPSG:3857"), Writing())
    if reason:  # a package that it needs is missing
        raise OutputError(f"{path}: {reason}")
    if writes:
        check_writable(Path(path))
    if Path(path).is_file() and not _is_combined(Path(path), chosen):
        raise OutputError(f"{path} is here and is no table of a job; give `combine` another name")
    return chosen


def _combines(suffix: str) -> bool:
    chosen = format_of(f"any{suffix}")
    return chosen is not None and chosen.combine is not None


def _is_combined(path: Path, chosen: Format) -> bool:
    """Whether a file is a table of many results: as its format tells, or as it says at its beginning."""
    if chosen.is_own is not None:
        return chosen.is_own(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return all(f'"{name}": "{value}"'.encode() in head for name, value in COMBINED.items())
