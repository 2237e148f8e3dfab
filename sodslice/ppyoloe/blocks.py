# mypy: disallow-subclassing-any=False
# (paddle ships no types)
"""Layers that backbone, neck and head share. Maps are `(N, C, H, W)` float32 throughout."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it
from paddle import Tensor, nn


class ConvNorm(nn.Layer):
    """Convolution without bias, batch normalisation, and swish unless told otherwise."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, swish: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2D(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias_attr=False)
        self.bn = nn.BatchNorm2D(outputs)
        self.swish = swish

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, H / stride, W / stride)`."""
        x = self.bn(self.conv(x))
        return F.swish(x) if self.swish else x

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight `(outputs, inputs, k, k)` and bias `(outputs,)` of the convolution this equals in eval."""
        scale = self.bn.weight / paddle.sqrt(self.bn._variance + self.bn._epsilon)
        bias = self.bn.bias - self.bn._mean * scale
        return self.conv.weight * scale.reshape([-1, 1, 1, 1]), bias


class RepVgg(nn.Layer):
    """A 3x3 and a 1x1 convolution side by side, summed: for training two, for inference one (`fuse`).

    Ding et al., RepVGG, CVPR 2021. `alpha`, a learned weight of the 1x1 branch, is PP-YOLOE+'s addition.
    """

    def __init__(self, channels: int, *, alpha: bool) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3, swish=False)
        self.conv2 = ConvNorm(channels, channels, 1, swish=False)
        one = nn.initializer.Constant(1.0)
        self.alpha = self.create_parameter([1], default_initializer=one) if alpha else None
        self.fused: nn.Conv2D | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        if self.fused is not None:
            return F.swish(self.fused(x))
        side = self.conv2(x)
        return F.swish(self.conv1(x) + (side if self.alpha is None else self.alpha * side))

    def fuse(self) -> None:
        """Replace both branches by one 3x3 convolution; for good, so work on a copy."""
        with paddle.no_grad():
            weight, bias = self.conv1.folded()
            side_weight, side_bias = self.conv2.folded()
            if self.alpha is not None:
                side_weight, side_bias = side_weight * self.alpha, side_bias * self.alpha
            channels = bias.shape[0]
            fused = nn.Conv2D(channels, channels, 3, padding=1)
            fused.weight.set_value(weight + F.pad(side_weight, [1, 1, 1, 1]))
            fused.bias.set_value(bias + side_bias)
        self.fused = fused
        del self.conv1, self.conv2
        self.alpha = None


class Block(nn.Layer):
    """3x3 convolution then RepVGG, with a residual where `shortcut`."""

    def __init__(self, channels: int, *, shortcut: bool, alpha: bool) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3)
        self.conv2 = RepVgg(channels, alpha=alpha)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


def nearest_twice(x: Tensor) -> Tensor:
    """Each pixel doubled in both directions: `(N, C, H, W)` to `(N, C, 2H, 2W)`, as upstream writes it."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def repeat_twice(x: Tensor) -> Tensor:
    """The same values as `nearest_twice` from concat and reshape alone.

    oneDNN of Paddle 3.3 cannot run the `nearest_interp` of an exported graph; it can run this. Height and
    width may stay unknown.
    """
    wide = paddle.concat([x.unsqueeze(4)] * 2, axis=4).flatten(3, 4)
    return paddle.concat([wide.unsqueeze(3)] * 2, axis=3).flatten(2, 3)
