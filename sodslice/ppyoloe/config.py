"""What distinguishes one PP-YOLOE+ SOD network from another, as plain values without paddle.

The official models are described in PaddleDetection's `configs/smalldet/visdrone`; T is this project's
small one, which leaves the transformer out and so takes any image size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sodslice.errors import ModelError, did_you_mean

VISDRONE_CLASSES = (
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motorcycle",
)

STRIDES = (32, 16, 8)
"""Pixels between anchor points, in the order in which the anchors are listed."""

SCORE_FLOOR, IOU, CANDIDATES, KEPT = 0.01, 0.6, 10000, 500
"""Upstream's NMS for the SOD models: scores from, overlap up to, boxes per class in, boxes per image out."""

EXPORT_VERSION = 1
"""Raised when the same checkpoint gives another folder; kept exports of an older one are then made again."""


@dataclass(frozen=True)
class TransformerConfig:
    """The encoder on the stride-32 map.

    Attributes:
        layers: how many post-norm layers.
        heads: attention heads; must divide the channels of the map.
        hidden: width of the feed-forward part.
        dropout: probability in attention, activation and residuals while training.
    """

    layers: int = 4
    heads: int = 4
    hidden: int = 2048
    dropout: float = 0.1


@dataclass(frozen=True)
class NetworkConfig:
    """One network, up to its weights.

    Attributes:
        name: architecture, a key of `ARCHITECTURES`.
        width: multiplier of all channel counts.
        depth: multiplier of all block counts.
        reg_range: first and one past the last bin of the box distances, in strides. Bins below zero let a
            point outside a small object predict it.
        transformer: the encoder on the stride-32 map, or None.
        input_size: side in pixels the official export takes; None when any multiple of 32 does.
        class_names: names in the order of the class ids.
    """

    name: str
    width: float
    depth: float
    reg_range: tuple[int, int]
    transformer: TransformerConfig | None
    input_size: int | None
    class_names: tuple[str, ...] = VISDRONE_CLASSES

    def __post_init__(self) -> None:
        if not self.class_names:
            raise ModelError(f"{self.name} needs at least one class name, got none")
        twice = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
        if twice:
            raise ModelError(f"{self.name} has the class name {twice[0]!r} twice; name each class once")

    @property
    def num_classes(self) -> int:
        """How many classes the head tells apart."""
        return len(self.class_names)

    @property
    def bins(self) -> int:
        """How many bins describe one box distance."""
        return self.reg_range[1] - self.reg_range[0]

    @property
    def backbone_channels(self) -> tuple[int, ...]:
        """Channels of the stem and of the stages at strides 4, 8, 16, 32."""
        return tuple(self._scaled(channels) for channels in (64, 128, 256, 512, 1024))

    @property
    def backbone_blocks(self) -> tuple[int, ...]:
        """Residual blocks of the four stages."""
        return tuple(max(round(blocks * self.depth), 1) for blocks in (3, 6, 6, 3))

    @property
    def neck_channels(self) -> tuple[int, ...]:
        """Channels of the feature maps at strides 32, 16, 8 that the head sees."""
        return tuple(self._scaled(channels) for channels in (768, 384, 192))

    @property
    def neck_blocks(self) -> int:
        """Blocks of each neck stage."""
        return max(round(3 * self.depth), 1)

    def _scaled(self, channels: int) -> int:
        return max(round(channels * self.width), 1)


ARCHITECTURES = {
    config.name: config
    for config in (
        NetworkConfig("PP-YOLOE_plus_SOD-S", 0.50, 0.33, (-2, 8), TransformerConfig(), 640),
        NetworkConfig("PP-YOLOE_plus_SOD-L", 1.0, 1.0, (-2, 8), TransformerConfig(), 640),
        NetworkConfig("PP-YOLOE_plus_SOD-largesize-L", 1.0, 1.0, (-2, 20), TransformerConfig(), 1920),
        NetworkConfig("T", 0.25, 0.33, (-2, 8), None, None, ("vehicle",)),
    )
}

_SHORT_NAMES = {
    "s": "PP-YOLOE_plus_SOD-S",
    "l": "PP-YOLOE_plus_SOD-L",
    "largesize-l": "PP-YOLOE_plus_SOD-largesize-L",
    "vehicle-t": "T",
}


def network_config(name: str, *, class_names: tuple[str, ...] | None = None) -> NetworkConfig:
    """The configuration of a named architecture.

    Args:
        name: a key of `ARCHITECTURES`, or its short form ("S", "L", "largesize-L", "T", "vehicle-t"), in
            any case.
        class_names: names in the order of the class ids; the architecture's own when None.

    Raises:
        ModelError: unknown name, or no or repeated class names.
    """
    known = {full.lower(): full for full in ARCHITECTURES} | _SHORT_NAMES
    full = known.get(name.lower())
    if full is None:
        hint = did_you_mean(name, ARCHITECTURES)
        raise ModelError(f"unknown architecture {name!r}; known are {', '.join(ARCHITECTURES)}{hint}")
    config = ARCHITECTURES[full]
    return config if class_names is None else replace(config, class_names=tuple(class_names))
