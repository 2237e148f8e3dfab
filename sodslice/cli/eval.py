"""`sodslice eval`: results, or a model, against a truth."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sodslice.cli._shared import (
    Command,
    GroupedCommand,
    GroupedOption,
    gather_options,
    progress_bar,
    set_up_logging,
    settings_flags,
    verbosity_flags,
)
from sodslice.errors import DataError, OutputError, SceneError
from sodslice.settings import settings_in

if TYPE_CHECKING:
    from sodslice.metrics import Case, Comparison, Evaluation, PixelGrid
    from sodslice.scene import Scene

OF_THE_COMPARISON = ("iou", "class_agnostic", "model")
"""Names that are flags of the comparison here, though a run has settings of the same names."""

RUN_SETTINGS = {
    name: known
    for name, known in settings_in("inference", "coverage", "rendering", "joining").items()
    if name not in OF_THE_COMPARISON
}
"""Settings of a run that --model takes as flags; --config takes all of them."""

JSON_SUFFIX = ".json"

log = logging.getLogger(__name__)


class Judged(NamedTuple):
    """What was measured: the evaluation, what it is about (for the JSON), and the model's own threshold."""

    evaluation: Evaluation
    about: dict[str, Any]
    own_threshold: float | None


def _flag(name: str, group: str, words: str, kind: Any = str, **more: Any) -> Callable[[Command], Command]:
    return click.option(name, cls=GroupedOption, group=group, help=words, type=kind, **more)


def _switch(name: str, group: str, words: str) -> Callable[[Command], Command]:
    return click.option(name, cls=GroupedOption, group=group, help=words, is_flag=True)


def _file() -> click.Path:
    return click.Path(exists=True, dir_okay=False)


@click.command(name="eval", cls=GroupedCommand)
@click.argument("files", nargs=-1, required=True, metavar="[RESULT]... TRUTH")
@settings_flags(RUN_SETTINGS, group="With --model")
@_flag(
    "--data",
    "Files",
    "Folder of the images that TRUTH names.  [default: the folder beside TRUTH with its stem, else its own]",
    click.Path(exists=True, file_okay=False),
)
@_flag(
    "--scene",
    "Files",
    "The raster of the one scene: to place pixels on the map, or to judge --model on.",
    _file(),
)
@_flag("--roi", "Files", "GeoJSON; only what has its centre in its polygons counts.", _file())
@_flag("--ignore", "Files", "GeoJSON; what has its centre in its polygons does not count.", _file())
@_flag(
    "--regions-in",
    "Files",
    "Coordinates of --roi and --ignore.  [default: auto: map where the scene has a georeference]",
    click.Choice(["auto", "map", "pixel"]),
    default="auto",
)
@_flag(
    "--iou",
    "Compare",
    "Overlap that makes a match for precision and recall.  [default: 0.5]",
    float,
    default=0.5,
)
@_flag(
    "--class-map",
    "Compare",
    "Read one class as another, on both sides: car=vehicle. May be repeated.",
    multiple=True,
    metavar="NAME=NAME",
)
@_switch("--class-agnostic", "Compare", "Take all classes as one.")
@_flag("--label-key", "Compare", "GeoJSON property with the class.  [default: label]", default="label")
@_flag(
    "--coordinates",
    "Compare",
    "Compare pixel boxes, or places on the map.  [default: auto: pixels where both sides have them]",
    click.Choice(["auto", "pixel", "map"]),
    default="auto",
)
@_switch("--partial", "Compare", "Leave out images without a result.")
@_switch("--allow-empty", "Compare", "Compare with a truth without objects: count false alarms.")
@_flag(
    "--at", "Show", "Show this score threshold too. May be repeated.", click.FloatRange(0, 1), multiple=True
)
@_switch("--json", "Show", "Print JSON, not a table.")
@click.option(
    "-o",
    "--output",
    cls=GroupedOption,
    group="Show",
    metavar="FILE",
    help="Write the numbers to this .json file.",
)
@_flag("--plots", "Show", "Folder for curves.png and mistakes.png.", click.Path(file_okay=False))
@_flag("--model", "With --model", "Judge this model, any that `run` takes, in place of results.")
@verbosity_flags
def command(files: tuple[str, ...], **flags: Any) -> None:
    """Measure results of `run` against TRUTH: COCO AP, precision, recall, false alarms.

    RESULT is a file that `run` wrote, or a folder of them; TRUTH is COCO or GeoJSON. With --model, give
    TRUTH alone: the model is run on its images, or on --scene.
    """
    set_up_logging(verbose=flags["verbose"], quiet=flags["quiet"])
    results, truth = files[:-1], files[-1]
    if bool(flags["model"]) == bool(results):
        raise click.UsageError("give RESULT and TRUTH, or --model and TRUTH")
    if flags["output"] and Path(flags["output"]).suffix.lower() != JSON_SUFFIX:
        raise OutputError(f"{flags['output']} must end in {JSON_SUFFIX}; the numbers are written as JSON")
    how = _comparison(flags)
    judged = _judge_model(truth, how, flags) if flags["model"] else _judge_results(results, truth, how, flags)
    _write_numbers(judged, truth, flags)
    for note in judged.evaluation.notes:
        log.warning(note)
    if flags["plots"]:
        _draw(judged, truth, flags)


