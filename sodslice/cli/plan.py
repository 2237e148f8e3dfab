"""`sodslice plan`: what a run would do, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    gather_options,
    set_up_logging,
    settings_flags,
    verbosity_flags,
)


@click.command(name="plan", cls=GroupedCommand)
@click.argument("scene")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False),
    cls=GroupedOption,
    help="Write the plan to this file too, as JSON that RunPlan.from_json reads.",
)
@settings_flags()
@verbosity_flags
def command(scene: str, target: str | None, **flags: Any) -> None:
    """Show the tiles, batches, memory and reading time that a run over SCENE needs; no model is loaded."""
    from sodslice.running import estimate, make_plan
    from sodslice.running.events import Events
    from sodslice.scene import as_scene
    from sodslice.system.files import write_atomically

    set_up_logging(verbose=flags.pop("verbose"), quiet=flags.pop("quiet"))
    options = gather_options(flags.pop("config"), flags)
    opened = as_scene(scene, options.rendering)
    try:
        plan = make_plan(opened, options=options)
        for note in plan.notes:
            Events().note(note)
        rows = estimate(plan, opened).rows()
    finally:
        opened.close()
    if target is not None:
        write_atomically(Path(target), plan.to_json())
    for name, value in rows:
        click.echo(f"{name:<12} {value}")
