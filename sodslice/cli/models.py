"""`sodslice models`: which models there are, what is known about them, and fetching those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import GroupedCommand, GroupedOption, progress_bar, set_up_logging, verbosity_flags
from sodslice.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 1 << 20


@click.group(name="models", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the models that --model knows, fetch, show, check or remove one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@command.command(name="list")
def list_models() -> None:
    """Names that --model takes, and what was fetched by its URL."""
    from sodslice.models import DETECTORS, MODELS, model_names
    from sodslice.models.shelf import is_url, places_here

    for name in model_names():
        about = MODELS[name].about if name in MODELS else DETECTORS[name].about
        click.echo(f"{name:<30} {about}{_whereabouts(name)}")
    for place in places_here():
        if is_url(place.word):
            click.echo(f"{place.word:<30} fetched  ({_size(place.path)})")


def _whereabouts(name: str) -> str:
    """What of a model with files is here; "" for models that need none."""
    from sodslice.models import MODELS
    from sodslice.models.store import fetched_files

    if name not in MODELS or MODELS[name].folder is not None:
        return ""
    parts = [f"{'folder' if path.is_dir() else 'checkpoint'} {_size(path)}" for path in fetched_files(name)]
    return f"  (here: {', '.join(parts)})" if parts else "  (not on this machine)"


@command.command(name="pull", cls=GroupedCommand)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--weights",
    is_flag=True,
    cls=GroupedOption,
    help="The checkpoint (.pdparams) of MODEL, for tiles of any size; MODEL_pretrained means the same.",
)
@click.option(
    "--mirror",
    metavar="URL",
    default="",
    cls=GroupedOption,
    help="Folder that has the official files: https://..., file://... or a path.  "
    "[default: SODSLICE_MIRROR of the environment, else the official one]",
)
@click.option("--again", is_flag=True, cls=GroupedOption, help="Fetch it even if it is here.")
@click.option(
    "--accept-change",
    is_flag=True,
    cls=GroupedOption,
    help="Take a file that is not the one which came first under this name.",
)
@verbosity_flags
def pull(models: tuple[str, ...], *, weights: bool, verbose: bool, quiet: bool, **how: Any) -> None:
    """Fetch MODEL, an official name or the URL of a .tar or a checkpoint, into the user's cache.

    An interrupted download goes on. What came is checked, and run on one tile, before it counts.
    """
    from sodslice.models import Pulling
    from sodslice.models import pull as pull_model

    set_up_logging(verbose=verbose, quiet=quiet)
    for model in models:
        with progress_bar(quiet=quiet, title=model, of_bytes=True) as progress:
            pulled = pull_model(model, weights=weights, how=Pulling(**how), progress=progress)
        if not quiet:
            notes = pulled.notes
            facts = [f"{notes.bytes / MEBIBYTE:.1f} MiB", f"sha256 {notes.sha256}", notes.tried]
            word = "fetched" if pulled.fresh else "is here already"
            click.echo(f"{notes.word} {word}: {', '.join(filter(None, facts))} -> {pulled.path}")


@command.command(name="info")
@click.argument("model")
def info(model: str) -> None:
    """What is known about MODEL, any word for one: classes, input, threshold, licence."""
    from sodslice.models import model_info, model_layout

    facts, layout = model_info(model), model_layout(model)
    size = facts.input_size
    rows = {
        "name": facts.name,
        **({"layout": layout} if layout else {}),
        "classes": ", ".join(facts.class_names),
        "input": f"{size[1]} x {size[0]} pixels" if size else f"any multiple of {facts.stride} pixels",
        "preprocess": ", ".join(facts.preprocess),
        "threshold": f"{facts.threshold:g}",
        "NMS": "inside the model, per tile" if facts.suppressed else "by the merge",
        "objects": "{:g} to {:g} pixels".format(*facts.object_px) if facts.object_px else "not known",
        "GSD": f"about {facts.gsd_m:g} m per pixel in training" if facts.gsd_m else "not known",
        "licence": facts.licence or "not stated in the model's files",
        "sha256": facts.sha256 or "-",
        **_origin(model),
    }
    for name, value in rows.items():
        click.echo(f"{name:<11} {value}")


def _origin(model: str) -> dict[str, str]:
    """Where a model that was fetched lies and came from; nothing for others."""
    from sodslice.models.shelf import places_here, read_notes

    for place in places_here():
        if place.word == model:
            notes = read_notes(place.notes)
            return {
                "place": str(place.path),
                "fetched": f"{notes.pulled} from {notes.url}",
                "tile": notes.tried,
            }
    return {}


@command.command(name="verify")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
def verify(models: tuple[str, ...]) -> None:
    """Hash what was fetched (of MODEL, else all) again, and say what is not as it came."""
    from sodslice.models import verify as verify_model

    checked = [one for model in models or ("",) for one in verify_model(model)]
    for one in checked:
        click.echo(f"{one.word}: {'; '.join(one.wrong) or 'as it came'} ({one.path})")
    changed = [one.word for one in checked if one.wrong]
    if changed:
        raise ModelError(
            f"not as it came: {', '.join(changed)}; fetch it anew with sodslice models pull --again"
        )
    if not checked:
        click.echo("nothing was fetched")


@command.command(name="rm")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
def remove(models: tuple[str, ...]) -> None:
    """Remove what was fetched of MODEL; MODEL_pretrained means its checkpoint alone.

    What was noted of it stays, so that another file under its name is noticed.
    """
    from sodslice.models import remove as remove_model

    for model in models:
        for path, size in remove_model(model):
            click.echo(f"removed {path}: {size / MEBIBYTE:.1f} MiB")


def _size(path: Path) -> str:
    from sodslice.models.shelf import bytes_of

    return f"{bytes_of(path) / MEBIBYTE:.1f} MiB"
