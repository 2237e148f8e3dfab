"""Average precision of a network on whole images of COCO sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it

from sodslice.metrics import CocoMetrics, Truth, coco_metrics
from sodslice.ppyoloe.export import suppress
from sodslice.ppyoloe.network import Network
from sodslice.tables import boxes as box_math
from sodslice.tables.detections import NO_TILE, Detections
from sodslice.training.coco import CocoImage
from sodslice.training.images import read_image
from sodslice.training.pictures import Pixels


def validate(network: Network, images: Sequence[CocoImage]) -> CocoMetrics:
    """COCO metrics of a network, each image as its set is to be seen, padded to a multiple of 32.

    Args:
        network: in evaluation mode.
        images: to look at, one after the other.
    """
    found, truths = [], []
    for image in images:
        pixels = read_image(image.path, image.rendering, image.wish)
        ratio = pixels.shape[1] / image.width, pixels.shape[0] / image.height
        seen = detect(network, pixels)
        found.append(replace(seen, boxes=seen.boxes / np.tile(ratio, 2)))
        objects = image.objects
        truths.append(Truth.of(objects.boxes, objects.labels, crowd=objects.ignored))
    return coco_metrics(truths, found, network.config.class_names)


def detect(network: Network, pixels: Pixels) -> Detections:
    """Detections on one image `(H, W, 3)` uint8 RGB in its pixels, after the NMS that is exported.

    A network of one input size sees the image as it is, too: its position code is computed for any size.
    """
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % 32), (0, -width % 32), (0, 0)))
    with paddle.no_grad():
        images = paddle.to_tensor(padded.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))
        raw = network(images)
        rows, _ = suppress(network.decode(raw), F.sigmoid(raw.logits).transpose([0, 2, 1]))
    table = rows.numpy().reshape(-1, 6)
    table = table[table[:, 0] >= 0]
    boxes = box_math.clip(table[:, 2:].astype(np.float64), width, height)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(
        boxes[inside],
        table[inside, 1],
        table[inside, 0].astype(np.int32),
        np.full(int(inside.sum()), NO_TILE, dtype=np.int32),
    )
