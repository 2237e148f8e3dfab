"""An exported model folder: which files it holds and what its yml says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sodslice.detector.base import ModelInfo
from sodslice.detector.preprocess import Preprocess
from sodslice.errors import ModelError

SETTINGS_FILES = ("inference.yml", "infer_cfg.yml")
GRAPH_SUFFIXES = (".json", ".pdmodel")
NMS_LIMIT = 500
"""`keep_top_k` of the NMS that PaddleDetection puts into its exports."""


@dataclass(frozen=True)
class ModelFolder:
    """An exported model on disk, read but not loaded.

    Args:
        graph: `inference.json` (PIR) or `.pdmodel`.
        parameters: `.pdiparams`.
        preprocess: what is done to tiles.
        info: facts about the model.
    """

    graph: Path
    parameters: Path
    preprocess: Preprocess
    info: ModelInfo


def read_folder(folder: Path) -> ModelFolder:
    """What an exported folder holds: an official archive's layout, or a plain PaddleDetection export's.

    Raises:
        ModelError: a file is missing or the yml is not that of a detector.
    """
    settings_path = next((folder / name for name in SETTINGS_FILES if (folder / name).is_file()), None)
    if settings_path is None:
        raise ModelError(
            f"{folder} holds no {' or '.join(SETTINGS_FILES)}, so it is not an exported model; "
            "give the folder that `sodslice export` or PaddleDetection wrote"
        )
    stem = "inference" if settings_path.name == "inference.yml" else "model"
    graph = next((folder / f"{stem}{s}" for s in GRAPH_SUFFIXES if (folder / f"{stem}{s}").is_file()), None)
    if graph is None:
        raise ModelError(
            f"{folder} holds no {stem}.json and no {stem}.pdmodel beside its {settings_path.name}"
        )
    parameters = folder / f"{stem}.pdiparams"
    if not parameters.is_file():
        raise ModelError(f"{folder} holds no {parameters.name} beside its {graph.name}")
    settings = _settings(settings_path)
    preprocess = Preprocess(_operations(settings, settings_path))
    info = _info(settings, settings_path, preprocess, _sha256(graph, parameters, settings_path))
    return ModelFolder(graph, parameters, preprocess, info)


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(settings, Mapping):
        raise ModelError(f"{path} must hold settings by name, got {type(settings).__name__}")
    return settings


def _operations(settings: Mapping[str, Any], path: Path) -> tuple[Mapping[str, Any], ...]:
    operations = settings.get("Preprocess")
    if not isinstance(operations, list) or not all(isinstance(o, Mapping) for o in operations):
        raise ModelError(f"{path} has no list `Preprocess`, so it is unknown how to feed the model")
    return tuple(operations)


def _info(settings: Mapping[str, Any], path: Path, preprocess: Preprocess, sha256: str) -> ModelInfo:
    names = settings.get("label_list")
    if not isinstance(names, list) or not names:
        raise ModelError(f"{path} has no `label_list`, so the classes have no names")
    own = settings.get("sodslice") or {}
    suppressed = bool(own.get("nms", settings.get("nms", True)))
    return ModelInfo(
        class_names=tuple(str(n) for n in names),
        name=str(
            (settings.get("Global") or {}).get("model_name") or settings.get("arch") or path.parent.name
        ),
        input_size=preprocess.input_size,
        threshold=float(settings.get("draw_threshold", 0.5)),
        suppressed=suppressed,
        max_per_tile=int(own.get("keep_top_k", NMS_LIMIT)) if suppressed else None,
        preprocess=preprocess.describe(),
        gsd_m=own.get("gsd_m"),
        licence=str(own.get("licence", "")),
        sha256=sha256,
    )


def _sha256(*paths: Path) -> str:
    """One hash over the contents of the files, in order."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()
