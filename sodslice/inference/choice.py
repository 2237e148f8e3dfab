"""What runs the model: the settings of inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sodslice.values.kinds import Kind, Maybe, Schema, Whole, Word
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
            "A name that `sodslice models` lists, a folder with an exported model, or a checkpoint.",
            "Model",
        ),
    )
    device: str = setting("auto", Setting(DeviceWord(), "cpu, gpu, gpu:1, xpu, npu, ...", "Machine"))
    batch: int = setting(1, Setting(Whole(1, 256), "Tiles per call of the model.", "Machine"))
    threads: int | None = setting(
        None, Setting(Maybe(Whole(1, 1024)), "CPU threads of the model.", "Machine", "all cores")
    )

    def __post_init__(self) -> None:
        check_settings(self)
