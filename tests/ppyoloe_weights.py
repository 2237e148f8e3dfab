"""Networks with lively weights, and plain definitions to hold their answers against."""

from __future__ import annotations

import zlib

import numpy as np

from sodslice.ppyoloe.config import NetworkConfig, TransformerConfig
from sodslice.ppyoloe.network import Network, build_network

TINY = NetworkConfig("tiny", 0.125, 0.1, (-2, 8), TransformerConfig(1, 2, 16), 64, ("car", "bus"))
TINY_ANY_SIZE = NetworkConfig("tiny", 0.125, 0.1, (-2, 8), None, None, ("car", "bus"))


def lively(config: NetworkConfig) -> Network:
    """A network in evaluation mode, filled by the rule of the upstream reference outputs."""
    network = build_network(config)
    for name, tensor in network.state_dict().items():
        if not name.endswith("proj_conv.weight"):
            tensor.set_value(_value(name, list(tensor.shape)))
    network.eval()
    return network


def _value(name: str, shape: list[int]) -> np.ndarray:
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith(("_variance", "alpha")):
        return np.ones(shape, np.float32)
    if name.endswith("_mean"):
        return np.float32(0.02) * noise
    if name.endswith("bias"):
        return np.float32(0.05) * noise - np.float32(3 if ".pred_cls." in name else 0)
    if ".bn." in name or ".norm" in name:
        return 1 + np.float32(0.1) * noise
    inputs = shape[0] if len(shape) == 2 else np.prod(shape[1:])
    return noise / np.float32(np.sqrt(inputs)) * np.float32(1.42 if len(shape) == 4 else 1)


def assert_suppressed(rows: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> None:
    """Rows `(M, 6)` are what greedy NMS (0.01, IoU 0.6, 500) keeps of one image's anchors, by its definition.

    Args:
        rows: class, score, x0, y0, x1, y1 of the kept boxes.
        boxes: `(A, 4)` before NMS.
        scores: `(classes, A)` before NMS.

    What lies within rounding of a limit may fall on either side.
    """
    assert len(rows) <= 500
    for label in range(len(scores)):
        kept = rows[rows[:, 0] == label]
        wanted = np.concatenate([scores[label][:, None], boxes], axis=1)
        for row in kept:
            gaps = np.abs(wanted - row[1:]) <= [1e-4, *[1e-2] * 4]
            assert gaps.all(axis=1).any(), f"no anchor says {row}"
        overlaps = iou_table(kept[:, 2:], kept[:, 2:])
        np.fill_diagonal(overlaps, 0)
        assert overlaps.max(initial=0) <= 0.6 + 1e-3
        candidates = np.flatnonzero(scores[label] >= 0.01 + 1e-4)
        better = kept[None, :, 1] >= scores[label][candidates, None] - 1e-4
        covered = (iou_table(boxes[candidates], kept[:, 2:]) >= 0.6 - 1e-3) & better
        beyond = len(rows) == 500 and scores[label][candidates] <= rows[:, 1].min() + 1e-4
        assert (covered.any(axis=1) | beyond).all()


def iou_table(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of `one` with every box of `other`."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
