"""`sodslice config`: every setting, as YAML."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from sodslice.options import Options, load_options, setting_of


@click.command(name="config")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False),
    help="Show the settings of this YAML file, or of the JSON or GeoJSON of a former run.",
)
def command(source: str | None) -> None:
    """Print every setting of `run` with its help, as YAML that --config takes."""
    options = load_options(source) if source else Options()
    values = options.as_dict()
    group = ""
    for field in dataclasses.fields(Options):
        setting = setting_of(field)
        if setting.group != group:
            group = setting.group
            click.echo(f"# --- {group} ---")
        default = setting.shown_default or _yaml(Options().as_dict()[field.name])
        click.echo(f"# {setting.help} Default: {default}.")
        if setting.choices:
            click.echo(f"# One of: {', '.join(setting.choices)}.")
        click.echo(f"{field.name}: {_yaml(values[field.name])}\n")


def _yaml(value: Any) -> str:
    """A value on one line of YAML."""
    import yaml

    return str(yaml.safe_dump(value, default_flow_style=True)).splitlines()[0]
