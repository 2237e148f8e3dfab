"""`sodslice config`: every setting, as YAML or as a JSON Schema; or a pipeline of PaddleX."""

from __future__ import annotations

import click

from sodslice.settings import Options, all_settings, load_options, options_schema, pipeline_yaml
from sodslice.values.documents import yaml_line


@click.command(name="config")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False),
    help="Show the settings of this YAML file, or of the JSON or GeoJSON of a former run.",
)
@click.option(
    "--schema", is_flag=True, help="Print the JSON Schema of the settings, for editors and services."
)
@click.option(
    "--paddlex", is_flag=True, help="Print a pipeline of PaddleX with this model, batch and threshold."
)
def command(source: str | None, *, schema: bool, paddlex: bool) -> None:
    """Print every setting of `run` with its help, as YAML that --config takes."""
    if schema:
        import orjson

        click.echo(orjson.dumps(options_schema(), option=orjson.OPT_INDENT_2))
        return
    options = load_options(source) if source else Options()
    if paddlex:
        click.echo(pipeline_yaml(options.as_dict() if source else None), nl=False)
        return
    values, defaults = options.as_dict(), Options().as_dict()
    group = ""
    for name, known in all_settings().items():
        if known.group != group:
            group = known.group
            click.echo(f"# --- {group} ---")
        default = known.shown_default or yaml_line(defaults[name])
        click.echo(f"# {known.help} Default: {default}.")
        if known.kind.choices:
            click.echo(f"# One of: {', '.join(known.kind.choices)}.")
        click.echo(f"{name}: {yaml_line(values[name])}\n")
