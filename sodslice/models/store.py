"""The names a model can have, and what stands behind them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sodslice.detector import BlobDetector, Detector, ExportedDetector, ModelFolder, ModelInfo, read_folder
from sodslice.engines import Device, parse_device
from sodslice.errors import DeviceError, ModelError, did_you_mean

SHIPPED = Path(__file__).resolve().parents[1] / "weights"
OFFICIAL_URL = "https://paddle-model-ecology.bj.bcebos.com/paddlex"
CHECKPOINT_SUFFIXES = (".pdparams", ".safetensors")
PROBE_SIDE = 128


@dataclass(frozen=True)
class StoredModel:
    """A model that has a name.

    Args:
        name: what `--model` takes.
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
        StoredModel("blobs", "bright blobs, without weights: for trying things out"),
        _official("PP-YOLOE_plus_SOD-S", 640),
        _official("PP-YOLOE_plus_SOD-L", 640),
        _official("PP-YOLOE_plus_SOD-largesize-L", 1920),
    )
}


def load_model(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    batch: int = 1,
    tile: int | None = None,
) -> Detector:
    """A ready detector.

    Args:
        name_or_path: a name in `MODELS`, a folder with an exported model, or a checkpoint (`.pdparams`,
            `.safetensors`), which is exported on the way, once, for the tile size.
        device: `auto`, `cpu`, `gpu`, `gpu:1`, ...
        threads: CPU threads; None takes all cores.
        batch: tiles per call.
        tile: tile side in pixels, for checkpoints.

    Raises:
        ModelError: the name is unknown, or the files are incomplete or broken.
        DeviceError: the device is not there, or the model is not one for it.
    """
    asked = parse_device(device)
    if str(name_or_path) == "blobs":
        if asked not in (None, Device("cpu")):
            raise DeviceError(
                f"the model blobs has no weights and runs on the CPU only, got --device {device}; "
                "use --device cpu"
            )
        return BlobDetector()
    return _open_folder(read_folder(_folder(name_or_path, tile)), asked, threads or _cores(), batch)


def model_info(name_or_path: str | Path) -> ModelInfo:
    """Facts about a model, without loading it.

    Raises:
        ModelError: the name is unknown, or the folder is not a model.
    """
    if str(name_or_path) == "blobs":
        return BlobDetector().info
    return read_folder(_folder(name_or_path, None)).info


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
    if stored is None or stored.name == "blobs":
        raise ModelError(f"there is no checkpoint {word}; give a .safetensors or .pdparams file")
    raise ModelError(
        f"{word} is not on this machine; download {OFFICIAL_URL}/official_pretrained_model/"
        f"{word}_pretrained.pdparams and give that file"
    )


def _folder(name_or_path: str | Path, tile: int | None) -> Path:
    """The exported folder behind a name, folder or checkpoint."""
    path = Path(name_or_path)
    stored = MODELS.get(str(name_or_path))
    if stored is not None and stored.folder is not None:
        return stored.folder
    if path.is_dir():
        return path
    if path.suffix in CHECKPOINT_SUFFIXES and path.is_file():
        from sodslice.models.conversion import converted_folder

        side = -(-(tile or 1024) // 32) * 32
        return converted_folder(path, input_size=(side, side))
    if stored is not None:
        raise ModelError(
            f"{stored.name} is not on this machine; "
            f"download {OFFICIAL_URL}/official_inference_model/paddle3.0.0/"
            f"{stored.name}_infer.tar, unpack it, and give the folder with --model"
        )
    if path.exists() or path.suffix in CHECKPOINT_SUFFIXES or len(path.parts) > 1:
        what = "neither a folder nor a checkpoint" if path.exists() else "not there"
        raise ModelError(
            f"the model {name_or_path} is {what}; give an exported folder, a .pdparams or .safetensors file"
        )
    hint = did_you_mean(str(name_or_path), MODELS)
    raise ModelError(f"unknown model {str(name_or_path)!r}{hint}; known are {', '.join(MODELS)}, or a folder")


def _open_folder(files: ModelFolder, asked: Device | None, threads: int, batch: int) -> ExportedDetector:
    from sodslice.engines.paddle import PaddleEngine, pick_device

    device = pick_device(asked)  # before OpenCV begins threads, which could take signals from Paddle's import
    height, width = files.info.input_size or (PROBE_SIDE, PROBE_SIDE)
    images, scale = files.preprocess(np.zeros((batch, height, width, 3), np.uint8))
    probe = {
        "image": images,
        "scale_factor": np.tile(np.array(scale, np.float32), (batch, 1)),
        "im_shape": np.tile(np.array(images.shape[2:], np.float32), (batch, 1)),
    }
    engine = PaddleEngine(files.graph, files.parameters, device=device, threads=threads, probe=probe)
    return ExportedDetector(engine, files.preprocess, files.info, batch=batch)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
