"""ONNX files as YOLOs and RT-DETRs are exported, made by hand: each finds the one red or blue box on grey."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

GREY = 114
COLOURS = {"red": (255, GREY, GREY), "blue": (GREY, GREY, 255)}
SCORE = 0.9
SIDE = 128
NAMES = "{0: 'red', 1: 'blue'}"
QUERIES = 300

ULTRALYTICS = {
    "description": "Ultralytics YOLO11n model",
    "author": "Ultralytics",
    "license": "AGPL-3.0",
    "stride": "32",
    "task": "detect",
    "batch": "1",
    "imgsz": f"[{SIDE}, {SIDE}]",
    "names": NAMES,
}
RTDETR = ULTRALYTICS | {"description": "Ultralytics rtdetr-l model"}
YOLOV5 = {"stride": "32", "names": NAMES}
METADATA = {"v5": YOLOV5, "v8": ULTRALYTICS, "rows": ULTRALYTICS, "detr": RTDETR, "sized": {"names": NAMES}}

FIND = """
    f = Cast<to=1>(images)
    zero = Constant<value = float {0.0}>()
    one = Constant<value = float {1.0}>()
    half = Constant<value = float {0.5}>()
    tiny = Constant<value = float {0.001}>()
    grey = Constant<value = float {0.44705883}>()
    span = Constant<value = float {0.5529412}>()
    most = Constant<value = float {0.9}>()
    last = Constant<value = int64[1] {2}>()
    axis = Constant<value = int64 {2}>()
    red_and_blue = Constant<value = int64[2] {0, 2}>()
    middle = Constant<value = int64[1] {1}>()
    above = Sub(f, grey)
    share = Div(above, span)
    light = Clip(share, zero, one)
    any = ReduceMax<axes=[1], keepdims=1>(light)
    columns = ReduceMax<axes=[2], keepdims=0>(any)
    rows = ReduceMax<axes=[3], keepdims=0>(any)
    wide = ReduceSum(columns, last)
    high = ReduceSum(rows, last)
    no_columns = Mul(columns, zero)
    ones_x = Add(no_columns, one)
    counted_x = CumSum(ones_x, axis)
    middles_x = Sub(counted_x, half)
    weighed_x = Mul(columns, middles_x)
    sum_x = ReduceSum(weighed_x, last)
    no_rows = Mul(rows, zero)
    ones_y = Add(no_rows, one)
    counted_y = CumSum(ones_y, axis)
    middles_y = Sub(counted_y, half)
    weighed_y = Mul(rows, middles_y)
    sum_y = ReduceSum(weighed_y, last)
    some_wide = Max(wide, tiny)
    some_high = Max(high, tiny)
    x = Div(sum_x, some_wide)
    y = Div(sum_y, some_high)
    colours = ReduceMax<axes=[2, 3], keepdims=0>(light)
    two = Gather<axis=1>(colours, red_and_blue)
    both = Unsqueeze(two, middle)
    scores = Mul(both, most)
    best = ReduceMax<axes=[2], keepdims=1>(scores)
    label = ArgMax<axis=2, keepdims=1>(both)
    number = Cast<to=1>(label)
    half_wide = Mul(wide, half)
    half_high = Mul(high, half)
    x0 = Sub(x, half_wide)
    y0 = Sub(y, half_high)
    x1 = Add(x, half_wide)
    y1 = Add(y, half_high)
"""

ENDS = {
    "v5": "row = Concat<axis=2>(x, y, wide, high, best, both)",
    "v8": "row = Concat<axis=2>(x, y, wide, high, scores)",
    "rows": "row = Concat<axis=2>(x0, y0, x1, y1, best, number)",
    "detr": """
        side = Constant<value = float {128.0}>()
        pixels = Concat<axis=2>(x, y, wide, high)
        shares = Div(pixels, side)
        row = Concat<axis=2>(shares, scores)
    """,
}
SIZED = """
    side = Constant<value = float {128.0}>()
    pixels = Concat<axis=2>(x0, y0, x1, y1)
    shares = Div(pixels, side)
    sides = Cast<to=1>(orig_target_sizes)
    four = Concat<axis=1>(sides, sides)
    in_tile = Unsqueeze(four, middle)
    box = Mul(shares, in_tile)
    boxes = Mul(box, mask)
    all_scores = Mul(best, mask)
    scores_of = Squeeze(all_scores, last)
    no_scores = Mul(scores_of, zero)
    none = Cast<to=7>(no_scores)
    one_label = Squeeze(label, last)
    labels = Add(none, one_label)
    scores_out = Identity(scores_of)
