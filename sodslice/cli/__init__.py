"""The command line: parse, call one library function, print.

stdout carries data or one summary line; progress, notes and errors go to stderr. Work goes on when nobody
reads them any more. Exit codes: 0 done, 1 an error in one line, 2 usage, 3 finished but some scenes failed,
130 and 143 interrupted.
"""

from __future__ import annotations

import signal
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

import click

from sodslice.cli._streams import unfailing_streams
from sodslice.errors import SodsliceError
from sodslice.system.version import __version__

COMMANDS = (
    "run", "jobs", "demo", "plan", "merge", "report", "review", "config", "models", "eval", "train", "export",
    "bench", "serve", "paddlex",
)  # fmt: skip
INTERRUPTED, TERMINATED = 130, 143


class LazyGroup(click.Group):
    """A group that imports the module of a command when the command is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Names in the order of `--help`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, from its own module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"sodslice.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that the first word names; a misspelt one gets a hint."""
        from sodslice.errors import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command {args[0]!r}{did_you_mean(args[0], COMMANDS)}; see sodslice --help")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="sodslice")
def group() -> None:
    """Find small objects in very large aerial images.

    A first try: sodslice demo. Then: sodslice run scene.tif
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    with unfailing_streams() as lost:
        code = _exit_code(arguments)
        unsaid = lost()
        if unsaid is not None:
            click.echo(f"error: cannot write to stdout: {unsaid.strerror}", err=True)
            code = code or 1
    sys.exit(code)


def _exit_code(arguments: list[str] | None) -> int:
    try:
        code = group.main(arguments, prog_name="sodslice", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except (SodsliceError, MemoryError) as error:
        if "-v" in (arguments or sys.argv) or "--verbose" in (arguments or sys.argv):
            traceback.print_exc()
        click.echo(f"error: {_one_line(error)}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _one_line(error: Exception) -> str:
    from sodslice.cli._shared import in_flags

    words = in_flags(str(error))
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({words})' if words else ''}; take a smaller --tile or --batch"
    return words


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)
