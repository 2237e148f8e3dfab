from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import Detections, RunPlan, SodsliceError, make_plan
from sodslice.running.records import FORMAT, empty_record, read_records, tile_record
from sodslice.running.seen import EMPTY, Seen
from sodslice.running.store import FileStore
from tests.rasters import write_raster


def table(tile_id: int, rows: int = 3) -> Detections:
    rng = np.random.default_rng(tile_id)
    low = rng.uniform(0, 600, (rows, 2)).astype(np.float32)
    boxes = np.concatenate([low, low + np.float32(8)], axis=1)
    return Detections(boxes, rng.uniform(0, 1, rows), rng.integers(0, 9, rows), np.full(rows, tile_id))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("scene") / "a.tif", np.zeros((3, 320, 320), np.uint8))


def planned(scene, **options) -> RunPlan:
    """A plan of 100 tiles, or of fewer larger ones."""
    return make_plan(scene, model="blobs", options={"tile": 32, "overlap": 0} | options)


@pytest.fixture(scope="module")
def plan(scene) -> RunPlan:
    return planned(scene)


def tables(seen: Seen) -> dict[int, Detections]:
    """What was found in each tile in which something was."""
    found = seen.found()
    return {int(i): found[found.tile_ids == i] for i in np.unique(found.tile_ids)}


def read_store(path, plan) -> Seen:
    seen = Seen(len(plan.grid))
    for record, _ in read_records(path):
        seen.take(record)
    return seen


def test_what_was_added_is_read_back_to_the_last_bit(tmp_path, plan):
    path = tmp_path / "a.journal"
    with FileStore(path, plan) as store:
        store.starting(4)
        store.append([tile_record(4, table(4)), tile_record(7, table(7, rows=0)), empty_record(9)])
        store.starting(11)
    first, _ = next(read_records(path))
    assert (first.kind, first.content) == (b"HEAD", plan.head)
    held = read_store(path, plan)
    assert tables(held) == {4: table(4)}
    assert tables(held)[4].boxes.tobytes() == table(4).boxes.tobytes()
    assert held.settled == 3
    assert np.flatnonzero(held.states == EMPTY).tolist() == [9]
    assert held.open_tiles(np.array([4, 7, 9, 11])).tolist() == [11]
    assert held.under_way == {11}
    assert held.last is None


def test_a_store_goes_on_where_it_ended(tmp_path, plan):
    path = tmp_path / "a.journal"
    with FileStore(path, plan) as store:
        store.append([tile_record(0, table(0))])
    with FileStore(path, plan) as store:
        assert tables(store.seen) == {0: table(0)}
        store.append([tile_record(1, table(1))])
        store.finish({"done": True})
    assert tables(read_store(path, plan)) == {0: table(0), 1: table(1)}
    assert read_store(path, plan).last == {"done": True}


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_store_cut_anywhere_keeps_every_whole_record(tmp_path_factory, plan, data):
    path = tmp_path_factory.mktemp("cut") / "a.journal"
    ends = []
    with FileStore(path, plan) as store:
        first = path.stat().st_size
        for tile in range(4):
            store.append([tile_record(tile, table(tile))])
            ends.append(path.stat().st_size)
    cut = data.draw(st.integers(first, ends[-1]))
    path.write_bytes(path.read_bytes()[:cut])
    with FileStore(path, plan) as store:
        assert set(tables(store.seen)) == {tile for tile, end in enumerate(ends) if end <= cut}
        store.append([tile_record(9, table(9))])
    assert tables(read_store(path, plan))[9] == table(9)


def test_a_store_cut_in_its_first_records_is_gone_on_with_or_refused_in_words(tmp_path, plan):
    path = tmp_path / "a.journal"
    with FileStore(path, plan) as store:
        store.append([tile_record(0, table(0))])
    content = path.read_bytes()
    (_, head_ends), (_, plan_ends), *_ = read_records(path)
    for cut in range(1, plan_ends + 1, 7):
        path.write_bytes(content[:cut])
        if cut >= head_ends:
            with FileStore(path, plan) as store:
                store.append([tile_record(5, table(5))])
            assert tables(read_store(path, plan)) == {5: table(5)}
        else:
            with pytest.raises(SodsliceError, match="run the scene again, with `fresh`"):
                FileStore(path, plan)


