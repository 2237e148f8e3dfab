"""Engines: named float32 tensors in, raw arrays out. They know nothing of boxes.

An engine is one module that makes an `Engine`; packages add theirs by the entry point `sodslice.engines`.
"""

from __future__ import annotations

from importlib import import_module

from sodslice.errors import ModelError
from sodslice.inference.engines.device import Device, parse_device
from sodslice.inference.engines.session import Engine, Feeds, Request, Session
from sodslice.system.registry import Registry

__all__ = ["ENGINES", "Device", "Engine", "Feeds", "Request", "Session", "engine_for", "parse_device"]

ENGINES: Registry[Engine] = Registry(
    "engine",
    "sodslice.engines",
    {"paddle": lambda: import_module("sodslice.inference.engines.paddle").ENGINE},
)
"""What can run graphs, by name; of several that can run one, the first that is installed is taken."""


def engine_for(suffix: str, *, source: str) -> Engine:
    """The engine to run a graph with.

    Args:
        suffix: of the graph's file.
        source: the model, for messages.

    Raises:
        ModelError: no engine runs such graphs, or none that does is installed.
    """
    able = [engine for engine in ENGINES if suffix in engine.graphs]
    if not able:
        known = sorted({known for engine in ENGINES for known in engine.graphs})
        raise ModelError(
            f"{source} is a {suffix} graph, which no engine here runs; the engines "
            f"({', '.join(ENGINES.names())}) run {', '.join(known)}: export the model again in one of these"
        )
    installed = next((engine for engine in able if engine.version() is not None), None)
    if installed is None:
        names = " or ".join(engine.name for engine in able)
        raise ModelError(f"{source} is a {suffix} graph, which {names} runs, and that is not installed")
    return installed
