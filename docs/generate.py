"""Writes what of the docs follows from the code: docs/cli.md and the table of settings in docs/settings.md.

usage: python docs/generate.py [--check]   (with --check: says what is stale, and exits with 1)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sodslice.cli import COMMANDS, group
from sodslice.settings import Options, all_settings
from sodslice.values import Setting

DOCS = Path(__file__).resolve().parent
WIDTH = 100
NOTE = "<!-- written by docs/generate.py; `make docs` writes it again -->"


COMMANDS_INTRODUCTION = """\
Data or one summary line goes to stdout; progress, notes and errors go to stderr. Exit codes: 0 done, 1 an
error in one line, 2 usage, 3 finished with failed tiles or scenes, 130 and 143 interrupted (nothing lost).\
"""

SETTINGS_INTRODUCTION = """\
The same names everywhere: `options={...}` in Python, keys of a YAML file (`sodslice config > run.yaml`), and,
with dashes, flags. `sodslice config --schema` prints their JSON Schema for editors. Settings that say "tiles"
change what the model sees, so an interrupted run cannot go on with others; those that say "after" can be
changed by `sodslice merge` when all tiles have been seen.\
"""


def commands_page() -> str:
    """Every command with its help, as `sodslice COMMAND --help` shows it."""
    parts = [
        "# Command line",
        NOTE,
        COMMANDS_INTRODUCTION,
        _block(group, "sodslice"),
    ]
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        parts += [f"## sodslice {name}", _block(command, f"sodslice {name}")]
        for inner in sorted(getattr(command, "commands", {})):
            parts += [
                f"### sodslice {name} {inner}",
                _block(command.commands[inner], f"sodslice {name} {inner}"),
            ]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Every setting of a run."""
    table = settings_table(all_settings(), Options().as_dict())
    return "\n\n".join(["# Settings of a run", NOTE, SETTINGS_INTRODUCTION, table]) + "\n"


def settings_table(settings: Mapping[str, Setting], defaults: Mapping[str, Any]) -> str:
    """A table of settings, by group."""
    parts = []
    for heading in dict.fromkeys(known.group for known in settings.values()):
        rows = [
            f"| `{name}` | {known.help} | {_default(known, defaults[name])} | {_changes(known)} |"
            for name, known in settings.items()
            if known.group == heading
        ]
        parts.append(
            "\n".join([f"## {heading}", "", "| name | what it is | default | |", "|-|-|-|-|", *rows])
        )
    return "\n\n".join(parts)


def _default(known: Setting, value: Any) -> str:
    words = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    return known.shown_default or words


def _changes(known: Setting) -> str:
    return "tiles" if known.changes_tiles else "after" if known.after_detection else ""


def _block(command: click.Command | None, path: str) -> str:
    assert command is not None
    context = click.Context(command, info_name=path, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    text = command.get_help(context)
    return "\n".join(["```text", *(line.rstrip() for line in text.splitlines()), "```"])


PAGES = {"cli.md": commands_page, "settings.md": settings_page}


def main() -> int:
    """Write the pages, or compare them with what would be written."""
    stale = []
    for name, make in PAGES.items():
        page, path = make(), DOCS / name
        if "--check" not in sys.argv:
            path.write_text(page, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != page:
            stale.append(name)
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
