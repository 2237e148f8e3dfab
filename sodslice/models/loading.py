"""From what a user names to facts about a model, and from these facts to a ready detector."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from sodslice.errors import DeviceError, ModelError, OptionError, did_you_mean
from sodslice.inference import (
    Detector,
    InferenceChoice,
    ModelFolder,
    ModelInfo,
    ModelSpec,
    ReadyDetector,
    as_ready,
    read_folder,
)
from sodslice.inference.engines import Device, Engine, parse_devices
from sodslice.inference.engines.choosing import Choice, Wish, choose_engine
from sodslice.inference.folder import ONNX_SUFFIX, QUANTISED
from sodslice.inference.foreign.file import OnnxFile, read_onnx_file
from sodslice.inference.graphs.ports import images_at_once
from sodslice.inference.graphs.translation import what_hinders
from sodslice.models.conversion import converted_folder, described_checkpoint
from sodslice.models.opening import open_folder, open_onnx_file
from sodslice.models.store import DETECTORS, MODELS, files_of

log = logging.getLogger(__name__)

AS_IT_FITS = 0
"""Tiles per call of a device that is no CPU, where the user names no number."""


def resolve_model(
    model: str | Path | Detector | ModelSpec, choice: InferenceChoice, *, tile: int | None = None
) -> ModelSpec:
    """All facts about a model that a run depends on; nothing is loaded.

    Args:
        model: a name, a folder, an archive, an `.onnx` file, a checkpoint, a URL, a detector, or what this
            function gave.
        choice: device, threads and batch.
        tile: tile side in pixels, for checkpoints whose network is exported for one size.

    Raises:
        ModelError: the name is unknown, or the files are incomplete or broken.
        DeviceError: there is no such word for a device.
    """
    asked = parse_devices(choice.device)
    if isinstance(model, ModelSpec):
        return model
    how: dict[str, Any] = {"device": choice.device, "threads": choice.threads}
    if not isinstance(model, (str, Path)):
        return ModelSpec(as_ready(model).info.name, "", model.info, batch=choice.batch or 1, **how)
    word = str(model)
    if word not in MODELS and word in DETECTORS:
        _refuse_other_devices(word, choice.device, asked)
        return ModelSpec(word, word, DETECTORS[word].info(), batch=choice.batch or 1, **how)
    path = files_of(word)
    device = asked[0] if asked else None
    wish = Wish("", choice.engine, choice.precision, device)
    files = _files(path)
    if files is not None:
        info, hindrance = files.info, cache(partial(what_hinders, files.graph))
        wish = replace(
            wish, suffix=files.graph.suffix, hindrance=hindrance, precision=_precision(choice, files)
        )
    else:
        info, suffix = described_checkpoint(path, input_size=_sides(tile))
        wish = replace(wish, suffix=suffix)
    chosen = choose_engine(wish, source=word)
    _say_choice(chosen, word)
    batch = _batch(choice, chosen.engine, device)
    return ModelSpec(
        word,
        str(path.resolve()),
        info,
        chosen.word,
        chosen.engine.version() or "",
        batch=batch if files is None else _fitting(batch, choice, files),
        precision=wish.precision,
        **how,
    )


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
            "execute it with hands that hold it: `Here(scene=..., detector=...)`"
        )
    if spec.location in DETECTORS and not Path(spec.location).is_absolute():
        return as_ready(DETECTORS[spec.location].load())
    path = Path(spec.location)
    if not path.exists():
        raise ModelError(f"the model {path} of the plan is not here; bring its files to that place")
    files = _files(path)
    if files is None:
        folder = converted_folder(path, input_size=spec.info.input_size or _sides(None))
        return open_folder(read_folder(folder), spec)
    if files.info.sha256 != spec.info.sha256:
        raise ModelError(f"the files of the model {path} have changed since the plan was made; plan again")
    return open_onnx_file(files, spec) if isinstance(files, OnnxFile) else open_folder(files, spec)


def load_model(name_or_path: str | Path, *, tile: int | None = None, **settings: Any) -> ReadyDetector:
    """A ready detector.

    Args:
        name_or_path: a name that `sodslice models` lists, a folder or a `.tar` with an exported model, an
            `.onnx` file of a YOLO or an RT-DETR, a checkpoint (`.pdparams`, `.safetensors`), which is
            exported on the way, once, for the tile size, or a URL of an archive or a checkpoint.
        tile: tile side in pixels, for checkpoints.
        settings: `device` ("auto", "cpu", "gpu", "gpu:1", ...), `engine` ("auto", "openvino", "onnxruntime",
            "paddle", ...), `precision` ("fp32", "bf16", "fp16"), `batch` (tiles per call) and `threads` (of
            the CPU), as for a run.

    Raises:
        ModelError: the name is unknown, or the files are incomplete or broken.
        DeviceError: the device is not there, or the model is not one for it.
        OptionError: there is no such setting or engine, or it has no such precision here.
    """
    known = [field.name for field in fields(InferenceChoice) if field.name != "model"]
    for name in settings:
        if name not in known:
            raise OptionError(
                f"load_model knows no `{name}`; known are {', '.join(known)}{did_you_mean(name, known)}"
            )
    choice = InferenceChoice(model=str(name_or_path), **settings)
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
    files = _files(path)
    return described_checkpoint(path, input_size=_sides(None))[0] if files is None else files.info


def model_layout(name_or_path: str | Path) -> str:
    """What was recognised in an `.onnx` file, in words; "" for other models.

    Raises:
        ModelError: the name is unknown, or the file is not recognised.
    """
    word = str(name_or_path)
    if word not in MODELS and word in DETECTORS:
        return ""
    path = files_of(word)
    return read_onnx_file(path).layout if path.suffix == ONNX_SUFFIX and path.is_file() else ""


def _files(path: Path) -> ModelFolder | OnnxFile | None:
    """What a folder or an ONNX file holds; None for a checkpoint."""
    if path.is_dir():
        return read_folder(path)
    return read_onnx_file(path) if path.suffix == ONNX_SUFFIX else None


def _sides(tile: int | None) -> tuple[int, int]:
    """Height and width of the input for tiles of a side: the next multiple of 32."""
    side = -(-(tile or 1024) // 32) * 32
    return side, side


def _say_choice(chosen: Choice, word: str) -> None:
    passed = f"; not {'; not '.join(chosen.why)}" if chosen.why else ""
    log.info("%s runs on %s%s", word, chosen.word, passed)


def _batch(choice: InferenceChoice, engine: Engine, device: Device | None) -> int:
    """Tiles per call: of CPUs one, which is as fast as more."""
    if choice.batch is not None:
        return choice.batch
    try:
        kind = engine.pick(None).kind if device is None else device.kind
    except DeviceError:
        kind = "cpu"
    return 1 if kind == "cpu" else AS_IT_FITS


def _precision(choice: InferenceChoice, files: ModelFolder | OnnxFile) -> str:
    """Of the arithmetic; the floats that a quantised graph still has are of the precision asked for."""
    quantised = isinstance(files, ModelFolder) and files.quantised
    return QUANTISED if quantised and choice.precision == "fp32" else choice.precision


def _fitting(batch: int, choice: InferenceChoice, files: ModelFolder | OnnxFile) -> int:
    """Tiles per call, as many as a graph takes that does not take any number.

    Raises:
        OptionError: another number is asked for.
    """
    fixed, folder = files.batch, isinstance(files, ModelFolder)
    if folder and fixed is None and batch != 1 and files.graph.suffix == ONNX_SUFFIX:
        fixed = images_at_once(files.graph)
    if fixed in (None, batch):
        return batch
    if choice.batch is not None:
        other = "without NMS in the graph" if folder else "for any number of images"
        raise OptionError(
            f"{files.graph} takes {fixed} tile{'s' * (fixed > 1)} at a time, got `batch={batch}`; "
            f"leave `batch` out, or export the model {other}"
        )
    return fixed


def _refuse_other_devices(word: str, device: str, asked: tuple[Device, ...]) -> None:
    if asked not in ((), (Device("cpu"),)):
        raise DeviceError(
            f"the model {word} has no weights and runs on the CPU only, got `device={device}`; "
            "use `device=cpu`"
        )
