# mypy: disallow-subclassing-any=False
# (paddle ships no types)
"""CSPResNet: from the image to feature maps at strides 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it
from paddle import Tensor, nn

from sodslice.ppyoloe.blocks import Block, ConvNorm


class ChannelAttention(nn.Layer):
    """Effective squeeze and excitation: each channel scaled by what the whole map says (CenterMask, 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2D(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        return x * F.hardsigmoid(self.fc(F.adaptive_avg_pool2d(x, 1)))


class Stage(nn.Layer):
    """Halve the map, pass half of the channels through residual blocks, join, attend."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        middle = (inputs + outputs) // 2
        half = middle // 2
        self.conv_down = ConvNorm(inputs, middle, 3, stride=2)
        self.conv1 = ConvNorm(middle, half, 1)
        self.conv2 = ConvNorm(middle, half, 1)
        self.blocks = nn.Sequential(*(Block(half, shortcut=True, alpha=True) for _ in range(blocks)))
        self.attn = ChannelAttention(middle)
        self.conv3 = ConvNorm(middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, H / 2, W / 2)`."""
        x = self.conv_down(x)
        joined = paddle.concat([self.conv1(x), self.blocks(self.conv2(x))], axis=1)
        return self.conv3(self.attn(joined))


class Backbone(nn.Layer):
    """A stem to stride 2, then one stage for each of the strides 4, 8, 16, 32.

    Args:
        channels: of the stem and of each stage.
        blocks: residual blocks of each stage.
    """

    def __init__(self, channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        first = channels[0]
        self.stem = nn.Sequential(
            ("conv1", ConvNorm(3, first // 2, 3, stride=2)),
            ("conv2", ConvNorm(first // 2, first // 2, 3)),
            ("conv3", ConvNorm(first // 2, first, 3)),
        )
        sizes = zip(channels[:-1], channels[1:], blocks, strict=True)
        self.stages = nn.Sequential(*(Stage(inputs, outputs, count) for inputs, outputs, count in sizes))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images `(N, 3, H, W)` RGB 0..1 to three maps at strides 8, 16, 32."""
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[1:]
