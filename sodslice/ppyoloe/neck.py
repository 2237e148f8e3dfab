# mypy: disallow-subclassing-any=False
# (paddle ships no types)
"""The neck: a transformer over the coarsest map, then the three maps mixed down and up again (PAN)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's own name for it
from paddle import Tensor, nn

from sodslice.ppyoloe.blocks import Block, ConvNorm, nearest_twice
from sodslice.ppyoloe.config import TransformerConfig


def position_code(height: int, width: int, channels: int) -> npt.NDArray[np.float32]:
    """Sine and cosine of each token's place, `(1, height * width, channels)`.

    Upstream lists the places column by column while the map is flattened row by row, so the code belongs to
    the transposed place. The trained weights know it that way: it must stay.
    """
    quarter = channels // 4
    omega = 10000.0 ** -(np.arange(quarter) / quarter)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height), indexing="ij")
    across, down = columns.reshape(-1, 1) * omega, rows.reshape(-1, 1) * omega
    parts = [np.sin(across), np.cos(across), np.sin(down), np.cos(down)]
    return np.concatenate(parts, axis=1, dtype=np.float64)[None].astype(np.float32)


class SelfAttention(nn.Layer):
    """Multi-head attention with one packed projection for query, key and value."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        xavier = nn.initializer.XavierUniform()
        self.heads = heads
        self.in_proj_weight = self.create_parameter([channels, 3 * channels], default_initializer=xavier)
        self.in_proj_bias = self.create_parameter([3 * channels], is_bias=True)
        self.out_proj = nn.Linear(channels, channels, weight_attr=xavier)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """Tokens `(N, L, C)` to the same shape; the position `(1, L, C)` enters query and key only."""
        channels = x.shape[2]
        query, key = self._project(x + position, 0, 2 * channels).chunk(2, axis=2)
        value = self._project(x, 2 * channels, 3 * channels)
        query, key, value = (self._split(part) for part in (query, key, value))
        scores = paddle.matmul(query * (channels // self.heads) ** -0.5, key, transpose_y=True)
        mixed = paddle.matmul(self.dropout(F.softmax(scores)), value)
        return self.out_proj(mixed.transpose([0, 2, 1, 3]).flatten(2))

    def _project(self, x: Tensor, start: int, stop: int) -> Tensor:
        return F.linear(x, self.in_proj_weight[:, start:stop], self.in_proj_bias[start:stop])

    def _split(self, x: Tensor) -> Tensor:
        """`(N, L, C)` to `(N, heads, L, C / heads)`."""
        return x.reshape([0, 0, self.heads, x.shape[2] // self.heads]).transpose([0, 2, 1, 3])


class EncoderLayer(nn.Layer):
    """Attention and a feed-forward part, each with a residual and normalised afterwards."""

    def __init__(self, channels: int, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(channels, config.heads, config.dropout)
        self.linear1 = _linear(channels, config.hidden)
        self.linear2 = _linear(config.hidden, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """Tokens `(N, L, C)` to the same shape; position `(1, L, C)`."""
        x = self.norm1(x + self.dropout(self.self_attn(x, position)))
        hidden = self.dropout(F.gelu(self.linear1(x)))
        return self.norm2(x + self.dropout(self.linear2(hidden)))


class Encoder(nn.Layer):
    """The transformer over one feature map."""

    def __init__(self, channels: int, config: TransformerConfig) -> None:
        super().__init__()
        self.layers = nn.LayerList([EncoderLayer(channels, config) for _ in range(config.layers)])
        self.register_buffer("fixed_position", None, persistable=False)

    def fix_size(self, height: int, width: int, channels: int) -> None:
        """Store the position code of one map size, as an exported graph carries it."""
        self.fixed_position = paddle.to_tensor(position_code(height, width, channels))

    def forward(self, feature: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        _, channels, height, width = feature.shape
        position = self.fixed_position
        if position is None:
            position = paddle.to_tensor(position_code(height, width, channels))
        tokens = feature.flatten(2).transpose([0, 2, 1])
        for layer in self.layers:
            tokens = layer(tokens, position)
        return tokens.transpose([0, 2, 1]).reshape([0, channels, height, width])


class PyramidPool(nn.Layer):
    """The map beside its maxima over windows of 5, 9 and 13, mixed (SPP)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvNorm(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        pooled = [F.max_pool2d(x, size, stride=1, padding=size // 2) for size in (5, 9, 13)]
        return self.conv(paddle.concat([x, *pooled], axis=1))


class NeckStage(nn.Layer):
    """Half of the channels through blocks, half past them, joined."""

    def __init__(self, inputs: int, outputs: int, blocks: int, *, pool: bool = False) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = ConvNorm(inputs, half, 1)
        self.conv2 = ConvNorm(inputs, half, 1)
        steps = [(str(i), Block(half, shortcut=False, alpha=False)) for i in range(blocks)]
        if pool:
            steps.insert((blocks - 1) // 2 + 1, ("spp", PyramidPool(half)))
        self.convs = nn.Sequential(*steps)
        self.conv3 = ConvNorm(2 * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, H, W)`."""
        return self.conv3(paddle.concat([self.conv1(x), self.convs(self.conv2(x))], axis=1))


class Neck(nn.Layer):
    """Transformer, then top-down and bottom-up paths over three maps.

    Args:
        inputs: channels of the backbone's maps at strides 8, 16, 32.
        outputs: channels of the neck's maps at strides 32, 16, 8.
        blocks: blocks of each stage.
        encoder: the transformer over the stride-32 map, or None.
    """

    def __init__(
        self, inputs: Sequence[int], outputs: Sequence[int], blocks: int, encoder: Encoder | None
    ) -> None:
        super().__init__()
        fine, middle, coarse = inputs
        top, centre, bottom = outputs
        self.encoder = encoder
        self.upsample = nearest_twice
        self.fpn_stages = _stages(
            NeckStage(coarse, top, blocks, pool=True),
            NeckStage(middle + top // 2, centre, blocks),
            NeckStage(fine + centre // 2, bottom, blocks),
        )
        self.fpn_routes = nn.LayerList([ConvNorm(top, top // 2, 1), ConvNorm(centre, centre // 2, 1)])
        self.pan_stages = _stages(
            NeckStage(top + centre, top, blocks), NeckStage(centre + bottom, centre, blocks)
        )
        self.pan_routes = nn.LayerList(
            [ConvNorm(centre, centre, 3, stride=2), ConvNorm(bottom, bottom, 3, stride=2)]
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps at strides 8, 16, 32 to maps at strides 32, 16, 8."""
        fine, middle, coarse = maps
        if self.encoder is not None:
            coarse = self.encoder(coarse)
        top = self.fpn_stages[0](coarse)
        centre = self.fpn_stages[1](self._down(self.fpn_routes[0](top), middle))
        bottom = self.fpn_stages[2](self._down(self.fpn_routes[1](centre), fine))
        centre = self.pan_stages[1](paddle.concat([self.pan_routes[1](bottom), centre], axis=1))
        top = self.pan_stages[0](paddle.concat([self.pan_routes[0](centre), top], axis=1))
        return [top, centre, bottom]

    def _down(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return paddle.concat([self.upsample(coarse), fine], axis=1)


def _stages(*stages: NeckStage) -> nn.LayerList:
    """Each stage in a sequence of one, which is how upstream's state dict names them (`fpn_stages.0.0`)."""
    return nn.LayerList([nn.Sequential(stage) for stage in stages])


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer drawn evenly from +-1 / sqrt(inputs), weights and bias."""
    bound = 1 / math.sqrt(inputs)
    even = nn.initializer.Uniform(-bound, bound)
    return nn.Linear(inputs, outputs, weight_attr=even, bias_attr=paddle.ParamAttr(initializer=even))
