"""`sodslice merge`: join the boxes of a finished run again, with other settings, without a model."""

from __future__ import annotations

from typing import Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    set_up_logging,
    settings_flags,
    verbosity_flags,
)

AFTER_DETECTION = (
    "merge",
    "iou",
    "class_agnostic",
    "class_group",
    "threshold",
    "classes",
    "min_size",
    "max_size",
)


@click.command(name="merge", cls=GroupedCommand)
@click.argument("result")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    required=True,
    cls=GroupedOption,
    help="File to write; repeatable.",
)
@settings_flags(AFTER_DETECTION)
@verbosity_flags
def command(result: str, outputs: tuple[str, ...], **flags: Any) -> None:
    """Merge what the tiles of RESULT saw again; RESULT was written by `run --keep-raw`."""
    from sodslice.remerge import merge_again
    from sodslice.writers import write

    set_up_logging(verbose=flags.pop("verbose"), quiet=flags.pop("quiet"))
    again = merge_again(result, {name: value for name, value in flags.items() if value not in (None, ())})
    for path in outputs:
        write(again, path)
    click.echo(f"{again.scene['path']}: {len(again)} objects -> {', '.join(outputs)}")
