# mypy: disallow-subclassing-any=False
# (paddle ships no types)
"""The head: from three feature maps to class logits and box distances at every anchor point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it
from paddle import Tensor, nn

from sodslice.ppyoloe.blocks import ConvNorm
from sodslice.ppyoloe.config import STRIDES


class RawPredictions(NamedTuple):
    """What the network says before any decoding; A anchor points at strides 32, 16, 8, each row-major.

    Attributes:
        logits: `(N, A, classes)` float32; the score is their sigmoid.
        distances: `(N, A, 4 * bins)` float32 logits over the bins, for left, top, right, bottom in turn.
        points: `(A, 2)` float32 x, y of the anchor points in pixels of the input.
        strides: `(A, 1)` float32 pixels a distance of one means.
    """

    logits: Tensor
    distances: Tensor
    points: Tensor
    strides: Tensor


class Branch(nn.Layer):
    """A map gated by its own mean, channel by channel, then mixed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        small = nn.initializer.Normal(0.0, 0.001)
        self.fc = nn.Conv2D(channels, channels, 1, weight_attr=paddle.ParamAttr(initializer=small))
        self.conv = ConvNorm(channels, channels, 1)

    def forward(self, feature: Tensor, mean: Tensor) -> Tensor:
        """`(N, C, H, W)` and its mean `(N, C, 1, 1)` to `(N, C, H, W)`."""
        return self.conv(feature * F.sigmoid(self.fc(mean)))


class Head(nn.Layer):
    """One class and one box branch for each of the three maps.

    Args:
        channels: of the maps at strides 32, 16, 8.
        classes: how many classes.
        reg_range: first and one past the last bin of a distance, in strides.
    """

    def __init__(self, channels: Sequence[int], classes: int, reg_range: tuple[int, int]) -> None:
        super().__init__()
        bins = reg_range[1] - reg_range[0]
        rare = -math.log(0.99 / 0.01)  # every class starts at a score of 0.01
        self.bins = bins
        self.stem_cls = nn.LayerList([Branch(count) for count in channels])
        self.stem_reg = nn.LayerList([Branch(count) for count in channels])
        self.pred_cls = nn.LayerList([_constant_conv(count, classes, rare) for count in channels])
        self.pred_reg = nn.LayerList([_constant_conv(count, 4 * bins, 1.0) for count in channels])
        self.proj_conv = nn.Conv2D(bins, 1, 1, bias_attr=False)
        values = paddle.arange(reg_range[0], reg_range[1], dtype="float32")
        self.proj_conv.weight.set_value(values.reshape([1, bins, 1, 1]))
        self.proj_conv.weight.stop_gradient = True

    def forward(self, maps: Sequence[Tensor]) -> RawPredictions:
        """Maps at strides 32, 16, 8 to predictions at all their points."""
        logits, distances = [], []
        for i, feature in enumerate(maps):
            mean = F.adaptive_avg_pool2d(feature, 1)
            logits.append(_rows(self.pred_cls[i](self.stem_cls[i](feature, mean) + feature)))
            distances.append(_rows(self.pred_reg[i](self.stem_reg[i](feature, mean))))
        points, strides = anchor_points(maps)
        return RawPredictions(
            paddle.concat(logits, axis=1), paddle.concat(distances, axis=1), points, strides
        )

    def decode(self, raw: RawPredictions) -> Tensor:
        """Boxes `(N, A, 4)` float32: x0, y0, x1, y1 in pixels of the input, not clipped; differentiable.

        A distance is the mean of the bins' values under their softmax, in strides (Li et al., Generalized
        Focal Loss, 2020).
        """
        chances = F.softmax(raw.distances.reshape([0, 0, 4, self.bins]))
        sides = paddle.matmul(chances, self.proj_conv.weight.flatten()) * raw.strides
        return paddle.concat([raw.points - sides[:, :, :2], raw.points + sides[:, :, 2:]], axis=2)


def anchor_points(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Centres `(A, 2)` x, y in pixels and strides `(A, 1)` of the cells of maps at strides 32, 16, 8."""
    points, strides = [], []
    for feature, stride in zip(maps, STRIDES, strict=True):
        open_size = -1 in feature.shape[2:]  # in an export for any size the graph itself must ask
        height, width = (paddle.shape(feature) if open_size else feature.shape)[2:]
        rows = (paddle.arange(height, dtype="float32") + 0.5) * stride
        columns = (paddle.arange(width, dtype="float32") + 0.5) * stride
        y, x = paddle.meshgrid(rows, columns)
        points.append(paddle.stack([x.flatten(), y.flatten()], axis=1))
        strides.append(points[-1][:, :1] * 0.0 + stride)  # the shape, be it known or not
    return paddle.concat(points), paddle.concat(strides)


def _rows(feature: Tensor) -> Tensor:
    """`(N, C, H, W)` to `(N, H * W, C)`."""
    return feature.flatten(2).transpose([0, 2, 1])


def _constant_conv(inputs: int, outputs: int, bias: float) -> nn.Conv2D:
    """A 3x3 convolution that at first gives the bias, whatever it sees."""
    zero = paddle.ParamAttr(initializer=nn.initializer.Constant(0.0))
    constant = paddle.ParamAttr(initializer=nn.initializer.Constant(bias))
    return nn.Conv2D(inputs, outputs, 3, padding=1, weight_attr=zero, bias_attr=constant)
