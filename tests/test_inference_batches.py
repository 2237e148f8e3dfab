"""How many tiles a call takes: as many as make it faster, and fewer where memory ends."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sodslice.inference import ExportedDetector, ModelInfo, Preprocess
from sodslice.inference import exported as module
from sodslice.inference.engines import DeviceMemoryError

INFO = ModelInfo(("thing",), suppressed=True)


class Device:
    """A session whose memory holds some tiles, and whose calls take a time that the batch decides."""

    input_names = ("image",)
    description = "a device"

    def __init__(self, holds: int, seconds=lambda batch: 1.0) -> None:
        self.holds, self.seconds = holds, seconds
        self.batches: list[int] = []
        self.clock = 0.0

    def run(self, feeds):
        batch = len(feeds["image"])
        self.batches.append(batch)
        if batch > self.holds:
            raise DeviceMemoryError(f"{batch} tiles are too many")
        self.clock += self.seconds(batch)
        rows = [[0, 0.9, k, k, k + 4, k + 5] for k in feeds["image"][:, 0, 0, 0]]
        return [np.array(rows, np.float32), np.ones(batch, np.int32)]

    def close(self) -> None:
        """Nothing to give back."""


def detector(device: Device, batch: int = 1) -> ExportedDetector:
    return ExportedDetector(device, Preprocess(({"type": "Permute"},)), INFO, batch=batch)


def tiles(count: int) -> np.ndarray:
    """Tiles whose level is their number."""
    return np.tile(np.arange(count, dtype=np.uint8)[:, None, None, None], (1, 32, 32, 3))


def test_where_memory_ends_the_batch_is_halved_and_nothing_is_lost(caplog):
    device = Device(holds=3)
    with caplog.at_level(logging.WARNING, "sodslice"):
        running = detector(device, batch=8)
        found = running.detect(tiles(11))
    assert [table.boxes[0].tolist() for table in found] == [[k, k, k + 4, k + 5] for k in range(11)]
    assert [table.tile_ids.tolist() for table in found] == [[k] for k in range(11)]
    assert device.batches == [8, 4, *[2] * 6]
    assert running.batch == 2
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "the device has not enough memory: tiles a call go down to 4",
        "the device has not enough memory: tiles a call go down to 2",
    ]


def test_one_tile_that_does_not_fit_is_an_error():
    with pytest.raises(DeviceMemoryError, match="1 tiles are too many"):
        detector(Device(holds=0), batch=2).detect(tiles(2))


@pytest.mark.parametrize(
    ("seconds", "holds", "batch"),
    [
        (lambda _: 1.0, 64, 64),
        (lambda _: 1.0, 12, 8),
        (lambda batch: float(batch), 64, 1),
        (lambda batch: max(4.0, float(batch)), 64, 4),
        (lambda batch: 1 + 0.99 * batch, 64, 16),
    ],
    ids=["free", "until memory ends", "of no use", "until it is full", "until it gains little"],
)
def test_a_batch_grows_as_long_as_it_is_faster_and_fits(monkeypatch, seconds, holds, batch):
    device = Device(holds, seconds)
    monkeypatch.setattr(module.time, "perf_counter", lambda: device.clock)
    running = detector(device)
    running.fit_batch((32, 32))
    assert running.batch == batch
    device.batches.clear()
    running.detect(tiles(1))
    assert device.batches == [batch]


def test_closing_waits_for_what_is_under_way():
    """Else a graph would be gone while another thread runs it."""
    begun, go_on, order = threading.Event(), threading.Event(), []

    class Slow(Device):
        def run(self, feeds):
            begun.set()
            assert go_on.wait(10)
            order.append("run")
            return super().run(feeds)

        def close(self):
            order.append("closed")

    running = detector(Slow(holds=9))
    with ThreadPoolExecutor(2) as pool:
        found = pool.submit(running.detect, tiles(1))
        assert begun.wait(10)
        closing = pool.submit(running.close)
        go_on.set()
        assert len(found.result(10)) == 1
        closing.result(10)
    assert order == ["run", "closed"]
