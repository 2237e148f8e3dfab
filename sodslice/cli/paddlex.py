"""`sodslice paddlex`: the command line of PaddleX's small object detection pipeline."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    in_flags,
    set_up_logging,
    typing_errors,
    verbosity_flags,
)
from sodslice.errors import SceneError

if TYPE_CHECKING:
    from sodslice.integrations.paddlex import DetResult

DEFAULT_FOLDER = "output"


class PipelineCommand(GroupedCommand):
    """A command whose model stands in a YAML."""

    words: ClassVar[Mapping[str, str]] = {"model": "model_dir of a pipeline's YAML"}


@click.command(name="paddlex", cls=PipelineCommand)
@click.option("--pipeline", cls=GroupedOption, help="small_object_detection, or the path of its YAML.")
@click.option(
    "--input", "given", cls=GroupedOption, help="An image, its http or https address, or a folder of images."
)
@click.option("--device", cls=GroupedOption, help="cpu, gpu:0, gpu:1,2, npu:0, ...  [default: the YAML's]")
@click.option(
    "--save_path",
    "save_path",
    default=DEFAULT_FOLDER,
    show_default=True,
    cls=GroupedOption,
    help="Folder for the JSON and the picture of each image.",
)
@click.option(
    "--threshold",
    cls=GroupedOption,
    help='Lowest score that is kept, or one for each class id: "{3: 0.4}".  [default: the YAML\'s]',
)
@click.option(
    "--get_pipeline_config",
    "wanted",
    metavar="NAME",
    cls=GroupedOption,
    help="Write the YAML of that pipeline, and do nothing else.",
)
@click.option(
    "--config_save_path",
    "config_path",
    metavar="PATH",
    default=".",
    show_default=True,
    cls=GroupedOption,
    help="Folder or file for that YAML.",
)
@click.option(
    "--whole",
    is_flag=True,
    cls=GroupedOption,
    help="Resize each image to the model's input, as PaddleX does, in place of slicing it.",
)
@click.option("--use_hpip", "use_hpip", is_flag=True, cls=GroupedOption, help="Taken, and without effect.")
@verbosity_flags
def command(pipeline: str | None, given: str | None, **flags: Any) -> None:
    """Do what PaddleX's command line does with its small object detection pipeline.

    The result of each image is printed, and written to --save_path: NAME_res.json, and a picture NAME_res.
    Images that are larger than the model's input are sliced.
    """
    set_up_logging(verbose=flags["verbose"], quiet=flags["quiet"])
    if flags["wanted"] is not None:
        click.echo(f"{flags['wanted']} -> {_write_config(flags['wanted'], flags['config_path'])}")
        return
    if pipeline is None or given is None:
        raise click.UsageError("give --pipeline small_object_detection and --input, or --get_pipeline_config")
    threshold = _threshold(flags["threshold"])
    from sodslice.integrations.paddlex import create_pipeline

    with create_pipeline(pipeline, device=flags["device"]) as ready:
        with typing_errors():
            results = ready.predict(given, threshold, save_path=flags["save_path"], slice=not flags["whole"])
        bad = _echo_all(results)
    if bad:
        raise SystemExit(1)


def _echo_all(results: Iterator[DetResult]) -> int:
    """Print each result; returns how many images had none, each with its error on stderr."""
    bad = 0
    while True:
        try:
            click.echo(str(next(results).json))
        except StopIteration:
            return bad
        except SceneError as error:
            click.echo(f"error: {in_flags(str(error))}", err=True)
            bad += 1


def _threshold(text: str | None) -> Any:
    """A number, or a dict of them by class id, as PaddleX reads it."""
    if text is None:
        return None
    try:
        read = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        read = None
    if isinstance(read, (int, float, dict)) and not isinstance(read, bool):
        return read
    raise click.UsageError(f'--threshold takes a number or "{{class id: number}}", got {text!r}')


def _write_config(name: str, path: str) -> Path:
    """Write a pipeline's YAML where nothing else is."""
    from sodslice.errors import OutputError
    from sodslice.settings.paddlex import YAML_SUFFIXES, check_name, pipeline_yaml
    from sodslice.system.files import write_atomically

    check_name(name)
    target = Path(path)
    if target.suffix.lower() not in YAML_SUFFIXES:
        target /= f"{name}.yaml"
    content = pipeline_yaml().encode()
    if target.is_dir():
        raise OutputError(f"{target} is a folder; give another `config_save_path`")
    if target.is_file() and target.read_bytes() != content:
        raise OutputError(
            f"{target} is here already and differs; move it away, or give another `config_save_path`"
        )
    write_atomically(target, content)
    return target
