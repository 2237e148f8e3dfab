"""The names a model can have, and what stands behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sodslice.errors import ModelError, did_you_mean
from sodslice.inference import BlobDetector, Detector, ModelInfo
from sodslice.system.registry import Registry

SHIPPED = Path(__file__).resolve().parents[1] / "weights"
OFFICIAL_URL = "https://paddle-model-ecology.bj.bcebos.com/paddlex"
CHECKPOINT_SUFFIXES = (".pdparams", ".safetensors")


@dataclass(frozen=True)
class StoredModel:
    """A model that has a name.

    Args:
        name: what `model` takes.
        about: one sentence.
        folder: where its exported form lies; None if it has no files here.
        checkpoint: the weights it was exported from, for `train` and `export`; None if not here.
    """

    name: str
    about: str
    folder: Path | None = None
    checkpoint: Path | None = None


def _official(name: str, size: int) -> StoredModel:
    return StoredModel(
        name, f"PaddleDetection's, 10 VisDrone classes, {size} x {size}; files are yours to download"
    )


MODELS: Mapping[str, StoredModel] = {
    model.name: model
    for model in (
        StoredModel(
            "vehicle-t",
            "ships with sodslice: near-nadir vehicles at about 8-30 cm per pixel",
            SHIPPED / "vehicle-t",
            SHIPPED / "vehicle-t" / "checkpoint.safetensors",
        ),
        _official("PP-YOLOE_plus_SOD-S", 640),
        _official("PP-YOLOE_plus_SOD-L", 640),
        _official("PP-YOLOE_plus_SOD-largesize-L", 1920),
    )
}
"""Models that are files, by name."""


@dataclass(frozen=True)
class NamedDetector:
    """A model that is a class of its own, not files that an engine runs.

    Args:
        about: one sentence.
        info: facts about it, without loading it.
        load: the detector, ready.
    """

    about: str
    info: Callable[[], ModelInfo]
    load: Callable[[], Detector]


def _blobs() -> NamedDetector:
    return NamedDetector(
        "bright blobs, without weights: for trying things out", lambda: BlobDetector().info, BlobDetector
    )


DETECTORS: Registry[NamedDetector] = Registry("model", "sodslice.detectors", {"blobs": _blobs})
"""Models that are classes, by name; packages add theirs by the entry point `sodslice.detectors`."""


def model_names() -> tuple[str, ...]:
    """All names that a model can be called by; those whose files are elsewhere come last."""
    here = [name for name, model in MODELS.items() if model.folder is not None]
    return (*here, *DETECTORS.names(), *(name for name in MODELS if name not in here))


def files_of(name_or_path: str | Path) -> Path:
    """The exported folder or the checkpoint that a name or a path stands for.

    Raises:
        ModelError: there is none; the message says where to get it.
    """
    path, word = Path(name_or_path), str(name_or_path)
    stored = MODELS.get(word)
    if stored is not None and stored.folder is not None:
        return stored.folder
    if path.is_dir() or (path.suffix in CHECKPOINT_SUFFIXES and path.is_file()):
        return path
    if stored is not None:
        file = f"official_inference_model/paddle3.0.0/{word}_infer.tar"
        raise _elsewhere(word, f"{file}, unpack it, and give the folder with `model`")
    if path.exists() or path.suffix in CHECKPOINT_SUFFIXES or len(path.parts) > 1:
        what = "neither a folder nor a checkpoint" if path.exists() else "not there"
        raise ModelError(
            f"the model {word} is {what}; give an exported folder, a .pdparams or .safetensors file"
        )
    names = model_names()
    raise ModelError(
        f"unknown model {word!r}{did_you_mean(word, names)}; known are {', '.join(names)}, or a folder"
    )


def checkpoint_of(name_or_path: str | Path) -> Path:
    """The checkpoint that a name or a path stands for.

    Raises:
        ModelError: there is none; the message says where to get it.
    """
    path, word = Path(name_or_path), str(name_or_path)
    stored = MODELS.get(word)
    if stored is not None and stored.checkpoint is not None:
        return stored.checkpoint
    if path.is_dir():
        raise ModelError(f"{word} is a folder; give a checkpoint, a .safetensors or .pdparams file")
    if path.exists():
        return path
    if stored is None:
        raise ModelError(f"there is no checkpoint {word}; give a .safetensors or .pdparams file")
    raise _elsewhere(word, f"official_pretrained_model/{word}_pretrained.pdparams and give that file")


def _elsewhere(word: str, rest: str) -> ModelError:
    """What to say of a stored model whose files are not here: `rest` is the file, and what to do with it."""
    return ModelError(f"{word} is not on this machine; download {OFFICIAL_URL}/{rest}")
