"""What a graph in ONNX takes, read from its file without running it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def images_at_once(graph: Path) -> int | None:
    """How many images a graph takes, no more and no less; None where it takes any number, or cannot be read.

    Args:
        graph: an `.onnx` file; its weights may lie elsewhere.
    """
    onnx: Any = importlib.import_module("onnx")
    unreadable = importlib.import_module("google.protobuf.message").Error
    try:
        ports = onnx.load(str(graph), load_external_data=False).graph.input
        sides = next(port for port in ports if port.name == "image").type.tensor_type.shape.dim
        return sides[0].dim_value or None
    except (OSError, LookupError, StopIteration, unreadable):
        return None
