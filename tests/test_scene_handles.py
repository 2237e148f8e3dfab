"""Open datasets of one file, by thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from sodslice import SodsliceError
from sodslice.scene.handles import Handles
from sodslice.scene.opening import Opener
from tests.rasters import write_raster


@pytest.fixture
def handles(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((1, 64, 64), np.uint8))
    return Handles(Opener(path, allow_vrt=False))


def in_threads(count: int, work) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_each_thread_has_one_of_its_own(handles):
    seen = []
    in_threads(3, lambda: seen.append((handles.own(), handles.own())))
    assert all(first is second for first, second in seen)
    assert len({id(first) for first, _ in seen}) == len(handles) == 3


def test_one_for_all_is_used_by_one_at_a_time(handles):
    inside, most, seen = [], [], set()

    def work():
        for _ in range(20):
            with handles.one_for_all() as dataset:
                inside.append(1)
                most.append(len(inside))
                seen.add(id(dataset))
                inside.pop()

    in_threads(4, work)
    assert max(most) == 1
    assert len(seen) == len(handles) == 1


def test_what_was_closed_is_opened_again(handles):
    first = handles.own()
    handles.close()
    assert first.closed
    assert len(handles) == 0
    assert not handles.own().closed


def test_a_file_that_is_gone_is_said(handles, tmp_path):
    handles.close()
    (tmp_path / "a.tif").unlink()
    with pytest.raises(SodsliceError, match="a.tif is not an image that GDAL can open"):
        handles.own()
