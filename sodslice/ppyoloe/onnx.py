"""A network as an ONNX file, by way of an inference folder whose graph is translated."""

from __future__ import annotations

import importlib
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from sodslice.inference.engines import ENGINES, Device, Engine, Request
from sodslice.inference.graphs.nms_nodes import with_nms
from sodslice.inference.graphs.translation import translate_graph
from sodslice.inference.limits import Suppression
from sodslice.ppyoloe.agreement import (
    CHECK_SCALE,
    Agreement,
    Answers,
    Floats,
    check_images,
    check_suppressed,
    compare,
)
from sodslice.ppyoloe.config import IOU, KEPT, SCORE_FLOOR
from sodslice.ppyoloe.description import ExportSettings, folder_yml
from sodslice.ppyoloe.export import answers, copied, export_folder
from sodslice.ppyoloe.network import Network
from sodslice.system.chip import cores
from sodslice.system.files import appearing_folder

log = logging.getLogger(__name__)

GRAPH = "inference.onnx"

RULE = Suppression(IOU, SCORE_FLOOR)


def export_onnx(
    network: Network, folder: Path, settings: ExportSettings, *, overwrite: bool = False
) -> Agreement:
    """Write a network as a folder of `inference.onnx` and `inference.yml`.

    Without NMS inside, the batch stays free, and the yml says what NMS is due; with it, ONNX allows one image
    at a time.

    Args:
        network: is left as it is.
        folder: appears whole or not at all.
        settings: how.
        overwrite: replace what the folder holds now.

    Returns:
        How well the graph that was translated agrees with the network.

    Raises:
        ModelError: the settings do not fit the network, or the file answers otherwise than the network.
        OutputError: the folder holds something already or cannot be written.
    """
    due = {"batch": 1} if settings.nms else {"suppression": {"iou": RULE.iou, "floor": RULE.floor}}
    described = replace(settings, facts={"format": "onnx", **due, **settings.facts})
    with appearing_folder(folder, overwrite=overwrite) as half:
        paddle_folder = half / "paddle"
        agreement = export_folder(network, paddle_folder, replace(settings, nms=False))
        _write_graph(paddle_folder, half / GRAPH, nms=settings.nms)
        shutil.rmtree(paddle_folder)
        _compare(half / GRAPH, network, settings)
        (half / "inference.yml").write_text(folder_yml(network.config, described), encoding="utf-8")
    return agreement


def _write_graph(folder: Path, file: Path, *, nms: bool) -> None:
    onnx: Any = importlib.import_module("onnx")
    model = translate_graph(folder / "inference.json", folder / "inference.pdiparams").model
    onnx.save(with_nms(model, RULE, kept=KEPT) if nms else model, str(file))


def _compare(file: Path, network: Network, settings: ExportSettings) -> None:
    """Hold the file against the network, where something is there to run it."""
    engine = next((one for one in ENGINES if file.suffix in one.graphs and one.version() is not None), None)
    if engine is None:
        log.warning("%s was not compared with the network, since no engine for it is installed", file.name)
        return
    copy = copied(network)
    images = check_images(settings.input_size)
    feeds = [{"image": image, **({"scale_factor": CHECK_SCALE} if settings.nms else {})} for image in images]
    for image, found in zip(images, _answers_of(engine, file, feeds), strict=True):
        if settings.nms:
            check_suppressed(found, *answers(copy, image))
        else:
            compare(found, answers(copy, image))


def _answers_of(engine: Engine, file: Path, feeds: Sequence[Mapping[str, Floats]]) -> Iterator[Answers]:
    """What the file answers to each of the feeds, on the CPU in fp32."""
    with closing(engine.load(Request(file, None, Device("cpu"), cores(), None))) as session:
        for feed in feeds:
            yield session.run(feed)
