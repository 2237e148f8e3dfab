"""Every setting of a run, defined once: name, type, default, range and help.

The API's arguments, YAML keys, command line flags, the table in the docs and the checks are all read from
the fields of `Options`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sodslice import checks
from sodslice.checks import Check, Thresholds
from sodslice.errors import OptionError, did_you_mean

MERGE_METHODS = ("seam", "nms", "none", "sahi-nms", "sahi-nmm", "sahi-greedy-nmm")

ON_ERROR = ("fail", "skip")

ALL_CLASSES = checks.ALL_CLASSES


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
    check: Check
    shown_default: str | None = None
    repeatable: bool = False
    choices: tuple[str, ...] = ()
    switch: bool = False
    changes_result: bool = True
    changes_tiles: bool = False


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
            checks.word,
        ),
    )
    threshold: Thresholds = _setting(
        (),
        Setting(
            "Lowest score that is kept after the merge: a number, or class=number.",
            "Model",
            checks.thresholds,
            "the model's own",
            repeatable=True,
        ),
    )
    classes: tuple[str, ...] = _setting(
        (), Setting("Names or ids of the classes to keep.", "Model", checks.words, "all", repeatable=True)
    )
    tile: int | None = _setting(
        None,
        Setting(
            "Tile side in scene pixels.",
            "Tiles",
            checks.optional(checks.whole(32)),
            "the model's input size; 1024 where it takes any",
            changes_tiles=True,
        ),
    )
    overlap: float = _setting(
        0.2,
        Setting(
            "Overlap of neighbouring tiles: below 1 a share of the tile, from 1 on pixels.",
            "Tiles",
            checks.overlap,
            changes_tiles=True,
        ),
    )
    merge: str = _setting(
        "seam",
        Setting(
            "How boxes of several tiles are joined.",
            "Merge",
            checks.one_of(MERGE_METHODS),
            choices=MERGE_METHODS,
        ),
    )
    iou: float = _setting(
        0.5, Setting("Overlap (IoU) from which two boxes are one object.", "Merge", checks.real(0.01, 1))
    )
    class_agnostic: bool = _setting(
        False, Setting("Join boxes of different classes too.", "Merge", checks.yes_no, switch=True)
    )
    class_group: tuple[tuple[str, ...], ...] = _setting(
        (),
        Setting(
            "Classes that are joined as if they were one, such as car,van.",
            "Merge",
            checks.groups,
            "none",
            repeatable=True,
        ),
    )
    bands: tuple[int, ...] | None = _setting(
        None,
        Setting(
            "One band (grey) or three (red,green,blue), counted from 1.",
            "Pixels",
            checks.bands,
            "by the file",
            changes_tiles=True,
        ),
    )
    stretch: str = _setting(
        "auto",
        Setting(
            "How levels become 8 bits, the same for all of a scene: auto (uint8 as it is, others by the "
            "percentiles 2,98), none, LOW,HIGH percentiles, or minmax:A,B levels.",
            "Pixels",
            checks.stretch,
            changes_tiles=True,
        ),
    )
    nodata: float | str | None = _setting(
        None,
        Setting(
            "The value that hides pixels, nan, or none for no value at all.",
            "Pixels",
            checks.nodata,
            "the file's",
            changes_tiles=True,
        ),
    )
    allow_vrt: bool = _setting(
        False,
        Setting(
            "Read VRTs and other files that point to images outside their own folder.",
            "Pixels",
            checks.yes_no,
            switch=True,
            changes_result=False,
        ),
    )
    aoi: str | None = _setting(
        None,
        Setting(
            "Area of interest: a vector file with polygons, or WKT. An object counts by its centre.",
            "Place",
            checks.optional(checks.word),
            "all of the scene",
            changes_tiles=True,
        ),
    )
    window: tuple[int, ...] | None = _setting(
        None,
        Setting(
            "x,y,width,height in scene pixels. An object counts by its centre.",
            "Place",
            checks.window,
            "all of the scene",
            changes_tiles=True,
        ),
    )
    gsd: float | None = _setting(
        None,
        Setting(
            "Metres per pixel at which the model looks: the scene is resampled as it is read.",
            "Place",
            checks.optional(checks.positive),
            "the scene's own",
            changes_tiles=True,
        ),
    )
    rpc_height: float | None = _setting(
        None,
        Setting(
            "Metres above the ellipsoid at which a scene lies that is placed by RPCs only.",
            "Place",
            checks.optional(checks.finite),
            "the RPCs' own middle",
            changes_tiles=True,
        ),
    )
    min_size: float | None = _setting(
        None,
        Setting(
            "Drop objects whose longer side is below this, in metres; in pixels where the scene has no CRS.",
            "Place",
            checks.optional(checks.real(0)),
            "no limit",
        ),
    )
    max_size: float | None = _setting(
        None,
        Setting(
            "Drop objects whose longer side is above this, in metres; in pixels where the scene has no CRS.",
            "Place",
            checks.optional(checks.positive),
            "no limit",
        ),
    )
    pixel_coords: bool = _setting(
        False,
        Setting(
            "Write GeoJSON in scene pixels, for scenes without longitude and latitude.",
            "Output",
            checks.yes_no,
            switch=True,
        ),
    )
    device: str = _setting("auto", Setting("cpu, gpu, gpu:1, xpu, npu, ...", "Machine", checks.word))
    batch: int = _setting(1, Setting("Tiles per call of the model.", "Machine", checks.whole(1, 256)))
    threads: int | None = _setting(
        None,
        Setting("CPU threads of the model.", "Machine", checks.optional(checks.whole(1, 1024)), "all cores"),
    )
    readers: int = _setting(
        2, Setting("Threads that read tiles ahead.", "Machine", checks.whole(1, 64), changes_result=False)
    )
    on_error: str = _setting(
        "fail",
        Setting(
            "What to do about a tile that cannot be read: fail, or skip it and list it in the output.",
            "Survival",
            checks.one_of(ON_ERROR),
            choices=ON_ERROR,
        ),
    )
    fresh: bool = _setting(
        False,
        Setting(
            "Start over, even if a run of the same output was interrupted.",
            "Survival",
            checks.yes_no,
            switch=True,
            changes_result=False,
        ),
    )
    keep_raw: bool = _setting(
        False,
        Setting(
            "Keep every tile's detections beside the output, for `sodslice merge`.",
            "Survival",
            checks.yes_no,
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
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            raise OptionError(
                f"--min-size must not be above --max-size, got {self.min_size:g} and {self.max_size:g}"
            )

        if self.class_agnostic and self.class_group:
            raise OptionError("--class-agnostic joins all classes already; leave out --class-group")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Options:
        """Options from names and values, as YAML gives them; dashes in names count as underscores.

        None (null in YAML) is the default of any setting.

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
        return cls(**{name: value for name, value in given.items() if value is not None})

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
        return _ids("--classes", self.classes, class_names)

    def joined_classes(self, class_names: tuple[str, ...]) -> bool | list[list[int]]:
        """Which classes can be one object: all (True), or the ids of each group of them.

        Args:
            class_names: the model's.

        Raises:
            OptionError: a class is named that the model does not know, or stands in two groups.
        """
        if self.class_agnostic:
            return True
        groups = [_ids("--class-group", words, class_names) for words in self.class_group]
        members = [member for group in groups for member in group]
        twice = next((member for member in members if members.count(member) > 1), None)
        if twice is not None:
            raise OptionError(
                f"--class-group names {class_names[twice]!r} in two groups; join those groups into one"
            )
        return groups


def _ids(flag: str, words: tuple[str, ...], class_names: tuple[str, ...]) -> list[int]:
    """Ids, increasing, of classes given by name or id.

    Raises:
        OptionError: the model has no such class.
    """
    ids = set()
    for word in words:
        if word in class_names:
            ids.add(class_names.index(word))
        elif word.isdigit() and int(word) < len(class_names):
            ids.add(int(word))
        else:
            raise OptionError(
                f"{flag} names {word!r}{did_you_mean(word, class_names)}; "
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
    if isinstance(value, tuple):
        return [list(item) if isinstance(item, tuple) else item for item in value]
    return value
