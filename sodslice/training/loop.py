"""`train`: from settings to weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import paddle

from sodslice.errors import DataError, OutputError
from sodslice.metrics import CocoMetrics
from sodslice.models import checkpoint_of
from sodslice.ppyoloe.config import network_config
from sodslice.ppyoloe.network import Network, build_network
from sodslice.ppyoloe.weights import apply_weights, load_checkpoint, save_safetensors
from sodslice.training.average import MovingAverage
from sodslice.training.checkpoint import CHECKPOINT, Checkpoint, state_to_resume, write_checkpoint
from sodslice.training.feeder import Share, TrainBatch, batches, open_maker
from sodslice.training.losses import Losses, LossWeights, detection_losses
from sodslice.training.optimizer import Optimizer
from sodslice.training.processes import Processes
from sodslice.training.record import Record
from sodslice.training.settings import TrainSettings, settings_to_mapping
from sodslice.training.validate import validate, validation_images

BEST = "best.safetensors"
LAST = "last.safetensors"

_LOSS_NAMES = ("loss", "class", "iou", "distance")


@dataclass(frozen=True)
class Limits:
    """When to stop before the last step, with a checkpoint to resume from.

    Attributes:
        minutes: of the clock; None: no limit.
        steps: done in all; None: no limit.
        stop: asked after each step; true ends the training, as on an interrupt.
    """

    minutes: float | None = None
    steps: int | None = None
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        step: steps done in all.
        finished: whether these were all.
        weights: the file of the best weights by validation AP; the last ones where nothing was validated.
        best: validation AP of those, None where nothing was validated.
        crops_per_second: canvases learned from in a second, validation apart.
    """

    step: int
    finished: bool
    weights: Path
    best: float | None
    crops_per_second: float


class Progress(Protocol):
    """Is told what happens while a training runs."""

    def step(self, step: int, facts: Mapping[str, float]) -> None:
        """A step is done; `facts` has its losses, learning rate and seconds."""

    def validated(self, step: int, metrics: CocoMetrics) -> None:
        """The average weights were measured."""


class _Silence:
    """Nobody wants to know."""

    def step(self, step: int, facts: Mapping[str, float]) -> None: ...

    def validated(self, step: int, metrics: CocoMetrics) -> None: ...


