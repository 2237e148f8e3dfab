"""Every setting of a training, defined once: name, type, default, range and help.

The YAML keys, the checks, the JSON Schema and the table in the docs are read from the fields of
`TrainSettings` and `SourceSettings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sodslice.tables.class_lists import distinct_names
from sodslice.training.source_settings import MOST, SourceSettings
from sodslice.values.kinds import Real, Schema, Switch, Whole, Word, Words
from sodslice.values.lists import ListOf, Numbers
from sodslice.values.setting import (
    Setting,
    check_settings,
    default_values,
    schema_of,
    setting,
    settings_of,
    value_from,
    with_changes,
)

_SHARE = Real(0, 1)
_TEXT = Word(empty=True)
_NAMES = Words(listed=True)


class ClassNames(Words):
    """Names of classes, none twice; spaces around them do not count."""

    def read(self, given: Any) -> tuple[str, ...]:
        """See `Kind`."""
        names = super().read(given)
        try:
            return distinct_names(names) if names else ()
        except ValueError as error:
            raise ValueError(f"a list of names ({error})") from None

    def schema(self) -> Schema:
        """See `Kind`."""
        return {**super().schema(), "uniqueItems": True}


class Shares(Numbers):
    """Shares of a whole, in any unit: at least one of them is above 0."""

    def read(self, given: Any) -> tuple[float, ...]:
        """See `Kind`."""
        shares = super().read(given)
        if not sum(shares) > 0:
            raise ValueError(self.words)
        return shares

    def schema(self) -> Schema:
        """See `Kind`."""
        return {**super().schema(), "contains": {"exclusiveMinimum": 0}}


_MOSAIC = Shares("one to four shares, for 1x1, 2x2, ... mosaics, not negative and not all 0", (1, 4), Real(0))
_SIZES = Numbers("two numbers above 0, the smaller one first", (2, 2), Real(0, open_=True), rising=True)


_SOURCES = ListOf(SourceSettings, "source")


@dataclass(frozen=True)
class TrainSettings:
    """What `sodslice train` reads from its YAML file.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    model: str = setting("vehicle-t", Setting(_TEXT, "network: vehicle-t, S, L or largesize-L", "Network"))
    class_names: tuple[str, ...] = setting(
        (),
        Setting(
            ClassNames(listed=True),
            "classes in the order of their ids; the network's own where empty",
            "Network",
        ),
    )
    weights: str = setting(
        "",
        Setting(_TEXT, "checkpoint to start from, a file or vehicle-t; from scratch where empty", "Network"),
    )
    new_head: bool = setting(
        False,
        Setting(Switch(), "start the class layers anew, for classes other than the checkpoint's", "Network"),
    )
    data_root: str = setting(
        "", Setting(_TEXT, "folder that the sources' paths start from; the settings' own where empty", "Data")
    )
    sources: tuple[SourceSettings, ...] = setting((), Setting(_SOURCES, "what to learn from", "Data"))
    validation: tuple[SourceSettings, ...] = setting(
        (), Setting(_SOURCES, "COCO sets to choose the best weights by", "Data")
    )
    seed: int = setting(
        0, Setting(Whole(0, MOST), "equal seeds give equal weights on one kind of machine", "Learning")
    )
    steps: int = setting(5000, Setting(Whole(1, MOST), "updates of the weights", "Learning"))
    batch: int = setting(
        8, Setting(Whole(1, 4096), "canvases for each update, over all processes", "Learning")
    )
    canvas: int = setting(
        256, Setting(Whole(64, 4096, multiple=32), "side of a canvas in pixels", "Learning")
    )
    learning_rate: float = setting(0.02, Setting(Real(1e-8, 10), "highest learning rate", "Learning"))
    final_rate: float = setting(
        0.02, Setting(_SHARE, "share of the learning rate that the cosine ends with", "Learning")
    )
    warm_up: int = setting(
        200, Setting(Whole(0, MOST), "steps until the highest learning rate is reached", "Learning")
    )
    momentum: float = setting(0.9, Setting(Real(0, 0.9999), "of SGD (Nesterov)", "Learning"))
    weight_decay: float = setting(
        5e-4, Setting(_SHARE, "on weights of convolutions and matrices only", "Learning")
    )
    clip: float = setting(
        10.0, Setting(Real(1e-6, 1e6), "largest norm of all gradients together", "Learning")
    )
    average: float = setting(
        0.999, Setting(Real(0, 0.999999), "decay of the moving average of the weights", "Learning")
    )
    frozen: tuple[str, ...] = setting(
        (),
        Setting(
            _NAMES, "parts of the network that stay as they are, by the start of their names", "Learning"
        ),
    )
    closing: float = setting(
        0.0,
        Setting(
            _SHARE,
            "share of the steps, the last ones, with plain canvases: no mosaic, half the disturbances",
            "Learning",
        ),
    )
    mosaic: tuple[float, ...] = setting(
        (0.35, 0.40, 0.25),
        Setting(_MOSAIC, "shares of canvases of 1x1, 2x2, 3x3 (and 4x4) pictures", "Canvases"),
    )
    object_size: tuple[float, float] = setting(
        (7.0, 110.0),
        Setting(
            _SIZES,
            "long side of objects in canvas pixels; the middle (in logarithms) is most frequent",
            "Canvases",
        ),
    )
    smallest_object: float = setting(
        5.0,
        Setting(Real(0, 1000), "objects with a shorter long side are neither right nor wrong", "Canvases"),
    )
    near_object: float = setting(
        0.7, Setting(_SHARE, "share of pictures placed on an object, not anywhere", "Canvases")
    )
    visible_share: float = setting(
        0.35, Setting(_SHARE, "objects cut by more than this are neither right nor wrong", "Canvases")
    )
    smallest_part: float = setting(
        3.0, Setting(Real(0, 100), "cut objects need both sides this long in pixels", "Canvases")
    )
    aspect: float = setting(
        0.06, Setting(Real(0, 0.5), "largest stretch of one direction against the other", "Canvases")
    )
    background: float = setting(
        0.12, Setting(_SHARE, "share of canvases from background sources alone", "Canvases")
    )
    background_pictures: float = setting(
        0.06, Setting(_SHARE, "share of the other canvases' pictures from background sources", "Canvases")
    )
    flat: float = setting(
        0.03, Setting(_SHARE, "share of canvases of one colour, or of a plain gradient", "Canvases")
    )
    texture: float = setting(0.03, Setting(_SHARE, "share of canvases with drawn textures", "Canvases"))
    nodata_border: float = setting(
        0.08, Setting(_SHARE, "share of canvases with a black or white border without data", "Canvases")
    )
    mirror: float = setting(
        0.7,
        Setting(
            _SHARE,
            "share of pictures that are too small and continued by their mirror image, not flat",
            "Canvases",
        ),
    )
    colour: float = setting(
        1.0, Setting(Real(0, 2), "strength of the changes of colour and brightness", "Canvases")
    )
    blur: float = setting(
        0.3, Setting(_SHARE, "share of canvases blurred, sharpened, or made smaller and back", "Canvases")
    )
    noise: float = setting(0.25, Setting(_SHARE, "share of canvases with noise", "Canvases"))
    jpeg: float = setting(0.35, Setting(_SHARE, "share of canvases with JPEG's traces", "Canvases"))
    haze: float = setting(0.08, Setting(_SHARE, "share of canvases seen through haze", "Canvases"))
    workers: int = setting(
        1,
        Setting(
            Whole(0, 64),
            "processes that prepare canvases; 0: the training process itself",
            "Work",
            changes_result=False,
        ),
    )
    cache_mb: int = setting(
        800,
        Setting(
            Whole(16, 1_000_000),
            "memory for decoded pictures, over all workers of a process",
            "Work",
            changes_result=False,
        ),
    )
    log_every: int = setting(
        20, Setting(Whole(1, MOST), "steps between lines of the log", "Work", changes_result=False)
    )
    checkpoint_every: int = setting(
        250, Setting(Whole(1, MOST), "steps between checkpoints", "Work", changes_result=False)
    )
    validate_every: int = setting(500, Setting(Whole(1, MOST), "steps between validations", "Work"))

    def __post_init__(self) -> None:
        check_settings(self)


def training_schema() -> Schema:
    """The JSON Schema of the YAML file of a training, for editors and services."""
    return schema_of(settings_of(TrainSettings), default_values(TrainSettings), title="sodslice train")


def load_training(path: Path, changes: Mapping[str, Any] | None = None) -> TrainSettings:
    """Settings of a YAML file, with `data_root` and `weights` made whole.

    Paths in the file start from the folder of the file, those in `changes` from the current folder.

    Args:
        path: the YAML file.
        changes: settings that replace those of the file, by name.

    Raises:
        OptionError: the file cannot be read, or a setting is wrong.
    """
    from sodslice.models.store import is_word
    from sodslice.settings import read_yaml

    given = read_yaml(path)
    settings = value_from(TrainSettings, {} if given is None else given, where=path.name)
    named = not settings.weights or is_word(settings.weights)
    weights = settings.weights if named else str(path.parent / settings.weights)
    data_root = str(path.parent / settings.data_root)
    settings = dataclasses.replace(settings, data_root=data_root, weights=weights)
    return with_changes(settings, changes or {}, where=f"the changes to {path.name}")
