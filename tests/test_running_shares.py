"""What of the machine each worker gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sodslice import make_plan
from sodslice.running.shares import MEBI, MOST_CACHE, crew_of, crowd_note, share_of
from sodslice.system import chip
from tests.rasters import scene_with_blobs, write_raster


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setattr(chip, "cores", lambda: 8)
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(200, 100, []))
    return make_plan(path, model="blobs", options={"readers": 6})


def on(plan, **changes):
    return replace(plan, model=replace(plan.model, **changes))


@pytest.mark.parametrize(("crew", "threads", "readers"), [(1, 8, 6), (2, 4, 3), (3, 2, 2), (16, 1, 1)])
def test_cores_and_readers_are_shared_out(plan, crew, threads, readers):
    share = share_of(plan, 0, crew)
    assert (share.model.threads, share.readers) == (threads, readers)
    assert share_of(on(plan, threads=3), 0, crew).model.threads == 3


def test_the_cache_of_all_workers_is_bounded(plan):
    reading = replace(plan.looked_at.reading, cache_bytes=256 * MEBI)
    wide = replace(plan, looked_at=replace(plan.looked_at, reading=reading))
    each = [share_of(wide, 0, crew).looked_at.reading.cache_bytes // MEBI for crew in (1, 2, 4, 8)]
    assert each == [256, 256, 128, 64]
    assert 8 * each[-1] * MEBI == MOST_CACHE
    assert share_of(plan, 0, 2).looked_at.reading == plan.looked_at.reading


def test_each_id_of_a_device_has_a_worker_at_least(plan):
    several = on(plan, device="gpu:0,2")
    assert [crew_of(several.model, workers) for workers in (1, 2, 5)] == [2, 2, 5]
    assert [share_of(several, number, 5).model.device for number in range(5)] == [
        "gpu:0",
        "gpu:2",
        "gpu:0",
        "gpu:2",
        "gpu:0",
    ]
    assert crew_of(plan.model, 1) == 1
    assert share_of(plan, 1, 2).model.device == "auto"


def test_a_share_is_carried_out_as_the_plan(plan):
    share = share_of(plan, 1, 3)
    assert share.ids.tolist() == plan.ids.tolist()
    assert share.head == plan.head


def test_more_threads_than_cores_are_noted_on_the_cpu(plan):
    assert crowd_note(plan, 8) == ""
    assert crowd_note(on(plan, threads=4), 2) == ""
    assert crowd_note(on(plan, device="gpu:0,1"), 9) == ""
    assert crowd_note(on(plan, threads=4), 3) == (
        "3 workers of 4 thread(s) each share 8 core(s), so they wait for each other; `workers=2` is as fast"
    )
