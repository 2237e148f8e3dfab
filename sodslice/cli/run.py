"""`sodslice run`: one scene, many scenes, a folder."""

from __future__ import annotations

from collections import Counter
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
    terminal_events,
    verbosity_flags,
)

if TYPE_CHECKING:
    from sodslice.jobs import Outcome
    from sodslice.results import RunResult
    from sodslice.settings import Options

SOME_FAILED = 3


@click.command(name="run", cls=GroupedCommand)
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    cls=GroupedOption,
    help="File to write, .json or .geojson; may be repeated. A folder for many scenes.  "
    "[default: SCENE.geojson in the current folder, .json where the scene has no CRS]",
)
@settings_flags()
@verbosity_flags
def command(scenes: tuple[str, ...], outputs: tuple[str, ...], **flags: Any) -> int:
    """Find objects in SCENE, an image of any size, and write them with their place on the map.

    SCENE is an image or a folder of images; with several, -o is the folder for the results.
    """
    quiet, verbose = flags.pop("quiet"), flags.pop("verbose")
    set_up_logging(verbose=verbose, quiet=quiet)
    if not all(map(str.strip, scenes)):
        raise click.UsageError("a SCENE has an empty name; is a variable of the shell not set?")
    options = gather_options(flags.pop("config"), flags)
    if len(scenes) == 1 and not Path(scenes[0]).is_dir():
        return _run_one(scenes[0], outputs, options, quiet=quiet)
    return _run_many(scenes, outputs, options, quiet=quiet)


def _run_one(scene: str, outputs: tuple[str, ...], options: Options, *, quiet: bool) -> int:
    from sodslice.running import run
    from sodslice.scene import as_scene

    with terminal_events(quiet=quiet) as events:
        opened = as_scene(scene, options.rendering)
        try:
            files = _files(opened.name, outputs, on_map=opened.georef.meant_for_map)
            result = run(opened, options=options, output=files, events=events)
        finally:
            opened.close()
    _show(result, ", ".join(map(str, files)), seconds_since_start(), quiet=quiet)
    return SOME_FAILED if result.provenance.failed_tiles else 0


def _files(scene: str, outputs: tuple[str, ...], *, on_map: bool) -> list[Path]:
    """The files to write for one scene; a folder gets a file named like the scene."""
    name = Path(scene).stem + (".geojson" if on_map else ".json")
    if not outputs:
        return [Path(name)]
    return [Path(o) / name if Path(o).is_dir() or o.endswith(("/", "\\")) else Path(o) for o in outputs]


def _run_many(scenes: tuple[str, ...], outputs: tuple[str, ...], options: Options, *, quiet: bool) -> int:
    from sodslice.jobs import run_many
    from sodslice.results import format_of

    if len(outputs) != 1 or format_of(outputs[0]) is not None:
        raise click.UsageError("several scenes need one folder for their results: -o FOLDER")
    folders = [Path(s) for s in scenes if Path(s).is_dir()]
    if folders and len(scenes) > 1:
        raise click.UsageError("give one folder, or several images, not both")
    paths: Any = folders[0] if folders else [Path(s) for s in scenes]
    failed, some_tiles, total = 0, False, 0
    with terminal_events(quiet=quiet) as events:
        before = seconds_since_start()
        for outcome in run_many(paths, options=options, output=outputs[0], events=events):
            now = seconds_since_start()
            _tell(outcome, now - before, quiet=quiet)
            before, total, failed = now, total + 1, failed + outcome.failed
            some_tiles |= outcome.result is not None and bool(outcome.result.provenance.failed_tiles)
    if failed:
        click.echo(f"{failed} of {total} scenes failed", err=True)
    return SOME_FAILED if failed or some_tiles else 0


def _tell(outcome: Outcome, seconds: float, *, quiet: bool) -> None:
    """One line on what became of a scene; failures on stderr, also where nothing else is said."""
    files = ", ".join(map(str, outcome.outputs))
    if outcome.failed:
        click.echo(f"error: {in_flags(outcome.why)}", err=True)
    elif outcome.result is not None:
        _show(outcome.result, files, seconds, quiet=quiet)
    elif not quiet:
        click.echo(f"{outcome.path}: skipped, {outcome.why} -> {files}")


def _show(result: RunResult, where: str, seconds: float, *, quiet: bool) -> None:
    """The summary; where nothing else is said, of a result in which objects may be missing, on stderr."""
    if not quiet or result.provenance.counts.cut_short:
        click.echo(_summary(result, where, seconds), err=quiet)


def _summary(result: RunResult, where: str, seconds: float) -> str:
    """One line: what was found, where it is written, how long it took from the start."""
    counts = result.provenance.counts
    classes = ", ".join(f"{name} {count}" for name, count in Counter(result.labels).most_common())
    skipped = f", {counts.skipped_nodata} without data" if counts.skipped_nodata else ""
    skipped += f", {counts.failed} not readable" if counts.failed else ""
    skipped += f", {counts.cut_short} cut short" if counts.cut_short else ""
    return (
        f"{result.scene.path}: {len(result)} objects{f' ({classes})' if classes else ''} -> {where} "
        f"[{counts.tiles} tile{'' if counts.tiles == 1 else 's'}{skipped}, {seconds:.1f} s]"
    )
