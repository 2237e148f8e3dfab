"""`export_int8`: a model as a graph of OpenVINO's with integers of 8 bits, held against the one of floats."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import yaml

from sodslice.errors import DataError, ModelError, SceneError
from sodslice.inference import InferenceChoice, ModelFolder, ModelSpec, ReadyDetector, read_folder
from sodslice.inference.dialect import feeds_for
from sodslice.inference.folder import QUANTISED, folder_settings
from sodslice.inference.int8 import makers, quantised, read_graph, require_nncf, write_graph
from sodslice.inference.limits import Suppression
from sodslice.jobs.calibration import Drawn, Tile, draw_tiles
from sodslice.metrics import evaluate, read_truth, result_layer
from sodslice.metrics.likeness import likeness
from sodslice.models import load_spec, resolve_model
from sodslice.models.store import files_of
from sodslice.models.translation import translation_of
from sodslice.report import check_sizes, find_images, judge
from sodslice.settings import Options
from sodslice.system.chip import describe
from sodslice.system.files import appearing_folder
from sodslice.tables.detections import Detections

log = logging.getLogger(__name__)

ENGINE = InferenceChoice(engine="openvino")

HELD_OUT = 3
"""For each tile that is held out, so many are learnt from."""

MOST_LOST_AP, MOST_LOST_BOXES = 0.5, 3.0
"""Points that int8 may lose: of AP, or, without a truth, of the boxes that both models show (F1)."""

MOST_NAMED = 20
"""How many scenes the yml names."""


@dataclass(frozen=True)
class Calibration:
    """What a quantised graph learns from, and what it may lose.

    Args:
        source: a scene, or a folder of scenes.
        tiles: that are learnt from; a third as many more are held out.
        truth: COCO or GeoJSON, for AP; None to go by the agreement alone.
        most_lost: points; None for `MOST_LOST_AP` or `MOST_LOST_BOXES`.
        force: write it however much is lost.
        options: of the runs that tiles are read as.
    """

    source: Path
    tiles: int = 120
    truth: Path | None = None
    most_lost: float | None = None
    force: bool = False
    options: Options = field(default_factory=Options)

    @property
    def limit(self) -> float:
        """Points that may be lost."""
        if self.most_lost is not None:
            return self.most_lost
        return MOST_LOST_BOXES if self.truth is None else MOST_LOST_AP


class _Source(NamedTuple):
    """A model that is to be written anew: its folder and files, and what of it OpenVINO reads."""

    folder: Path
    files: ModelFolder
    graph: Path
    parameters: Path | None
    rule: Suppression | None


class _Answers(NamedTuple):
    """What a detector found in some tiles, and the median of what one took, in milliseconds."""

    found: list[Detections]
    ms: float


def export_openvino(model: str | Path, output: Path, *, overwrite: bool = False) -> None:
    """Write a model as a folder of `inference.xml`, `inference.bin` and `inference.yml`, in fp32.

    Args:
        model: a name, or an exported folder.
        output: the folder, which appears whole or not at all.
        overwrite: replace what the folder holds now.

    Raises:
        ModelError: there is no such model, or OpenVINO cannot read it.
        OutputError: the folder holds something already or cannot be written.
    """
    source = _source(model)
    with appearing_folder(output, overwrite=overwrite) as half:
        write_graph(read_graph(source.graph, source.parameters), half / "inference.xml")
        _describe(source, half, {})


def export_int8(
    model: str | Path, output: Path, calibration: Calibration, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write a model as a folder whose graph computes with integers of 8 bits.

    Args:
        model: a name, or an exported folder.
        output: the folder, which appears whole or not at all.
        calibration: what it learns from and what it may lose.
        overwrite: replace what the folder holds now.

    Returns:
        The card, which the yml holds as `quantised`, too.

    Raises:
        ModelError: NNCF is not installed, the model cannot be quantised, or it loses more than it may.
        SceneError: the scenes hold less than two tiles.
        DataError: the truth does not fit.
        OutputError: the folder holds something already or cannot be written.
    """
    require_nncf()
    source = _source(model)
    spec = resolve_model(source.folder, ENGINE)
    learnt, held_out, scenes = _tiles(spec, calibration)
    with appearing_folder(output, overwrite=overwrite) as half:
        graph = read_graph(source.graph, source.parameters)
        preprocess = source.files.preprocess
        made = quantised(graph, learnt, lambda tile: feeds_for(preprocess, tile[None], pixels=False)[0])
        write_graph(made, half / "inference.xml")
        _describe(source, half, {"precision": QUANTISED})
        facts = {
            "tiles": len(learnt),
            "scenes": len(scenes),
            "scene_names": list(scenes[:MOST_NAMED]),
            **makers(),
            "chip": describe(),
        }
        card = facts | _comparison(spec, resolve_model(half, ENGINE), held_out, calibration)
        _describe(source, half, {"precision": QUANTISED, "quantised": card})
    return card


def _source(model: str | Path) -> _Source:
    """What is to be quantised.

    Raises:
        ModelError: there is no such model, it has no graph, or is quantised already.
    """
    folder = files_of(model)
    if not folder.is_dir():
        raise ModelError(f"{model} is a checkpoint; export it first, and give the folder")
    files = read_folder(folder)
    if files.quantised:
        raise ModelError(f"{model} is quantised already; give the model that it was made from")
    if files.graph.suffix == ".json":
        made = translation_of(files)
        return _Source(folder, files, made.graph, None, made.suppression)
    parameters = files.parameters if files.graph.suffix == ".pdmodel" else None
    return _Source(folder, files, files.graph, parameters, files.suppression)


