"""From what a user names to facts about a model, and from these facts to a ready detector."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import DeviceError, ModelError, OptionError
from sodslice.inference import (
    Detector,
    ExportedDetector,
    InferenceChoice,
    ModelFolder,
    ModelInfo,
    ModelSpec,
    ReadyDetector,
    as_ready,
    read_folder,
)
from sodslice.inference.engines import ENGINES, Device, Request, Session, engine_for, parse_device
from sodslice.inference.lifting import open_lifted
from sodslice.models.conversion import converted_folder, described_checkpoint
from sodslice.models.store import DETECTORS, MODELS, files_of

PROBE_SIDE = 128


def resolve_model(
    model: str | Path | Detector | ModelSpec, choice: InferenceChoice, *, tile: int | None = None
) -> ModelSpec:
    """All facts about a model that a run depends on; nothing is loaded.

    Args:
        model: a name, a folder, a checkpoint, an object that is a detector, or what this function gave.
        choice: device, threads and batch.
        tile: tile side in pixels, for checkpoints whose network is exported for one size.

    Raises:
        ModelError: the name is unknown, or the files are incomplete or broken.
        DeviceError: there is no such word for a device.
    """
    asked = parse_device(choice.device)
    if isinstance(model, ModelSpec):
        return model
    how = (choice.device, choice.threads, choice.batch)
    if not isinstance(model, (str, Path)):
        return ModelSpec(as_ready(model).info.name, "", model.info, "", "", *how)
    word = str(model)
    if word not in MODELS and word in DETECTORS:
        _refuse_other_devices(word, choice.device, asked)
        return ModelSpec(word, word, DETECTORS[word].info(), "", "", *how)
    path = files_of(word)
    if path.is_dir():
        files = read_folder(path)
        info, suffix = files.info, files.graph.suffix
    else:
        info, suffix = described_checkpoint(path, input_size=_sides(tile))
    engine = engine_for(suffix, source=word)
    return ModelSpec(word, str(path.resolve()), info, engine.name, engine.version() or "", *how)


def load_spec(spec: ModelSpec) -> ReadyDetector:
    """A ready detector from its facts.

    Raises:
        ModelError: the files are gone, have changed, or cannot be run; or the model is an object of another
            process.
        DeviceError: the device is not there.
    """
    if not spec.loadable:
        raise ModelError(
            f"the model {spec.word} is an object that only the process which made the plan has; "
            "give it to `execute` as `model`"
        )
    if spec.location in DETECTORS and not Path(spec.location).is_absolute():
        return as_ready(DETECTORS[spec.location].load())
    path = Path(spec.location)
    if not path.exists():
        raise ModelError(f"the model {path} of the plan is not here; bring its files to that place")
    if path.is_file():
        path = converted_folder(path, input_size=spec.info.input_size or _sides(None))
    files = read_folder(path)
    if path == Path(spec.location) and files.info.sha256 != spec.info.sha256:
        raise ModelError(f"the files of the model {path} have changed since the plan was made; plan again")
    return _open_folder(files, spec)


def load_model(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    batch: int = 1,
    tile: int | None = None,
) -> ReadyDetector:
    """A ready detector.

    Args:
        name_or_path: a name that `sodslice models` lists, a folder with an exported model, or a checkpoint
            (`.pdparams`, `.safetensors`), which is exported on the way, once, for the tile size.
        device: `auto`, `cpu`, `gpu`, `gpu:1`, ...
        threads: CPU threads; None takes all cores.
        batch: tiles per call.
        tile: tile side in pixels, for checkpoints.

    Raises:
        ModelError: the name is unknown, or the files are incomplete or broken.
        DeviceError: the device is not there, or the model is not one for it.
    """
    choice = InferenceChoice(str(name_or_path), device, batch, threads)
    return load_spec(resolve_model(name_or_path, choice, tile=tile))


def model_info(name_or_path: str | Path) -> ModelInfo:
    """Facts about a model, without loading it, whether or not an engine here can run it.

    Raises:
        ModelError: the name is unknown, or the folder is not a model.
    """
    word = str(name_or_path)
    if word not in MODELS and word in DETECTORS:
        return DETECTORS[word].info()
    path = files_of(word)
    if path.is_dir():
        return read_folder(path).info
    return described_checkpoint(path, input_size=_sides(None))[0]


def _sides(tile: int | None) -> tuple[int, int]:
    """Height and width of the input for tiles of a side: the next multiple of 32."""
    side = -(-(tile or 1024) // 32) * 32
    return side, side


def _refuse_other_devices(word: str, device: str, asked: Device | None) -> None:
    if asked not in (None, Device("cpu")):
        raise DeviceError(
            f"the model {word} has no weights and runs on the CPU only, got `device={device}`; "
            "use `device=cpu`"
        )


def _open_folder(files: ModelFolder, spec: ModelSpec) -> ExportedDetector:
    engine = ENGINES[spec.engine]
    device = engine.pick(parse_device(spec.device))  # before OpenCV's threads, which could take its signals
    threads, probe = _threads(spec), _probe(files, spec.batch)

    def load(graph: Path) -> Session:
        return engine.load(Request(graph, files.parameters, device, threads, probe))

    session, limits = open_lifted(files.graph, load, spec.info)
    return ExportedDetector(session, files.preprocess, spec.info, batch=spec.batch, limits=limits)


def _probe(files: ModelFolder, batch: int) -> dict[str, Any]:
    """Feeds of the shapes that will come."""
    height, width = files.info.input_size or (PROBE_SIDE, PROBE_SIDE)
    images, scale = files.preprocess(np.zeros((batch, height, width, 3), np.uint8))
    return {
        "image": images,
        "scale_factor": np.tile(np.array(scale, np.float32), (batch, 1)),
        "im_shape": np.tile(np.array(images.shape[2:], np.float32), (batch, 1)),
    }


def _threads(spec: ModelSpec) -> int:
    """CPU threads to use.

    Raises:
        OptionError: more are asked for than there are cores, which only makes the model slower.
    """
    cores = _cores()
    if spec.threads is not None and spec.threads > cores:
        raise OptionError(
            f"`threads` must be at most {cores}, the cores that this process may use, got {spec.threads}"
        )
    return spec.threads or cores


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
