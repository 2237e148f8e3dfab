"""Batches of canvases, prepared ahead by worker processes, in an order that does not depend on them."""

from __future__ import annotations

import contextlib
import pickle
import queue
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import orjson

from sodslice.errors import DataError, SodsliceError
from sodslice.system.starting import python_command, python_environment
from sodslice.training.assigner import Targets
from sodslice.training.canvas import CanvasMaker
from sodslice.training.cells import Cell
from sodslice.training.data import open_sources
from sodslice.training.pictures import Pixels
from sodslice.training.settings import TrainSettings
from sodslice.values.setting import plain_values

AHEAD = 4
"""Batches that wait ready for each worker."""

_LENGTH_BYTES = 8


@dataclass(frozen=True, eq=False)
class TrainBatch:
    """What one process learns from in one step.

    Attributes:
        pixels: `(N, side, side, 3)` uint8 RGB.
        targets: the objects, in canvas pixels.
        ignored: areas where finding something is neither right nor wrong.
    """

    pixels: Pixels
    targets: Targets
    ignored: Targets


@dataclass(frozen=True)
class Share:
    """Which canvases a process makes: rank `rank` of `world`, from step `first_step` on."""

    rank: int
    world: int
    first_step: int


def make_batch(maker: CanvasMaker, settings: TrainSettings, share: Share, step: int) -> TrainBatch:
    """The canvases of one process in one step.

    All processes together make the canvases `step * batch` to `(step + 1) * batch - 1`.
    """
    size = settings.batch // share.world
    first = step * settings.batch + share.rank * size
    canvases = [maker.make(first + i) for i in range(size)]
    return TrainBatch(
        np.stack([canvas.pixels for canvas in canvases]),
        _table(canvases, ignored=False),
        _table(canvases, ignored=True),
    )


def _table(canvases: list[Cell], *, ignored: bool) -> Targets:
    chosen = [canvas.objects[canvas.objects.ignored == ignored] for canvas in canvases]
    return Targets(
        np.repeat(np.arange(len(chosen)), [len(objects) for objects in chosen]),
        np.concatenate([objects.boxes for objects in chosen]).astype(np.float32),
        np.concatenate([objects.labels for objects in chosen]),
    )


@contextlib.contextmanager
def batches(
    settings: TrainSettings, class_names: tuple[str, ...], share: Share
) -> Iterator[Iterator[TrainBatch]]:
    """Endless batches of one process, in order, while the context is open.

    Args:
        settings: of the training; `workers` 0 makes each batch when it is asked for.
        class_names: in the order of the class ids.
        share: which canvases.
    """
    if settings.workers == 0:
        maker = open_maker(settings, class_names, settings.cache_mb)
        yield _endless(maker, settings, share)
        return
    workers = [_Worker(settings, class_names, share, number) for number in range(settings.workers)]
    try:
        yield _in_turn(workers)
    finally:
        for worker in workers:
            worker.close()


def open_maker(settings: TrainSettings, class_names: tuple[str, ...], cache_mb: int) -> CanvasMaker:
    """A canvas maker on the sources of the settings.

    Args:
        settings: of the training.
        class_names: in the order of the class ids.
        cache_mb: memory for decoded pictures.

    Raises:
        DataError: something is wrong with the data.
    """
    return CanvasMaker(open_sources(settings, class_names, cache_mb << 20), settings)


def _endless(maker: CanvasMaker, settings: TrainSettings, share: Share) -> Iterator[TrainBatch]:
    step = share.first_step
    while True:
        yield make_batch(maker, settings, share, step)
        step += 1


def _in_turn(workers: list[_Worker]) -> Iterator[TrainBatch]:
    while True:
        for worker in workers:
            yield worker.next()


class _Worker:
    """A process that makes every `workers`-th batch, and a thread that fetches them.

    A process, since Paddle holds the interpreter's lock through a step; a subprocess, since forking after
    Paddle has started its threads hangs, and spawning would run the caller's script again.
    """

    def __init__(
        self, settings: TrainSettings, class_names: tuple[str, ...], share: Share, number: int
    ) -> None:
        self._process = subprocess.Popen(
            python_command("from sodslice.training.worker import main; main()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=python_environment(OMP_NUM_THREADS="1"),
            start_new_session=True,  # Ctrl-C is for the training, which ends its workers itself
        )
        job = {
            "settings": plain_values(settings),
            "class_names": class_names,
            "share": (share.rank, share.world, share.first_step),
            "number": number,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(job))
        self._process.stdin.close()
        self._ready: queue.Queue[TrainBatch | SodsliceError | None] = queue.Queue(AHEAD)
        self._closing = threading.Event()
        threading.Thread(target=self._fetch, daemon=True).start()

    def next(self) -> TrainBatch:
        """The next batch of this worker.

        Raises:
            SodsliceError: what the worker met.
            DataError: the worker ended without a word.
        """
        batch = self._ready.get()
        if batch is None:
            self._process.kill()  # its pipe may be full, and nobody reads it any more
            code = self._process.wait()
            raise DataError(f"a process that prepares canvases ended with code {code}; see its message above")
        if isinstance(batch, SodsliceError):
            raise batch
        return batch

    def close(self) -> None:
        """End the process."""
        self._closing.set()
        self._process.kill()
        self._process.wait()

    def _fetch(self) -> None:
        assert self._process.stdout is not None
        try:
            while not self._closing.is_set():
                self._put(receive(self._process.stdout))
        except EOFError:
            pass
        finally:
            self._put(None)  # whatever happens here, the training must not wait for ever

    def _put(self, batch: TrainBatch | SodsliceError | None) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._ready.put(batch, timeout=0.5)
                return


def send(pipe: IO[bytes], content: TrainBatch | SodsliceError) -> None:
    """Write one message to a pipe."""
    data = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "little"))
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read one message from a pipe.

    Raises:
        EOFError: the other side is gone.
    """
    head = pipe.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "little")
    data = pipe.read(length)
    if len(head) < _LENGTH_BYTES or len(data) < length:
        raise EOFError
    return pickle.loads(data)
