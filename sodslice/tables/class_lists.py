"""Lists of class names, in the order of the class ids, as people and other programs write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sodslice.errors import ModelError
from sodslice.tables.coco import coco_class_names
from sodslice.values import cells
from sodslice.values.documents import json_of, text_of, yaml_of


def names_in(file: Path) -> tuple[str, ...]:
    """Class names in the order of their ids: COCO categories, a `label_list`, or the lines of a text.

    Raises:
        ModelError: the file holds no names, or empty or equal ones.
    """
    read = _READERS.get(file.suffix.lower(), _lines)
    try:
        return distinct_names(read(file.read_bytes()))
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ModelError(
            f"{file} holds no class names ({error}); give a COCO .json with `categories`, a .yml with "
            "`label_list`, or a .txt of one name a line"
        ) from None


def distinct_names(names: Sequence[Any]) -> tuple[str, ...]:
    """Names without spaces around them, each of which is one of its own.

    Raises:
        ValueError: one is no text or empty, two are equal, or there is none.
    """
    found = [cells.name(name) if isinstance(name, str) else None for name in names]
    if not found:
        raise ValueError("there is none")
    for number, name in enumerate(found, start=1):
        if name is None:
            got = cells.shown(names[number - 1])
            raise ValueError(f"name {number} of {len(found)} must be a text, got {got}")
        if name in found[: number - 1]:
            raise ValueError(f"the name {name!r} comes twice, as {found.index(name) + 1} and {number}")
    return tuple(str(name) for name in found)


def _coco_names(content: bytes) -> Sequence[Any]:
    names, problems = coco_class_names(json_of(content))
    if problems:
        raise ValueError("; ".join(problems))
    return names


def _label_list(content: bytes) -> Sequence[Any]:
    document = yaml_of(content)
    names = document.get("label_list") if isinstance(document, Mapping) else None
    if not isinstance(names, list):
        raise ValueError(f"its `label_list` must be a list, got {cells.shown(names)}")  # noqa: TRY004
    return names


def _lines(content: bytes) -> Sequence[Any]:
    """The lines of a text that are not empty."""
    text = text_of(content).strip()
    lines = [line for line in text.splitlines() if line.strip()]
    if text.startswith(("{", "[")) or (len(lines) == 1 and "," in text):
        raise ValueError(f"its first line is {cells.shown(lines[0])}")
    return lines


_READERS: Mapping[str, Callable[[bytes], Sequence[Any]]] = {
    ".json": _coco_names,
    ".yml": _label_list,
    ".yaml": _label_list,
}
