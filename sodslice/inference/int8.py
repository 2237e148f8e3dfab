"""`quantised`: a graph whose convolutions compute with integers of 8 bits, made by NNCF (extra `int8`)."""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sodslice.errors import ModelError
from sodslice.inference.engines.session import Feeds
from sodslice.system.signals import signals_held

BEGINNINGS = {"Convolution", "GroupConvolution", "Constant", "Parameter", "ShapeOf"}
"""Kinds of operations at which what lies behind the last convolutions begins."""


def require_nncf() -> None:
    """Refuse to start without NNCF.

    Raises:
        ModelError: it is not installed.
    """
    if importlib.util.find_spec("nncf") is None:
        raise ModelError("int8 needs NNCF, which is not installed; run: pip install 'sodslice[int8]'")


def makers() -> dict[str, str]:
    """Versions of what quantises and what runs the graph."""
    return {"nncf": version("nncf"), "openvino": version("openvino")}


def read_graph(graph: Path, parameters: Path | None) -> Any:
    """A graph as OpenVINO holds it.

    Args:
        graph: `.onnx`, `.xml` or `.pdmodel`.
        parameters: its weights; None where they are in the graph.

    Raises:
        ModelError: it cannot be read.
    """
    with signals_held():
        openvino: Any = importlib.import_module("openvino")
    try:
        return openvino.Core().read_model(str(graph), "" if parameters is None else str(parameters))
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot read {graph}: {' '.join(str(error).split())[-200:]}") from None


def write_graph(model: Any, file: Path) -> None:
    """Write a graph in OpenVINO's format: the `.xml`, and a `.bin` beside it; no weight loses a bit."""
    importlib.import_module("openvino").save_model(model, str(file), compress_to_fp16=False)


def quantised(model: Any, tiles: Sequence[Any], feeds_of: Callable[[Any], Feeds]) -> Any:
    """A graph that computes with integers of 8 bits up to its last convolutions.

    What lies behind them is arithmetic in pixels, where a step of one in 256 is some pixels wide.

    Args:
        model: that `read_graph` gave.
        tiles: from which the range of each number is learnt.
        feeds_of: makes what the graph takes of a tile, each time that it is needed.

    Raises:
        ModelError: NNCF cannot quantise such a graph.
    """
    nncf = _nncf()
    names = [port.get_any_name() for port in model.inputs]

    def given(tile: Any) -> Feeds:
        feeds = feeds_of(tile)
        return {name: feeds[name] for name in names}

    left = nncf.IgnoredScope(names=behind_convolutions(model))
    try:
        with redirect_stdout(io.StringIO()):
            return nncf.quantize(
                model,
                nncf.Dataset(tiles, given),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(tiles),
                ignored_scope=left,
            )
    except (RuntimeError, nncf.InternalError, nncf.UnsupportedModelError, nncf.ValidationError) as error:
        raise ModelError(f"NNCF cannot quantise the graph: {' '.join(str(error).split())[:300]}") from None


def behind_convolutions(model: Any) -> list[str]:
    """Names, sorted, of the operations between the last convolutions and what the graph gives."""
    seen, open_ = set[str](), list(model.get_results())
    while open_:
        for port in open_.pop().inputs():
            before = port.get_source_output().get_node()
            name = before.get_friendly_name()
            if name not in seen and before.get_type_name() not in BEGINNINGS:
                seen.add(name)
                open_.append(before)
    return sorted(seen)


def _nncf() -> Any:
    """NNCF, silent on the terminal, and to its makers: it counts its users unless told not to."""
    os.environ.setdefault("NNCF_CI", "1")
    with redirect_stdout(io.StringIO()):
        nncf = importlib.import_module("nncf")
    nncf.set_log_level(logging.ERROR)
    return nncf
