"""`with_nms`: the NMS of a detector as nodes of its ONNX graph, for programs that do none of their own."""

from __future__ import annotations

import importlib
from typing import Any

from sodslice.inference.limits import USUAL, Suppression

ROWS, COUNTS, SCALE = "rows", "counts", "scale_factor"

NODES = """
nms (float[1, A, 4] boxes, float[1, C, A] scores, float[1, 2] scale_factor)
    => (float[M, 6] rows, int32[1] counts)
<
    float nms_iou = {%(iou)r}, float nms_floor = {%(floor)r},
    int64[1] nms_kept = {%(kept)d}, int64[1] nms_flat = {-1}, int64[1] nms_0 = {0}, int64[1] nms_1 = {1}
>
{
    nms_y, nms_x = Split <axis = 1> (scale_factor)
    nms_scales = Concat <axis = 1> (nms_x, nms_y, nms_x, nms_y)
    nms_boxes = Div (boxes, nms_scales)
    nms_found = NonMaxSuppression (nms_boxes, scores, nms_kept, nms_iou, nms_floor)
    nms_image, nms_labels, nms_anchors = Split <axis = 1> (nms_found)
    nms_side = Shape <start = 2, end = 3> (scores)
    nms_begin = Mul (nms_labels, nms_side)
    nms_cell = Add (nms_begin, nms_anchors)
    nms_cells = Reshape (nms_cell, nms_flat)
    nms_all_scores = Reshape (scores, nms_flat)
    nms_scores = Gather (nms_all_scores, nms_cells)
    nms_count = Shape <start = 0, end = 1> (nms_found)
    nms_best = Min (nms_kept, nms_count)
    nms_best_scores, nms_places = TopK (nms_scores, nms_best)
    nms_best_labels = Gather (nms_labels, nms_places)
    nms_best_anchors = Gather (nms_anchors, nms_places)
    nms_rows = Reshape (nms_best_anchors, nms_flat)
    nms_all_boxes = Squeeze (nms_boxes, nms_0)
    nms_best_boxes = Gather (nms_all_boxes, nms_rows)
    nms_label_column = Cast <to = 1> (nms_best_labels)
    nms_score_column = Unsqueeze (nms_best_scores, nms_1)
    rows = Concat <axis = 1> (nms_label_column, nms_score_column, nms_best_boxes)
    counts = Cast <to = 6> (nms_best)
}
"""
"""In ONNX's own notation. A class is given as many boxes as are kept of all, so the best of all are there."""


def with_nms(model: Any, rule: Suppression, *, kept: int = USUAL) -> Any:
    """A model with NMS behind it, for one image at a time.

    Args:
        model: an `onnx.ModelProto` that gives `boxes` `(N, A, 4)` and `scores` `(N, C, A)`; it is changed.
        rule: of the NMS.
        kept: the most boxes that it gives.

    Returns:
        The model, which takes `image` `(1, 3, H, W)` and `scale_factor` `(1, 2)`, the image's height and
        width over those of its tile, and gives `rows` `(M, 6)` of class, score, x0, y0, x1, y1 in pixels of
        the tile, the best first, and `counts` `(1,)` int32.
    """
    onnx = importlib.import_module("onnx")
    numbers = {"iou": rule.iou, "floor": rule.floor, "kept": kept}
    nms, graph = onnx.parser.parse_graph(NODES % numbers), model.graph
    graph.node.extend(nms.node)
    graph.initializer.extend(nms.initializer)
    graph.input.extend(port for port in nms.input if port.name == SCALE)
    del graph.output[:]
    graph.output.extend(nms.output)
    count = graph.input[0].type.tensor_type.shape.dim[0]
    count.Clear()
    count.dim_value = 1
    return model
