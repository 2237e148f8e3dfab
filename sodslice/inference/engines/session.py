"""What an engine is, and what it gives: named float32 tensors in, raw arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sodslice.inference.engines.device import Device

Feeds = Mapping[str, npt.NDArray[np.float32]]


class Session(Protocol):
    """A graph that is loaded and ready to run. Not thread-safe, unless its engine says so."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""

    @property
    def description(self) -> str:
        """What runs the graph, in words."""

    def run(self, feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Outputs of the graph, in its order, as arrays of the caller's own."""

    def close(self) -> None:
        """Give back what it holds; closing twice does no harm."""


@dataclass(frozen=True)
class Request:
    """What is asked of an engine.

    Args:
        graph: file of the graph.
        parameters: file of the weights; None where they are in the graph.
        device: that `Engine.pick` chose.
        threads: CPU threads.
        probe: feeds for a trial run, of the shapes that will come.
    """

    graph: Path
    parameters: Path | None
    device: Device
    threads: int
    probe: Feeds


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
    """

    name: str
    graphs: tuple[str, ...]
    version: Callable[[], str | None]
    pick: Callable[[Device | None], Device]
    load: Callable[[Request], Session]
