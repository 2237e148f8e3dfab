"""`sodslice export`: a model as a folder that inference engines can run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    gather_options,
    set_up_logging,
    verbosity_flags,
)

if TYPE_CHECKING:
    from sodslice.ppyoloe.agreement import Agreement
    from sodslice.ppyoloe.description import ExportSettings
    from sodslice.ppyoloe.network import Network

OPENVINO, INT8 = "openvino", "openvino-int8"

OF_CHECKPOINTS = (
    "input_size",
    "nms",
    "upsample",
    "architecture",
    "classes",
    "classes_from",
    "name",
    "threshold",
    "gsd",
    "object_px",
    "licence",
)
"""Flags that say how a network becomes a folder; what is a folder already has all that."""

OF_INT8 = ("calibrate", "calibrate_tiles", "truth", "max_loss", "force", "config")
"""Flags about calibration."""


def _size(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """(height, width) from `N` or `HxW`."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} is no size; write 1024, or height x width as in 768x1024")
    return int(parts[0]), int(parts[-1])


@click.command("export", cls=GroupedCommand)
@click.argument("model")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--input-size",
    callback=_size,
    metavar="N|HxW",
    help="Pixels that the exported model takes, multiples of 32; the tile size for a 1:1 model.  "
    "[default: the official one; any size for T]",
)
@click.option(
    "--nms/--raw",
    default=None,
    help="Suppress overlaps in the graph, or give all anchors.  [default: --nms for paddle, else --raw]",
)
@click.option(
    "--upsample",
    type=click.Choice(["safe", "official"]),
    help="`safe` is what oneDNN of Paddle 3.3 can run; `official` is what PaddleDetection writes.  "
    "[default: safe]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["paddle", "onnx", OPENVINO, INT8]),
    default="paddle",
    show_default=True,
    help="`openvino-int8` computes with integers, needs --calibrate and pip install 'sodslice[int8]'.",
)
@click.option("--architecture", help="S, L, largesize-L or T, where it cannot be told from the tensors.")
@click.option("--classes", help="Class names in the order of their ids, for example car,truck,bus.")
@click.option(
    "--classes-from",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take them from a COCO .json, an inference .yml, or a .txt of one name a line.",
)
@click.option("--name", help="What outputs call the model.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Score from which users are shown a box.")
@click.option(
    "--gsd", type=click.FloatRange(0, min_open=True), help="Metres per pixel of the training images."
)
@click.option(
    "--object-px",
    nargs=2,
    type=click.FloatRange(0, min_open=True),
    help="Least and greatest longer side in pixels of the objects that the model knows.",
)
@click.option("--licence", help="What may be done with the weights, in a sentence.")
@click.option("--overwrite", is_flag=True, help="Replace what the folder holds now.")
@click.option(
    "--calibrate",
    cls=GroupedOption,
    group="With openvino-int8",
    type=click.Path(path_type=Path, exists=True),
    metavar="SCENE|FOLDER",
    help="Scenes like those that the model will see; tiles of them show how large its numbers get.",
)
@click.option(
    "--calibrate-tiles",
    cls=GroupedOption,
    group="With openvino-int8",
    type=click.IntRange(1),
    help="Tiles to learn from; a third as many more are held out, to compare answers on.  [default: 120]",
)
@click.option(
    "--truth",
    cls=GroupedOption,
    group="With openvino-int8",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="COCO or GeoJSON: measure AP before and after on its images, or on the one scene.",
)
@click.option(
    "--max-loss",
    cls=GroupedOption,
    group="With openvino-int8",
    type=click.FloatRange(0),
    help="Points that may be lost: of AP with --truth, else per cent of boxes that differ.  "
    "[default: 0.5 of AP, 3 of boxes]",
)
@click.option(
    "--force",
    cls=GroupedOption,
    group="With openvino-int8",
    is_flag=True,
    help="Write it however much is lost; its card says so.",
)
@click.option(
    "--config",
    cls=GroupedOption,
    group="With openvino-int8",
    type=click.Path(exists=True, dir_okay=False),
    help="Settings of runs, from a YAML file: tiles are read as these say.",
)
@verbosity_flags
def command(model: str, output: Path, *, verbose: bool, quiet: bool, **flags: Any) -> None:
    """Export MODEL as a folder for inference.

    MODEL is a .safetensors file of `sodslice train`, a .pdparams file of PaddleDetection, or the name or URL
    of one; for OpenVINO also an exported folder or a .tar. The exported model is compared with the network
    before the folder appears.
    """
    set_up_logging(verbose=verbose, quiet=quiet)
    _check_flags(flags)
    if flags["kind"] not in (OPENVINO, INT8):
        click.echo(_export_checkpoint(model, output, flags))
    elif _is_folder(model) and not _typed(flags, OF_CHECKPOINTS):
        click.echo(_export_openvino(model, model, output, flags))
    else:
        with TemporaryDirectory(prefix="sodslice-", ignore_cleanup_errors=True) as folder:
            raw = Path(folder) / "raw"
            _export_checkpoint(model, raw, {**flags, "kind": "onnx"})
            click.echo(_export_openvino(model, str(raw), output, flags))


