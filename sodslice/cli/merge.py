"""`sodslice merge`: finish a run again from what its tiles saw, with other settings, without a model."""

from __future__ import annotations

from typing import Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    set_up_logging,
    settings_flags,
    typed,
    typing_errors,
    verbosity_flags,
)
from sodslice.settings import all_settings


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
@settings_flags(
    {name: known for name, known in all_settings().items() if known.after_detection}, config=False
)
@verbosity_flags
def command(result: str, outputs: tuple[str, ...], **flags: Any) -> None:
    """Merge what the tiles of RESULT saw again; RESULT was written by `run --keep-raw`."""
    from sodslice.results import check_heeded, write, writing_of
    from sodslice.running import finish_again

    set_up_logging(verbose=flags.pop("verbose"), quiet=flags.pop("quiet"))
    with typing_errors():
        again = finish_again(result, typed(flags))
    check_heeded(outputs, writing_of(again))
    for path in outputs:
        write(again, path)
    click.echo(f"{again.scene.path}: {len(again)} objects -> {', '.join(outputs)}")
