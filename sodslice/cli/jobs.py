"""`sodslice jobs`: how far a job has come, and the shares of several machines put together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._jobs import write_tables
from sodslice.cli._shared import GroupedCommand, GroupedOption, in_flags, set_up_logging, verbosity_flags
from sodslice.cli.run import SOME_FAILED

if TYPE_CHECKING:
    from sodslice.jobs import JobStatus


@click.group(name="jobs")
def command() -> None:
    """How far a job has come, and its shards put together."""


@command.command(name="status", cls=GroupedCommand)
@click.argument("folder")
@verbosity_flags
def status(folder: str, **flags: Any) -> int:
    """Say how far the job in FOLDER has come, whoever does it.

    Exit code 0: all is done; 3: something failed, is missing or under way.
    """
    from sodslice.jobs import job_status

    set_up_logging(verbose=flags["verbose"], quiet=flags["quiet"])
    found = job_status(folder)
    if not flags["quiet"]:
        for line in _lines(found):
            click.echo(line)
    return 0 if found.complete else SOME_FAILED


@command.command(name="merge", cls=GroupedCommand)
@click.argument("folder")
@click.option(
    "--combine",
    "tables",
    multiple=True,
    metavar="FILE",
    cls=GroupedOption,
    help="Also write all results to one file, in which each row names its image; repeatable.",
)
@verbosity_flags
def merge(folder: str, tables: tuple[str, ...], **flags: Any) -> int:
    """Put together what the shards of the job in FOLDER did.

    Parts of large scenes become one result, as if one machine had seen the scene; manifests become one.
    """
    from sodslice.jobs import job_status, merge_shards
    from sodslice.jobs.combining import check_combined

    set_up_logging(verbose=flags["verbose"], quiet=flags["quiet"])
    for table in tables:
        check_combined(table)
    missing = merge_shards(folder)
    for line in missing:
        click.echo(
            f"error: {folder} lacks {in_flags(line)}; run to the end what lacks, and merge again", err=True
        )
    write_tables(Path(folder), () if missing else tables, quiet=flags["quiet"])
    found = job_status(folder)
    if not flags["quiet"]:
        click.echo(_first_line(found))
    return 0 if found.complete else SOME_FAILED


def _lines(found: JobStatus) -> list[str]:
    """What is to be said of a job."""
    failed = [f"failed: {entry.path}: {in_flags(entry.error)}" for entry in found.failed if entry.error]
    tiles = [
        f"failed: {entry.path}: {entry.failed_tiles} of {entry.tiles} tiles" for entry in found.failed
        if not entry.error
    ]  # fmt: skip
    missing = [f"missing: {what}" for what in found.missing]
    unmerged = [f"to be merged: {name} (sodslice jobs merge)" for name in found.unmerged]
    under_way = [f"under way: {name}" for name in found.under_way]
    ended = [f"interrupted: {name}; run the job again to go on" for name in found.interrupted]
    return [_first_line(found), *failed, *tiles, *missing, *unmerged, *under_way, *ended]


def _first_line(found: JobStatus) -> str:
    counts, objects = found.counts, sum(entry.objects for entry in found.entries)
    of = "" if found.scenes is None or found.scenes <= len(found.entries) else f" of {found.scenes}"
    words = [f"{counts['done']}{of} done", f"{counts['part']} in parts", f"{counts['failed']} failed"]
    said = ", ".join(word for word in words if not word.startswith("0 ") or word.endswith("done"))
    return f"{said}: {objects} objects ({', '.join(path.name for path in found.manifests)})"
