"""Losses against upstream's, and what must not happen to gradients."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sodslice.inference.engines.paddle import import_paddle

paddle = import_paddle()

from sodslice.ppyoloe.config import network_config  # noqa: E402
from sodslice.ppyoloe.network import RawPredictions  # noqa: E402
from sodslice.training.assigner import Targets  # noqa: E402
from sodslice.training.losses import LossWeights, detection_losses  # noqa: E402
from tests.ppyoloe_weights import TINY_ANY_SIZE, lively  # noqa: E402

NOTHING = Targets(np.empty(0, np.int64), np.empty((0, 4), np.float32), np.empty(0, np.int64))


@pytest.mark.shared
def test_losses_are_those_of_upstream(shared):
    reference = np.load(shared / "parity" / "PP-YOLOE_plus_SOD-S.npz")
    wanted = json.loads((shared / "parity" / "PP-YOLOE_plus_SOD-S.json").read_text())["loss"]
    network = lively(network_config("S"))
    image = np.random.default_rng(0).random((1, 3, 640, 640), dtype=np.float32)
    boxes, classes = reference["gt_boxes"][0], reference["gt_classes"][0, :, 0]
    targets = Targets(np.zeros(len(boxes), np.int64), boxes.astype(np.float32), classes.astype(np.int64))
    with paddle.no_grad():
        raw = network(paddle.to_tensor(image))
        losses = detection_losses(network, raw, targets, NOTHING, weights=LossWeights())
    found = [float(loss) for loss in losses]
    assert found == pytest.approx([wanted[k] for k in ("loss", "loss_cls", "loss_iou", "loss_dfl")], abs=1e-3)


def _predictions(network, images=2, side=64):
    rng = np.random.default_rng(1)
    raw = network(paddle.to_tensor(rng.random((images, 3, side, side), dtype=np.float32)))
    logits, distances = raw.logits.detach(), raw.distances.detach()
    logits.stop_gradient = distances.stop_gradient = False
    return RawPredictions(logits, distances, raw.points, raw.strides)


def test_objects_that_no_prediction_touches_leave_gradients_finite():
    network = lively(TINY_ANY_SIZE)
    raw = _predictions(network)
    # All distances in the first bin: boxes turned inside out, which overlap nothing.
    inverted = np.full(raw.distances.shape, -30, dtype=np.float32)
    inverted.reshape(2, -1, 4, 10)[..., 0] = 30
    raw.distances.set_value(inverted)
    targets = Targets(np.array([0]), np.array([[20, 20, 44, 40]], dtype=np.float32), np.array([1]))
    losses = detection_losses(network, raw, targets, NOTHING, weights=LossWeights())
    losses.total.backward()
    assert np.isfinite(raw.logits.grad.numpy()).all()
    assert np.isfinite(raw.distances.grad.numpy()).all()


def test_a_batch_without_objects_teaches_scores_and_leaves_boxes_alone():
    network = lively(TINY_ANY_SIZE)
    raw = _predictions(network)
    losses = detection_losses(network, raw, NOTHING, NOTHING, weights=LossWeights())
    losses.total.backward()
    assert (raw.logits.grad.numpy() > 0).all()
    assert not raw.distances.grad.numpy().any()


def test_ignored_areas_have_no_say_in_the_class_loss():
    network = lively(TINY_ANY_SIZE)
    raw = _predictions(network, images=1)
    area = Targets(np.array([0]), np.array([[0, 0, 32, 64]], dtype=np.float32), np.array([0]))
    detection_losses(network, raw, NOTHING, area, weights=LossWeights()).total.backward()
    left = raw.points.numpy()[:, 0] < 32
    gradient = raw.logits.grad.numpy()[0]
    assert not gradient[left].any()
    assert gradient[~left].all()


def test_an_object_inside_an_ignored_area_is_still_learned():
    network = lively(TINY_ANY_SIZE)
    box = np.array([[8, 8, 40, 40]], dtype=np.float32)
    targets = Targets(np.array([0]), box, np.array([1]))
    raw = _predictions(network, images=1)
    detection_losses(network, raw, targets, targets, weights=LossWeights()).total.backward()
    assert (raw.logits.grad.numpy()[0, :, 1] < 0).any()


def test_losses_of_two_processes_add_up_to_that_of_the_whole_batch():
    network = lively(TINY_ANY_SIZE)
    raw = _predictions(network)
    boxes = np.array([[8, 8, 40, 40], [20, 5, 60, 30], [3, 30, 30, 60]], dtype=np.float32)
    targets = Targets(np.array([0, 0, 1]), boxes, np.array([1, 0, 1]))
    whole = detection_losses(network, raw, targets, NOTHING, weights=LossWeights())
    sums: list[float] = []

    def alone(image, rows, total):
        part = RawPredictions(raw.logits[image : image + 1], raw.distances[image : image + 1], *raw[2:])
        own = Targets(np.zeros(len(rows), np.int64), boxes[rows], targets.labels[rows])
        return detection_losses(network, part, own, NOTHING, weights=LossWeights(), score_sum_of_all=total)

    def note(value):
        sums.append(value)
        return value

    alone(0, [0, 1], note), alone(1, [2], note)
    parts = [float(alone(*share, lambda _: sum(sums)).total) for share in ((0, [0, 1]), (1, [2]))]
    assert sum(parts) == pytest.approx(float(whole.total), rel=1e-5)