"""


def boxed(size: tuple[int, int], box: tuple[int, int, int, int], colour: str = "red") -> np.ndarray:
    """One grey tile `(1, H, W, 3)` with a box of a colour at x0, y0, x1, y1."""
    tile = np.full((1, *size, 3), GREY, np.uint8)
    x0, y0, x1, y1 = box
    tile[:, y0:y1, x0:x1] = COLOURS[colour]
    return tile


def cells(sides: tuple[int, int]) -> int:
    """Cells of the maps of a YOLO for an input of height and width."""
    return sum((sides[0] // stride) * (sides[1] // stride) for stride in (8, 16, 32))


def write_detector(
    path: Path,
    layout: str,
    *,
    sides: tuple[int, int] | None = (SIDE, SIDE),
    batch: int | None = None,
    half: bool = False,
    metadata: Mapping[str, str] | None = None,
    most: int = QUERIES,
) -> Path:
    """Write a detector of a layout.

    Args:
        path: of the file.
        layout: v5, v8, rows, detr or sized.
        sides: height and width of its input; None for any.
        batch: images at once; None for any number.
        half: whether what it takes and gives is float16.
        metadata: texts by name; None for those of its maker.
        most: boxes of layouts that stop.
    """
    kind = "float16" if half else "float"
    count = 3 * cells(sides or (SIDE, SIDE)) if layout == "v5" else cells(sides or (SIDE, SIDE))
    anchors = count if layout in ("v5", "v8") else most
    many = batch or "N"
    height, width = sides or ("H", "W")
    free = anchors if sides or layout not in ("v5", "v8") else "A"
    image = f"{kind}[{many},3,{height},{width}] images"
    if layout == "sized":
        takes = f"{image}, int64[{many},2] orig_target_sizes"
        gives = f"int64[{many},{most}] labels, float[{many},{most},4] boxes, float[{many},{most}] scores_out"
        ends = SIZED
    else:
        shape = {
            "v5": (many, free, 7), "v8": (many, 6, free), "rows": (many, most, 6), "detr": (many, most, 6),
        }[layout]  # fmt: skip
        takes, gives = image, f"{kind}[{','.join(map(str, shape))}] output0"
        turned = "Transpose<perm=[0, 2, 1]>" if layout == "v8" else "Identity"
        ends = (
            ENDS[layout]
            + f"\n    all = Mul(row, mask)\n    turned = {turned}(all)\n"
            + f"    output0 = Cast<to={10 if half else 1}>(turned)\n"
        )
    text = f'<ir_version: 8, opset_import: ["" : 17]>\nfind ({takes}) => ({gives}) {{{FIND}{ends}}}'
    model = parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(_mask(layout, anchors), "mask"))
    return save(model, path, METADATA[layout] if metadata is None else metadata)


def _mask(layout: str, anchors: int) -> np.ndarray:
    """What the box is multiplied by: the fourth row has it, and of candidates the fifth too, less sure."""
    length = {"v5": 7, "v8": 6, "rows": 6, "detr": 6, "sized": 1}[layout]
    mask = np.zeros((1, anchors, length), np.float32)
    mask[:, min(3, anchors - 1)] = 1
    if layout in ("v5", "v8"):
        mask[:, 4] = 1
        mask[:, 4, 4] = mask[:, 4, -1] = 0.8
    return mask


def write_ports(
    path: Path,
    outputs: list[tuple[int | str, ...]],
    metadata: Mapping[str, str],
    *,
    images: tuple[int | str, ...] = (1, 3, 640, 640),
    others: tuple[onnx.ValueInfoProto, ...] = (),
) -> Path:
    """Write a file that takes and gives such shapes, and cannot be run."""
    floats = onnx.TensorProto.FLOAT
    ports = [helper.make_tensor_value_info(f"output{i}", floats, dims) for i, dims in enumerate(outputs)]
    nodes = [helper.make_node("Identity", ["images"], [port.name]) for port in ports]
    taken = [helper.make_tensor_value_info("images", floats, images), *others]
    graph = helper.make_graph(nodes, "ports", taken, ports)
    return save(helper.make_model(graph), path, metadata)


def save(model: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> Path:
    """Write a model with metadata."""
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, str(path))
    return path
