"""Takes the steps of pages, each in the folder of its page, as a reader would.

    python -m tests.page_process FOLDER...

A folder holds `.steps.json`: `steps` (each with `kind`, `text`, `where`, `block`), `not_run` (commands of
sodslice that are parsed and not run) and `brought` (files that readers must bring; commands on them are only
parsed). It gets `.said.txt`: empty, or a message on the first step that does not work.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from sodslice.cli import group, main
from tests.pages import ROOT, Step

STEPS, SAID = ".steps.json", ".said.txt"
FILE = re.compile(r"[\w./-]+\.(tiff?|png|jpe?g|vrt|json|geojson|gpkg|wkt|ya?ml|txt|safetensors|pdparams|raw)")
PLACEHOLDER = re.compile(r"[A-Z]{2,}|[A-Z]+(=[A-Z]+)?|\.\.\.|…")
PREPARE = "add it to tests/page_files.py, or to BROUGHT of tests/test_docs.py if readers must bring it"


class Page:
    """The steps of one page, taken one after the other."""

    def __init__(self, *, not_run: list[str], brought: list[str]) -> None:
        self._not_run = not_run
        self._missing = set(brought)
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def take(self, step: Step) -> str:
        """Take a step; "" where it works, else what happened."""
        if step.kind == "python code":
            return self._python(step)
        if step.kind == "yaml":
            return self._saved(step)
        if not step.block and self._is_a_mention(step):
            return unknown_flags(step)
        if self._only_parsed(step):
            return self._parsed(step)
        known = _EXPORTS.get(_export(step.words))
        if known is not None:
            shutil.copytree(known, outputs_of(step.words)[0])
            return ""
        return self._run(step)

    def _python(self, step: Step) -> str:
        try:
            with redirect_stdout(io.StringIO()):
                exec(compile(step.text, step.where, "exec"), self._names)
        except (Exception, SystemExit):  # noqa: BLE001 -- whatever it is, the reader would see it
            return traceback.format_exc() + self._not_here(re.findall(r"\"([^\"\n]+)\"", step.text))
        return ""

    def _saved(self, step: Step) -> str:
        """Save a file under the name that its first line says, as its reader is told to."""
        named = re.match(r"\s*# ([\w-]+\.ya?ml)\n", step.text)
        if named:
            Path(named[1]).write_text(step.text.lstrip("\n"), encoding="utf-8")
        return ""

    def _is_a_mention(self, step: Step) -> bool:
        """Whether code within a text only speaks of a command: without arguments, or with placeholders."""
        if any(PLACEHOLDER.fullmatch(word) for word in step.words):
            return True
        try:
            parse(step.words)
        except click.MissingParameter:
            return True
        except click.ClickException:
            return False
        return False

    def _only_parsed(self, step: Step) -> bool:
        used = {word.rstrip("/") for word in step.words}
        return step.words[0] in self._not_run or bool(used & self._missing)

    def _parsed(self, step: Step) -> str:
        """Let click take every word, and see to what the step would have left behind."""
        try:
            context = parse(step.words)
        except click.ClickException as error:
            return error.format_message()
        made = outputs_of(step.words)
        unknown = self._not_here([word for word in step.words if word not in made])
        if step.words[0] == "train" and not unknown:
            return trained(context.params)
        self._missing.update(made)
        return unknown

    def _run(self, step: Step) -> str:
        data = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        said = io.StringIO()
        try:
            with redirect_stdout(data), redirect_stderr(said):
                main(step.words)
        except SystemExit as end:
            if end.code:
                words = f"exit code {end.code}\n{said.getvalue()}"
                return words + self._not_here(step.words)
        if _export(step.words):
            _EXPORTS[_export(step.words)] = Path(outputs_of(step.words)[0]).resolve()
        if " > " in step.text:
            Path(step.text.partition(" > ")[2].strip()).write_bytes(data.buffer.getvalue())
        return self._as_shown(step, data.buffer.getvalue().decode())

    def _as_shown(self, step: Step, said: str) -> str:
        """Whether a session shows what is said; numbers depend on the scene and the machine."""
        if not step.said or shape_of(said) == shape_of(step.said):
            return ""
        return f"the page shows\n{step.said}\nand this is said\n{said}"

    def _not_here(self, words: list[str]) -> str:
        """What to do about files that are named and are not there."""
        files = [word for word in words if FILE.fullmatch(word) and word not in self._missing]
        gone = [name for name in files if not (Path(name).exists() or (ROOT / name).exists())]
        return f"there is no {gone[0]} for the test: {PREPARE}" if gone else ""


_EXPORTS: dict[str, Path] = {}
"""Folders of exports that pages have taken: of the same checkpoint in the same way, one is made."""


def _export(words: list[str]) -> str:
    """What an export to a folder is made of and how, but for the names of files; "" for other commands."""
    if words[:1] != ["export"] or not outputs_of(words) or not Path(words[1]).is_file():
        return ""
    try:
        given = parse(words).params
    except click.ClickException:
        return ""
    content = sha256(Path(words[1]).read_bytes()).hexdigest()
    return content + repr({name: given[name] for name in sorted(given) if name not in ("model", "output")})


def parse(words: list[str]) -> click.Context:
    """Have click take the words of a command line, and stop before anything is done.

    Raises:
        ClickException: it does not take them.
    """
    context, command, rest = click.Context(group, info_name="sodslice"), group, list(words)
    while isinstance(command, click.Group) and rest:
        name, inner, rest = command.resolve_command(context, rest)
        if "--help" in rest or "-h" in rest:
            return context
        context, command = inner.make_context(name, list(rest), parent=context), inner
    return context


def shape_of(said: str) -> list[str]:
    """The words of what a command says, with every number as 0."""
    return re.sub(r"\d+(\.\d+)*", "0", said).split()


def unknown_flags(step: Step) -> str:
    """Flags of a mention that its command does not have."""
    context, command, rest = click.Context(group, info_name="sodslice"), group, list(step.words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        _, command, rest = command.resolve_command(context, rest)
    known = {flag for parameter in command.get_params(context) for flag in _spelt(parameter)}
    unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
    return f"no such option {unknown[0]}" if unknown else ""


def _spelt(parameter: click.Parameter) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts]


def outputs_of(words: list[str]) -> list[str]:
    """What a command would have written."""
    return [after for word, after in pairwise(words) if word in ("-o", "--output")]


def trained(given: dict[str, Any]) -> str:
    """Read the settings of a training, and lay the shipped checkpoint where its weights would be."""
    from sodslice.errors import SodsliceError
    from sodslice.models import checkpoint_of
    from sodslice.training.settings import load_training

    config = given["config"]
    try:
        load_training(config if config.exists() else ROOT / config, {})
    except SodsliceError as error:
        return str(error)
    folder = given["output"] or Path("runs") / config.stem
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("best.safetensors", "last.safetensors"):
        shutil.copyfile(checkpoint_of("vehicle-t"), folder / name)
    return ""


def take_page(folder: Path) -> None:
    """Take the steps of a folder in it, with a cache that the pages share, and write what was said."""
    os.chdir(folder)
    os.environ["SODSLICE_CACHE"] = str(folder.with_name("cache-of-pages"))
    os.environ["SODSLICE_MIRROR"] = str(folder / "mirror")
    (folder / SAID).write_text(take_all(json.loads((folder / STEPS).read_text(encoding="utf-8"))))


def take_all(given: dict[str, Any]) -> str:
    """Take the steps; a message at the first that does not work."""
    page = Page(not_run=given["not_run"], brought=given["brought"])
    for step in (Step(**row) for row in given["steps"]):
        wrong = page.take(step)
        if wrong:
            shown = shlex.quote(step.text) if step.kind == "python code" else step.text
            return f"{step.where}: {shown.strip()}\n{wrong}\n"
    return ""


if __name__ == "__main__":
    for name in sys.argv[1:]:
        take_page(Path(name))
