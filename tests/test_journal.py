from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import Detections, SodsliceError
from sodslice.journal import Journal, read_store

HEAD = {"scene": "a.tif", "tile": 640}


def table(tile_id: int, rows: int = 3) -> Detections:
    rng = np.random.default_rng(tile_id)
    low = rng.uniform(0, 600, (rows, 2)).astype(np.float32)
    boxes = np.concatenate([low, low + np.float32(8)], axis=1)
    return Detections(boxes, rng.uniform(0, 1, rows), rng.integers(0, 9, rows), np.full(rows, tile_id))


def test_what_was_added_is_read_back_to_the_last_bit(tmp_path):
    path = tmp_path / "a.journal"
    with Journal(path, HEAD) as journal:
        journal.reading(4)
        journal.add([(4, table(4)), (7, table(7, rows=0))], empty=[9])
        journal.reading(11)
    held = read_store(path)
    assert held.head == HEAD
    assert held.tables == {4: table(4), 7: table(7, rows=0)}
    assert held.empty == {9}
    assert held.under_way == {11}
    assert held.last is None


def test_a_journal_goes_on_where_it_ended(tmp_path):
    path = tmp_path / "a.journal"
    with Journal(path, HEAD) as journal:
        journal.add([(0, table(0))], [])
    with Journal(path, HEAD) as journal:
        assert journal.contents.tables == {0: table(0)}
        journal.add([(1, table(1))], [])
        journal.finish({"done": True})
    assert read_store(path).tables == {0: table(0), 1: table(1)}
    assert read_store(path).last == {"done": True}


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_store_cut_anywhere_keeps_every_whole_record(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("cut") / "a.journal"
    ends = []
    with Journal(path, HEAD) as journal:
        first = path.stat().st_size
        for tile in range(4):
            journal.add([(tile, table(tile))], [])
            ends.append(path.stat().st_size)
    cut = data.draw(st.integers(first, ends[-1]))
    path.write_bytes(path.read_bytes()[:cut])
    with Journal(path, HEAD) as journal:
        assert set(journal.contents.tables) == {tile for tile, end in enumerate(ends) if end <= cut}
        journal.add([(9, table(9))], [])
    assert 9 in read_store(path).tables


def test_a_flipped_bit_ends_what_can_be_trusted(tmp_path):
    path = tmp_path / "a.journal"
    with Journal(path, HEAD) as journal:
        journal.add([(0, table(0))], [])
        middle = path.stat().st_size + 30
        journal.add([(1, table(1))], [])
        journal.add([(2, table(2))], [])
    content = bytearray(path.read_bytes())
    content[middle] ^= 1
    path.write_bytes(content)
    assert set(read_store(path).tables) == {0}


def test_other_settings_are_refused_by_name_and_fresh_starts_over(tmp_path):
    path = tmp_path / "a.journal"
    with Journal(path, HEAD) as journal:
        journal.add([(0, table(0))], [])
    with pytest.raises(
        SodsliceError, match=r"was begun with tile 640 \(now 1024\); give the former settings"
    ):
        Journal(path, HEAD | {"tile": 1024})
    assert set(read_store(path).tables) == {0}
    with Journal(path, HEAD | {"tile": 1024}, fresh=True) as journal:
        assert not journal.contents.tables


def test_a_second_run_is_told_who_holds_the_journal(tmp_path):
    path = tmp_path / "a.journal"
    with Journal(path, HEAD):
        imports = "from pathlib import Path; from sodslice.journal import Journal"
        code = f"{imports}; Journal(Path({str(path)!r}), {HEAD!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"is being written by process {os.getpid()} on" in done.stderr
    with Journal(path, HEAD):
        pass


@pytest.mark.parametrize("content", [b"nonsense", b"sodslice raw store 1\n", b"sodslice raw store 1\nxxxx"])
def test_what_is_no_store_is_refused_in_words(tmp_path, content):
    path = tmp_path / "a.journal"
    path.write_bytes(content)
    with pytest.raises(SodsliceError, match="run the scene again, with --fresh"):
        Journal(path, HEAD)
    with Journal(path, HEAD, fresh=True):
        pass


def test_a_removed_folder_is_noticed(tmp_path):
    folder = tmp_path / "out"
    journal = Journal(folder / "a.journal", HEAD)
    journal.add([(0, table(0))], [])
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(SodsliceError, match="was removed while the run was writing it"):
        journal.sync()
    journal.close()
    assert set(read_store(tmp_path / "elsewhere" / "a.journal").tables) == {0}


def test_a_full_disk_is_an_error_and_keeps_what_is_held(tmp_path):
    path = tmp_path / "a.journal"
    code = (
        "import resource, json, sys\n"
        "from pathlib import Path\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from tests.test_journal import HEAD, table\n"
        "from sodslice.journal import Journal\n"
        f"journal = Journal(Path({str(path)!r}), HEAD)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "for tile in range(100):\n"
        "    journal.add([(tile, table(tile))], [])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot write the journal" in done.stderr
    assert "make room and run again" in done.stderr
    held = read_store(path)
    assert len(held.tables) > 10
    assert held.tables[3] == table(3)


def test_head_is_plain_json(tmp_path):
    with Journal(tmp_path / "a.journal", HEAD | {"bands": (1, 2, 3)}) as journal:
        assert json.dumps(journal.contents.head)
    with Journal(tmp_path / "a.journal", HEAD | {"bands": [1, 2, 3]}):
        pass
