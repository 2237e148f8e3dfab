"""`sodslice report`: a result as a page, or a job as a folder of pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import GroupedCommand, GroupedOption, set_up_logging, verbosity_flags
from sodslice.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sodslice.jobs.manifest import Entry
    from sodslice.report.page.folder import JobScene


@click.command(name="report", cls=GroupedCommand)
@click.argument("result")
@click.option(
    "-o",
    "--output",
    cls=GroupedOption,
    help="Page to write, .html, or a folder for those of a job.  [default: RESULT with .html, or report]",
)
@click.option(
    "--scene", type=click.Path(exists=True), cls=GroupedOption, help="Where the scene of RESULT lies now."
)
@click.option(
    "--truth",
    type=click.Path(exists=True),
    cls=GroupedOption,
    help="COCO or GeoJSON: what is found, missed and falsely found gets colours of its own.",
)
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False),
    cls=GroupedOption,
    help="Write a PNG of the surest and the most doubtful detections too.",
)
@click.option("--iou", default=0.5, show_default=True, cls=GroupedOption, help="With --truth: least overlap.")
@verbosity_flags
def command(result: str, output: str | None, **flags: Any) -> None:
    """Write RESULT as one HTML page that shows the scene with its boxes, and needs no network.

    RESULT is a file that `run` wrote, or the folder of a job, of which each scene gets a page.
    """
    set_up_logging(verbose=flags.pop("verbose"), quiet=flags.pop("quiet"))
    path = Path(result)
    if path.is_dir():
        _of_job(path, Path(output or "report"), flags)
    else:
        _of_result(path, Path(output) if output else Path(f"{path.stem}.html"), flags)


def _of_result(path: Path, page: Path, flags: dict[str, Any]) -> None:
    from sodslice.report.page import write_report
    from sodslice.report.page.judging import judged_by
    from sodslice.report.page.writing import check_page
    from sodslice.report.sheet import check_sheet, write_sheet
    from sodslice.results import load_result
    from sodslice.results.scenes import moved_scene

    check_page(page)
    if flags["sheet"]:
        check_sheet(Path(flags["sheet"]))
    result = load_result(path)
    scene = flags["scene"] or moved_scene(result.scene.path, path)
    judged = judged_by(result, flags["truth"], iou=flags["iou"]) if flags["truth"] else None
    write_report(result, page, scene=scene, judged=judged)
    if flags["sheet"]:
        write_sheet(result, flags["sheet"], scene=scene)
    files = ", ".join(map(str, filter(None, (page, flags["sheet"]))))
    click.echo(f"{result.scene.path}: {len(result)} objects -> {files}")


def _of_job(folder: Path, output: Path, flags: dict[str, Any]) -> None:
    from sodslice.jobs.manifest import entries_of, in_job_order
    from sodslice.report.page import write_job_report

    if flags["scene"] or flags["truth"] or flags["sheet"]:
        raise click.UsageError("--scene, --truth and --sheet are for one result")
    entries = in_job_order(entries_of(folder).values())
    if not entries:
        raise DataError(f"{folder} holds no manifest.jsonl of a job; name the file of a result")
    index = write_job_report(_scenes(folder, entries), output, title=folder.resolve().name)
    click.echo(f"{len(entries)} scenes -> {index}")


def _scenes(folder: Path, entries: list[Entry]) -> Iterator[JobScene]:
    from sodslice.report.page.folder import JobScene
    from sodslice.results import load_result
    from sodslice.results.scenes import moved_scene

    for entry in entries:
        if entry.status != "done":
            yield JobScene(entry.name, None, entry.error or entry.status)
            continue
        path = folder / entry.output
        result = load_result(path)
        yield JobScene(entry.name, result, scene=moved_scene(result.scene.path, path))
