"""`sodslice models`: which models there are, and what is known about them."""

from __future__ import annotations

import click


@click.group(name="models", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the models that --model knows, or show one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@command.command(name="list")
def list_models() -> None:
    """Names that --model takes."""
    from sodslice.models import DETECTORS, MODELS, model_names

    for name in model_names():
        about = MODELS[name].about if name in MODELS else DETECTORS[name].about
        elsewhere = name in MODELS and MODELS[name].folder is None
        click.echo(f"{name:<30} {about}{'  (not on this machine)' if elsewhere else ''}")


@command.command(name="info")
@click.argument("model")
def info(model: str) -> None:
    """What is known about MODEL, a name or a folder: classes, input, threshold, licence."""
    from sodslice.models import model_info

    facts = model_info(model)
    size = facts.input_size
    rows = {
        "name": facts.name,
        "classes": ", ".join(facts.class_names),
        "input": f"{size[1]} x {size[0]} pixels" if size else f"any multiple of {facts.stride} pixels",
        "preprocess": ", ".join(facts.preprocess),
        "threshold": f"{facts.threshold:g}",
        "NMS": "inside the model, per tile" if facts.suppressed else "by the merge",
        "objects": "{:g} to {:g} pixels".format(*facts.object_px) if facts.object_px else "not known",
        "GSD": f"about {facts.gsd_m:g} m per pixel in training" if facts.gsd_m else "not known",
        "licence": facts.licence or "not stated in the model's files",
        "sha256": facts.sha256 or "-",
    }
    for name, value in rows.items():
        click.echo(f"{name:<11} {value}")
