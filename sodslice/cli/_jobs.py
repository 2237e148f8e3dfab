"""Many scenes on the command line: what is said of each, and of all at the end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import beside_bars, in_flags, quoted, seconds_since_start
from sodslice.cli._watching import log_event, watching
from sodslice.cli.run import SOME_FAILED, How, tell_result
from sodslice.system.saying import pixels_words, time_words

if TYPE_CHECKING:
    from sodslice.jobs import Outcome
    from sodslice.settings import Options


def run_job(scenes: Any, options: Options, how: How) -> int:
    """Do many scenes, and say what becomes of them.

    Args:
        scenes: as `run_many` takes them.
        options: of the runs.
        how: what the user wants beside these.
    """
    from sodslice.jobs import run_many
    from sodslice.jobs.combining import check_combined
    from sodslice.results import check_heeded

    folder = _folder(how)
    check_heeded(["SCENE.geojson", "SCENE.json", *how.tables], options.writing)
    for table in how.tables:
        check_combined(table, writes=not how.dry_run)
    if how.dry_run:
        return _foresee(scenes, options, folder, how)
    totals = _Totals(how)
    with watching(quiet=how.quiet, as_json=how.log_json) as events:
        outcomes = run_many(scenes, options=options, output=folder, shard=how.shard, events=events)
        for outcome in outcomes:
            totals.add(outcome)
            if outcome.failed and how.fail_fast:
                outcomes.close()  # which ends what is under way
                totals.stopped = True
                break
    totals.say(folder)
    if not totals.stopped:
        write_tables(folder, how.tables, names=totals.names, quiet=how.quiet, as_json=how.log_json)
    return SOME_FAILED if totals.failed or totals.some_tiles else 0


def _folder(how: How) -> Path:
    """The folder for the results.

    Raises:
        UsageError: what was typed is none.
    """
    from sodslice.results import format_of

    if len(how.outputs) != 1 or how.outputs[0].strip() in ("", "-") or format_of(how.outputs[0]) is not None:
        raise click.UsageError(
            "several scenes, --shard and --combine need one folder for their results: -o FOLDER"
        )
    if how.shard and how.tables:
        raise click.UsageError("a shard has not all results; give --combine to `sodslice jobs merge`")
    return Path(how.outputs[0])


@dataclass
class _Totals:
    """What became of the scenes so far.

    Args:
        how: what is said of each.
    """

    how: How
    done: int = 0
    parts: int = 0
    skipped: int = 0
    failed: int = 0
    objects: int = 0
    pixels: int = 0
    some_tiles: bool = False
    stopped: bool = False
    names: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a scene and say what became of it."""
        self.names.append(outcome.name)
        self.done += outcome.done
        self.parts += outcome.status == "part"
        self.skipped += outcome.skipped
        self.failed += outcome.failed
        if outcome.result is not None:
            self.objects += len(outcome.result)
            self.some_tiles |= bool(outcome.result.provenance.failed_tiles)
        if not outcome.skipped and outcome.size is not None:
            self.pixels += outcome.size[0] * outcome.size[1]
        with beside_bars():
            _tell(outcome, self.how)

    def say(self, folder: Path) -> None:
        """One line on all of them."""
        from sodslice.jobs.manifest import MANIFEST

        seconds = seconds_since_start()
        if self.how.log_json:
            facts = {name: value for name, value in vars(self).items() if type(value) is int}
            log_event("end", **facts, seconds=round(seconds, 2), folder=str(folder))
            return
        if self.how.quiet:
            return
        counts = [
            f"{count} {words}"
            for count, words in (
                (self.done, "done"),
                (self.parts, "in part"),
                (self.skipped, "done before"),
                (self.failed, "failed"),
            )
            if count or words == "done"
        ]
        click.echo(
            f"{', '.join(counts)}: {self.objects} objects in {pixels_words(self.pixels)}, "
            f"{time_words(seconds)} -> {quoted(str(folder / MANIFEST))}"
        )
        if self.stopped:
            click.echo("stopped at the first failure; run again without --fail-fast to do the rest")


def _tell(outcome: Outcome, how: How) -> None:
    """One line on what became of a scene; failures on stderr, also where nothing else is said."""
    files = ", ".join(map(str, outcome.outputs))
    if outcome.result is not None:
        tell_result(outcome.result, files, outcome.seconds, how)
    elif how.log_json:
        event = "failed" if outcome.failed else outcome.status
        log_event(event, path=str(outcome.path), why=in_flags(outcome.why), output=files)
    elif outcome.failed:
        click.echo(f"error: {in_flags(outcome.why)}", err=True)
    elif not how.quiet:
        why = f"skipped, {outcome.why}" if outcome.skipped else f"its part of {outcome.tiles} tiles is done"
        click.echo(f"{outcome.path}: {why} -> {files}")


def _foresee(scenes: Any, options: Options, folder: Path, how: How) -> int:
    """Say what a job would do."""
    from sodslice.jobs import JobEvents, foresee

    counts, tiles = {"planned": 0, "skipped": 0, "failed": 0}, 0
    for outcome in foresee(scenes, options=options, output=folder, shard=how.shard, events=JobEvents()):
        counts[outcome.status] += 1
        tiles += outcome.tiles * (outcome.status == "planned")
        files = "".join(f" -> {path}" for path in outcome.outputs)
        if how.log_json:
            log_event(outcome.status, path=str(outcome.path), tiles=outcome.tiles, why=in_flags(outcome.why))
        elif outcome.failed:
            click.echo(f"{outcome.path}: cannot be done: {in_flags(outcome.why)}")
        else:
            word = "skipped" if outcome.skipped else f"to do, {outcome.tiles} tiles"
            click.echo(f"{outcome.path}: {word}, {in_flags(outcome.why)}{files}")
    if how.log_json:
        log_event("end", **counts, tiles=tiles)
    else:
        click.echo(
            f"{counts['planned']} to do ({tiles} tiles), {counts['skipped']} done before, "
            f"{counts['failed']} cannot be done; nothing was run"
        )
    return SOME_FAILED if counts["failed"] else 0


def write_tables(
    folder: Path,
    tables: tuple[str, ...],
    *,
    names: Collection[str] | None = None,
    quiet: bool,
    as_json: bool = False,
) -> None:
    """Write the results of a job, or those of some names, to one file each, and say what it holds.

    Raises:
        SodsliceError: a table cannot be written.
    """
    from sodslice.jobs import combine

    for table in tables:
        held = combine(folder, table, names=names)
        if as_json:
            log_event("combined", output=table, **held._asdict())
            continue
        if held.left_out:
            click.echo(
                f"note: {held.left_out} images are left out of {table}, whose format needs a place on the "
                "map; .json holds all",
                err=True,
            )
        if not quiet:
            click.echo(f"{held.objects} objects of {held.images} images -> {table}")