def _check_flags(flags: dict[str, Any]) -> None:
    """Refuse flags that the format has no use for.

    Raises:
        UsageError: there are some, or one is missing.
    """
    if flags["kind"] == INT8 and not flags["calibrate"]:
        raise click.UsageError(f"--format {INT8} learns from tiles; name scenes with --calibrate")
    needless = _typed(flags, OF_INT8) if flags["kind"] != INT8 else []
    if needless:
        raise click.UsageError(f"{needless[0]} is for --format {INT8}")
    if flags["kind"] in (OPENVINO, INT8) and flags["nms"]:
        raise click.UsageError("graphs for OpenVINO leave NMS to sodslice; leave out --nms")


def _typed(flags: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Those of some flags that were given, as one types them."""
    return ["--" + name.replace("_", "-") for name in names if flags[name] not in (None, False)]


def _is_folder(model: str) -> bool:
    from sodslice.models.store import files_of

    return files_of(model).is_dir()


def _export_openvino(name: str, model: str, output: Path, flags: dict[str, Any]) -> str:
    """Write a folder for OpenVINO; what there is to say of it.

    Args:
        name: what the user calls the model.
        model: its exported folder, or a name that stands for one.
        output: the folder to write.
        flags: of the command.
    """
    from sodslice.jobs.quantising import Calibration, export_int8, export_openvino

    if flags["kind"] == OPENVINO:
        export_openvino(model, output, overwrite=flags["overwrite"])
        return f"exported {name} to {output}: {_mebibytes(output):.1f} MiB"
    options = gather_options(flags["config"], {})
    how = Calibration(
        flags["calibrate"],
        flags["calibrate_tiles"] or Calibration.tiles,
        flags["truth"],
        flags["max_loss"],
        flags["force"],
        options,
    )
    card = export_int8(model, output, how, overwrite=flags["overwrite"])
    loss, speed, alike = card["loss"], card["ms_a_tile"], card["agreement"]
    return (
        f"quantised {name} with {card['tiles']} tiles to {output}: "
        f"{_mebibytes(output):.1f} MiB, {loss['points']:.2f} points of {loss['of']} lost; on "
        f"{alike['tiles']} other tiles it shows {100 * alike['kept']:.1f} % of the boxes of fp32, and "
        f"{100 * alike['backed']:.1f} % of its own are among those; {speed['int8']:.0f} ms a tile, "
        f"{speed['fp32']:.0f} in fp32"
    )


def _export_checkpoint(model: str, output: Path, flags: dict[str, Any]) -> str:
    """Write a folder in Paddle's format or in ONNX; what there is to say of it."""
    from sodslice.models import checkpoint_of

    path = checkpoint_of(model)
    names = _class_names(flags["classes"], flags["classes_from"])

    from sodslice.inference.engines.paddle import import_paddle

    import_paddle()
    from sodslice.ppyoloe.weights import load_network

    network, metadata = load_network(path, architecture=flags["architecture"], class_names=names)
    config = network.config
    size = flags["input_size"]
    if size is None and config.input_size is not None:
        size = (config.input_size, config.input_size)
    agreement = _write(network, output, _settings(metadata, size, flags), flags)
    words = f"{size[1]} x {size[0]} pixels" if size else "tiles of any size"
    return (
        f"exported {config.name} with {config.num_classes} classes for {words} to {output}: "
        f"{_mebibytes(output):.1f} MiB, equal to the network within {agreement.box_px:.1g} px and "
        f"{agreement.score:.1g} score"
    )


def _settings(
    metadata: dict[str, Any], size: tuple[int, int] | None, flags: dict[str, Any]
) -> ExportSettings:
    """What the checkpoint says of itself, unless a flag says otherwise."""
    from sodslice.ppyoloe.description import settings_of

    settings = settings_of(metadata, size)
    sides = None if flags["object_px"] is None else sorted(flags["object_px"])
    said = {"gsd_m": flags["gsd"], "object_px": sides, "licence": flags["licence"]}
    return replace(
        settings,
        nms=flags["kind"] == "paddle" if flags["nms"] is None else flags["nms"],
        upsample=flags["upsample"] or settings.upsample,
        model_name=flags["name"] or settings.model_name,
        draw_threshold=settings.draw_threshold if flags["threshold"] is None else flags["threshold"],
        facts={**settings.facts, **{name: value for name, value in said.items() if value is not None}},
    )


def _write(network: Network, output: Path, settings: ExportSettings, flags: dict[str, Any]) -> Agreement:
    from sodslice.ppyoloe.export import export_folder
    from sodslice.ppyoloe.onnx import export_onnx

    write = export_onnx if flags["kind"] == "onnx" else export_folder
    return write(network, output, settings, overwrite=flags["overwrite"])


def _mebibytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 2**20


def _class_names(listed: str | None, file: Path | None) -> tuple[str, ...] | None:
    from sodslice.tables.class_lists import distinct_names, names_in

    if listed and file:
        raise click.UsageError("--classes and --classes-from say the same thing; give one of them")
    if listed is None:
        return None if file is None else names_in(file)
    try:
        return distinct_names(listed.split(","))
    except ValueError as error:
        words = f"{error}; write names as in car,truck,bus"
        raise click.BadParameter(words, param_hint="--classes") from None
