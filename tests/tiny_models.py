"""A very small exported model: it finds the bounding box of the bright pixels of each image."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sodslice.inference.engines.paddle import import_paddle

PERMUTE = {"type": "Permute"}


def bright_tile(size: tuple[int, int] = (96, 128), box=(40, 24, 72, 56)) -> np.ndarray:
    """One tile `(1, H, W, 3)` with a bright rectangle x0, y0, x1, y1."""
    tile = np.full((1, *size, 3), 20, np.uint8)
    x0, y0, x1, y1 = box
    tile[:, y0:y1, x0:x1] = 250
    return tile


def export_bright_box(
    folder: Path,
    *,
    preprocess: list[dict[str, Any]],
    nearest: bool = False,
    level: float = 128.0,
    nms: bool = True,
    im_shape: bool = False,
) -> Path:
    """Export the network and its yml into a folder, as PaddleDetection lays it out.

    Args:
        folder: made here.
        preprocess: the yml's `Preprocess`.
        nearest: whether the graph holds a nearest_interp, which oneDNN in Paddle 3.3 cannot run.
        level: brightness, in the graph's units, from which a pixel counts.
        nms: rows and counts as with NMS inside, or else boxes and scores per anchor.
        im_shape: whether the graph wants that input too.
    """
    paddle = import_paddle()
    functional = paddle.nn.functional

    class BrightBox(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.level = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(level))

        def forward(self, image, scale_factor=None, shape=None):
            if nearest:
                image = functional.interpolate(
                    functional.avg_pool2d(image, 2), scale_factor=2.0, mode="nearest"
                )
            bright = (image.mean(axis=1) > self.level).astype("float32")
            columns, rows = bright.max(axis=1), bright.max(axis=2)
            edges = [_first(columns), _first(rows), _last(columns), _last(rows)]
            boxes = paddle.stack(edges, axis=1)
            score = bright.max(axis=[1, 2]) * 0.9
            if not nms:
                return boxes.unsqueeze(1), score.unsqueeze(1).unsqueeze(1)
            scale = paddle.stack([scale_factor[:, 1], scale_factor[:, 0]] * 2, axis=1)
            boxes = boxes / scale
            if shape is not None:
                boxes = boxes + 0 * shape.sum()
            table = paddle.concat([paddle.zeros_like(score).unsqueeze(1), score.unsqueeze(1), boxes], axis=1)
            return table, paddle.ones_like(score).astype("int32")

    def _first(profile):
        return profile.argmax(axis=1).astype("float32")

    def _last(profile):
        return paddle.shape(profile)[1].astype("float32") - paddle.flip(profile, axis=[1]).argmax(
            axis=1
        ).astype("float32")

    spec = paddle.static.InputSpec
    inputs = [spec([None, 3, None, None], "float32", "image")]
    if nms:
        inputs.append(spec([None, 2], "float32", "scale_factor"))
    if im_shape:
        inputs.append(spec([None, 2], "float32", "im_shape"))
    folder.mkdir(parents=True)
    network = BrightBox()
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paddle.jit.save(
            paddle.jit.to_static(network, input_spec=inputs, full_graph=True), str(folder / "inference")
        )
    settings = {
        "mode": "paddle",
        "draw_threshold": 0.5,
        "Global": {"model_name": "bright-box"},
        "Preprocess": preprocess,
        "label_list": ["bright"],
    }
    if not nms:
        settings["sodslice"] = {"nms": False}
    (folder / "inference.yml").write_text(yaml.safe_dump(settings))
    return folder
