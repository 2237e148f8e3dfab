"""Tiles that are handed out, kept, given back: each is done once, and who kills is found out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sodslice.errors import SodsliceError
from sodslice.running.tasks import PIECE_TILES, Task


def task_of(tiles: int, batch: int = 1, **settings) -> Task:
    plan = SimpleNamespace(model=SimpleNamespace(batch=batch), scene=SimpleNamespace(name="a.tif"))
    return Task(1, plan, np.arange(tiles), **settings)


@given(
    tiles=st.integers(0, 300),
    batch=st.integers(1, 8),
    owners=st.lists(st.integers(0, 4), min_size=1, max_size=50),
)
def test_every_tile_is_handed_out_once_to_whoever_asks(tiles, batch, owners):
    task = task_of(tiles, batch)
    given_out = []
    while task.waiting:
        for owner in owners:
            work = task.take(owner)
            if work is not None:
                assert 0 < len(work.ids) <= max(PIECE_TILES, batch)
                given_out += work.ids.tolist()
    assert sorted(given_out) == list(range(tiles))
    assert all(task.take(owner) is None for owner in range(5))


def test_each_worker_reads_on_where_it_was_and_the_idle_take_half_of_the_longest_rest():
    task = task_of(100)
    first = [task.take(0).ids.tolist() for _ in range(2)]
    assert first == [list(range(12)), list(range(12, 23))]
    assert task.take(1).ids.tolist() == list(range(62, 66))  # half of 23 to 99, an eighth of it
    assert task.take(0).ids[0] == 23
    assert task.take(1).ids[0] == 66


def test_pieces_are_whole_batches_and_grow_small_towards_the_end():
    task = task_of(100, batch=4)
    sizes = []
    while (work := task.take(0)) is not None:
        sizes.append(len(work.ids))
    assert sizes[0] == 12
    assert sizes[-1] == 4
    assert sizes == sorted(sizes, reverse=True)


def test_tiles_of_a_worker_that_died_are_done_again_first_and_at_the_second_death_alone_and_last():
    task = task_of(8)
    held = dict.fromkeys((0, 1, 2), True) | {3: False}
    [task.take(0) for _ in range(4)]
    assert task.give_back(held, alone=False, end="exit code 1") == []
    assert [task.take(0).ids.tolist() for _ in range(5)] == [[3], [0], [1], [2], [4]]
    assert task.give_back({0: True, 4: True}, alone=False, end="exit code 1") == []
    again = []
    while (work := task.take(0)) is not None:
        again += work.ids.tolist()
    assert again == [4, 5, 6, 7]
    assert task.take(0, fresh=True) == ([0], True)
    assert task.take(0, fresh=True) is None


def test_a_tile_that_kills_twice_alone_is_given_up():
    task = task_of(1)
    for alone in (False, False, True):
        assert task.take(0, fresh=True).alone == alone
        assert task.give_back({0: True}, alone=alone, end="killed by SIGSEGV") == []
    assert task.take(0, fresh=True).alone
    (record,) = task.give_back({0: True}, alone=True, end="killed by SIGSEGV")
    assert (record.kind, record.tile_id) == (b"DEAD", 0)
    assert record.payload.decode() == (
        "2 worker processes died that looked at this tile alone (killed by SIGSEGV)"
    )
    assert not task.going


def test_a_tile_that_was_not_begun_is_not_to_blame():
    task = task_of(1)
    for _ in range(2):
        task.take(0)
        task.give_back({0: True}, alone=False, end="")
    for _ in range(5):
        assert task.take(0, fresh=True) == ([0], True)
        task.begun()
        assert task.give_back({0: False}, alone=True, end="") == []


def test_workers_that_never_begin_are_given_up_but_not_one_death_after_another_of_many():
    task = task_of(10, crew=2)
    for _ in range(5):
        task.give_back({}, alone=False, end="exit code 5")
    task.begun()
    for _ in range(5):
        task.give_back({}, alone=False, end="exit code 5")
    with pytest.raises(
        SodsliceError, match=r"6 worker processes died before they looked at a tile of a.tif \(exit code 5\)"
    ):
        task.give_back({}, alone=False, end="exit code 5")
