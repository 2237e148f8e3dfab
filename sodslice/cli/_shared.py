"""What several commands need: the flags of `Options`, logging, progress bars."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import click

from sodslice._signals import signals_held
from sodslice.options import Options, flag_of, load_settings, setting_of

Command = TypeVar("Command", bound=Callable[..., Any])


class GroupedCommand(click.Command):
    """A command that works with arrays, and whose `--help` shows its settings under headings."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        numpy is loaded first, with signals held: one of the threads that it begins could else take a signal
        while Paddle is loaded, and Paddle's own handler with it.
        """
        with signals_held():
            import_module("numpy")
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


class GroupedOption(click.Option):
    """An option that knows its heading."""

    def __init__(self, *names: Any, group: str = "Options", **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.group = group


def settings_flags(names: Iterable[str] = ()) -> Callable[[Command], Command]:
    """Give a command a flag for each field of `Options`, and `--config`; or only for those that are named."""

    def decorate(command: Command) -> Command:
        fields = [f for f in dataclasses.fields(Options) if not names or f.name in names]
        for field in reversed(fields):
            command = _setting_flag(field)(command)
        return command if names else _config_flag(command)

    return decorate


def _setting_flag(field: dataclasses.Field[Any]) -> Callable[[Command], Command]:
    setting = setting_of(field)
    default = setting.shown_default or ("" if setting.switch else str(field.default))
    kind: Any = click.Choice(setting.choices) if setting.choices else str
    return click.option(
        flag_of(field.name),
        field.name,
        cls=GroupedOption,
        group=setting.group,
        default=None,
        multiple=setting.repeatable,
        help=setting.help + (f"  [default: {default}]" if default else ""),
        **({"is_flag": True} if setting.switch else {"type": kind, "metavar": _metavar(field, setting)}),
    )


def _config_flag(command: Command) -> Command:
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False),
        help="Settings from a YAML file or from the JSON of a former run; flags go before them.",
        cls=GroupedOption,
    )(command)


def _metavar(field: dataclasses.Field[Any], setting: Any) -> str | None:
    if setting.choices:
        return None
    words = {"int": "N", "int | None": "N", "float": "NUMBER", "float | None": "NUMBER"}
    return words.get(str(field.type), "TEXT")


def gather_options(config: str | None, flags: dict[str, Any]) -> Options:
    """Options from defaults, then the config file, then the flags that were typed."""
    typed = {name: value for name, value in flags.items() if value not in (None, ())}
    return Options.from_mapping({**(load_settings(config) if config else {}), **typed})


def verbosity_flags(command: Command) -> Command:
    """Give a command `-v` and `-q`."""
    command = click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.", cls=GroupedOption)(
        command
    )
    return click.option(
        "-v", "--verbose", is_flag=True, help="More on stderr, and tracebacks.", cls=GroupedOption
    )(command)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        word = "note" if record.levelno == logging.WARNING else record.levelname.lower()
        return f"{word}: {' '.join(record.getMessage().split())}"


def set_up_logging(*, verbose: bool, quiet: bool) -> None:
    """Send what the library logs to stderr, one line a record."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    root = logging.getLogger("sodslice")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)


@contextmanager
def progress_bar(*, quiet: bool, unit: str = "tile") -> Iterator[Callable[[int, int], None] | None]:
    """A function (done, total) that draws a bar on stderr; None where stderr is no terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(unit=unit, dynamic_ncols=True, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
