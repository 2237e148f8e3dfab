"""Training speed of T on 256 px crops, and where a step's time goes.

    python benchmarks/training_speed.py --steps 20 --batch 8

Without `--config` the canvases come from two drawn towns.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

from sodslice.training.machine import prepare_machine
from sodslice.training.settings import TrainSettings, load_training
from sodslice.training.source_settings import SourceSettings

WARM_UP_STEPS = 3


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, help="settings of a training; drawn towns where not given")
    parser.add_argument("--data-root", help="folder of its data")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    prepare_machine()
    changes = {"data_root": given.data_root} if given.data_root else {}
    if given.config:
        settings = load_training(given.config, {"batch": given.batch, "workers": 0, **changes})
    else:
        towns = SourceSettings(synthetic=2, window=512)
        settings = TrainSettings(sources=(towns,), class_names=("vehicle",), batch=given.batch, workers=0)
    seconds = measure(settings, given.steps)
    total = sum(time for stage, time in seconds.items() if stage != "canvases")
    print(f"T, {settings.canvas} px, batch {settings.batch}, {given.steps} steps")
    for stage, spent in seconds.items():
        share = f"{100 * spent / total:5.1f} %" if stage != "canvases" else "in a worker, beside the step"
        print(f"  {stage:<10} {1000 * spent / given.steps:7.1f} ms  {share}")
    print(f"  {given.steps * settings.batch / total:.1f} crops a second, if workers keep up")


def measure(settings: TrainSettings, steps: int) -> dict[str, float]:
    """Seconds of each stage over a number of steps, after a few to warm up."""
    import paddle

    from sodslice.ppyoloe.config import network_config
    from sodslice.ppyoloe.network import build_network
    from sodslice.training.average import MovingAverage
    from sodslice.training.feeder import Share, make_batch, open_maker
    from sodslice.training.losses import LossWeights, detection_losses
    from sodslice.training.optimizer import Optimizer

    network = build_network(network_config(settings.model, class_names=settings.class_names))
    network.train()
    optimizer, average = Optimizer(network, settings), MovingAverage(network, settings.average)
    maker = open_maker(settings, network.config.class_names, settings.cache_mb)
    seconds: dict[str, float] = defaultdict(float)

    def lap(stage: str, since: float) -> float:
        now = time.perf_counter()
        if step >= WARM_UP_STEPS:
            seconds[stage] += now - since
        return now

    for step in range(WARM_UP_STEPS + steps):
        clock = time.perf_counter()
        batch = make_batch(maker, settings, Share(0, 1, 0), step)
        clock = lap("canvases", clock)
        pixels = paddle.to_tensor(batch.pixels).transpose([0, 3, 1, 2]).astype("float32") / 255
        raw = network(pixels)
        clock = lap("forward", clock)
        losses = detection_losses(network, raw, batch.targets, batch.ignored, weights=LossWeights())
        clock = lap("losses", clock)
        losses.total.backward()
        clock = lap("backward", clock)
        optimizer.step(step)
        clock = lap("update", clock)
        average.update(step)
        lap("average", clock)
    return dict(seconds)


if __name__ == "__main__":
    main()
