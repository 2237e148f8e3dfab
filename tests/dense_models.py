"""Models for tiles with thousands of objects: every bright cell of a chequered image is one."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import yaml

from sodslice import BlobDetector
from sodslice.inference.engines.paddle import import_paddle

SIDE = 1024
PERMUTE = {"type": "Permute"}
SETTINGS = {
    "mode": "paddle",
    "draw_threshold": 0.5,
    "Global": {"model_name": "cells"},
    "Preprocess": [
        {"type": "Resize", "target_size": [SIDE, SIDE], "keep_ratio": False, "interp": 0},
        PERMUTE,
    ],
    "label_list": ["cell"],
}


def dots(count: int, cell: int, *, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """An image `(side, side, 3)` in which that many of its square cells are bright, but for their rim."""
    across = side // cell
    chosen = np.random.default_rng(seed).permutation(across * across)[:count]
    pixels = np.full((side, side, 3), 20, np.uint8)
    for place in chosen.tolist():
        y, x = (part * cell for part in divmod(place, across))
        pixels[y + 1 : y + cell - 1, x + 1 : x + cell - 1] = 240
    return pixels


def export_cells(
    folder: Path, cell: int, *, candidates: int = 10_000, kept: int = 500, anchors: int = 1, classes: int = 1
) -> Path:
    """A graph with NMS inside, for images of 1024 x 1024; a cell's score is the brightness of its middle.

    Args:
        folder: made here.
        cell: side of a cell in pixels.
        candidates: `nms_top_k` of its NMS.
        kept: `keep_top_k`.
        anchors: candidates an object; NMS leaves one.
        classes: how many; only the first is ever seen.
    """
    paddle = import_paddle()
    across = SIDE // cell
    corners = np.stack(np.meshgrid(np.arange(across), np.arange(across)), axis=-1).reshape(-1, 2) * cell
    edges = np.concatenate([corners + 1, corners + cell - 1], axis=1).astype(np.float32)

    class Cells(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.boxes = self.create_parameter(
                [1, len(edges) * anchors, 4],
                default_initializer=paddle.nn.initializer.Assign(np.tile(edges, (anchors, 1))[None]),
            )

        def forward(self, image, scale_factor):
            grey = image.mean(axis=1, keepdim=True)[:, :, : across * cell, : across * cell]
            light = paddle.nn.functional.max_pool2d(grey, cell).flatten(2) / 255.0
            light = light * (light > 0.5).astype("float32")
            scores = paddle.concat([light * (1.0 - 0.02 * number) for number in range(anchors)], axis=2)
            scores = paddle.concat([scores, *[scores * 0.0] * (classes - 1)], axis=1)
            y, x = scale_factor.split(2, axis=1)
            boxes = self.boxes / paddle.concat([x, y, x, y], axis=1).unsqueeze(1)
            rows, _, counts = paddle._C_ops.multiclass_nms3(
                boxes, scores, None, 0.01, candidates, kept, 0.6, *(True, 1.0, -1)
            )
            return rows, counts

    spec = paddle.static.InputSpec
    inputs = [spec([None, 3, SIDE, SIDE], "float32", "image"), spec([None, 2], "float32", "scale_factor")]
    folder.mkdir(parents=True)
    network = Cells()
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        static = paddle.jit.to_static(network, input_spec=inputs, full_graph=True)
        paddle.jit.save(static, str(folder / "inference"))
    (folder / "inference.yml").write_text(yaml.safe_dump(SETTINGS))
    return folder


LEGACY = """
import os, sys
import numpy as np, paddle
from paddle.base.layer_helper import LayerHelper
folder, cell, side, kept = sys.argv[1], *map(int, sys.argv[2:5])
paddle.enable_static()
program, start = paddle.static.Program(), paddle.static.Program()
with paddle.static.program_guard(program, start):
    image = paddle.static.data("image", [-1, 3, side, side], "float32")
    across = side // cell
    corners = np.stack(np.meshgrid(np.arange(across), np.arange(across)), -1).reshape(-1, 2) * cell
    edges = np.concatenate([corners + 1, corners + cell - 1], 1).astype("float32")[None]
    boxes = paddle.create_parameter(
        list(edges.shape), "float32", default_initializer=paddle.nn.initializer.Assign(edges)
    )
    pooled = paddle.nn.functional.max_pool2d(paddle.mean(image, axis=1, keepdim=True), cell)
    scores = paddle.flatten(pooled, 2, 3) / 255.0 - 0.1
    helper = LayerHelper("multiclass_nms3")
    make = helper.create_variable_for_type_inference
    rows, index, counts = make("float32"), make("int32"), make("int32")
    helper.append_op(
        type="multiclass_nms3", inputs={"BBoxes": boxes, "Scores": scores},
        attrs={"score_threshold": 0.3, "nms_top_k": 10000, "keep_top_k": kept, "nms_threshold": 0.6,
               "normalized": True, "nms_eta": 1.0, "background_label": -1},
        outputs={"Out": rows, "Index": index, "NmsRoisNum": counts},
    )
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(start)
    paddle.static.save_inference_model(
        folder + "/inference", [image], [rows, counts], executor, program=program
    )
"""


def export_legacy_cells(folder: Path, cell: int, *, kept: int = 500) -> Path | None:
    """As `export_cells`, as a `.pdmodel`; None where the installed Paddle cannot write one.

    The cells must fill the image: 1024 is a multiple of their side.
    """
    folder.mkdir(parents=True)
    words = [sys.executable, "-c", LEGACY, str(folder), str(cell), str(SIDE), str(kept)]
    environment = os.environ | {"FLAGS_enable_pir_api": "0", "GLOG_minloglevel": "2"}
    subprocess.run(words, env=environment, check=False, capture_output=True)
    (folder / "inference.yml").write_text(yaml.safe_dump(SETTINGS))
    return folder if (folder / "inference.pdmodel").is_file() else None


class CappedBlobs(BlobDetector):
    """Blobs, of which it gives the best few a tile."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.looks = 0
        self.info = self.info.__class__(
            ("blob",), name="capped blobs", max_per_tile=most, suppressed=True, sha256="capped"
        )

    def detect(self, pixels):
        self.looks += len(pixels)
        tables = super().detect(pixels)
        return [table[np.argsort(-table.scores, kind="stable")[: self.info.max_per_tile]] for table in tables]
