"""Every setting of a training, defined once: name, type, default, range and help.

The YAML keys, the checks and the table in the docs are read from the fields of `TrainSettings` and
`SourceSettings`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sodslice.errors import OptionError, did_you_mean

_Group = TypeVar("_Group", bound="TrainSettings | SourceSettings")


def _setting(default: Any, check: Callable[[Any], Any], help: str) -> Any:
    return dataclasses.field(default=default, metadata={"check": check, "help": help})


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _real(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        number = _number(value)
        if not low <= number <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return number

    return check


def _whole(low: int, high: int = 1_000_000_000, *, multiple: int = 1) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = _number(value)
        if number != int(number) or not low <= number <= high or number % multiple:
            of = f" that is a multiple of {multiple}" if multiple > 1 else ""
            raise ValueError(f"a whole number{of} from {low} to {high}")
        return int(number)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, (str, Path)):
        raise ValueError("a text")  # noqa: TRY004 (caught by `settings_from`)
    return str(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 (as above)
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("a list of names")
    return tuple(value)


def _shares(value: Any) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= 4:
        raise ValueError("one to four shares, for 1x1, 2x2, ... mosaics")
    shares = tuple(_number(share) for share in value)
    if min(shares) < 0 or not sum(shares) > 0:
        raise ValueError("shares that are not negative and not all 0")
    return shares


def _pixel_range(value: Any) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError("two numbers, smallest and largest")
    low, high = (_number(number) for number in value)
    if not 0 < low <= high:
        raise ValueError("two numbers above 0, the smaller one first")
    return low, high


_share = _real(0.0, 1.0)


@dataclass(frozen=True)
class SourceSettings:
    """Where some of the pictures come from: a COCO set, one large scene, or drawn scenes."""

    name: str = _setting(
        "", _text, "what to call it in messages; the json, scene or 'synthetic' where not given"
    )
    images: str = _setting("", _text, "COCO set: folder of the images")
    annotations: str = _setting("", _text, "COCO set: its json")
    files: str = _setting("*", _text, "COCO set: only images whose file name fits this pattern")
    scene: str = _setting("", _text, "large scene: the raster, read window by window")
    truth: str = _setting(
        "", _text, "large scene: its truth, COCO json or GeoJSON; none for a scene without objects"
    )
    window: int = _setting(
        1024, _whole(256, 8192), "large and drawn scenes: side of a window in scene pixels"
    )
    synthetic: int = _setting(0, _whole(0, 10_000), "how many scenes to draw with `sodslice.synthetic`")
    synthetic_seed: int = _setting(0, _whole(0), "drawn scenes: seed of the first one")
    weight: float = _setting(
        1.0, _real(0.0, 1e6), "how often it is drawn from, next to the others of its kind"
    )
    background: bool = _setting(
        default=False,
        check=_switch,
        help="whether it gives pictures without objects: of a COCO set only the images without boxes",
    )
    free_rotation: float = _setting(
        0.0,
        _share,
        "share of cells turned by any angle where all boxes are elongated; the others by right angles",
    )
    label_offset: float = _setting(
        0.0,
        _real(-2.0, 2.0),
        "pixels that the labels lie up and left of the edges they mean (0.5 where they are pixel indices); "
        "kept through flips and turns, so that the network learns it",
    )


def _sources(value: Any) -> tuple[SourceSettings, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of sources")  # noqa: TRY004 (as above)
    return tuple(
        source
        if isinstance(source, SourceSettings)
        else settings_from(SourceSettings, source, where=f"source {i + 1}")
        for i, source in enumerate(value)
    )


@dataclass(frozen=True)
class TrainSettings:
    """What `sodslice train` reads from its YAML file."""

    model: str = _setting("vehicle-t", _text, "network: vehicle-t, S, L or largesize-L")
    class_names: tuple[str, ...] = _setting(
        (), _names, "classes in the order of their ids; the network's own where empty"
    )
    weights: str = _setting(
        "", _text, "checkpoint to start from, a file or vehicle-t; from scratch where empty"
    )
    new_head: bool = _setting(
        default=False,
        check=_switch,
        help="start the class layers anew, for classes other than the checkpoint's",
    )
    data_root: str = _setting(
        "", _text, "folder that the sources' paths start from; the settings' own where empty"
    )
    sources: tuple[SourceSettings, ...] = _setting((), _sources, "what to learn from")
    validation: tuple[SourceSettings, ...] = _setting((), _sources, "COCO sets to choose the best weights by")
    seed: int = _setting(0, _whole(0), "equal seeds give equal weights on one kind of machine")

    steps: int = _setting(5000, _whole(1), "updates of the weights")
    batch: int = _setting(8, _whole(1, 4096), "canvases for each update, over all processes")
    canvas: int = _setting(256, _whole(64, 4096, multiple=32), "side of a canvas in pixels")
    learning_rate: float = _setting(0.02, _real(1e-8, 10.0), "highest learning rate")
    final_rate: float = _setting(0.02, _share, "share of the learning rate that the cosine ends with")
    warm_up: int = _setting(200, _whole(0), "steps until the highest learning rate is reached")
    momentum: float = _setting(0.9, _real(0.0, 0.9999), "of SGD (Nesterov)")
    weight_decay: float = _setting(5e-4, _real(0.0, 1.0), "on weights of convolutions and matrices only")
    clip: float = _setting(10.0, _real(1e-6, 1e6), "largest norm of all gradients together")
    average: float = _setting(0.999, _real(0.0, 0.999999), "decay of the moving average of the weights")
    frozen: tuple[str, ...] = _setting(
        (), _names, "parts of the network that stay as they are, by the start of their names"
    )
    closing: float = _setting(
        0.0,
        _share,
        "share of the steps, the last ones, with plain canvases: no mosaic, half the disturbances",
    )

    mosaic: tuple[float, ...] = _setting(
        (0.35, 0.40, 0.25), _shares, "shares of canvases of 1x1, 2x2, 3x3 (and 4x4) cells"
    )
    object_size: tuple[float, float] = _setting(
        (7.0, 110.0),
        _pixel_range,
        "long side of objects in canvas pixels; the middle (in logarithms) is most frequent",
    )
    smallest_object: float = _setting(
        5.0, _real(0.0, 1000.0), "objects with a shorter long side are neither right nor wrong"
    )
    near_object: float = _setting(0.7, _share, "share of cells placed on an object, not anywhere")
    visible_share: float = _setting(0.35, _share, "objects cut by more than this are neither right nor wrong")
    smallest_part: float = _setting(3.0, _real(0.0, 100.0), "cut objects need both sides this long in pixels")
    aspect: float = _setting(0.06, _real(0.0, 0.5), "largest stretch of one direction against the other")
    background: float = _setting(0.12, _share, "share of canvases from background sources alone")
    background_cells: float = _setting(
        0.06, _share, "share of the other canvases' cells from background sources"
    )
    flat: float = _setting(0.03, _share, "share of canvases of one colour, or of a plain gradient")
    texture: float = _setting(0.03, _share, "share of canvases with drawn textures")
    wedge: float = _setting(0.08, _share, "share of canvases with a black or white border without data")
    mirror: float = _setting(
        0.7, _share, "share of cells that continue a picture that is too small by its mirror image, not flat"
    )
    colour: float = _setting(1.0, _real(0.0, 2.0), "strength of the changes of colour and brightness")
    blur: float = _setting(0.3, _share, "share of canvases blurred, sharpened, or made smaller and back")
    noise: float = _setting(0.25, _share, "share of canvases with noise")
    jpeg: float = _setting(0.35, _share, "share of canvases with JPEG's traces")
    haze: float = _setting(0.08, _share, "share of canvases seen through haze")

    workers: int = _setting(
        1, _whole(0, 64), "processes that prepare canvases; 0: the training process itself"
    )
    cache_mb: int = _setting(
        800, _whole(16, 1_000_000), "memory for decoded pictures, over all workers of a process"
    )
    log_every: int = _setting(20, _whole(1), "steps between lines of the log")
    checkpoint_every: int = _setting(250, _whole(1), "steps between checkpoints")
    validate_every: int = _setting(500, _whole(1), "steps between validations")


def settings_from(kind: type[_Group], given: Any, *, where: str) -> _Group:
    """Checked settings from a mapping, as YAML gives it.

    Args:
        kind: `TrainSettings` or `SourceSettings`.
        given: names and values.
        where: what to call the mapping in messages.

    Raises:
        OptionError: an unknown name, or a value of the wrong type or out of range.
    """
    if not isinstance(given, Mapping):
        raise OptionError(
            f"{where} must be a mapping of settings, got {given!r}; write lines like 'steps: 2000'"
        )
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in fields:
            raise OptionError(f"{where} has no setting {name!r}{did_you_mean(str(name), fields)}")
        try:
            values[name] = fields[name].metadata["check"](value)
        except ValueError as error:
            if isinstance(error, OptionError):
                raise
            raise OptionError(f"{name} in {where} must be {error}, got {value!r}") from None
    return kind(**values)


def load_settings(path: Path, **changes: Any) -> TrainSettings:
    """Settings of a YAML file, with `data_root` and `weights` made whole.

    Paths in the file start from the folder of the file, those in `changes` from the current folder.

    Args:
        path: the YAML file.
        changes: settings that replace those of the file.

    Raises:
        OptionError: the file cannot be read, or a setting is wrong.
    """
    import yaml

    from sodslice.models import MODELS

    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}; give a YAML file of settings") from None
    except yaml.YAMLError as error:
        raise OptionError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    settings = settings_from(TrainSettings, given, where=path.name)
    data_root = path.parent / settings.data_root
    named = not settings.weights or settings.weights in MODELS
    weights = settings.weights if named else str(path.parent / settings.weights)
    settings = dataclasses.replace(settings, data_root=str(data_root), weights=weights)
    checked = settings_from(TrainSettings, changes, where="the command line")
    return dataclasses.replace(settings, **{name: getattr(checked, name) for name in changes})


def settings_to_mapping(settings: TrainSettings) -> dict[str, Any]:
    """Plain values for JSON, which `settings_from` takes back."""
    return dataclasses.asdict(settings)
