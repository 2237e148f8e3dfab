"""`ModelSpec`: a model before it is loaded, as facts that another process can load it from."""

from __future__ import annotations

from dataclasses import dataclass

from sodslice.inference.detector import ModelInfo


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and what runs it. Small, frozen and picklable; JSON holds it too.

    Args:
        word: what the user named: a name, a folder, a checkpoint.
        location: absolute path of the files, or the name of a model that has none; "" for an object that only
            this process has.
        info: facts about the model, read from its files.
        engine: name of what is to run it, and its backend behind a colon where one is named; "" where the
            model brings its own.
        engine_version: of what is installed where the plan was made.
        device: as the user named it.
        threads: CPU threads; None for all cores.
        batch: tiles per call; 0 for as many as make the device faster.
        precision: of the arithmetic.
        streams: tiles that go through the model at once, each on its part of the threads, if the engine can.
    """

    word: str
    location: str
    info: ModelInfo
    engine: str = ""
    engine_version: str = ""
    device: str = "auto"
    threads: int | None = None
    batch: int = 1
    precision: str = "fp32"
    streams: int = 1

    @property
    def loadable(self) -> bool:
        """Whether another process can load it."""
        return bool(self.location)
