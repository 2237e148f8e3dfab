"""Several processes that learn together, one for each device, started by `paddle.distributed.launch`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import distributed

from sodslice.errors import OptionError
from sodslice.ppyoloe.network import Network


class Processes:
    """This process among those that learn together; alone where none were launched.

    Args:
        batch: canvases of all processes in one step.

    Raises:
        OptionError: the batch cannot be divided evenly.
    """

    def __init__(self, batch: int) -> None:
        self.world = distributed.get_world_size()
        if self.world > 1 and not distributed.is_initialized():
            distributed.init_parallel_env()
        self.rank = distributed.get_rank()
        if batch % self.world:
            raise OptionError(f"batch must be a multiple of the {self.world} processes, got {batch}")

    @property
    def is_first(self) -> bool:
        """Whether this is the one process that writes."""
        return bool(self.rank == 0)

    def share_weights(self, network: Network) -> None:
        """Give all processes the first one's weights."""
        if self.world > 1:
            for value in network.state_dict().values():
                distributed.broadcast(value, src=0)

    def sum_gradients(self, gradients: Sequence[paddle.Tensor]) -> None:
        """Replace gradients by their sum over all processes, in one message."""
        if self.world == 1:
            return
        with paddle.no_grad():
            joined = paddle.concat([gradient.flatten() for gradient in gradients])
            distributed.all_reduce(joined)
            parts = joined.split([int(np.prod(gradient.shape)) for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.set_value(part.reshape(gradient.shape))

    def sum_number(self, number: float) -> float:
        """The sum of a number over all processes."""
        if self.world == 1:
            return number
        joined = paddle.to_tensor([number], dtype="float64")
        distributed.all_reduce(joined)
        return float(joined.item())

    def any_of(self, wish: bool) -> bool:  # noqa: FBT001 (the one thing it is about)
        """Whether a process wishes something, so that all do it at the same step."""
        return self.sum_number(float(wish)) > 0

    def wait(self) -> None:
        """Until all processes came here."""
        if self.world > 1:
            self.sum_number(0.0)
