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
from sodslice.values.setting import settings_of


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
    from sodslice.results import Writing, check_heeded, check_output, check_replaceable, write, writing_of
    from sodslice.running import finish_again

    set_up_logging(verbose=flags.pop("verbose"), quiet=flags.pop("quiet"))
    given = typed(flags)
    with typing_errors():
        again = finish_again(result, given)
    check_heeded(outputs, Writing(**{name: given[name] for name in settings_of(Writing) if name in given}))
    for path in outputs:
        check_output(path, georef=again.georef, writing=writing_of(again))
        check_replaceable(path)
    for path in outputs:
        write(again, path)
    click.echo(f"{again.scene.path}: {len(again)} objects -> {', '.join(outputs)}")
