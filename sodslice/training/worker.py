"""A process that prepares batches for `feeder`, until nobody reads."""

from __future__ import annotations

import os
import sys

import orjson

from sodslice.errors import SodsliceError
from sodslice.system.opencv import opencv
from sodslice.training.feeder import Share, make_batch, open_maker, send
from sodslice.training.settings import TrainSettings
from sodslice.values.setting import value_from


def main() -> None:
    """Read the job from stdin, write batches to what was stdout."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not get among the batches
    opencv().setNumThreads(1)
    job = orjson.loads(sys.stdin.buffer.read())
    settings = value_from(TrainSettings, job["settings"], where="the settings")
    share = Share(*job["share"])
    try:
        maker = open_maker(
            settings, tuple(job["class_names"]), max(settings.cache_mb // settings.workers, 16)
        )
        step = share.first_step + job["number"]
        while True:
            send(pipe, make_batch(maker, settings, share, step))
            step += settings.workers
    except SodsliceError as error:
        send(pipe, error)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # the reader is gone, and flushing stdout would only fail again
