"""JSON documents with something wrong in them, by the dice."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from sodslice.errors import SodsliceError


def deep(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


JUNK = (
    None, True, False, 0, 1, -1, 2, 7, 2.5, -0.0, 1e308, -1e308, 1e-320, 2**63, 2**64 - 1, 1e30,
    "", "x", "1", "5 5", "a\nb", "\x00", "*", "y" * 5000, ["1", "2", "3", "4"], [1, 2, 3, 4],
    [], {}, [None], [[1, 2]], [[]], [{}], {"a": 1}, {"id": None}, [1e308, -1e308, 1e308, 1e308],
    {"type": "Point", "coordinates": [1, 2]}, {"type": "Polygon", "coordinates": [[]]},
    {"properties": {"name": "EPSG:0"}}, {"properties": {"name": "+proj=longlat +R=1737400"}},
    {"properties": {"name": "urn:ogc:def:crs:EPSG::5773"}}, {"type": "link", "properties": {"href": "x"}},
    {"width": 5, "height": None}, {"crs": [1], "transform": [1, 2]}, {"crs": None, "gcps": 5},
    {"crs": "EPSG:32632", "transform": [0, 0, 0, 0, 0, 0]}, {"crs": None, "gcps": [[0, 0, 0, 0]] * 3},
    {"crs": None, "rpc": {"line_off": {}}}, deep(200), deep(300),
)  # fmt: skip


def refusals(document: object, path: Path, read: Callable[[Path], object], count: int) -> list[str]:
    """What a reader says of so many broken documents; what it reads all the same says nothing.

    Whatever is no `SodsliceError` goes on.
    """
    said = []
    for number in range(count):
        path.write_bytes(broken(document, random.Random(number)))
        try:
            read(path)
        except SodsliceError as error:
            said.append(str(error))
    return said


def broken(document: object, dice: random.Random) -> bytes:
    """The document with some of its values replaced, doubled or left out; or its text cut or flipped."""
    changed = copy.deepcopy(document)
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        holders = list(_holders(changed))
        if holders:
            _break(dice.choice(holders), dice)
    if dice.random() < 0.03:
        changed = dice.choice(JUNK)
    text = bytearray(json.dumps(changed).encode())
    if dice.random() < 0.05:
        text[dice.randrange(len(text))] ^= 1 << dice.randrange(8)
    if dice.random() < 0.03:
        del text[dice.randrange(len(text)) :]
    return bytes(text)


YAML_JUNK = (
    "null", "true", "no", "0", "-1", "1e309", ".nan", "-.inf", "2**64", "99999999999999999999", "0x1F",
    "1:30", "2001-13-45", "2001-12-14", "''", "' '", "x", "é", "[]", "{}", "[1, 2]", "[[1, 2], [3]]",
    "{a: 1}", "{1: 2}", "[null]", "!!int x", "!!binary x", "!!timestamp x", "!!bool x", "!!float []",
    "!!set {a}", "&a [*a]", "*a", "|", "a: b: c", "\t", "%", "@x", "`x`", "'", '"', "y" * 3000, "[" * 400,
    "- a", "? b", "\x85", "#",
)  # fmt: skip

ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-32", "cp1252")


def text_refusals(text: str, path: Path, read: Callable[[Path], object], count: int) -> list[str]:
    """As `refusals`, for documents of lines such as YAML and lists of names."""
    said = []
    for number in range(count):
        path.write_bytes(broken_text(text, random.Random(number)))
        try:
            read(path)
        except SodsliceError as error:
            said.append(str(error))
    return said


def broken_text(text: str, dice: random.Random) -> bytes:
    """The text with some lines replaced, doubled, indented or left out; its bytes cut, flipped or recoded."""
    lines = text.splitlines()
    for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
        row = dice.randrange(len(lines))
        name, colon, _ = lines[row].partition(":")
        junk = dice.choice(YAML_JUNK)
        lines[row : row + 1] = dice.choice(
            [
                [f"{name}{colon} {junk}"],
                [junk],
                [],
                [lines[row]] * 2,
                [f"  {lines[row]}"],
                [f"{name}s{colon} {junk}"],
            ]
        )
        lines = lines or [""]
    encoding = dice.choice(ENCODINGS) if dice.random() < 0.3 else "utf-8"
    content = bytearray(
        "\n".join([*lines, "# é"] if dice.random() < 0.5 else lines).encode(encoding, "replace")
    )
    if content and dice.random() < 0.2:
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    if content and dice.random() < 0.1:
        del content[dice.randrange(len(content)) :]
    return bytes(content)


def _holders(value: object) -> Iterator[dict | list]:
    """Lists and mappings with something in them, those inside others too."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


def _break(holder: dict | list, dice: random.Random) -> None:
    key = dice.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    kind = dice.random()
    if kind < 0.7:
        holder[key] = copy.deepcopy(dice.choice(JUNK))
    elif kind < 0.85:
        del holder[key]
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder[f"{key}s"] = holder.pop(key)
