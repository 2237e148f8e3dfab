"""The assigner against its plain definition on all objects times all anchors."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.training.assigner import AssignerRule, Targets, assign
from tests.ppyoloe_weights import iou_table

SIDE = 128


def _anchors():
    points, strides = [], []
    for stride in (32, 16, 8):
        cells = np.arange(SIDE // stride) * stride + stride / 2
        y, x = np.meshgrid(cells, cells, indexing="ij")
        points.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(len(points[-1]), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(strides).astype(np.float32)[:, None]


def _scene(seed, images, count, smallest):
    rng = np.random.default_rng(seed)
    points, strides = _anchors()
    reach = rng.uniform(-1, 3, (images, len(points), 4)) * strides
    boxes = np.concatenate([points - reach[..., :2], points + reach[..., 2:]], axis=2).astype(np.float32)
    scores = rng.random((images, len(points), 3)).astype(np.float32)
    sizes = rng.uniform(smallest, 60, (count, 2))
    corner = rng.uniform(0, SIDE - 5, (count, 2))
    truth = np.concatenate([corner, np.minimum(corner + sizes, SIDE)], axis=1).astype(np.float32)
    image = np.sort(rng.integers(0, images, count))
    return scores, boxes, points, strides, Targets(image, truth, rng.integers(0, 3, count))


def _plain(scores, boxes, points, strides, targets, rule):
    """Upstream's definition, dense and one image at a time: {(image, anchor): (target, score)}."""
    result = {}
    for image in range(len(boxes)):
        rows = np.flatnonzero(targets.image == image)
        if not len(rows):
            continue
        truth = targets.boxes[rows]
        iou = iou_table(truth, boxes[image]) * (boxes[image][:, 2:] > boxes[image][:, :2]).all(axis=1)
        alignment = scores[image][:, targets.labels[rows]].T ** rule.alpha * iou**rule.beta
        chosen = np.zeros(iou.shape, dtype=bool)
        for i, (x0, y0, x1, y1) in enumerate(truth):
            x, y = points.T
            inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
            radius = strides[:, 0] * rule.radius
            near = (abs(x - (x0 + x1) / 2) < radius) & (abs(y - (y0 + y1) / 2) < radius)
            rank = alignment[i] + near * (not inside.any())
            best = np.argsort(-rank, kind="stable")[: rule.topk]
            chosen[i, best] = True
            chosen[i] &= inside | near
        for anchor in np.flatnonzero(chosen.sum(axis=0) > 1):
            winner = np.argmax(np.where(chosen[:, anchor], iou[:, anchor], -1))
            chosen[:, anchor] = False
            chosen[winner, anchor] = True
        for i, anchor in zip(*np.nonzero(chosen), strict=True):
            best = (alignment[i] * chosen[i]).max()
            score = alignment[i, anchor] / (best + 1e-9) * (iou[i] * chosen[i]).max()
            result[image, anchor] = (rows[i], score)
    return result


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    images=st.integers(1, 3),
    count=st.integers(0, 12),
    smallest=st.sampled_from([2.0, 20.0]),
    topk=st.sampled_from([1, 3, 13]),
)
def test_assignment_equals_the_dense_definition(seed, images, count, smallest, topk):
    rule = AssignerRule(topk=topk)
    scene = _scene(seed, images, count, smallest)
    found = assign(*scene, rule)
    wanted = _plain(*scene, rule)
    got = {
        (image, anchor): (target, score)
        for image, anchor, target, score in zip(*(column.tolist() for column in found), strict=True)
    }
    # What no prediction touches has an alignment of zero: there both may fill up with any point.
    live = {place for place, (_, score) in wanted.items() if score > 1e-6}
    assert live <= got.keys()
    assert {place for place, (_, score) in got.items() if score > 1e-6} == live
    for place in live:
        assert got[place][0] == wanted[place][0]
        assert abs(got[place][1] - wanted[place][1]) < 1e-4


def test_an_object_between_anchor_points_takes_those_around_its_centre():
    points, strides = _anchors()
    boxes = np.concatenate([points - 6, points + 6], axis=1)[None]
    targets = Targets(np.array([0]), np.array([[30, 30, 34, 34]], dtype=np.float32), np.array([0]))
    scores = np.full((1, len(points), 1), 0.5, dtype=np.float32)
    found = assign(scores, boxes.astype(np.float32), points, strides, targets, AssignerRule())
    offsets = abs(points[found.anchor] - 32)
    assert len(found.anchor) > 0
    assert (offsets < strides[found.anchor]).all()


def test_no_objects_give_no_assignment():
    points, strides = _anchors()
    nothing = Targets(np.empty(0, np.int64), np.empty((0, 4), np.float32), np.empty(0, np.int64))
    boxes = np.zeros((2, len(points), 4), dtype=np.float32)
    found = assign(np.zeros((2, len(points), 1), np.float32), boxes, points, strides, nothing, AssignerRule())
    assert [len(column) for column in found] == [0, 0, 0, 0]
