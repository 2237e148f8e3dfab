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
    progress_bar,
    set_up_logging,
    settings_flags,
    verbosity_flags,
)

if TYPE_CHECKING:
    from sodslice.options import Options
    from sodslice.result import RunResult

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
    options = gather_options(flags.pop("config"), flags)
    if len(scenes) == 1 and not Path(scenes[0]).is_dir():
        return _run_one(scenes[0], outputs, options, quiet=quiet)
    return _run_many(scenes, outputs, options, quiet=quiet)


def _run_one(scene: str, outputs: tuple[str, ...], options: Options, *, quiet: bool) -> int:
    from sodslice.pipeline import open_with, run

    with progress_bar(quiet=quiet) as progress:
        opened = open_with(scene, options)
        try:
            files = _files(opened.name, outputs, on_map=opened.georef.on_map)
            result = run(opened, options=options, output=files, progress=progress)
        finally:
            opened.close()
    click.echo(_summary(result, ", ".join(map(str, files))))
    return SOME_FAILED if result.run["failed_tiles"] else 0


def _files(scene: str, outputs: tuple[str, ...], *, on_map: bool) -> list[Path]:
    """The files to write for one scene; a folder gets a file named like the scene."""
    from sodslice.errors import OutputError
    from sodslice.writers import is_own

    name = Path(scene).stem + (".geojson" if on_map else ".json")
    if not outputs:
        if Path(name).exists() and not is_own(Path(name)):
            raise OutputError(f"{name} is here and is no output of sodslice; say with -o where to write")
        return [Path(name)]
    return [Path(o) / name if Path(o).is_dir() or o.endswith(("/", "\\")) else Path(o) for o in outputs]


def _run_many(scenes: tuple[str, ...], outputs: tuple[str, ...], options: Options, *, quiet: bool) -> int:
    from sodslice.jobs import ScenesFailed, find_scenes, run_many

    if len(outputs) != 1 or Path(outputs[0]).suffix in (".json", ".geojson"):
        raise click.UsageError("several scenes need one folder for their results: -o FOLDER")
    folders = [Path(s) for s in scenes if Path(s).is_dir()]
    if folders and len(scenes) > 1:
        raise click.UsageError("give one folder, or several images, not both")
    paths: Any = folders[0] if folders else [Path(s) for s in scenes]
    total = len(find_scenes(folders[0])) if folders else len(scenes)
    code = 0
    with progress_bar(quiet=quiet) as bar:
        tell = None if bar is None else lambda _, done, tiles: bar(done, tiles)
        try:
            for result in run_many(paths, options=options, output=outputs[0], progress=tell):
                click.echo(_summary(result, outputs[0]))
                code = SOME_FAILED if result.run["failed_tiles"] else code
        except ScenesFailed as failed:
            click.echo(f"{len(failed.failures)} of {total} scenes failed:", err=True)
            for error in failed.failures.values():
                click.echo(f"  {error}", err=True)
            code = SOME_FAILED
    return code


def _summary(result: RunResult, where: str) -> str:
    """One line: what was found, where it is written, how long it took."""
    counts = result.run["counts"]
    classes = ", ".join(f"{name} {count}" for name, count in Counter(result.labels).most_common())
    skipped = f", {counts['skipped_nodata']} without data" if counts["skipped_nodata"] else ""
    skipped += f", {counts['failed']} not readable" if counts["failed"] else ""
    return (
        f"{result.scene['path']}: {len(result)} objects{f' ({classes})' if classes else ''} -> {where} "
        f"[{counts['tiles']} tiles{skipped}, {result.timings['seconds']['all']:.1f} s]"
    )
