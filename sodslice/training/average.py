"""The moving average of the weights, which is what training hands out."""

from __future__ import annotations

import paddle

from sodslice.ppyoloe.network import Network, build_network

_KEPT = "proj_conv"
"""The bins' values are constants, not weights (upstream leaves them out too)."""


class MovingAverage:
    """A second network whose weights follow those of the first.

    The decay is ramped, (1 + n) / (10 + n) after n updates until it reaches its value, so that the first
    weights are forgotten soon (as PaddleDetection's `ModelEMA` does).

    Args:
        network: the one that learns.
        decay: share of the old average that an update leaves.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = build_network(network.config)
        self.network.set_state_dict(network.state_dict())
        self.network.eval()
        self._decay = decay
        learning = network.state_dict()
        self._pairs = [
            (value, learning[name]) for name, value in self.network.state_dict().items() if _KEPT not in name
        ]

    def update(self, count: int) -> None:
        """Take the learning network's weights in, after `count` earlier updates."""
        # As a tensor: from a number Paddle would make one for each weight, which takes three times as long.
        share = paddle.to_tensor(1.0 - min(self._decay, (1 + count) / (10 + count)))
        with paddle.no_grad():
            for mean, value in self._pairs:
                mean.lerp_(value, share)
