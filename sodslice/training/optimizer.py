"""SGD with Nesterov momentum, clipped gradients, and a learning rate that is a function of the step."""

from __future__ import annotations

import math
from typing import Any

import numpy.typing as npt
import paddle

from sodslice.errors import OptionError
from sodslice.ppyoloe.network import Network
from sodslice.training.settings import TrainSettings

Array = npt.NDArray[Any]

_VELOCITY = "_velocity_0"
"""What Paddle appends to a weight's own name for its velocity."""


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Rate of one step: a straight warm-up, then half a cosine down to `final_rate` at the last step."""
    highest = settings.learning_rate
    if step < settings.warm_up:
        return highest * (step + 1) / settings.warm_up
    rest = max(settings.steps - settings.warm_up, 1)
    place = min((step - settings.warm_up) / rest, 1.0)
    cosine = (1 + math.cos(math.pi * place)) / 2
    return highest * (settings.final_rate + (1 - settings.final_rate) * cosine)


class Optimizer:
    """Updates the weights that are not frozen; gradients are summed over all processes before.

    Args:
        network: whose weights it updates.
        settings: of the training.

    Raises:
        OptionError: a frozen part that the network does not have, or all of them are frozen.
    """

    def __init__(self, network: Network, settings: TrainSettings) -> None:
        self._named = _learning(network, settings)
        self._settings = settings
        for name, weight in self._named:
            # Norms and biases are not decayed: their size is no sign of a complicated function.
            if name.endswith(".weight") and weight.ndim > 1:
                weight.regularizer = paddle.regularizer.L2Decay(settings.weight_decay)
        self._momentum = paddle.optimizer.Momentum(
            settings.learning_rate,
            settings.momentum,
            parameters=[weight for _, weight in self._named],
            use_nesterov=True,
            grad_clip=paddle.nn.ClipGradByGlobalNorm(settings.clip),
        )

    def step(self, step: int) -> float:
        """Update all weights from their gradients and forget those; returns the learning rate."""
        rate = learning_rate(self._settings, step)
        self._momentum.set_lr(rate)
        self._momentum.step()
        self._momentum.clear_grad()
        return rate

    def gradients(self) -> list[paddle.Tensor]:
        """Gradients of all learning weights, in a fixed order."""
        return [weight.grad for _, weight in self._named]

    def velocities(self) -> dict[str, Array]:
        """The momentum's memory by the weights' state-dict names."""
        slots = self._momentum.state_dict()
        keys = {name: weight.name + _VELOCITY for name, weight in self._named}
        return {name: slots[key].numpy() for name, key in keys.items() if key in slots}

    def set_velocities(self, velocities: dict[str, Array]) -> None:
        """Take a memory back from a checkpoint, before the first step."""
        slots = {
            weight.name + _VELOCITY: paddle.to_tensor(velocities[name])
            for name, weight in self._named
            if name in velocities
        }
        self._momentum.set_state_dict(slots)


def _learning(network: Network, settings: TrainSettings) -> list[tuple[str, paddle.Tensor]]:
    """Weights that learn, by name; those of frozen parts are marked as constants."""
    named = list(network.named_parameters())
    for part in settings.frozen:
        if not any(name.startswith(part) for name, _ in named):
            raise OptionError(f"the network has no part {part!r} to freeze; names begin like {named[0][0]!r}")
    for name, weight in named:
        if name.startswith(settings.frozen):
            weight.stop_gradient = True
    learning = [(name, weight) for name, weight in named if not weight.stop_gradient]
    if not learning:
        raise OptionError("everything is frozen, so nothing can learn; freeze less")
    return learning
