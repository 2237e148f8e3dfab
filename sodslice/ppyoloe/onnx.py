"""A network as an ONNX file, by way of an inference folder and paddle2onnx (extra `onnx`).

paddle2onnx runs in a child process (`python -m sodslice.ppyoloe.onnx GRAPH PARAMETERS FILE`): it wants an old
onnx, prints much, and may bring down its process.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from sodslice.errors import ModelError
from sodslice.ppyoloe.agreement import CHECK_SCALE, Agreement, check_images, check_suppressed, compare
from sodslice.ppyoloe.description import ExportSettings
from sodslice.ppyoloe.export import answers, copied, export_folder
from sodslice.ppyoloe.network import Network
from sodslice.system.files import appearing_folder

log = logging.getLogger(__name__)

OPSET = 16


def export_onnx(
    network: Network, folder: Path, settings: ExportSettings, *, overwrite: bool = False
) -> Agreement:
    """Write a network as a folder of `inference.onnx` and `inference.yml`.

    Without NMS inside, the batch stays free; with it, ONNX allows one image at a time.

    Args:
        network: is left as it is.
        folder: appears whole or not at all.
        settings: how.
        overwrite: replace what the folder holds now.

    Returns:
        How well the graph that was converted agrees with the network.

    Raises:
        ModelError: the extra is not installed, the settings do not fit the network, the conversion failed,
            or the file answers otherwise than the network.
        OutputError: the folder holds something already or cannot be written.
    """
    require_converter()
    facts = {"format": "onnx", **({"batch": 1} if settings.nms else {})}
    with appearing_folder(folder, overwrite=overwrite) as half:
        paddle_folder = half / "paddle"
        agreement = export_folder(
            network, paddle_folder, replace(settings, facts=facts | dict(settings.facts))
        )
        file = half / "inference.onnx"
        convert(paddle_folder, file)
        _compare(file, network, settings)
        (paddle_folder / "inference.yml").rename(half / "inference.yml")
        shutil.rmtree(paddle_folder)
    return agreement


def require_converter() -> None:
    """Refuse to start without paddle2onnx.

    Raises:
        ModelError: it is not installed.
    """
    if importlib.util.find_spec("paddle2onnx") is None:
        raise ModelError(
            "ONNX needs paddle2onnx, which is not installed; run: pip install 'sodslice[onnx]' "
            "(Python 3.10 to 3.12)"
        )


def convert(folder: Path, file: Path) -> None:
    """Convert the graph of an inference folder, in a child process.

    Args:
        folder: its `inference.json` is changed.
        file: the ONNX file to write.

    Raises:
        ModelError: paddle2onnx failed.
    """
    graph = folder / "inference.json"
    graph.write_text(json.dumps(single_precision_scales(json.loads(graph.read_bytes()))), encoding="utf-8")
    words = [sys.executable, "-m", __name__, str(graph), str(folder / "inference.pdiparams"), str(file)]
    child = subprocess.run(words, capture_output=True, text=True, check=False)
    if child.returncode or not file.is_file():
        lines = [line.strip() for line in (child.stdout + child.stderr).splitlines() if line.strip()]
        telling = [line for line in lines if "Failed to convert" in line or "Error" in line]
        reason = (telling or lines or [f"exit code {child.returncode}"])[0]
        raise ModelError(f"paddle2onnx could not convert the graph: {reason[:300]}")


def single_precision_scales(graph: dict[str, Any]) -> dict[str, Any]:
    """The PIR graph with the scale of every `nearest_interp` in single precision, changed in place.

    Paddle 3.3 writes it in double, which paddle2onnx 2.1 does not read.
    """
    for operation in graph["program"]["regions"][0]["blocks"][0]["ops"]:
        if operation["#"].endswith("nearest_interp"):
            for attribute in operation["A"]:
                if attribute["N"] == "scale":
                    for number in attribute["AT"]["D"]:
                        number["#"] = number["#"].replace("a_f64", "a_f32")
    return graph


def _compare(file: Path, network: Network, settings: ExportSettings) -> None:
    """Hold the file against the network, where ONNX Runtime is there to run it."""
    if importlib.util.find_spec("onnxruntime") is None:
        log.warning("%s was not compared with the network, since onnxruntime is not installed", file.name)
        return
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of every constant that nobody folded
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    copy = copied(network)
    for image in check_images(settings.input_size):
        feed = {"image": image} | ({"scale_factor": CHECK_SCALE} if settings.nms else {})
        found = session.run(None, feed)
        if settings.nms:
            check_suppressed(found, *answers(copy, image))
        else:
            compare(found, answers(copy, image))


def _convert_here(graph: str, parameters: str, file: str) -> None:
    converter = importlib.import_module("paddle2onnx")
    # Its default optimiser runs pip by itself to install what it misses; runtimes fold constants anyway.
    converter.export(graph, parameters, save_file=file, opset_version=OPSET, optimize_tool="none")


if __name__ == "__main__":
    _convert_here(*sys.argv[1:])
