"""Batches prepared ahead: the same ones whoever makes them, and what a worker says when it cannot."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from itertools import islice

import numpy as np
import orjson
import pytest

from sodslice.errors import DataError, SodsliceError
from sodslice.training import feeder
from sodslice.training.feeder import Share, batches, make_batch, open_maker, receive, send
from sodslice.training.settings import TrainSettings
from sodslice.values import plain_values
from tests.training_data import write_set

NAMES = ("vehicle",)
ALONE = Share(0, 1, 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("feeder") / "set", images=4, empty=1)


def settings_of(data, **changes) -> TrainSettings:
    values = {
        "data_root": str(data),
        "sources": [{"images": "images", "annotations": "truth.json"}],
        "canvas": 64,
        "batch": 4,
        "workers": 0,
        "cache_mb": 32,
    }
    return TrainSettings(**(values | changes))


def first(data, count: int, share: Share = ALONE, **changes) -> list[feeder.TrainBatch]:
    with batches(settings_of(data, **changes), NAMES, share) as endless:
        return list(islice(endless, count))


def assert_same(one: feeder.TrainBatch, other: feeder.TrainBatch) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    for mine, theirs in ((one.targets, other.targets), (one.ignored, other.ignored)):
        for column in ("image", "boxes", "labels"):
            np.testing.assert_array_equal(getattr(mine, column), getattr(theirs, column))


def test_batches_go_on_from_any_step(data):
    whole = first(data, 5)
    for step in (1, 3):
        for one, other in zip(first(data, 2, Share(0, 1, step)), whole[step:], strict=False):
            assert_same(one, other)


def test_two_processes_share_the_canvases_of_one(data):
    (whole,) = first(data, 1)
    halves = [first(data, 1, Share(rank, 2, 0))[0] for rank in (0, 1)]
    np.testing.assert_array_equal(np.concatenate([half.pixels for half in halves]), whole.pixels)
    boxes = np.concatenate([half.targets.boxes for half in halves])
    np.testing.assert_array_equal(boxes, whole.targets.boxes)
    rows = np.concatenate([halves[0].targets.image, halves[1].targets.image + 2])
    np.testing.assert_array_equal(rows, whole.targets.image)


def test_every_object_is_in_one_of_the_two_tables(data):
    settings = settings_of(data)
    maker = open_maker(settings, NAMES, 32)
    for step in range(3):
        batch = make_batch(maker, settings, ALONE, step)
        assert batch.pixels.shape == (4, 64, 64, 3)
        assert batch.pixels.dtype == np.uint8
        for row, canvas in enumerate(maker.make(4 * step + row) for row in range(4)):
            own = canvas.objects
            for table, chosen in ((batch.targets, ~own.ignored), (batch.ignored, own.ignored)):
                mine = table.image == row
                np.testing.assert_array_equal(table.boxes[mine], own.boxes[chosen].astype(np.float32))
                np.testing.assert_array_equal(table.labels[mine], own.labels[chosen])


def test_workers_give_the_batches_in_order(data):
    for one, other in zip(first(data, 5, workers=2), first(data, 5), strict=True):
        assert_same(one, other)


def test_what_a_worker_meets_is_raised_where_its_batch_was_wanted(data):
    with (
        pytest.raises(DataError, match=r"nothing\.json"),
        batches(
            settings_of(data, workers=1, sources=[{"images": "images", "annotations": "nothing.json"}]),
            NAMES,
            ALONE,
        ) as endless,
    ):
        next(endless)


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The processes that are started."""
    processes, start = [], subprocess.Popen

    def noted(*words, **how):
        processes.append(start(*words, **how))
        return processes[-1]

    monkeypatch.setattr(feeder.subprocess, "Popen", noted)
    return processes


def test_a_worker_that_is_killed_does_not_let_the_training_wait(data, started):
    with batches(settings_of(data, workers=1), NAMES, ALONE) as endless:
        next(endless)
        started[0].kill()
        with pytest.raises(DataError, match="a process that prepares canvases ended with code -9"):
            list(islice(endless, 3 * feeder.AHEAD))


def test_no_worker_outlives_the_training(data, started):
    settings = settings_of(data, workers=2)
    with contextlib.suppress(ZeroDivisionError), batches(settings, NAMES, ALONE) as endless:
        next(endless)
        assert [process.poll() for process in started] == [None, None]
        raise ZeroDivisionError
    assert [process.poll() for process in started] == [-9, -9]


# The worker itself


def job_of(settings: TrainSettings, number: int = 0, share=(0, 1, 0)) -> bytes:
    return orjson.dumps(
        {"settings": plain_values(settings), "class_names": NAMES, "share": share, "number": number}
    )


def worker(code: str = "") -> subprocess.Popen:
    """A worker process; code is run before it starts."""
    program = f"{code}\nfrom sodslice.training.worker import main; main()"
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", program], **streams)


def test_a_worker_makes_every_other_batch_and_ends_when_nobody_reads(data):
    process = worker()
    process.stdin.write(job_of(settings_of(data, workers=2), number=1, share=(0, 1, 3)))
    process.stdin.close()
    seen = [receive(process.stdout) for _ in range(2)]
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
    expected = first(data, 3, Share(0, 1, 4))
    assert_same(seen[0], expected[0])
    assert_same(seen[1], expected[2])


def test_what_libraries_print_does_not_get_among_the_batches(data):
    noisy = (
        "import os\nfrom sodslice.training import worker\nmake = worker.make_batch\n"
        "def say(*given):\n"
        "    print('from Python', flush=True); os.write(1, b'from C')\n"
        "    return make(*given)\n"
        "worker.make_batch = say"
    )
    process = worker(noisy)
    process.stdin.write(job_of(settings_of(data, workers=1)))
    process.stdin.close()
    assert_same(receive(process.stdout), first(data, 1)[0])
    process.stdout.close()
    process.wait(60)
    assert process.stderr.read().startswith(b"from Python")
    process.stderr.close()


# Messages


def test_messages_come_out_as_they_went_in():
    pipe = io.BytesIO()
    for number in range(3):
        send(pipe, DataError(f"number {number}"))
    pipe.seek(0)
    for number in range(3):
        found = receive(pipe)
        assert isinstance(found, SodsliceError)
        assert str(found) == f"number {number}"
    with pytest.raises(EOFError):
        receive(pipe)


@pytest.mark.parametrize("kept", [0, 3, 8, 20])
def test_a_message_that_is_cut_short_is_the_end(kept):
    pipe = io.BytesIO()
    send(pipe, DataError("a long message that is not there to its end"))
    with pytest.raises(EOFError):
        receive(io.BytesIO(pipe.getvalue()[:kept]))
