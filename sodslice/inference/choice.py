"""What runs the model: the settings of inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sodslice.values.kinds import Kind, Maybe, OneOf, Schema, Whole, Word
from sodslice.values.setting import Setting, check_settings, setting

DEFAULT_MODEL = "vehicle-t"


class DeviceWord(Kind):
    """A word for a device, in any case; whether it is there is seen when a model is loaded."""

    def read(self, given: Any) -> str:
        """See `Kind`."""
        if not isinstance(given, str) or not given.strip():
            raise ValueError("a word such as cpu or gpu:0")
        return given.strip().lower()

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "string", "examples": ["auto", "cpu", "gpu", "gpu:1"]}


class EngineWord(Kind):
    """A name of an engine, and a backend behind a colon; what is there is seen when a run is planned."""

    def read(self, given: Any) -> str:
        """See `Kind`."""
        if not isinstance(given, str) or not given.strip() or given.strip().endswith(":"):
            raise ValueError("a word such as openvino or onnxruntime:tensorrt")
        name, colon, backend = given.strip().partition(":")
        return f"{name.lower()}{colon}{backend}"

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "string", "examples": ["auto", "openvino", "onnxruntime", "paddle"]}


@dataclass(frozen=True)
class InferenceChoice:
    """Which model, and on what it runs.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    model: str = setting(
        DEFAULT_MODEL,
        Setting(
            Word(),
            "A name that `sodslice models` lists, a folder or a .tar with an exported model, an .onnx file "
            "of a YOLO or RT-DETR, a checkpoint, or a URL.",
            "Model",
        ),
    )
    device: str = setting(
        "auto", Setting(DeviceWord(), "cpu, gpu, gpu:1, gpu:0,1 (both), xpu, npu, ...", "Machine")
    )
    engine: str = setting(
        "auto",
        Setting(
            EngineWord(),
            "What runs the model: auto (the fastest that is installed), openvino, onnxruntime or paddle; a "
            "backend of it behind a colon, such as onnxruntime:tensorrt, paddle:tensorrt or openvino:gpu.",
            "Machine",
        ),
    )
    precision: str = setting(
        "fp32",
        Setting(
            OneOf(("fp32", "bf16", "fp16")),
            "Numbers that the model computes with; bf16 and fp16 only where the machine does so by itself.",
            "Machine",
        ),
    )
    batch: int | None = setting(
        None,
        Setting(
            Maybe(Whole(1, 256)),
            "Tiles per call of the model.",
            "Machine",
            "auto: 1 on the CPU; elsewhere as many as make it faster",
        ),
    )
    threads: int | None = setting(
        None, Setting(Maybe(Whole(1, 1024)), "CPU threads of the model.", "Machine", "all cores")
    )

    def __post_init__(self) -> None:
        check_settings(self)