def _comparison(flags: dict[str, Any]) -> Comparison:
    from sodslice.metrics import Comparison

    pairs = [text.partition("=") for text in flags["class_map"]]
    for name, _, other in pairs:
        if not (name and other):
            raise click.UsageError(f"--class-map takes NAME=NAME, got {name!r}")
    return Comparison(
        iou=flags["iou"],
        class_map={name: other for name, _, other in pairs},
        class_agnostic=flags["class_agnostic"],
        coordinates=flags["coordinates"],
        roi=flags["roi"],
        ignored=flags["ignore"],
        regions_in=flags["regions_in"],
        partial=flags["partial"],
        allow_empty=flags["allow_empty"],
    )


def _judge_results(results: tuple[str, ...], truth: str, how: Comparison, flags: dict[str, Any]) -> Judged:
    from sodslice.metrics import evaluate, read_results, read_truth

    key = None if how.class_agnostic else flags["label_key"]
    truths = read_truth(truth, label_key=key, allow_empty=how.allow_empty)
    found = read_results(results, truth=truth, label_key=key)
    evaluation = evaluate(found, truths, how, scene=_grid(flags["scene"]))
    return Judged(evaluation, {"results": list(results)}, None)


def _judge_model(truth: str, how: Comparison, flags: dict[str, Any]) -> Judged:
    from sodslice.metrics import evaluate, read_truth, result_layer
    from sodslice.models import load_spec, resolve_model
    from sodslice.report import check_sizes, find_images, judge, run_notes

    key = None if how.class_agnostic else flags["label_key"]
    truths = read_truth(truth, label_key=key, allow_empty=how.allow_empty)
    if not flags["scene"] and not (truths and all(layer.image for layer in truths)):
        raise DataError(f"{truth} names no images; give the raster that --model is to see with --scene")
    options = gather_options(flags["config"], {name: flags[name] for name in ("model", *RUN_SETTINGS)})
    if flags["scene"]:
        paths = [Path(flags["scene"])]
    else:
        paths = find_images(truths, _folder(truth, flags))
        check_sizes(truths, paths, options.rendering)
    detector = load_spec(resolve_model(flags["model"], options.inference, tile=options.coverage.longer_side))
    with progress_bar(quiet=flags["quiet"], unit="image") as progress:
        results = judge(detector, paths, options, progress=progress)
    detector.close()
    for note in run_notes(results):
        log.warning(note)
    found = [result_layer(result, str(path)) for result, path in zip(results, paths, strict=True)]
    info = detector.info
    about = {
        "model": {"name": info.name, "sha256": info.sha256},
        "options": dict(results[0].provenance.options),
    }
    evaluation = evaluate(found, truths, how, in_order=not flags["scene"])
    return Judged(evaluation, about, info.threshold)


def _grid(scene: str | None) -> PixelGrid | None:
    """The pixels of the raster given with --scene."""
    from sodslice.metrics import PixelGrid
    from sodslice.scene import open_scene

    if scene is None:
        return None
    opened = open_scene(scene)
    try:
        return PixelGrid(opened.georef, (opened.width, opened.height))
    finally:
        opened.close()


def _folder(truth: str, flags: dict[str, Any]) -> Path:
    """Where the images of a truth are."""
    beside = Path(truth).with_suffix("")
    return Path(flags["data"] or (beside if beside.is_dir() else beside.parent))


def _write_numbers(judged: Judged, truth: str, flags: dict[str, Any]) -> None:
    """The table or JSON on stdout, and the JSON file."""
    import orjson

    from sodslice.metrics import as_table
    from sodslice.system.files import write_atomically

    own = [] if judged.own_threshold is None else [("the model's own", judged.own_threshold)]
    numbers = {"truth": truth, **judged.about, **judged.evaluation.as_dict()}
    if judged.own_threshold is not None:
        numbers["own_threshold"] = judged.evaluation.metrics.curve.at(judged.own_threshold)._asdict()
    content = orjson.dumps(numbers, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if flags["output"]:
        write_atomically(Path(flags["output"]), content)
    if flags["json"]:
        click.echo(content, nl=False)
    else:
        click.echo(as_table(judged.evaluation, marks=[*own, *(("", score) for score in flags["at"])]))


def _draw(judged: Judged, truth: str, flags: dict[str, Any]) -> None:
    """The two pictures; the one of mistakes needs the images."""
    from sodslice.report import draw_contact_sheet, plot_curves

    evaluation = judged.evaluation
    folder = Path(flags["plots"])
    plot_curves(evaluation, folder / "curves.png", title=Path(truth).name)
    best = evaluation.metrics.best.threshold
    threshold = next(iter(flags["at"]), judged.own_threshold or (0.5 if math.isnan(best) else best))

    def open_image(case: Case) -> Scene:
        from sodslice.scene import open_scene

        places = [flags["scene"], case.path, _folder(truth, flags) / case.image]
        for place in places:
            if place and Path(place).is_file():
                return open_scene(place)
        raise SceneError(
            f"{case.image or 'the scene'} is not here; give it with --scene, or its folder with --data"
        )

    try:
        draw_contact_sheet(evaluation, open_image, folder / "mistakes.png", threshold=threshold)
    except SceneError as error:
        log.warning("no picture of the mistakes: %s", error)
