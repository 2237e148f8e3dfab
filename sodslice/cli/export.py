"""`sodslice export`: a checkpoint as a folder that inference engines can run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sodslice.cli._shared import GroupedCommand, set_up_logging, verbosity_flags


def _size(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """(height, width) from `N` or `HxW`."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} is no size; write 1024, or height x width as in 768x1024")
    return int(parts[0]), int(parts[-1])


@click.command("export", cls=GroupedCommand)
@click.argument("checkpoint")
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
    help="Suppress overlaps in the graph, or give all anchors.  [default: --nms; --raw for onnx]",
)
@click.option(
    "--upsample",
    type=click.Choice(["safe", "official"]),
    default="safe",
    show_default=True,
    help="`safe` is what oneDNN of Paddle 3.3 can run; `official` is what PaddleDetection writes.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["paddle", "onnx"]),
    default="paddle",
    show_default=True,
    help="`onnx` needs pip install 'sodslice[onnx]'.",
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
@verbosity_flags
def command(checkpoint: str, output: Path, *, verbose: bool, quiet: bool, **flags: Any) -> None:
    """Export CHECKPOINT as a folder for inference.

    CHECKPOINT is a .safetensors file of `sodslice train`, a .pdparams file of PaddleDetection, or vehicle-t.
    The exported model is compared with the network before the folder appears.
    """
    set_up_logging(verbose=verbose, quiet=quiet)
    from sodslice.models import checkpoint_of

    path = checkpoint_of(checkpoint)
    names = _class_names(flags["classes"], flags["classes_from"])

    from sodslice.inference.engines.paddle import import_paddle

    import_paddle()
    from sodslice.ppyoloe.description import settings_of
    from sodslice.ppyoloe.export import export_folder
    from sodslice.ppyoloe.onnx import export_onnx, require_converter
    from sodslice.ppyoloe.weights import load_network

    onnx = flags["kind"] == "onnx"
    if onnx:
        require_converter()
    network, metadata = load_network(path, architecture=flags["architecture"], class_names=names)
    config = network.config
    size = flags["input_size"]
    if size is None and config.input_size is not None:
        size = (config.input_size, config.input_size)
    settings = settings_of(metadata, size)
    sides = None if flags["object_px"] is None else sorted(flags["object_px"])
    said = {"gsd_m": flags["gsd"], "object_px": sides, "licence": flags["licence"]}
    settings = replace(
        settings,
        nms=not onnx if flags["nms"] is None else flags["nms"],
        upsample=flags["upsample"],
        model_name=flags["name"] or settings.model_name,
        draw_threshold=settings.draw_threshold if flags["threshold"] is None else flags["threshold"],
        facts={**settings.facts, **{name: value for name, value in said.items() if value is not None}},
    )
    write = export_onnx if onnx else export_folder
    agreement = write(network, output, settings, overwrite=flags["overwrite"])
    mebibytes = sum(file.stat().st_size for file in output.iterdir()) / 2**20
    words = f"{size[1]} x {size[0]} pixels" if size else "tiles of any size"
    click.echo(
        f"exported {config.name} with {config.num_classes} classes for {words} to {output}: "
        f"{mebibytes:.1f} MiB, equal to the network within {agreement.box_px:.1g} px and "
        f"{agreement.score:.1g} score"
    )


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
