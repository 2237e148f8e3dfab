"""What several commands need: the flags of settings, logging, progress bars."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar, TypeVar

import click

from sodslice.errors import OptionError, respell
from sodslice.settings import Options, all_settings, named_settings
from sodslice.system.signals import signals_held
from sodslice.values.setting import Setting

Command = TypeVar("Command", bound=Callable[..., Any])


class GroupedCommand(click.Command):
    """A command that works with arrays, and whose `--help` shows its settings under headings."""

    words: ClassVar[Mapping[str, str]] = {}
    """What errors call settings for which it has no flag, by their names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what was typed; a flag that other tools have leads to ours."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            own = {flag for parameter in self.params for flag in parameter.opts}
            ours = OTHER_WORDS.get(error.option_name)
            if ours not in own:
                raise
            message = f"No such option {error.option_name!r}. Did you mean {ours}?"
            raise click.NoSuchOption(error.option_name, message, ctx=ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        numpy is loaded first, with signals held: one of the threads that it begins could else take a signal
        while Paddle is loaded, and Paddle's own handler with it.
        """
        with signals_held():
            import_module("numpy")
        _SPELT.update({**self.words, **_flags_of(self)})
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


_SPELT: dict[str, str] = {}
"""Flags of the command that runs, by the name of what they set."""


def _flags_of(command: click.Command) -> dict[str, str]:
    """How a command spells what it takes: the shortest flag of outputs, else the longest."""
    spelt = {"output": "-o"}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            longest = max(parameter.opts, key=len)
            spelt[longest.lstrip("-").replace("-", "_")] = longest
    return {**spelt, "output": "-o"} if any("-o" in p.opts for p in command.params) else spelt


def in_flags(message: str) -> str:
    """A message of the library in the words of the command line: `tile=640` as --tile 640, on one line."""
    known = {name: flag_of(name) for name in all_settings()} | _SPELT
    spelt = respell(message, lambda name, value: _spell(known.get(name), value))
    return " ".join(spelt.split())


def _spell(flag: str | None, value: str | None) -> str | None:
    return flag if flag is None or value is None else f"{flag} {quoted(value)}"


def quoted(value: str) -> str:
    """A value as one would type it in a shell."""
    return f"'{value}'" if " " in value else value


_STARTED = time.perf_counter()


def seconds_since_start() -> float:
    """Seconds since the command line was started, loading of libraries and models included."""
    return time.perf_counter() - _STARTED


OTHER_WORDS = {
    "--conf": "--threshold",
    "--confidence": "--threshold",
    "--score": "--threshold",
    "--score-threshold": "--threshold",
    "--nms": "--iou",
    "--nms-iou": "--iou",
    "--imgsz": "--tile",
    "--slice": "--tile",
    "--slice-size": "--tile",
    "--tile-size": "--tile",
    "--patch-size": "--tile",
    "--overlap-ratio": "--overlap",
    "--weights": "--model",
    "--checkpoint": "--model",
    "--batch-size": "--batch",
    "--num-workers": "--workers",
    "--processes": "--workers",
    "--jobs": "--workers",
    "--out": "--output",
    "--save-path": "--output",
    "--bbox": "--window",
    "--crop": "--window",
    "--resolution": "--gsd",
}
"""What other tools call our flags."""


class GroupedOption(click.Option):
    """An option that knows its heading."""

    def __init__(self, *names: Any, group: str = "Options", **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.group = group


def settings_flags(
    settings: Mapping[str, Setting] | None = None, *, group: str | None = None, config: bool = True
) -> Callable[[Command], Command]:
    """Give a command a flag for each of some settings (None: all of a run), and `--config`.

    Args:
        settings: by name.
        group: one heading for all of them; None for their own.
        config: whether the command takes `--config` too.
    """

    def decorate(command: Command) -> Command:
        for name, known in reversed(list((all_settings() if settings is None else settings).items())):
            command = _setting_flag(name, known, group or known.group)(command)
        return _config_flag(group or "Options")(command) if config else command

    return decorate


def _setting_flag(name: str, known: Setting, group: str) -> Callable[[Command], Command]:
    default = known.shown_default or ("" if known.switch else str(_DEFAULTS.get(name, "")))
    kind: Any = click.Choice(known.kind.choices) if known.kind.choices else str
    value: dict[str, Any] = {"type": kind, "metavar": None if known.kind.choices else known.kind.metavar}
    return click.option(
        flag_of(name),
        name,
        cls=GroupedOption,
        group=group,
        default=None,
        multiple=known.repeatable,
        help=known.help + (f"  [default: {default}]" if default else ""),
        **({"is_flag": True} if known.switch else value),
    )


_DEFAULTS = Options().as_dict()


def flag_of(name: str) -> str:
    """The flag of a setting: `--class-agnostic` for `class_agnostic`."""
    return "--" + name.replace("_", "-")


def _config_flag(group: str) -> Callable[[Command], Command]:
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False),
        help="Settings from a YAML file or from the JSON of a former run; flags go before them.",
        cls=GroupedOption,
        group=group,
    )


def gather_options(config: str | None, flags: Mapping[str, Any]) -> Options:
    """Options from defaults, then the config file, then the flags that were typed.

    Raises:
        UsageError: what was typed is wrong.
        OptionError: what the file holds is wrong.
    """
    named = named_settings(config) if config else {}
    Options.from_mapping(named)
    with typing_errors():
        return Options.from_mapping({**named, **typed(flags)})


@contextmanager
def typing_errors() -> Iterator[None]:
    """Settings that cannot be are mistakes in typing: the command's usage is shown, and the exit code is 2.

    Raises:
        UsageError: in place of an OptionError.
    """
    try:
        yield
    except OptionError as error:
        raise click.UsageError(in_flags(str(error))) from None


def typed(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Those flags that were typed, by name; a repeatable one that was given once as it was given."""
    given = {name: value for name, value in flags.items() if value not in (None, (), False)}
    return {k: v[0] if isinstance(v, tuple) and len(v) == 1 else v for k, v in given.items()}


def verbosity_flags(command: Command) -> Command:
    """Give a command `-v` and `-q`."""
    command = click.option("-q", "--quiet", is_flag=True, help="Only errors, each once.", cls=GroupedOption)(
        command
    )
    return click.option(
        "-v", "--verbose", is_flag=True, help="More on stderr, and tracebacks.", cls=GroupedOption
    )(command)


@contextmanager
def beside_bars() -> Iterator[None]:
    """Write lines where bars may be shown: they make room, and are drawn again below."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        yield
        return
    with tqdm.tqdm.external_write_mode(sys.stderr):
        yield


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]  # which Python 3.10 has not
    """Lines on stderr, beside whatever bars are there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with beside_bars():
            super().emit(record)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        word = "note" if record.levelno == logging.WARNING else record.levelname.lower()
        return f"{word}: {in_flags(record.getMessage())}"


def set_up_logging(*, verbose: bool, quiet: bool) -> None:
    """Send what the library logs to stderr, one line a record."""
    handler = _Lines()
    handler.setFormatter(_OneLine())
    root = logging.getLogger("sodslice")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)


@contextmanager
def progress_bar(
    *, quiet: bool, unit: str = "tile", title: str | None = None, of_bytes: bool = False
) -> Iterator[Callable[[int, int | None], None] | None]:
    """A function (done, total or None) that draws a bar on stderr; None where stderr is no terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(
        desc=title,
        unit="B" if of_bytes else unit,
        unit_scale=of_bytes,
        unit_divisor=1024 if of_bytes else 1000,
        dynamic_ncols=True,
        leave=False,
    ) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
