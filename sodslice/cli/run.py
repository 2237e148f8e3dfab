"""`sodslice run`: one scene, or many: folders, patterns, lists."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    gather_options,
    in_flags,
    seconds_since_start,
    set_up_logging,
    settings_flags,
    verbosity_flags,
)
from sodslice.cli._watching import log_as_json, log_event, watching
from sodslice.errors import SodsliceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sodslice.results import RunResult
    from sodslice.settings import Options

SOME_FAILED = 3
STDIO = "-"


@dataclass(frozen=True)
class How:
    """What `run` is told beside the settings.

    Args:
        outputs: files or the folder, as they were typed.
        tables: that hold the results of all scenes together.
        shard: of a job.
        fail_fast: stop at the first scene that fails.
        dry_run: only say what would be done.
        log_json: say it in JSON lines.
        quiet: say nothing but errors.
    """

    outputs: tuple[str, ...]
    tables: tuple[str, ...]
    shard: str | None
    fail_fast: bool
    dry_run: bool
    log_json: bool
    quiet: bool


def _job_flags(command: Any) -> Any:
    """Give a command the flags of jobs."""
    for name, words in (
        ("--log-json", "One line of JSON an event on stderr, each with its time."),
        ("--dry-run", "Say what would be done, and why, and do nothing."),
        ("--fail-fast", "Stop at the first scene that fails."),
    ):
        command = click.option(name, is_flag=True, help=words, cls=GroupedOption, group="Jobs")(command)
    command = click.option(
        "--shard",
        metavar="I/N",
        help="The I-th of N shares of the work, for other machines to do the others; then: "
        "sodslice jobs merge FOLDER.",
        cls=GroupedOption,
        group="Jobs",
    )(command)
    return click.option(
        "--combine",
        "tables",
        multiple=True,
        metavar="FILE",
        help="Also write all results to one file, in which each row names its image; repeatable.",
        cls=GroupedOption,
        group="Jobs",
    )(command)


@click.command(name="run", cls=GroupedCommand)
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    cls=GroupedOption,
    help="File to write; may be repeated; - is stdout. The suffix chooses: .geojson, .geojsonl, .json, "
    ".gpkg, .fgb, .parquet, .csv, .coco.json, .png, .jpg. A folder for many scenes.  "
    "[default: SCENE.geojson in the current folder, .json where the scene has no CRS]",
)
@_job_flags
@settings_flags()
@verbosity_flags
def command(scenes: tuple[str, ...], **flags: Any) -> int:
    """Find objects in SCENE, an image of any size, and write them with their place on the map.

    SCENE is an image, a folder of images, a quoted pattern such as 'photos/*.jpg', a .txt or .csv file that
    lists images, or - for a list on stdin; with several images, -o is the folder for the results and for
    manifest.jsonl, which says what became of each. Run again, it goes on where it ended.
    """
    verbose = flags.pop("verbose")
    how = How(**{name: flags.pop(name) for name in How.__dataclass_fields__})
    set_up_logging(verbose=verbose, quiet=how.quiet)
    if how.log_json:
        log_as_json()
    if not all(map(str.strip, scenes)):
        raise click.UsageError("a SCENE has an empty name; is a variable of the shell not set?")
    options = gather_options(flags.pop("config"), flags)
    with _errors_told(as_json=how.log_json):
        if scenes == (STDIO,) or how.shard or how.tables or _are_many(scenes):
            from sodslice.cli._jobs import run_job

            return run_job(_listed(scenes), options, how)
        return _run_one(scenes[0], options, how)


def _are_many(scenes: tuple[str, ...]) -> bool:
    """Whether a job is meant, not one scene."""
    from sodslice.jobs.listing import stands_for_many

    return len(scenes) > 1 or stands_for_many(scenes[0])


def _listed(scenes: tuple[str, ...]) -> Any:
    """What is meant: one word as it stands, several in a list, or what is listed on stdin."""
    if STDIO in scenes and len(scenes) > 1:
        raise click.UsageError("- stands for a list on stdin, beside which nothing else can be named")
    if scenes != (STDIO,):
        return scenes[0] if len(scenes) == 1 else list(scenes)
    from sodslice.jobs.lists import lines_of

    listed = list(lines_of(sys.stdin.buffer.read().decode("utf-8", "surrogateescape")))
    if not listed:
        raise click.UsageError("stdin lists no scene; give one path a line")
    return listed


@contextmanager
def _errors_told(*, as_json: bool) -> Iterator[None]:
    """Where events are JSON lines, so is the error that ends the work."""
    try:
        yield
    except SodsliceError as error:
        if not as_json:
            raise
        log_event("error", text=in_flags(str(error)))
        raise SystemExit(1) from None


def _run_one(scene: str, options: Options, how: How) -> int:
    from sodslice.running import run
    from sodslice.scene import as_scene

    with watching(quiet=how.quiet, as_json=how.log_json) as events:
        opened = as_scene(scene, options.rendering)
        try:
            files = _files(opened.name, how.outputs, on_map=opened.georef.meant_for_map)
            if how.dry_run:
                return _say_plan(opened, options, files, how)
            if files == [Path(STDIO)]:
                return _to_stdout(opened, options, events, how)
            result = run(opened, options=options, output=files, events=events)
        finally:
            opened.close()
    where = ", ".join(map(str, files))
    tell_result(result, where, seconds_since_start(), how)
    return SOME_FAILED if result.provenance.failed_tiles else 0


def _files(scene: str, outputs: tuple[str, ...], *, on_map: bool) -> list[Path]:
    """The files to write for one scene; a folder gets a file named like the scene."""
    name = Path(scene).stem + (".geojson" if on_map else ".json")
    if not outputs:
        return [Path(name)]
    if not all(map(str.strip, outputs)):
        raise click.UsageError("-o has an empty name; is a variable of the shell not set?")
    if STDIO in outputs and len(outputs) > 1:
        raise click.UsageError("-o - is for the result on stdout and nothing else; leave out the other -o")
    return [Path(o) / name if Path(o).is_dir() or o.endswith(("/", "\\")) else Path(o) for o in outputs]


def _say_plan(opened: Any, options: Options, files: list[Path], how: How) -> int:
    """What a run would do."""
    from sodslice.results import check_heeded
    from sodslice.running import check_outputs, make_plan

    plan = make_plan(opened, options=options)
    real = [path for path in files if path != Path(STDIO) and path.parent.is_dir()]
    check_outputs(real, plan, options)
    check_heeded(files, options.writing)
    there = [str(path) for path in real if path.is_file()]
    why = f"{', '.join(there)} would be replaced" if there else "it is new"
    if how.log_json:
        log_event("planned", path=opened.name, tiles=len(plan), why=why)
        return 0
    tiles = f"{len(plan)} tile{'' if len(plan) == 1 else 's'}"
    click.echo(f"{opened.name}: to do, {tiles}, {why} -> {', '.join(map(str, files))}")
    return 0


def _to_stdout(opened: Any, options: Options, events: Any, how: How) -> int:
    """Run, and write the result to stdout: GeoJSON where the scene is on the map, else JSON."""
    from sodslice.results import check_heeded, format_of
    from sodslice.running import run
    from sodslice.system.files import copied_to

    on_map = opened.georef.meant_for_map or options.writing.pixel_coords
    check_heeded(["stdout.geojson" if on_map else "stdout.json"], replace(options.writing, qml=False))
    if options.writing.qml:
        raise click.UsageError("--qml writes a file beside another, and stdout is none; give -o FILE")
    result = run(opened, options=options, events=events)
    chosen = format_of("stdout.geojson" if on_map else "stdout.json")
    assert chosen is not None
    sys.stdout.flush()
    with copied_to(sys.stdout.buffer) as path:
        chosen.write(result, path)
    if how.log_json:
        tell_result(result, "stdout", seconds_since_start(), how)
    elif not how.quiet:
        click.echo(_summary(result, "stdout", seconds_since_start()), err=True)
    return SOME_FAILED if result.provenance.failed_tiles else 0


def tell_result(result: RunResult, where: str, seconds: float, how: How) -> None:
    """The summary; where nothing else is said, of a result in which objects may be missing, on stderr."""
    if how.log_json:
        counts = vars(result.provenance.counts)
        classes = dict(Counter(result.labels).most_common())
        facts = {"objects": len(result), "classes": classes, **counts, "seconds": round(seconds, 2)}
        log_event("done", path=result.scene.path, **facts, output=where)
    elif not how.quiet or result.provenance.counts.cut_short:
        click.echo(_summary(result, where, seconds), err=how.quiet)


def _summary(result: RunResult, where: str, seconds: float) -> str:
    """One line: what was found, where it is written, how long it took from the start."""
    counts = result.provenance.counts
    classes = classes_words(result.labels)
    skipped = f", {counts.skipped_nodata} without data" if counts.skipped_nodata else ""
    skipped += f", {counts.failed} not readable" if counts.failed else ""
    skipped += f", {counts.cut_short} cut short" if counts.cut_short else ""
    return (
        f"{result.scene.path}: {len(result)} objects{classes} -> {where} "
        f"[{counts.tiles} tile{'' if counts.tiles == 1 else 's'}{skipped}, {seconds:.1f} s]"
    )


def classes_words(labels: Iterable[str]) -> str:
    """How many there are of each class, in brackets; "" where there are none."""
    classes = ", ".join(f"{name} {count}" for name, count in Counter(labels).most_common())
    return f" ({classes})" if classes else ""
