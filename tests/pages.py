"""What the pages of the documentation tell their readers to type, step by step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLE = ("console", "bash", "sh", "shell")
PROGRAMS = ("sodslice", "make", "pip", "git", "python")
INDENT = "    "
FENCE = re.compile(r"\s*(```+)\s*([\w-]*)")
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
REMARK = re.compile(r"\s{3,}.*|\s+# .*")


@dataclass(frozen=True)
class Step:
    """Something that a page tells its readers to type.

    Args:
        kind: a program of `PROGRAMS`; or "python code", "yaml".
        text: without prompt and remark.
        where: page and line, for messages.
        block: whether it stands in a block of its own, so that it is typed as it is.
        said: what a session shows below it; "" where nothing is shown.
    """

    kind: str
    text: str
    where: str
    block: bool = True
    said: str = ""

    @property
    def words(self) -> list[str]:
        """What the program gets, as a shell would cut it; a redirection is left out."""
        return shlex.split(self.text.partition(" > ")[0])[1:]


def steps_of(page: Path) -> list[Step]:
    """All steps of a page, in its order."""
    return list(_Reader(page).steps())


def inline_code(page: Path) -> Iterator[tuple[str, int]]:
    """Code within the text of a page, and its line."""
    yield from _Reader(page).inline()


class _Reader:
    """A page, cut into fenced blocks, indented blocks and text."""

    def __init__(self, page: Path) -> None:
        self._name = str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
        self._parts = list(_parts(page.read_text(encoding="utf-8").splitlines()))

    def inline(self) -> Iterator[tuple[str, int]]:
        for kind, line, rows in self._parts:
            if kind == "prose":
                text = "\n".join(rows)
                for found in INLINE.finditer(text):
                    yield " ".join(found[1].split()), line + text.count("\n", 0, found.start())

    def steps(self) -> Iterator[Step]:
        for kind, line, rows in self._parts:
            if kind == "prose":
                yield from self._typed_inline(line, rows)
            elif kind in ("python", "yaml"):
                code = "\n" * line + "\n".join(rows)
                yield Step("python code" if kind == "python" else kind, code, f"{self._name}:{line}")
            elif kind in ("indented", *CONSOLE):
                yield from self._typed(line, rows)

    def _typed(self, line: int, rows: list[str]) -> Iterator[Step]:
        """Commands of a block: lines behind a prompt where there are any, else those of a known program."""
        prompted = any(row.startswith("$ ") for row in rows)
        for number, row in enumerate(rows, start=line):
            if row.startswith("$ ") or not prompted:
                typed = REMARK.sub("", row.removeprefix("$ "))
                kind = program_of(typed)
                if kind:
                    below = rows[number - line + 1 :] if prompted else []
                    said = "\n".join(takewhile(lambda other: not other.startswith("$ "), below))
                    yield Step(kind, typed, f"{self._name}:{number}", said=said)

    def _typed_inline(self, line: int, rows: list[str]) -> Iterator[Step]:
        text = "\n".join(rows)
        for found in INLINE.finditer(text):
            kind = program_of(found[1])
            if kind and " " in found[1]:
                number = line + text.count("\n", 0, found.start())
                yield Step(kind, " ".join(found[1].split()), f"{self._name}:{number}", block=False)


def program_of(typed: str) -> str:
    """The program that a line begins with; "" for none of those that are known."""
    first = Path((typed.split() or [""])[0]).name
    return first if first in PROGRAMS and not typed.endswith(":") else ""


def _parts(rows: list[str]) -> Iterator[tuple[str, int, list[str]]]:
    """Kind (language of a fenced block, "indented" or "prose"), number of the first line, and lines."""
    kind, start, held = "prose", 1, []
    fence = ""
    for number, row in enumerate(rows, start=1):
        found = FENCE.match(row)
        if fence:
            if found and found[1] == fence:
                yield kind, start, held
                fence, kind, start, held = "", "prose", number + 1, []
            else:
                held.append(row)
            continue
        if found:
            yield kind, start, held
            fence, kind, start, held = found[1], found[2] or "plain", number + 1, []
            continue
        indented = row.startswith(INDENT) and (kind == "indented" or not any(held[-1:]))
        now = "indented" if indented or (kind == "indented" and not row.strip()) else "prose"
        if now != kind:
            yield kind, start, held
            kind, start, held = now, number, []
        held.append(row.removeprefix(INDENT) if now == "indented" else row)
    yield kind, start, held
