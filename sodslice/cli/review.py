"""`sodslice review`: crops of doubtful detections, for people to correct."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import GroupedCommand, GroupedOption, set_up_logging, verbosity_flags
from sodslice.errors import DataError

if TYPE_CHECKING:
    from sodslice.results import RunResult


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
    "--side", default=512, show_default=True, cls=GroupedOption, help="Side of a crop in pixels of the scene."
)
@click.option("--most", type=int, cls=GroupedOption, help="So many crops at most, the most doubtful.")
@click.option(
    "--scene",
    type=click.Path(exists=True),
    cls=GroupedOption,
    help="Where the scene of the one RESULT lies now.",
)
@click.option(
    "--address",
    cls=GroupedOption,
    help="What Label Studio puts before the name of a crop.  [default: its local files below the folder]",
)
@verbosity_flags
def command(results: tuple[str, ...], output: str, **flags: Any) -> None:
    """Cut out what is in doubt in RESULT, files or folders of jobs, for Label Studio and CVAT.

    `sodslice train` reads back what they export.
    """
    from sodslice.report.review import Selection, write_review

    set_up_logging(verbose=flags.pop("verbose"), quiet=flags.pop("quiet"))
    loaded, places = _loaded(results)
    if flags["scene"] is not None:
        if len(loaded) != 1:
            raise click.UsageError("--scene is for one RESULT")
        places = [Path(flags["scene"])]
    wanted = Selection(_range(flags["between"]), flags["side"], flags["most"])
    done = write_review(loaded, output, selection=wanted, scenes=places, address=flags["address"])
    more = f", {done.left_out} more left out by --most" if done.left_out else ""
    click.echo(f"{done.doubtful} doubtful detections in {done.crops} crops{more} -> {output}")


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise click.UsageError(f"--between must be two scores such as 0.3,0.6, got {text!r}") from None
    return low, high


def _loaded(words: tuple[str, ...]) -> tuple[list[RunResult], list[Path | None]]:
    """Results, and where their scenes lie if not where they say, as after a folder was moved."""
    from sodslice.results import load_result
    from sodslice.results.scenes import moved_scene

    paths = [file for word in words for file in _files(Path(word))]
    results = [load_result(path) for path in paths]
    return results, [moved_scene(one.scene.path, path) for one, path in zip(results, paths, strict=True)]


def _files(path: Path) -> list[Path]:
    """A file, or the results of a job's folder in its order."""
    from sodslice.jobs.manifest import entries_of, in_job_order

    if not path.is_dir():
        return [path]
    done = [entry for entry in in_job_order(entries_of(path).values()) if entry.status == "done"]
    if not done:
        raise DataError(f"{path} holds no results of a job; name the files of results")
    return [path / entry.output for entry in done]
