"""Which detections are kept as objects: the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sodslice.errors import OptionError, did_you_mean
from sodslice.tables.classes import class_ids
from sodslice.values.kinds import Kind, Maybe, Real, Schema, Words, finite
from sodslice.values.setting import Setting, check_settings, setting

Scores = tuple[tuple[str, float], ...]
"""Scores by class name; "" stands for all classes that are not named. Empty: the model's own."""

ALL_CLASSES = ""


class Thresholds(Kind):
    """From a number, `class=number` texts, a mapping, or a list of those."""

    metavar = "NUMBER|CLASS=NUMBER"

    def read(self, given: Any) -> Scores:
        """See `Kind`."""
        pairs: dict[str, float] = {}
        for name, score in _pairs(given):
            number = finite(score)
            if not 0 <= number <= 1:
                raise ValueError("a score from 0 to 1, or class=score")
            pairs[name] = number
        return tuple(sorted(pairs.items()))

    def plain(self, value: Any) -> Any:
        """See `Kind`."""
        return {key or "all": score for key, score in value} or None

    def schema(self) -> Schema:
        """See `Kind`."""
        score = {"type": "number", "minimum": 0, "maximum": 1}
        return {"anyOf": [score, {"type": "object", "additionalProperties": score}, {"type": "null"}]}


@dataclass(frozen=True)
class Keeping:
    """Which detections are kept after the merge.

    Raises:
        OptionError: a value is malformed or out of range, or two contradict each other.
    """

    threshold: Scores = setting(
        (),
        Setting(
            Thresholds(),
            "Lowest score that is kept after the merge: a number, or class=number.",
            "Model",
            "the model's own",
            repeatable=True,
            after_detection=True,
        ),
    )
    classes: tuple[str, ...] = setting(
        (),
        Setting(
            Words(),
            "Names or ids of the classes to keep.",
            "Model",
            "all",
            repeatable=True,
            after_detection=True,
        ),
    )
    min_size: float | None = setting(
        None,
        Setting(
            Maybe(Real(0)),
            "Drop objects whose longer side is below this, in metres; in pixels where metres are not known.",
            "Place",
            "no limit",
            after_detection=True,
        ),
    )
    max_size: float | None = setting(
        None,
        Setting(
            Maybe(Real(0, open_=True)),
            "Drop objects whose longer side is above this, in metres; in pixels where metres are not known.",
            "Place",
            "no limit",
            after_detection=True,
        ),
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            raise OptionError(
                f"`min_size` must not be above `max_size`, got {self.min_size:g} and {self.max_size:g}"
            )

    def score_thresholds(self, class_names: tuple[str, ...], default: float) -> tuple[float, ...]:
        """The lowest score kept for each class.

        Args:
            class_names: the model's.
            default: the model's own threshold.

        Raises:
            OptionError: a class is named that the model does not know.
        """
        chosen: dict[str, float] = {}
        for word, score in self.threshold:
            name = _class_name(word, class_names)
            if name in chosen:
                raise OptionError(f"`threshold` names the class {name!r} twice, once by its id; keep one")
            chosen[name] = score
        return tuple(chosen.get(name, chosen.get(ALL_CLASSES, default)) for name in class_names)

    def class_ids(self, class_names: tuple[str, ...]) -> tuple[int, ...]:
        """Ids of the classes to keep, increasing.

        Raises:
            OptionError: a class is named that the model does not know.
        """
        if not self.classes:
            return tuple(range(len(class_names)))
        return class_ids("classes", self.classes, class_names)


def _class_name(word: str, class_names: tuple[str, ...]) -> str:
    """The class that a word names, by its name or its id; "" for all.

    Raises:
        OptionError: the model has no such class.
    """
    if word == ALL_CLASSES or word in class_names:
        return word
    if word.isdecimal() and int(word) < len(class_names):
        return class_names[int(word)]
    raise OptionError(
        f"`threshold` names the class {word!r}{did_you_mean(word, class_names)}; "
        f"the model knows {', '.join(class_names)}"
    )


def _pairs(given: Any) -> Iterable[tuple[str, Any]]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [("" if name in ("all", "") else str(name), score) for name, score in given.items()]
    if isinstance(given, str):
        name, equals, score = given.rpartition("=")
        return [(name.strip(), score)] if equals else [(ALL_CLASSES, given)]
    if isinstance(given, (list, tuple)):
        if len(given) == 2 and isinstance(given[0], str) and isinstance(given[1], float):
            return [(given[0], given[1])]
        return [pair for item in given for pair in _pairs(item)]
    return [(ALL_CLASSES, given)]
