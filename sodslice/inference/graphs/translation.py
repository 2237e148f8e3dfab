"""`translate_graph`: an exported graph of Paddle as an ONNX model, up to its NMS, for any batch."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sodslice.errors import ModelError
from sodslice.inference.graphs.builder import Builder
from sodslice.inference.graphs.operations import TRANSLATIONS, translate
from sodslice.inference.graphs.parameters import read_parameters
from sodslice.inference.graphs.pir import Operation, Program, Value, read_program
from sodslice.inference.limits import Suppression

VERSION = 1
"""Raised whenever a translation may differ from those of before."""

OPSET = 17
IR_VERSION = 8
INPUT, BOXES, SCORES = "image", "boxes", "scores"
NMS = "multiclass_nms3"


class OnnxModel(NamedTuple):
    """A model in ONNX.

    Fields: `model`, an `onnx.ModelProto`: `image` `(N, 3, H, W)` float32 in, `boxes` `(N, A, 4)` in pixels of
    the image and `scores` `(N, C, A)` out; `suppression`, what the graph did with them further; None where
    it gave them as they are.
    """

    model: Any
    suppression: Suppression | None


def what_hinders(graph: Path) -> str:
    """Why a graph cannot be translated, in words; "" where nothing is known to stand in the way.

    Args:
        graph: an `inference.json`. Its weights are not read.
    """
    try:
        _needed(read_program(graph))
    except ModelError as error:
        return str(error)
    return ""


def translate_graph(graph: Path, parameters: Path) -> OnnxModel:
    """The ONNX model of an exported graph.

    Args:
        graph: an `inference.json`.
        parameters: its `.pdiparams`.

    Raises:
        ModelError: the files are broken, the graph is not that of a detector, or has operations that are not
            known here.
    """
    program = read_program(graph)
    try:
        needed, ends, suppression = _needed(program)
    except ModelError as error:
        raise ModelError(f"{graph} cannot be translated to ONNX: {error}") from None
    onnx = importlib.import_module("onnx")
    builder = Builder(onnx)
    image = next((value for value in _inputs(needed) if value[0] == INPUT), None)
    if image is None:
        raise ModelError(f"{graph} has no input {INPUT!r}")
    wanted = {i for operation in needed for i in operation.inputs}
    _take_parameters(builder, program, parameters, wanted)
    for operation in needed:
        try:
            _add(builder, operation)
        except (ModelError, LookupError, ValueError, TypeError) as error:
            raise ModelError(f"{graph} cannot be translated to ONNX: {operation.kind}: {error}") from None
    return OnnxModel(_model(onnx, builder, image[1], ends), suppression)


def raw_copy(graph: Path, folder: Path) -> Path:
    """A copy of a graph without its NMS, which gives boxes and scores of all anchors.

    Args:
        graph: an `inference.json`.
        folder: to write the copy to.

    Returns:
        The copy; the graph itself where it has no NMS.
    """
    content = json.loads(graph.read_bytes())
    operations = content["program"]["regions"][0]["blocks"][0]["ops"]
    nms = next((one for one in operations if one["#"].endswith(f".{NMS}")), None)
    if nms is None:
        return graph
    kinds = {
        value["%"]: value["TT"]
        for one in operations
        for value in (one["O"] if isinstance(one["O"], list) else [one["O"]])
    }
    operations.remove(nms)
    fetches = [one for one in operations if one["#"].endswith(".fetch")]
    for fetch, value in zip(fetches, nms["I"][:2], strict=False):
        fetch["I"] = [value]
        fetch["O"][0]["TT"] = kinds[value["%"]]
    copy = folder / graph.name
    copy.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    return copy


def _needed(program: Program) -> tuple[tuple[Operation, ...], tuple[int, ...], Suppression | None]:
    """The operations that are translated, and what `_ends` says.

    Raises:
        ModelError: as `_ends`; or an operation is one that only Paddle runs.
    """
    ends, suppression = _ends(program)
    needed = program.needed_for(ends)
    unknown = sorted({o.kind for o in needed} - set(TRANSLATIONS) - {"data"})
    if unknown:
        raise ModelError(f"it has operations that only Paddle runs: {', '.join(unknown)}")
    return needed, ends, suppression


def _ends(program: Program) -> tuple[tuple[int, ...], Suppression | None]:
    """Ids of boxes and scores, and what is done with them in the graph.

    Raises:
        ModelError: they are not where a detector has them.
    """
    nms = program.first(NMS)
    if nms is not None:
        given = nms.attributes
        plain = given.get("normalized", True) and given.get("nms_eta", 1) == 1
        if not plain or given.get("background_label", -1) != -1:
            raise ModelError("its NMS is not the plain one")
        rule = Suppression(given["nms_threshold"], given["score_threshold"])
        return nms.inputs[:2], rule
    ends = tuple(o.inputs[0] for o in program.operations if o.kind == "fetch")
    if len(ends) != 2:
        raise ModelError(f"it gives {len(ends)} tables, not boxes and scores")
    return ends, None


def _inputs(operations: tuple[Operation, ...]) -> Iterator[tuple[str, Value]]:
    for operation in operations:
        if operation.kind == "data":
            yield operation.attributes["name"], operation.outputs[0]


def _take_parameters(builder: Builder, program: Program, file: Path, wanted: set[int]) -> None:
    shapes = {program.names[value_id]: value.shape for value_id, value in program.parameters.items()}
    arrays = read_parameters(file, shapes)
    for value_id in sorted(wanted & set(program.parameters)):
        array = arrays[program.names[value_id]]
        builder.set(program.parameters[value_id], builder.constant(array))


def _add(builder: Builder, operation: Operation) -> None:
    if operation.kind != "data":
        translate(builder, operation)
        return
    value, name = operation.outputs[0], operation.attributes["name"]
    if name == INPUT:
        builder.set(value, INPUT)
    elif name == "scale_factor":  # boxes stay in pixels of the image
        builder.set(value, builder.constant(np.ones((1, 2), np.float32)))
    else:
        raise ModelError(f"the input {name!r} is one that detectors do not have")


def _model(onnx: Any, builder: Builder, image: Value, ends: tuple[int, ...]) -> Any:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    sides = [side if side > 0 else word for side, word in zip(image.shape, "NCHW", strict=True)]
    outputs = []
    for value_id, name in zip(ends, (BOXES, SCORES), strict=True):
        builder.nodes.append(helper.make_node("Identity", [builder.name(value_id)], [name]))
        rank = len(builder.values[value_id].shape)
        outputs.append(helper.make_tensor_value_info(name, kind, [None] * rank))
    used = {name for node in builder.nodes for name in node.input}
    weights = [
        onnx.numpy_helper.from_array(array, name) for name, array in builder.constants.items() if name in used
    ]
    inputs = [helper.make_tensor_value_info(INPUT, kind, sides)]
    graph = helper.make_graph(builder.nodes, "detector", inputs, outputs, weights)
    return helper.make_model(
        graph, producer_name="sodslice", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
