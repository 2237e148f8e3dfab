"""Every setting of a run, defined once: name, type, default, range and help.

The API's arguments, YAML keys, command line flags, the table in the docs and the checks are all read from
the fields of `Options`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sodslice.errors import OptionError, did_you_mean

Thresholds = tuple[tuple[str, float], ...]
"""Scores by class name; "" stands for all classes that are not named. Empty: the model's own."""

MERGE_METHODS = ("seam", "nms", "none", "sahi-nms", "sahi-nmm", "sahi-greedy-nmm")

ON_ERROR = ("fail", "skip")

ALL_CLASSES = ""


@dataclass(frozen=True)
class Setting:
    """What is known about one field of `Options`, kept in its metadata.

    Args:
        help: one sentence for `--help`, YAML and docs.
        group: heading in `--help`.
        check: turns what a user gave (text, number, list, mapping) into the field's value; a ValueError
            says what was expected.
        shown_default: the default in words, where the value does not speak for itself.
        repeatable: whether the flag may be given several times.
        choices: the allowed words, if there are only some.
        switch: whether the flag takes no value.
        changes_result: False for settings that only say how the work is done.
        changes_tiles: whether the detector sees other pixels, so that a journal cannot be gone on with.
    """

    help: str
    group: str
    check: Callable[[Any], Any]
    shown_default: str | None = None
    repeatable: bool = False
    choices: tuple[str, ...] = ()
    switch: bool = False
    changes_result: bool = True
    changes_tiles: bool = False


def _whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = _number(value)
        if number != int(number) or number < low or (high is not None and number > high):
            raise ValueError(f"a whole number from {low}" + ("" if high is None else f" to {high}"))
        return int(number)

    return check


def _real(low: float, high: float = math.inf) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        number = _number(value)
        if not low <= number <= high:
            raise ValueError(f"a number from {low:g}" + ("" if math.isinf(high) else f" to {high:g}"))
        return number

    return check


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("a number")  # noqa: TRY004 -- the caller turns it into an OptionError
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError("a number") from None
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None or value == "auto" else check(value)


def _overlap(value: Any) -> float:
    number = _number(value)
    if number < 0 or (number >= 1 and number != int(number)):
        raise ValueError("a share from 0 to below 1, or whole pixels from 1")
    return number


def _word(value: Any) -> str:
    if not isinstance(value, (str, Path)) or not str(value):
        raise ValueError("a word")
    return str(value)


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError("one of " + ", ".join(words))
        return str(value)

    return check


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004
    return value


def _words(value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, (str, int)) else list(value or ())
    words = [w.strip() for item in items for w in str(item).split(",")]
    if not all(words):
        raise ValueError("names or ids, parted by commas")
    return tuple(words)


def _bands(value: Any) -> tuple[int, ...] | None:
    if value is None or value in ("auto", ()):
        return None
    parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else list(value)
    try:
        bands = tuple(int(part) for part in parts)
    except (TypeError, ValueError):
        bands = ()
    if len(bands) not in (1, 3) or min(bands) < 1:
        raise ValueError("one band or three, counted from 1, for example 4,3,2")
    return bands


def _thresholds(value: Any) -> Thresholds:
    """From a number, `class=number` texts, a mapping, or a list of those."""
    pairs: dict[str, float] = {}
    for name, score in _threshold_pairs(value):
        number = _number(score)
        if not 0 <= number <= 1:
            raise ValueError("a score from 0 to 1, or class=score")
        pairs[name] = number
    return tuple(sorted(pairs.items()))


def _threshold_pairs(value: Any) -> Iterable[tuple[str, Any]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [("" if name in ("all", "") else str(name), score) for name, score in value.items()]
    if isinstance(value, str):
        name, equals, score = value.rpartition("=")
        return [(name.strip(), score)] if equals else [(ALL_CLASSES, value)]
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], float):
            return [(value[0], value[1])]
        return [pair for item in value for pair in _threshold_pairs(item)]
    return [(ALL_CLASSES, value)]


def _setting(default: Any, setting: Setting) -> Any:
    return dataclasses.field(default=default, metadata={"setting": setting})


