"""An exported model folder: which files it holds and what its yml says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sodslice.errors import ModelError
from sodslice.inference.detector import ModelInfo, check_info
from sodslice.inference.engines import ENGINES
from sodslice.inference.limits import Suppression
from sodslice.inference.preprocess import Preprocess
from sodslice.system.hashes import sha256_of

STEMS = {"inference.yml": "inference", "infer_cfg.yml": "model"}
"""What graph and weights are called, by the file beside them that says how they are fed."""
SETTINGS_FILES = tuple(STEMS)
PADDLE_SUFFIXES = (".json", ".pdmodel")
ONNX_SUFFIX = ".onnx"
PARAMETERS = {**dict.fromkeys(PADDLE_SUFFIXES, ".pdiparams"), ".xml": ".bin"}
"""Suffixes of the weights that graphs have beside them; in other graphs they are inside."""
QUANTISED = "int8"
"""What the yml of such a graph says as its precision."""
NMS_LIMIT = 500
"""`keep_top_k` of the NMS that PaddleDetection puts into its exports."""


LARGEST_YML = 1 << 20
"""Bytes of a yml that is still read."""
MOST_VALUES = 100_000
"""Of a yml, where each counts as often as it is referred to."""


@dataclass(frozen=True)
class ModelFolder:
    """An exported model on disk, read but not loaded.

    Args:
        graph: `inference.json` (PIR), `.pdmodel`, `.onnx`, or what an engine of another package runs.
        parameters: `.pdiparams`; None where the graph holds them itself.
        preprocess: what is done to tiles.
        info: facts about the model.
        suppression: the NMS that the graph leaves to us; None where it does its own, or wants none.
        batch: images that the graph takes at once, no more and no less; None for any number, or unknown.
        quantised: the graph computes with integers of 8 bits where it can.
    """

    graph: Path
    parameters: Path | None
    preprocess: Preprocess
    info: ModelInfo
    suppression: Suppression | None = None
    batch: int | None = None
    quantised: bool = False


def read_folder(folder: Path) -> ModelFolder:
    """What an exported folder holds: an official archive's layout, or a plain PaddleDetection export's.

    Raises:
        ModelError: a file is missing or the yml is not that of a detector.
    """
    settings_path = _settings_path(folder)
    graph = _graph(folder, STEMS[settings_path.name], settings_path.name)
    parameters = _parameters(graph)
    settings = _settings(settings_path)
    preprocess = Preprocess(_operations(settings, settings_path))
    info = info_from(settings, settings_path, sha256_of(*filter(None, (graph, parameters, settings_path))))
    own = _part(settings, "sodslice", settings_path)
    return ModelFolder(
        graph,
        parameters,
        preprocess,
        info,
        _suppression(own, settings_path),
        batch=int(_number(own, "batch", 0, settings_path)) or None,
        quantised=own.get("precision") == QUANTISED,
    )


def is_model_file(name: str) -> bool:
    """Whether an exported folder needs a file of this name: what it says of itself, a graph, or weights."""
    path = Path(name)
    suffixes = {*_graph_suffixes(), *PARAMETERS.values()}
    return name in SETTINGS_FILES or (path.stem in STEMS.values() and path.suffix in suffixes)


def folder_settings(folder: Path) -> Mapping[str, Any]:
    """All that the yml of an exported folder says.

    Raises:
        ModelError: there is none, or it holds something else.
    """
    return _settings(_settings_path(folder))


def _settings_path(folder: Path) -> Path:
    path = next((folder / name for name in SETTINGS_FILES if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(
            f"{folder} holds no {' or '.join(SETTINGS_FILES)}, so it is not an exported model; "
            "give the folder that `sodslice export` or PaddleDetection wrote"
        )
    return path


def _graph(folder: Path, stem: str, settings_name: str) -> Path:
    """The graph of a folder: one of Paddle or ONNX, or what any engine says that it runs.

    Raises:
        ModelError: there is none.
    """
    names = [f"{stem}{suffix}" for suffix in _graph_suffixes()]
    graph = next((folder / name for name in names if (folder / name).is_file()), None)
    if graph is None:
        raise ModelError(f"{folder} holds no {' and no '.join(names)} beside its {settings_name}")
    return graph


def _graph_suffixes() -> tuple[str, ...]:
    """Of all graphs that an engine may run, in the order in which they are looked for."""
    brought = (suffix for engine in ENGINES for suffix in engine.graphs)
    return tuple(dict.fromkeys((*PADDLE_SUFFIXES, ONNX_SUFFIX, *brought)))


def _parameters(graph: Path) -> Path | None:
    """The file of the weights; None where the graph holds them itself.

    Raises:
        ModelError: it is missing.
    """
    wanted = PARAMETERS.get(graph.suffix)
    file = graph.with_suffix(wanted or ".pdiparams")
    if file.is_file():
        return file
    if wanted is not None:
        raise ModelError(f"{graph.parent} holds no {file.name} beside its {graph.name}")
    return None


def _settings(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > LARGEST_YML:
        raise ModelError(f"{path} has more than {LARGEST_YML >> 20} MiB, so it is no yml of a model")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if _is_endless(settings):
        raise ModelError(f"{path} states more than {MOST_VALUES} values, so it is no yml of a model")
    if not isinstance(settings, Mapping):
        raise ModelError(f"{path} must hold settings by name, got {type(settings).__name__}")
    return settings


def _is_endless(settings: Any) -> bool:
    """Whether references to references make more values than a model has, which written out fill memory."""
    left, count = [settings], 0
    while left and count <= MOST_VALUES:
        value = left.pop()
        count += 1
        if isinstance(value, Mapping):
            left += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            left += value
    return count > MOST_VALUES


def _operations(settings: Mapping[str, Any], path: Path) -> tuple[Mapping[str, Any], ...]:
    operations = settings.get("Preprocess")
    if not isinstance(operations, list) or not all(isinstance(o, Mapping) for o in operations):
        raise ModelError(f"{path} has no list `Preprocess`, so it is unknown how to feed the model")
    return tuple(operations)


def info_from(settings: Mapping[str, Any], path: Path, sha256: str) -> ModelInfo:
    """What the yml of an exported model says of it.

    Args:
        settings: the parsed yml.
        path: its file, for messages; its folder names a model that has no name.
        sha256: of all that the model's detections depend on.

    Raises:
        ModelError: it does not say what it must.
    """
    preprocess = Preprocess(_operations(settings, path))
    names = settings.get("label_list")
    if not isinstance(names, list) or not names:
        raise ModelError(f"{path} has no `label_list`, so the classes have no names")
    odd = next((type(name) for name in names if not isinstance(name, (str, int, float))), None)
    if odd is not None:
        raise ModelError(f"{path} must have texts as `label_list`, got a {odd.__name__}")
    own, overall = _part(settings, "sodslice", path), _part(settings, "Global", path)
    inside = bool(own.get("nms", settings.get("nms", True)))
    limit = _number(own, "keep_top_k", NMS_LIMIT, path)
    info = ModelInfo(
        class_names=tuple(str(n) for n in names),
        name=str(overall.get("model_name") or settings.get("arch") or path.parent.name),
        input_size=preprocess.input_size,
        threshold=_number(settings, "draw_threshold", 0.5, path),
        suppressed=inside or _suppression(own, path) is not None,
        max_per_tile=int(limit) if inside and limit > 0 else None,
        preprocess=preprocess.describe(),
        gsd_m=own.get("gsd_m"),
        object_px=_object_px(own.get("object_px"), path),
        licence=str(own.get("licence", "")),
        sha256=sha256,
    )
    try:
        check_info(info)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return info


def _part(settings: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    """Settings below a name.

    Raises:
        ModelError: something else is there.
    """
    part = settings.get(name) or {}
    if not isinstance(part, Mapping):
        raise ModelError(f"{path} must hold settings by name as {name}, got {part!r}")
    return part


def _number(settings: Mapping[str, Any], name: str, default: float, path: Path) -> float:
    """A number, or a text that is one.

    Raises:
        ModelError: it is none.
    """
    given = settings.get(name, default)
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ModelError(f"{path} must have a number as {name}, got {given!r}")
    return number


def _suppression(own: Mapping[str, Any], path: Path) -> Suppression | None:
    """The NMS that is to be done behind a graph, as the yml states it.

    Raises:
        ModelError: it states something else.
    """
    given = own.get("suppression")
    if given is None:
        return None
    try:
        iou, floor = (float(given[name]) for name in ("iou", "floor"))
    except (TypeError, ValueError, LookupError):
        iou, floor = 0.0, 0.0
    if not (0 < iou <= 1 and 0 <= floor < 1):
        raise ModelError(f"{path} must have iou and floor, shares of 1, as suppression, got {given!r}")
    return Suppression(iou, floor)


def _object_px(given: Any, path: Path) -> tuple[float, float] | None:
    """Least and greatest side of objects, as the yml states them.

    Raises:
        ModelError: these are no two numbers.
    """
    if given is None:
        return None
    try:
        low, high = (float(side) for side in given)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not 0 < low <= high:
        raise ModelError(f"{path} must have two sides in pixels, rising, as object_px, got {given!r}")
    return low, high
