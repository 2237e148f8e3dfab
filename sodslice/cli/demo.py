"""`sodslice demo`: the main job on a drawn scene, compared with the truth."""

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
from sodslice.cli._watching import watching


@click.command(name="demo", cls=GroupedCommand)
@click.option(
    "-o",
    "--output",
    "folder",
    default="sodslice-demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the scene, its truth and the results.",
    cls=GroupedOption,
)
@click.option(
    "--side",
    default=2048,
    show_default=True,
    type=click.IntRange(64, 30_000),
    help="Side of the scene in pixels of 0.12 m.",
    cls=GroupedOption,
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Which town.", cls=GroupedOption
)
@settings_flags()
@verbosity_flags
def command(folder: str, side: int, seed: int, **flags: Any) -> None:
    """Draw a synthetic town with exact truth, find its vehicles, and say how many were found."""
    from sodslice.running.demo import run_demo

    quiet = flags.pop("quiet")
    set_up_logging(verbose=flags.pop("verbose"), quiet=quiet)
    options = gather_options(flags.pop("config"), flags)
    with watching(quiet=quiet) as events:
        done = run_demo(Path(folder), side=side, seed=seed, options=options, events=events)
    click.echo(f"scene      {done.scene} ({side} x {side} pixels), truth {done.truth}")
    click.echo(f"results    {', '.join(map(str, done.outputs))}")
    click.echo(f"vehicles   {done.vehicles} drawn, {len(done.result)} found, {done.hits} of them right")
    click.echo(f"recall     {done.recall:.2f}")
    click.echo(f"precision  {done.precision:.2f}")