@dataclass(frozen=True)
class Options:
    """The settings of a run; frozen and checked, whatever they came from.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    model: str = _setting(
        "vehicle-t",
        Setting(
            "A name that `sodslice models` lists, a folder with an exported model, or a checkpoint.",
            "Model",
            _word,
        ),
    )
    threshold: Thresholds = _setting(
        (),
        Setting(
            "Lowest score that is kept after the merge: a number, or class=number.",
            "Model",
            _thresholds,
            "the model's own",
            repeatable=True,
        ),
    )
    classes: tuple[str, ...] = _setting(
        (), Setting("Names or ids of the classes to keep.", "Model", _words, "all", repeatable=True)
    )
    tile: int | None = _setting(
        None,
        Setting(
            "Tile side in scene pixels.",
            "Tiles",
            _optional(_whole(32)),
            "the model's input size; 1024 where it takes any",
            changes_tiles=True,
        ),
    )
    overlap: float = _setting(
        0.2,
        Setting(
            "Overlap of neighbouring tiles: below 1 a share of the tile, from 1 on pixels.",
            "Tiles",
            _overlap,
            changes_tiles=True,
        ),
    )
    merge: str = _setting(
        "nms",
        Setting(
            "How boxes of several tiles are joined.", "Merge", _one_of(MERGE_METHODS), choices=MERGE_METHODS
        ),
    )
    iou: float = _setting(
        0.5, Setting("Overlap (IoU) from which two boxes are one object.", "Merge", _real(0.01, 1))
    )
    class_agnostic: bool = _setting(
        False, Setting("Join boxes of different classes too.", "Merge", _yes_no, switch=True)
    )
    bands: tuple[int, ...] | None = _setting(
        None,
        Setting(
            "One band (grey) or three (red,green,blue), counted from 1.",
            "Pixels",
            _bands,
            "by the file",
            changes_tiles=True,
        ),
    )
    device: str = _setting("auto", Setting("cpu, gpu, gpu:1, xpu, npu, ...", "Machine", _word))
    batch: int = _setting(1, Setting("Tiles per call of the model.", "Machine", _whole(1, 256)))
    threads: int | None = _setting(
        None, Setting("CPU threads of the model.", "Machine", _optional(_whole(1, 1024)), "all cores")
    )
    readers: int = _setting(
        2, Setting("Threads that read tiles ahead.", "Machine", _whole(1, 64), changes_result=False)
    )
    on_error: str = _setting(
        "fail",
        Setting(
            "What to do about a tile that cannot be read: fail, or skip it and list it in the output.",
            "Survival",
            _one_of(ON_ERROR),
            choices=ON_ERROR,
        ),
    )
    fresh: bool = _setting(
        False,
        Setting(
            "Start over, even if a run of the same output was interrupted.",
            "Survival",
            _yes_no,
            switch=True,
            changes_result=False,
        ),
    )
    keep_raw: bool = _setting(
        False,
        Setting(
            "Keep every tile's detections beside the output, for `sodslice merge`.",
            "Survival",
            _yes_no,
            switch=True,
            changes_result=False,
        ),
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            try:
                object.__setattr__(self, field.name, setting_of(field).check(value))
            except (ValueError, TypeError) as error:
                raise OptionError(f"{flag_of(field.name)} must be {error}, got {value!r}") from None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Options:
        """Options from names and values, as YAML gives them; dashes in names count as underscores.

        Raises:
            OptionError: a name is unknown or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        given = {str(name).replace("-", "_"): value for name, value in values.items()}
        for name in given:
            if name not in known:
                raise OptionError(
                    f"unknown setting {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}"
                )
        return cls(**given)

    def replace(self, values: Mapping[str, Any]) -> Options:
        """The same options with some values changed.

        Raises:
            OptionError: a name is unknown or a value is out of range.
        """
        current = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return type(self).from_mapping({**current, **{k.replace("-", "_"): v for k, v in values.items()}})

    def as_dict(self, *, all_settings: bool = True) -> dict[str, Any]:
        """Names and values, ready for JSON and YAML; `from_mapping` reads them back.

        Args:
            all_settings: False leaves out those that do not change a result.
        """
        fields = dataclasses.fields(self)
        kept = [f.name for f in fields if all_settings or setting_of(f).changes_result]
        return {name: _plain(name, getattr(self, name)) for name in kept}

    def tile_settings(self) -> dict[str, Any]:
        """The settings on which the detections of a tile depend, as `as_dict` gives them."""
        names = [f.name for f in dataclasses.fields(self) if setting_of(f).changes_tiles]
        return {name: _plain(name, getattr(self, name)) for name in names}

    def score_thresholds(self, class_names: tuple[str, ...], default: float) -> list[float]:
        """The lowest score kept for each class.

        Args:
            class_names: the model's.
            default: the model's own threshold.

        Raises:
            OptionError: a class is named that the model does not know.
        """
        chosen = dict(self.threshold)
        for name in chosen:
            if name != ALL_CLASSES and name not in class_names:
                raise OptionError(
                    f"--threshold names the class {name!r}{did_you_mean(name, class_names)}; "
                    f"the model knows {', '.join(class_names)}"
                )
        return [chosen.get(name, chosen.get(ALL_CLASSES, default)) for name in class_names]

    def class_ids(self, class_names: tuple[str, ...]) -> list[int]:
        """Ids of the classes to keep, increasing.

        Raises:
            OptionError: a class is named that the model does not know.
        """
        if not self.classes:
            return list(range(len(class_names)))
        ids = set()
        for word in self.classes:
            if word in class_names:
                ids.add(class_names.index(word))
            elif word.isdigit() and int(word) < len(class_names):
                ids.add(int(word))
            else:
                raise OptionError(
                    f"--classes names {word!r}{did_you_mean(word, class_names)}; "
                    f"the model knows {', '.join(class_names)}"
                )
        return sorted(ids)


def setting_of(field: dataclasses.Field[Any]) -> Setting:
    """What is known about a field of `Options`."""
    setting: Setting = field.metadata["setting"]
    return setting


def flag_of(name: str) -> str:
    """The flag of a setting: `--class-agnostic` for `class_agnostic`."""
    return "--" + name.replace("_", "-")


def load_options(source: str | Path) -> Options:
    """Options from a YAML file, or from the JSON or GeoJSON that a former run wrote.

    Raises:
        OptionError: the file cannot be read, is not YAML, or holds unknown settings.
    """
    return Options.from_mapping(load_settings(source))


def load_settings(source: str | Path) -> Mapping[str, Any]:
    """The settings that a YAML file or a former output names, unchecked.

    Raises:
        OptionError: the file cannot be read or holds no settings.
    """
    import yaml

    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
        values = _parsed(text) if path.suffix in (".json", ".geojson") else yaml.safe_load(text)
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise OptionError(f"{path} is not YAML or JSON: {' '.join(str(error).split())}") from None
    if isinstance(values, Mapping) and isinstance(values.get("run"), Mapping):
        values = values["run"].get("options")
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise OptionError(
            f"{path} must hold settings by name, got {type(values).__name__}; see `sodslice config`"
        )
    return values


def _parsed(text: str) -> Any:
    import orjson

    return orjson.loads(text)


def _plain(name: str, value: Any) -> Any:
    if name == "threshold":
        return {key or "all": score for key, score in value} or None
    return list(value) if isinstance(value, tuple) else value
