# mypy: disallow-subclassing-any=False
# (paddle ships no types)
"""The whole detector: backbone, neck and head, named in the state dict as PaddleDetection names them."""

from __future__ import annotations

from paddle import Tensor, in_dynamic_mode, nn

from sodslice.errors import ModelError
from sodslice.ppyoloe.backbone import Backbone
from sodslice.ppyoloe.blocks import RepVgg
from sodslice.ppyoloe.config import STRIDES, NetworkConfig
from sodslice.ppyoloe.head import Head, RawPredictions
from sodslice.ppyoloe.neck import Encoder, Neck

__all__ = ["Network", "RawPredictions", "build_network"]


class Network(nn.Layer):
    """PP-YOLOE+ SOD out of its three parts; `build_network` makes them fit."""

    def __init__(self, config: NetworkConfig, backbone: Backbone, neck: Neck, yolo_head: Head) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.neck = neck
        self.yolo_head = yolo_head

    def forward(self, images: Tensor) -> RawPredictions:
        """Predictions at every anchor point.

        Args:
            images: `(N, 3, H, W)` float32 RGB in 0..1, H and W multiples of 32.

        Raises:
            ModelError: H or W is no multiple of 32.
        """
        if in_dynamic_mode() and any(side % STRIDES[0] for side in images.shape[2:]):
            raise ModelError(
                f"images must have sides of multiples of {STRIDES[0]} pixels, got {list(images.shape)}"
            )
        raw: RawPredictions = self.yolo_head(self.neck(self.backbone(images)))
        return raw

    def decode(self, raw: RawPredictions) -> Tensor:
        """Boxes `(N, A, 4)` float32: x0, y0, x1, y1 in pixels of the input, not clipped; differentiable."""
        return self.yolo_head.decode(raw)

    def fuse(self) -> None:
        """Replace every RepVGG block by one convolution; for good and for inference only."""
        for layer in self.sublayers():
            if isinstance(layer, RepVgg):
                layer.fuse()


def build_network(config: NetworkConfig) -> Network:
    """A network with fresh weights, ready to train from scratch or to take a checkpoint."""
    backbone = Backbone(config.backbone_channels, config.backbone_blocks)
    maps = config.backbone_channels[-3:]
    encoder = None if config.transformer is None else Encoder(maps[-1], config.transformer)
    neck = Neck(maps, config.neck_channels, config.neck_blocks, encoder)
    head = Head(config.neck_channels, config.num_classes, config.reg_range)
    return Network(config, backbone, neck, head)
