"""`read_metadata`: what the metadata of an ONNX file says of a detector, read as data and never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sodslice.errors import ModelError
from sodslice.tables.class_lists import names_in

ULTRALYTICS, YOLOV5 = "ultralytics", "yolov5"

NAMES_SUFFIX = ".names"
"""Of a file beside the model that names its classes, one a line, where its metadata does not."""

LONGEST_TEXT = 64 << 10
"""Characters of a value that are still read."""

LONGEST_ID = 6
"""Digits of the id of a class; Python itself refuses thousands."""

DETECTION = "detect"
DETR = ("rtdetr", "rt-detr")
FINISHED = "yolov10"
"""Whose boxes are final, though its exports did not say so at first."""
STRIDE, LARGEST_STRIDE = 32, 256
THRESHOLD = 0.25
"""What YOLOs and RT-DETRs are used with where nobody says otherwise."""


@dataclass(frozen=True)
class Metadata:
    """What metadata says, as far as it says it.

    Args:
        names: of the classes, in the order of their ids; empty where nothing says them.
        task: what the model does, in Ultralytics' words: detect, segment, pose, obb, classify.
        maker: whose export it is: `ULTRALYTICS`, `YOLOV5`, or "".
        finished: whether its boxes are final, without NMS or behind it; None where that is not said.
        detr: whether it is an RT-DETR; None where that is not said.
        sides: height and width that it was exported for.
        stride: in pixels.
        threshold: score from which boxes count.
        iou: from which two boxes of a class are one object; None where that is not said.
        licence: of the weights.
    """

    names: tuple[str, ...] = ()
    task: str = ""
    maker: str = ""
    finished: bool | None = None
    detr: bool | None = None
    sides: tuple[int, int] | None = None
    stride: int = STRIDE
    threshold: float = THRESHOLD
    iou: float | None = None
    licence: str = ""


def read_metadata(given: Mapping[str, str], path: Path) -> Metadata:
    """What the metadata of a file says; class names may stand in a file beside it instead.

    Args:
        given: texts by name.
        path: of the model.

    Raises:
        ModelError: class names, stride, size or threshold are there and cannot be read.
    """
    said = _Said(given, path)
    args = said.value("args")
    arguments = args if isinstance(args, dict) else {}
    return Metadata(
        names=_names(said, path),
        task=said.text("task") or ("pose" if "kpt_shape" in given else ""),
        maker=_maker(given),
        finished=_finished(said, arguments),
        detr=_detr(said),
        sides=_sides(said),
        stride=_stride(said),
        threshold=said.share("conf", arguments, THRESHOLD) or THRESHOLD,
        iou=said.share("iou", arguments, None) or None,
        licence=said.text("license"),
    )


class _Said:
    """Values of metadata by name.

    Args:
        given: texts by name.
        path: of the model, for messages.
    """

    def __init__(self, given: Mapping[str, str], path: Path) -> None:
        self._given = given
        self._path = path

    def text(self, name: str) -> str:
        return self._given.get(name, "").strip()

    def value(self, name: str) -> Any:
        """What a text stands for as Python's literals go; None where there is none, or it is no literal."""
        text = self.text(name)
        if len(text) > LONGEST_TEXT:
            return None
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None

    def given(self, name: str) -> bool:
        return name in self._given

    def truth(self, name: str) -> bool | None:
        value = self.value(name)
        return value if isinstance(value, bool) else None

    def share(self, name: str, arguments: Mapping[str, Any], usual: float | None) -> float | None:
        """A share of 1, said for itself or among the arguments of the export."""
        value = self.value(name) if name in self._given else arguments.get(name)
        if value is None and name not in self._given:
            return usual
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
            raise self.error(name, "a share from 0 to 1")
        return float(value)

    def error(self, name: str, wanted: str) -> ModelError:
        got = self._given.get(name) or self._given.get("args", "")
        return ModelError(
            f"the metadata of {self._path} must have {wanted} as {name}, got {got[:80]!r}; export it again"
        )


def _names(said: _Said, path: Path) -> tuple[str, ...]:
    """Class names in the order of their ids, of the metadata or of a file beside the model.

    Raises:
        ModelError: what stands there cannot be read.
    """
    if not said.text("names"):
        beside = path.with_suffix(NAMES_SUFFIX)
        return names_in(beside) if beside.is_file() else ()
    value = said.value("names")
    rows = dict(enumerate(value)) if isinstance(value, (list, tuple)) else value
    try:
        named = {_class_id(key): str(name).strip() for key, name in rows.items()}
    except (AttributeError, ValueError):
        named = {}
    if named and sorted(named) == list(range(len(rows))) and all(named.values()):
        return tuple(named[label] for label in range(len(named)))
    raise said.error("names", "a name for each class from 0 on")


def _class_id(key: Any) -> int:
    """The id that a key stands for.

    Raises:
        ValueError: it stands for none.
    """
    text = str(key)
    if len(text) > LONGEST_ID or not text.isdecimal():
        raise ValueError
    return int(text)


def _sides(said: _Said) -> tuple[int, int] | None:
    """Height and width of `imgsz`."""
    if not said.text("imgsz"):
        return None
    value = said.value("imgsz")
    row = list(value) if isinstance(value, (list, tuple)) else [value, value]
    if len(row) != 2 or not all(map(_is_side, row)):
        raise said.error("imgsz", "height and width in pixels")
    return row[0], row[1]


def _stride(said: _Said) -> int:
    """Pixels that sides are multiples of."""
    if not said.given("stride"):
        return STRIDE
    value = said.value("stride")
    if not _is_side(value) or value > LARGEST_STRIDE:
        raise said.error("stride", f"a number of pixels, at most {LARGEST_STRIDE},")
    return int(value)


def _maker(given: Mapping[str, str]) -> str:
    if given.get("author") == "Ultralytics" or "task" in given:
        return ULTRALYTICS
    return YOLOV5 if set(given) == {"stride", "names"} else ""


def _finished(said: _Said, arguments: Mapping[str, Any]) -> bool | None:
    """Whether boxes are final."""
    if arguments.get("nms") is True:
        return True
    stated = said.truth("end2end")
    return True if stated is None and FINISHED in said.text("description").lower() else stated


def _detr(said: _Said) -> bool | None:
    """Whether head or description are those of an RT-DETR, or of a YOLO."""
    words = f"{said.text('head')} {said.text('description')}".lower()
    if any(word in words for word in DETR):
        return True
    return False if "yolo" in words else None


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1 << 16