def test_a_flipped_bit_ends_what_can_be_trusted(tmp_path, plan):
    path = tmp_path / "a.journal"
    with FileStore(path, plan) as store:
        store.append([tile_record(0, table(0))])
        middle = path.stat().st_size + 30
        store.append([tile_record(1, table(1))])
        store.append([tile_record(2, table(2))])
    content = bytearray(path.read_bytes())
    content[middle] ^= 1
    path.write_bytes(content)
    assert set(tables(read_store(path, plan))) == {0}


def test_other_settings_are_refused_by_name_and_fresh_starts_over(tmp_path, scene, plan):
    path = tmp_path / "a.journal"
    other = planned(scene, tile=64)
    with FileStore(path, plan) as store:
        store.append([tile_record(0, table(0))])
    with pytest.raises(SodsliceError, match=r"was begun with tile 32 \(now 64\); give the former settings"):
        FileStore(path, other)
    assert set(tables(read_store(path, plan))) == {0}
    with FileStore(path, other, fresh=True) as store:
        assert not store.seen.settled


def test_a_second_run_is_told_who_holds_the_store(tmp_path, scene, plan):
    path = tmp_path / "a.journal"
    with FileStore(path, plan):
        code = (
            "from pathlib import Path\n"
            "from sodslice.running.store import FileStore\n"
            "from tests.test_running_store import planned\n"
            f"FileStore(Path({str(path)!r}), planned({str(scene)!r}))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"is being written by process {os.getpid()} on" in done.stderr
    with FileStore(path, plan):
        pass


@pytest.mark.parametrize("content", [b"nonsense", FORMAT, FORMAT + b"xxxx", b"sodslice raw store 1\n"])
def test_what_is_no_store_is_refused_in_words(tmp_path, plan, content):
    path = tmp_path / "a.journal"
    path.write_bytes(content)
    with pytest.raises(SodsliceError, match="run the scene again, with `fresh`"):
        FileStore(path, plan)
    with FileStore(path, plan, fresh=True):
        pass


def test_a_removed_folder_is_noticed(tmp_path, plan):
    folder = tmp_path / "out"
    store = FileStore(folder / "a.journal", plan)
    store.append([tile_record(0, table(0))])
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(SodsliceError, match="was removed while the run was writing it"):
        store.sync()
    store.close()
    assert set(tables(read_store(tmp_path / "elsewhere" / "a.journal", plan))) == {0}


def test_a_full_disk_is_an_error_and_keeps_what_is_held(tmp_path, scene, plan):
    path = tmp_path / "a.journal"
    code = (
        "import resource\n"
        "from pathlib import Path\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from sodslice.running.records import tile_record\n"
        "from sodslice.running.store import FileStore\n"
        "from tests.test_running_store import planned, table\n"
        f"path = Path({str(path)!r})\n"
        f"store = FileStore(path, planned({str(scene)!r}))\n"
        "most = path.stat().st_size + 3000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))\n"
        "for tile in range(100):\n"
        "    store.append([tile_record(tile, table(tile))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot write the journal" in done.stderr
    assert "make room and run again" in done.stderr
    held = tables(read_store(path, plan))
    assert len(held) > 10
    assert held[3] == table(3)


def test_the_head_is_plain_json(tmp_path, scene):
    path = tmp_path / "a.journal"
    plan = planned(scene, bands=(1, 2, 3))
    with FileStore(path, plan) as store:
        store.append([empty_record(0)])
    head = next(read_records(path))[0].content
    assert head["bands"] == [1, 2, 3]
    assert json.loads(json.dumps(head)) == head
    for same in (planned(scene, bands=[1, 2, 3]), RunPlan.from_json(plan.to_json())):
        with FileStore(path, same) as store:
            assert store.seen.settled == 1


def test_a_store_in_which_nothing_was_done_leaves_no_file(tmp_path, plan):
    path = tmp_path / "a.journal"
    with FileStore(path, plan) as store:
        store.starting(3)
    assert not path.exists()
