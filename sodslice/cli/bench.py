"""`sodslice bench`: how fast a model runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    gather_options,
    progress_bar,
    set_up_logging,
    settings_flags,
    verbosity_flags,
)
from sodslice.settings import all_settings

if TYPE_CHECKING:
    from sodslice.report.speed import Bench

TAKEN = ("engine", "precision", "device", "batch", "threads", "workers", "readers", "tile", "overlap")
QUICK = {"side": 1024, "repeats": 3, "seconds": 5.0, "product_side": 2048}


def _words(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Names that are parted by commas."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


@click.command(name="bench", cls=GroupedCommand)
@click.argument("model", required=False)
@click.option(
    "--engines",
    callback=_words,
    metavar="A,B",
    help="Engines to measure, with a backend behind a colon where wanted.  [default: all that are installed]",
    cls=GroupedOption,
)
@click.option(
    "--beside",
    multiple=True,
    metavar="MODEL",
    help="Measure this one too, such as an int8 export of the same network; repeatable.",
    cls=GroupedOption,
)
@click.option(
    "--baseline",
    is_flag=True,
    help="Measure plain Paddle too, several times slower, which is what PaddleX gives.",
    cls=GroupedOption,
)
@click.option(
    "--side",
    type=click.IntRange(64, 30_000),
    help="Side of the drawn scene in pixels.  [default: 3072]",
    cls=GroupedOption,
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    help="Calls that are timed for a row, at least 3, and no more after 30 s.  [default: 15]",
    cls=GroupedOption,
)
@click.option(
    "--quick", is_flag=True, help="A scene of 1024 pixels, 3 calls a row, rougher numbers.", cls=GroupedOption
)
@click.option(
    "-o",
    "--json",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the numbers to this file too.",
    cls=GroupedOption,
)
@settings_flags({name: known for name, known in all_settings().items() if name in TAKEN}, config=False)
@verbosity_flags
def command(
    model: str | None, *, quick: bool, target: Path | None, verbose: bool, quiet: bool, **flags: Any
) -> None:
    """Measure MODEL (the default one where none is named) on this machine.

    Each installed engine at each precision that this machine computes in, then a run over a drawn scene, and
    the share of what the cores can do. Nothing else should run meanwhile.
    """
    from sodslice.report.speed import Effort, bench, table_of
    from sodslice.running.events import ProgressEvents
    from sodslice.system.files import check_writable

    set_up_logging(verbose=verbose, quiet=quiet)
    own = {name: flags.pop(name) for name in ("engines", "beside", "baseline", "side", "repeats")}
    given = {name: value for name, value in own.items() if value}
    effort = Effort(**{**(QUICK if quick else {}), **given})
    options = gather_options(None, {**flags, **({"model": model} if model else {})})
    if target is not None:
        check_writable(target)
    with progress_bar(quiet=quiet, unit="row") as show:
        done = bench(options, effort, ProgressEvents(show or (lambda *_: None)))
    if target is not None:
        _write(target, done)
    click.echo("\n".join(table_of(done)))


def _write(target: Path, done: Bench) -> None:
    import orjson

    from sodslice.report.speed import document_of
    from sodslice.system.files import write_atomically

    write_atomically(target, orjson.dumps(document_of(done), option=orjson.OPT_INDENT_2))
