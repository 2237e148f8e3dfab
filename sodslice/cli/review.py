"""`sodslice review`: crops of doubtful detections, for people to correct."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    progress_bar,
    set_up_logging,
    settings_flags,
    typing_errors,
    verbosity_flags,
)
from sodslice.errors import DataError
from sodslice.settings import all_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sodslice.report.review import Found

log = logging.getLogger(__name__)


@click.command(name="review", cls=GroupedCommand)
@click.argument("results", nargs=-1, required=True, metavar="RESULT...")
@click.option("-o", "--output", required=True, cls=GroupedOption, help="Folder to write, new or empty.")
@click.option(
    "--between",
    default="0.3,0.6",
    show_default=True,
    cls=GroupedOption,
    metavar="LOW,HIGH",
    help="Scores that are in doubt.",
)
@click.option(
    "--side",
    default=512,
    show_default=True,
    cls=GroupedOption,
    help="Side of a crop in pixels.",
)
@click.option("--most", type=int, cls=GroupedOption, help="So many crops at most, the most doubtful.")
@click.option(
    "--scene",
    type=click.Path(exists=True),
    cls=GroupedOption,
    help="Where the scene of the one RESULT lies now, or the folder with the scenes of all.",
)
@click.option(
    "--address",
    cls=GroupedOption,
    help="What Label Studio puts before the name of a crop.  [default: its local files below the folder]",
)
@settings_flags({"allow_vrt": all_settings()["allow_vrt"]}, group="Options", config=False)
@verbosity_flags
def command(results: tuple[str, ...], output: str, **flags: Any) -> None:
    """Cut out what is in doubt in RESULT, files or folders of jobs, for Label Studio and CVAT.

    `sodslice train` reads back what they export.
    """
    from sodslice.report.review import Selection, write_review

    set_up_logging(verbose=flags["verbose"], quiet=flags["quiet"])
    with typing_errors():
        wanted = Selection(_range(flags["between"]), flags["side"], flags["most"])
    files = [file for word in results for file in _files(Path(word))]
    scene = None if flags["scene"] is None else Path(flags["scene"])
    if scene is not None and scene.is_file() and len(files) != 1:
        raise click.UsageError(f"--scene {scene} is one scene for {len(files)} results; give its folder")
    with progress_bar(quiet=flags["quiet"], unit="crop") as progress:
        done = write_review(
            _found(files, scene),
            output,
            selection=wanted,
            address=flags["address"],
            allow_vrt=bool(flags["allow_vrt"]),
            progress=progress,
        )
    for note in done.notes:
        log.warning(note)
    if not flags["quiet"]:
        more = f", {done.left_out} more left out by --most" if done.left_out else ""
        click.echo(
            f"{_count(done.doubtful, 'doubtful detection')} in {_count(done.crops, 'crop')}{more} -> {output}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise click.UsageError(f"--between must be two scores such as 0.3,0.6, got {text!r}") from None
    return low, high


def _found(files: list[Path], scene: Path | None) -> Iterator[Found]:
    """Results one by one, and where their scenes lie if not where they say."""
    from sodslice.report.review import Found
    from sodslice.results import load_result
    from sodslice.results.scenes import moved_scene, scene_below

    for path in files:
        result = load_result(path)
        said = result.scene.path
        if scene is not None:
            yield Found(result, scene_below(scene, said) if scene.is_dir() else scene)
        else:
            yield Found(result, moved_scene(said, path))


def _files(path: Path) -> list[Path]:
    """A file, or the results of a job's folder in its order."""
    from sodslice.jobs.manifest import entries_of, in_job_order

    if not path.is_dir():
        return [path]
    entries = in_job_order(entries_of(path).values())
    done = [path / entry.output for entry in entries if entry.status == "done"]
    if not done:
        raise DataError(f"{path} holds no results of a job; name the files of results")
    if len(done) < len(entries):
        log.warning("%d of %d scenes of %s have no result yet", len(entries) - len(done), len(entries), path)
    return done
