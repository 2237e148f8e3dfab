"""`train`: from settings to weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from sodslice.errors import DataError, OutputError, SodsliceError
from sodslice.models import checkpoint_of
from sodslice.ppyoloe.checkpoints import load_checkpoint
from sodslice.ppyoloe.config import NetworkConfig, network_config
from sodslice.ppyoloe.network import Network, build_network
from sodslice.ppyoloe.weights import apply_weights, save_safetensors
from sodslice.training.average import MovingAverage
from sodslice.training.checkpoint import CHECKPOINT, Checkpoint, state_to_resume, write_checkpoint
from sodslice.training.coco import CocoImage
from sodslice.training.data import open_data
from sodslice.training.feeder import Share, TrainBatch, batches
from sodslice.training.images import Watch
from sodslice.training.log import TrainingLog
from sodslice.training.losses import Losses, LossWeights, detection_losses
from sodslice.training.optimizer import Optimizer
from sodslice.training.processes import Processes
from sodslice.training.progress import Limits, Silence, TrainingProgress, TrainResult
from sodslice.training.settings import TrainSettings
from sodslice.training.validate import validate
from sodslice.values.setting import plain_values

BEST = "best.safetensors"
LAST = "last.safetensors"

_LOSS_NAMES = ("loss", "class", "iou", "distance")


def train(
    settings: TrainSettings,
    output: Path,
    *,
    resume: bool = False,
    limits: Limits | None = None,
    progress: TrainingProgress | None = None,
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
    limits, progress = limits or Limits(), progress or Silence()
    watch = Watch(progress.checked, limits.stop)
    return _Training(settings, output, resume=resume, watch=watch).run(limits, progress)


class _Training:
    """The parts of one training and where it stands."""

    def __init__(self, settings: TrainSettings, output: Path, *, resume: bool, watch: Watch) -> None:
        self.settings = settings
        self.output = output
        self.processes = Processes(settings.batch)
        config = network_config(settings.model, class_names=settings.class_names or None)
        state = state_to_resume(output, settings) if resume else None
        if state is None:
            _check_free(output)
        paddle.seed(settings.seed)
        self.network = _network(settings, config, state)
        self.optimizer = Optimizer(self.network, settings)
        self.images: list[CocoImage] = []
        if self.processes.is_first:
            self.images = open_data(settings, config.class_names, 1 << 20, watch).validation
        self.processes.share_weights(self.network)
        self.average = MovingAverage(self.network, settings.average)
        if state is not None:
            apply_weights(self.average.network, state.average)
            self.optimizer.set_velocities(state.velocities)
        self.step = state.step if state else 0
        self.best = state.best if state else -1.0
        self._busy_seconds = 0.0
        self._first_step = self._saved_step = self.step

    def run(self, limits: Limits, progress: TrainingProgress) -> TrainResult:
        """Learn until the last step or a limit."""
        settings = self.settings
        started = time.monotonic()
        log = TrainingLog(self.output, keep_until=self.step) if self.processes.is_first else None
        share = Share(self.processes.rank, self.processes.world, self.step)
        end = min(settings.steps, limits.steps or settings.steps)
        stopped = self.step >= end
        if self._validation_is_due() and log is not None and not log.validated(self.step):
            self._validate(log, progress)  # which failed, or was cut off, before the training was resumed
        with batches(settings, self.network.config.class_names, share) as feed:
            while not stopped:
                self._advance(feed, log, progress)
                late = limits.minutes is not None and time.monotonic() - started > 60 * limits.minutes
                stopped = self.step >= end or self.processes.any_of(late or limits.stop())
                if stopped or self.step % settings.checkpoint_every == 0 or self._validation_is_due():
                    self._save()
                if self._validation_is_due():
                    self._validate(log, progress)
        if log is not None:
            log.plot()
        self.processes.wait()
        return self._result()

    def _validation_is_due(self) -> bool:
        at_the_end = self.step == self.settings.steps
        return self.step > 0 and (at_the_end or self.step % self.settings.validate_every == 0)

    def _advance(
        self, feed: Iterator[TrainBatch], log: TrainingLog | None, progress: TrainingProgress
    ) -> None:
        """One step, its line in the log included."""
        began = time.perf_counter()
        batch = self._next(feed)
        waited = time.perf_counter() - began
        losses = self._learn(batch)
        self.step += 1
        self._busy_seconds += time.perf_counter() - began
        facts = {"step": self.step, **losses, "seconds": time.perf_counter() - began, "waited": waited}
        if log is not None and (self.step % self.settings.log_every == 0 or self.step == 1):
            log.add({name: _rounded(value) for name, value in facts.items()})
        progress.step(self.step, facts)

    def _next(self, feed: Iterator[TrainBatch]) -> TrainBatch:
        """The next batch; where there is none to be had, what was learned so far is kept.

        Raises:
            SodsliceError: why there is none.
        """
        try:
            return next(feed)
        except SodsliceError as error:
            if self.step == self._saved_step:
                raise
            self._save()
            raise type(error)(f"{error}; {self.step} steps are saved, go on with `resume`") from None

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

    def _validate(self, log: TrainingLog | None, progress: TrainingProgress) -> None:
        """Measure the average weights and keep them where they are the best so far; first process only."""
        if log is None or not self.images:
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
        log.add(line)
        log.plot()
        if metrics.ap > self.best:
            self.best = metrics.ap
            self._write_weights(BEST, line)
            self._save()
        progress.validated(self.step, metrics)

    def _save(self) -> None:
        """Write the checkpoint; first process only."""
        if not self.processes.is_first:
            return
        state = Checkpoint(
            step=self.step,
            settings=plain_values(self.settings),
            best=self.best,
            network=_arrays(self.network),
            average=_arrays(self.average.network),
            velocities=self.optimizer.velocities(),
        )
        write_checkpoint(self.output, state)
        self._write_weights(LAST, {"step": self.step})
        self._saved_step = self.step

    def _write_weights(self, name: str, facts: dict[str, Any]) -> None:
        # Where the data lay on this machine is nobody's business.
        told = {k: v for k, v in plain_values(self.settings).items() if k not in ("data_root", "weights")}
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


def _network(settings: TrainSettings, config: NetworkConfig, state: Checkpoint | None) -> Network:
    """The network with the weights of a checkpoint, of those to start from, or fresh ones.

    Raises:
        ModelError: the weights do not fit.
    """
    network = build_network(config)
    if state is not None:
        apply_weights(network, state.network)
    elif settings.weights:
        arrays = load_checkpoint(checkpoint_of(settings.weights))
        apply_weights(network, arrays, replace_head=settings.new_head)
    return network


def _check_free(output: Path) -> None:
    if (output / CHECKPOINT).exists():
        raise OutputError(f"{output} holds a training already; give `resume` to go on, or another `output`")


def _arrays(network: Network) -> dict[str, Any]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _values(losses: Losses) -> dict[str, float]:
    return {name: float(value) for name, value in zip(_LOSS_NAMES, losses, strict=True)}


def _rounded(value: float) -> float | None:
    """Five digits; JSON has no word for what is not finite."""
    if isinstance(value, int):
        return value
    return float(f"{value:.5g}") if np.isfinite(value) else None
