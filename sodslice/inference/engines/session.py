"""What an engine is, and what it gives: named arrays in, raw arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.inference.engines.device import Device

Feeds = Mapping[str, npt.NDArray[Any]]

PRECISIONS = ("fp32", "bf16", "fp16", "int8")


class DeviceMemoryError(ModelError):
    """The device has not the memory for so large a batch."""


class Session(Protocol):
    """A graph that is loaded and ready to run. Not thread-safe, unless its engine says so."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""

    @property
    def description(self) -> str:
        """What runs the graph, in words."""

    def run(self, feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Outputs of the graph, in its order, as arrays of the caller's own.

        Raises:
            DeviceMemoryError: the device has not enough memory for the batch.
        """

    def close(self) -> None:
        """Give back what it holds; closing twice does no harm."""


@runtime_checkable
class CompilingSession(Protocol):
    """A session that compiles its graph for shapes of input, which takes a while."""

    def compile_for(self, feeds: Feeds, *, many: bool) -> None:
        """Be ready for input of some shapes; safe to call while others run it.

        Args:
            feeds: of these shapes.
            many: so much of it comes that compiling the graph for them alone is worth it.
        """


@dataclass(frozen=True)
class Request:
    """What is asked of an engine.

    Args:
        graph: file of the graph.
        parameters: file of the weights; None where they are in the graph.
        device: that `Engine.pick` chose.
        threads: CPU threads.
        probe: feeds for a trial run, of the shapes that will come; None: the graph has run here before.
        precision: of the arithmetic.
        backend: which of the engine's own ways; "" leaves it to the engine.
        pixels: `image` comes as `(N, H, W, 3)` uint8, if the engine says that it takes pixels.
        streams: so many threads may call `run` at once, each with its part of the CPU threads, if the engine
            says that its sessions have streams.
    """

    graph: Path
    parameters: Path | None
    device: Device
    threads: int
    probe: Feeds | None
    precision: str = "fp32"
    backend: str = ""
    pixels: bool = False
    streams: int = 1


def _only_fp32(_: str) -> tuple[str, ...]:
    return ("fp32",)


@dataclass(frozen=True)
class Engine:
    """Something that runs graphs.

    Args:
        name: what `engine` and outputs call it.
        graphs: suffixes of the graph files that it can run.
        version: of what is installed; None where it is not. Imports nothing heavy.
        pick: the device to use, from the one asked for (None: the best that is there); raises DeviceError
            where it is not there.
        load: a session; raises ModelError where the files cannot be loaded or run.
        kinds: of device that what is installed was built for. Imports nothing heavy.
        precisions: that a kind of device computes with by itself, without imitating them.
        translates: whether it runs Paddle's `.json` graphs as well, once they are translated to ONNX.
        takes_pixels: whether its sessions take `image` as `(N, H, W, 3)` uint8 where a request says so.
        has_streams: whether several threads may call `run` at once where a request says so.
        install: what `pip install` needs to bring it.
    """

    name: str
    graphs: tuple[str, ...]
    version: Callable[[], str | None]
    pick: Callable[[Device | None], Device]
    load: Callable[[Request], Session]
    kinds: Callable[[], tuple[str, ...]] = lambda: ("cpu",)
    precisions: Callable[[str], tuple[str, ...]] = _only_fp32
    translates: bool = False
    takes_pixels: bool = False
    has_streams: bool = False
    install: str = ""
