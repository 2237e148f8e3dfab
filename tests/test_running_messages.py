"""What a process and its workers say to each other arrives as it was said."""

from __future__ import annotations

import io

import numpy as np
import pytest

from sodslice import errors, make_plan
from sodslice.errors import SodsliceError
from sodslice.running.messages import (
    RemoteError,
    error_in,
    error_message,
    plan_in,
    plan_message,
    seen_in,
    seen_message,
    work_in,
    work_message,
)
from sodslice.running.records import Record, empty_record, json_record, next_record
from tests.rasters import scene_with_blobs, write_raster


def through_a_pipe(message: Record) -> Record:
    found = next_record(io.BytesIO(message.encoded()))
    assert found == message
    return found


def test_a_plan_and_its_tiles_arrive(tmp_path):
    plan = make_plan(write_raster(tmp_path / "a.tif", scene_with_blobs(200, 100, [])), model="blobs")
    assert plan_in(through_a_pipe(plan_message(7, plan))) == plan
    ids = work_in(through_a_pipe(work_message(7, np.array([5, 2**40]))))
    assert ids.tolist() == [5, 2**40]
    assert ids.dtype == np.int64


def test_records_arrive_together():
    records = [json_record(b"FACT", {"engine": "e"}), empty_record(3), Record(b"TILE", 4, b"\x00" * 22)]
    assert seen_in(through_a_pipe(seen_message(records))) == records


class OfSomebody(errors.SceneError):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (errors.DeviceError("no gpu:1"), errors.DeviceError, "no gpu:1"),
        (OfSomebody("torn"), errors.SceneError, "torn"),
        (MemoryError("12 GB"), MemoryError, "12 GB"),
        (KeyError("a\nb"), SodsliceError, "a worker process failed: KeyError: 'a\\nb'"),
        (SystemExit(3), SodsliceError, "a worker process failed: SystemExit: 3"),
    ],
)
def test_errors_keep_their_class_and_say_where_they_were(error, kind, words):
    try:
        raise error  # noqa: TRY301 -- so that it has a traceback
    except BaseException as raised:  # noqa: BLE001 -- SystemExit too
        found = error_in(through_a_pipe(error_message(raised)))
    assert type(found) is kind
    assert str(found) == words
    assert isinstance(found.__cause__, RemoteError)
    assert "in a worker process" in str(found.__cause__)
    assert "raise error" in str(found.__cause__)


def test_a_pipe_that_is_cut_gives_no_half_message():
    content = work_message(1, np.arange(5)).encoded()
    assert all(next_record(io.BytesIO(content[:end])) is None for end in range(len(content)))
