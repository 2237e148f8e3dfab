"""`sodslice plan`: what a run would do, without a model."""

from __future__ import annotations

from typing import Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    gather_options,
    set_up_logging,
    settings_flags,
    verbosity_flags,
)


@click.command(name="plan", cls=GroupedCommand)
@click.argument("scene")
@settings_flags()
@verbosity_flags
def command(scene: str, **flags: Any) -> None:
    """Show the tiles, batches, memory and reading time that a run over SCENE needs; no model is loaded."""
    from sodslice.plan import plan_scene

    set_up_logging(verbose=flags.pop("verbose"), quiet=flags.pop("quiet"))
    for name, value in plan_scene(scene, gather_options(flags.pop("config"), flags)).rows():
        click.echo(f"{name:<12} {value}")