def _describe(source: _Source, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the yml: that of the source, and what is due behind the graph and true of it."""
    settings = dict(folder_settings(source.folder))
    own = {**(settings.get("sodslice") or {}), "format": "openvino", **facts}
    if source.rule is not None:
        own.pop("keep_top_k", None)
        due = {"iou": source.rule.iou, "floor": source.rule.floor}
        own |= {"nms": False, "suppression": {name: round(share, 6) for name, share in due.items()}}
    overall = {**(settings.get("Global") or {}), "model_name": source.files.info.name}
    text = yaml.safe_dump(
        {**settings, "Global": overall, "sodslice": own}, sort_keys=False, allow_unicode=True
    )
    (folder / "inference.yml").write_text(text, encoding="utf-8")


def _tiles(spec: ModelSpec, calibration: Calibration) -> tuple[list[Tile], list[Tile], tuple[str, ...]]:
    """Tiles to learn from, those that are held out, and the scenes that they are from.

    Raises:
        SceneError: there are less than two tiles with data.
    """
    wanted = calibration.tiles + -(-calibration.tiles // HELD_OUT)
    drawn: Drawn = draw_tiles(calibration.source, spec, calibration.options, count=wanted)
    count = len(drawn.tiles)
    if count < 2:
        raise SceneError(
            f"{calibration.source} holds one tile with data, and some are needed; name more scenes"
        )
    learnt = min(calibration.tiles, count - max(1, count // (HELD_OUT + 1)))
    if count < wanted:
        log.warning(
            "%s holds %d tiles with data; %d are learnt from and %d are held out",
            calibration.source,
            count,
            learnt,
            count - learnt,
        )
    return list(drawn.tiles[:learnt]), list(drawn.tiles[learnt:]), drawn.scenes


def _comparison(
    first: ModelSpec, other: ModelSpec, held_out: Sequence[Tile], calibration: Calibration
) -> dict[str, Any]:
    """The entries of the card about how good the quantised model is.

    Raises:
        ModelError: it loses more than it may.
    """
    answers, values = list[_Answers](), list[dict[str, float]]()
    for spec in (first, other):
        with closing(load_spec(spec)) as detector:
            answers.append(_answers(detector, held_out))
            if calibration.truth is not None:
                values.append(_precision(detector, calibration.truth, calibration))
    alike = likeness(answers[0].found, answers[1].found, threshold=first.info.threshold)
    card: dict[str, Any] = {
        "agreement": alike.as_dict(),
        "ms_a_tile": {"fp32": round(answers[0].ms, 1), QUANTISED: round(answers[1].ms, 1)},
    }
    if calibration.truth is not None:
        truth = {"truth": calibration.truth.name, "fp32": values[0], QUANTISED: values[1]}
        card |= {
            "average_precision": truth,
            **_loss(100 * (values[0]["ap"] - values[1]["ap"]), "AP", calibration),
        }
    else:
        card |= _loss(100 * (1 - alike.f1), "boxes", calibration)
    return card


def _loss(points: float, what: str, calibration: Calibration) -> dict[str, Any]:
    """What is lost, for the card.

    Raises:
        ModelError: it is more than may be, and nobody forces it.
    """
    within = points <= calibration.limit
    if not within and not calibration.force:
        raise ModelError(
            f"{QUANTISED} loses {points:.2f} points of {what}, more than {calibration.limit:g}, so nothing "
            "was written; give other or more tiles, or write it all the same with `force`"
        )
    loss = {"points": round(points, 3), "of": what, "allowed": calibration.limit, "forced": not within}
    return {"loss": loss}


def _answers(detector: ReadyDetector, tiles: Sequence[Tile]) -> _Answers:
    found, seconds, shape = list[Detections](), list[float](), (0, 0, 0)
    for tile in tiles:
        if tile.shape != shape:
            detector.detect(tile[None])  # the first of a shape makes the engine compile the graph
            shape = tile.shape
        began = time.perf_counter()
        found += detector.detect(tile[None])
        seconds.append(time.perf_counter() - began)
    return _Answers(found, 1000 * median(seconds))


def _precision(detector: ReadyDetector, truth: Path, calibration: Calibration) -> dict[str, float]:
    """AP of a model, as `sodslice eval` gives it.

    Raises:
        DataError: the truth names images that are not there, or is about some one scene that is not given.
    """
    truths = read_truth(truth)
    named = bool(truths) and all(layer.image for layer in truths)
    if named:
        beside = truth.with_suffix("")
        paths = find_images(truths, beside if beside.is_dir() else truth.parent)
        check_sizes(truths, paths, calibration.options.rendering)
    elif calibration.source.is_file():
        paths = [calibration.source]
    else:
        raise DataError(f"{truth} names no images; give the one scene that it is about, not a folder")
    results = judge(detector, paths, calibration.options)
    found = [result_layer(result, str(path)) for result, path in zip(results, paths, strict=True)]
    metrics = evaluate(found, truths, in_order=named).metrics
    return {"ap": round(float(metrics.ap), 5), "ap50": round(float(metrics.ap50), 5)}