def train(
    settings: TrainSettings,
    output: Path,
    *,
    resume: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Learn from the sources of the settings.

    `output` gets `checkpoint.safetensors`, `best.safetensors` and `last.safetensors` (the average weights,
    for `sodslice export` or another training), `log.jsonl` and `curves.png`.

    Args:
        settings: what to learn from, and how.
        output: the folder of this training.
        resume: go on from the checkpoint in that folder.
        limits: when to stop early.
        progress: is told what happens.

    Raises:
        DataError: the data contradicts itself, or the checkpoint belongs to another training.
        ModelError: the weights to start from do not fit.
        OutputError: the folder holds a training already, or cannot be written.
    """
    return _Training(settings, output, resume=resume).run(limits or Limits(), progress or _Silence())


class _Training:
    """The parts of one training and where it stands."""

    def __init__(self, settings: TrainSettings, output: Path, *, resume: bool) -> None:
        self.settings = settings
        self.output = output
        self.processes = Processes(settings.batch)
        names = settings.class_names or None
        config = network_config(settings.model, class_names=names)
        self.images = validation_images(settings, config.class_names)
        open_maker(settings, config.class_names, cache_mb=1, open_files=self.processes.is_first)
        state = state_to_resume(output, settings) if resume else None
        if state is None:
            _check_free(output)
        paddle.seed(settings.seed)
        self.network = build_network(config)
        if state is not None:
            apply_weights(self.network, state.network)
        elif settings.weights:
            apply_weights(
                self.network, load_checkpoint(checkpoint_of(settings.weights)), replace_head=settings.new_head
            )
        self.processes.share_weights(self.network)
        self.optimizer = Optimizer(self.network, settings)
        self.average = MovingAverage(self.network, settings.average)
        if state is not None:
            apply_weights(self.average.network, state.average)
            self.optimizer.set_velocities(state.velocities)
        self.step = state.step if state else 0
        self.best = state.best if state else -1.0
        self._busy_seconds = 0.0
        self._first_step = self.step

    def run(self, limits: Limits, progress: Progress) -> TrainResult:
        """Learn until the last step or a limit."""
        settings = self.settings
        started = time.monotonic()
        record = Record(self.output, keep_until=self.step) if self.processes.is_first else None
        share = Share(self.processes.rank, self.processes.world, self.step)
        end = min(settings.steps, limits.steps or settings.steps)
        stopped = self.step >= end
        with batches(settings, self.network.config.class_names, share) as feed:
            while not stopped:
                self._advance(feed, record, progress)
                late = limits.minutes is not None and time.monotonic() - started > 60 * limits.minutes
                stopped = self.step >= end or self.processes.any_of(late or limits.stop())
                if self.step % settings.validate_every == 0 or self.step == settings.steps:
                    self._validate(record, progress)
                if stopped or self.step % settings.checkpoint_every == 0:
                    self._save()
        if record is not None:
            record.draw()
        self.processes.wait()
        return self._result()

    def _advance(self, feed: Iterator[TrainBatch], record: Record | None, progress: Progress) -> None:
        """One step, its line in the log included."""
        began = time.perf_counter()
        batch = next(feed)
        waited = time.perf_counter() - began
        losses = self._learn(batch)
        self.step += 1
        self._busy_seconds += time.perf_counter() - began
        facts = {"step": self.step, **losses, "seconds": time.perf_counter() - began, "waited": waited}
        if record is not None and (self.step % self.settings.log_every == 0 or self.step == 1):
            record.add({name: _rounded(value) for name, value in facts.items()})
        progress.step(self.step, facts)

    def _learn(self, batch: TrainBatch) -> dict[str, float]:
        """Forward, backward, update; the losses of this process and the learning rate."""
        # Dropout is the only dice in the network; seeded by the step, it needs no memory to be resumed.
        dice = (self.settings.seed, self.step, self.processes.rank)
        paddle.seed(int(np.random.SeedSequence(dice).generate_state(1)[0]))
        self.network.train()
        pixels = paddle.to_tensor(batch.pixels).transpose([0, 3, 1, 2]).astype("float32") / 255
        losses = detection_losses(
            self.network,
            self.network(pixels),
            batch.targets,
            batch.ignored,
            weights=LossWeights(),
            score_sum_of_all=self.processes.sum_number,
        )
        values = _values(losses)
        if not np.isfinite(values["loss"]):
            what = f"the loss is {values['loss']} at step {self.step + 1}"
            raise DataError(f"{what}; lower learning_rate, or look for a faulty box")
        losses.total.backward()
        self.processes.sum_gradients(self.optimizer.gradients())
        rate = self.optimizer.step(self.step)
        self.average.update(self.step)
        return {**values, "rate": rate}

    def _validate(self, record: Record | None, progress: Progress) -> None:
        """Measure the average weights and keep them where they are the best so far; first process only."""
        if record is None or not self.images:
            return
        metrics = validate(self.average.network, self.images)
        at = metrics.best
        measured = {
            "step": self.step,
            "ap": metrics.ap,
            "ap50": metrics.ap50,
            "ap75": metrics.ap75,
            "threshold": at.threshold,
            "precision": at.precision,
            "recall": at.recall,
        }
        line: dict[str, Any] = {name: _rounded(value) for name, value in measured.items()}
        record.add(line)
        record.draw()
        if metrics.ap > self.best:
            self.best = metrics.ap
            self._write_weights(BEST, line)
        progress.validated(self.step, metrics)

    def _save(self) -> None:
        """Write the checkpoint; first process only."""
        if not self.processes.is_first:
            return
        state = Checkpoint(
            step=self.step,
            settings=settings_to_mapping(self.settings),
            best=self.best,
            network=_arrays(self.network),
            average=_arrays(self.average.network),
            velocities=self.optimizer.velocities(),
        )
        write_checkpoint(self.output, state)
        self._write_weights(LAST, {"step": self.step})

    def _write_weights(self, name: str, facts: dict[str, Any]) -> None:
        # Where the data lay on this machine is nobody's business.
        told = {
            k: v for k, v in settings_to_mapping(self.settings).items() if k not in ("data_root", "weights")
        }
        metadata: dict[str, Any] = {"training": {"settings": told, **facts}}
        if facts.get("threshold") is not None:
            metadata["draw_threshold"] = facts["threshold"]  # what `sodslice export` writes into the folder
        save_safetensors(self.average.network, self.output / name, metadata)

    def _result(self) -> TrainResult:
        best = self.output / BEST
        known = self.best >= 0 and best.is_file()
        crops = (self.step - self._first_step) * self.settings.batch
        return TrainResult(
            step=self.step,
            finished=self.step >= self.settings.steps,
            weights=best if known else self.output / LAST,
            best=self.best if known else None,
            crops_per_second=crops / self._busy_seconds if self._busy_seconds else 0.0,
        )


def _check_free(output: Path) -> None:
    if (output / CHECKPOINT).exists():
        raise OutputError(
            f"{output} holds a training already; give --resume to go on, or another folder with -o"
        )


def _arrays(network: Network) -> dict[str, Any]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _values(losses: Losses) -> dict[str, float]:
    return {name: float(value) for name, value in zip(_LOSS_NAMES, losses, strict=True)}


def _rounded(value: float) -> float | None:
    """Five digits; JSON has no word for what is not finite."""
    if isinstance(value, int):
        return value
    return float(f"{value:.5g}") if np.isfinite(value) else None
