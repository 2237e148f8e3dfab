"""From stores to results: the tiles that have a say, and a million tiles in little memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import ArrayScene, Detections, SodsliceError, make_plan, merge
from sodslice.inference.detector import ModelInfo
from sodslice.merging import METHODS
from sodslice.running.finishing import finish, finish_seen
from sodslice.running.objects import Objects
from sodslice.running.records import Record, empty_record, failed_record, full_record, tile_record
from sodslice.running.seen import EMPTY, FAILED, READ, UNKNOWN, Seen
from sodslice.running.store import FileStore
from sodslice.tables.tiles import Grid, plan_tiles


class Model:
    info = ModelInfo(("car", "van"), suppressed=True, threshold=0.2, max_per_tile=3)

    def detect(self, pixels):
        raise AssertionError


def planned(side: int, **options):
    return make_plan(ArrayScene(np.zeros((side, side), np.uint8)), model=Model(), options=options)


def table(boxes, scores=None, labels=None) -> Detections:
    n = len(boxes)
    return Detections(boxes, scores or [0.9] * n, labels or [0] * n, [0] * n)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(0, 31), st.sampled_from(["seam", "nms", "sahi-greedy-nmm"]))
def test_tiles_far_from_all_boxes_have_no_say(seed, overlap, method):
    """The result equals that of a merge that is told of every tile."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(64, 400))
    plan = planned(side, tile=64, overlap=overlap, merge=method, threshold=0.0)
    seen = Seen(len(plan.grid))
    for tile in plan.grid.tiles():
        if rng.random() < 0.25:
            count = int(rng.integers(0, 6))
            low = rng.uniform(-4, 58, (count, 2))
            boxes = np.concatenate([low, low + rng.uniform(2, 50, (count, 2))], axis=1)
            boxes = np.clip(boxes, 0, [tile.width, tile.height] * 2)
            found = Detections(
                boxes, rng.uniform(0.01, 1, count), rng.integers(0, 2, count), [tile.id] * count
            )
            seen.take(tile_record(tile.id, found))
        else:
            seen.take(empty_record(tile.id))
    result = finish_seen(plan, seen).detections
    everything = seen.on_grid(plan.grid)
    tiles = plan_tiles(side, side, tile=64, overlap=overlap)
    expected = merge(everything, tiles, method=method, suppressed=True)
    assert result == expected[expected.canonical_order()]


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 5, 31]),
    st.sampled_from(list(METHODS)),
    st.sampled_from([{}, {"class_agnostic": True}, {"class_group": "car,van"}]),
)
def test_objects_are_the_same_bit_for_bit_when_they_are_taken_in_parts(seed, overlap, method, joining):
    rng = np.random.default_rng(seed)
    side = int(rng.integers(64, 500))
    plan = planned(side, tile=64, overlap=overlap, merge=method, threshold=0.1, **joining)
    records = {tile.id: record_of(tile, rng) for tile in plan.grid.tiles()}
    whole, seen = Seen(len(plan.grid)), Seen(len(plan.grid))
    for record in records.values():
        whole.take(record)
    objects, ids = Objects(plan), list(records)
    if rng.random() < 0.5:
        rng.shuffle(ids)
    for part in np.array_split(ids, rng.integers(1, 6)):
        for tile_id in part.tolist():
            seen.take(records[tile_id])
        objects.take(seen, last=False)
        seen.forget_boxes()
    objects.take(seen)
    assert objects.found() == finish_seen(plan, whole).detections


def record_of(tile, rng) -> Record:
    """What a tile saw: some boxes of all sizes, many of which reach over its edges; or that it failed."""
    if rng.random() < 0.1:
        return empty_record(tile.id)
    count = int(rng.integers(0, 8))
    low = np.round(rng.uniform(-20, 60, (count, 2)), int(rng.integers(0, 3)))
    boxes = np.concatenate([low, low + rng.uniform(2, 60, (count, 2))], axis=1)
    boxes = np.clip(boxes, 0, [tile.width, tile.height] * 2)
    labels, scores = rng.integers(0, 2, count), np.round(rng.uniform(0.01, 1, count), 2)
    return tile_record(tile.id, Detections(boxes, scores, labels, [tile.id] * count))


def test_of_boxes_that_are_far_from_tiles_to_come_none_waits():
    plan = planned(640, tile=64, overlap=16)
    seen, objects = Seen(len(plan.grid)), Objects(plan)
    for tile_id in plan.ids[: len(plan) // 2].tolist():
        seen.take(tile_record(tile_id, table([[20, 20, 30, 30], [40, 50, 48, 60]])))
    objects.take(seen, last=False)
    columns = len(plan.grid.columns)
    assert columns <= len(objects._waiting) <= 2 * columns


def test_the_first_word_on_a_tile_counts_but_a_failure_may_be_mended():
    seen = Seen(3)
    seen.take(failed_record(0, "cut short"))
    assert (seen.failures, seen.count(FAILED)) == ({0: "cut short"}, 1)
    seen.take(tile_record(0, table([[0, 0, 4, 4]])))
    seen.take(tile_record(0, table([[0, 0, 4, 4], [5, 5, 9, 9]])))
    seen.take(empty_record(1))
    seen.take(failed_record(1, "later"))
    assert [seen.count(state) for state in (UNKNOWN, READ, EMPTY, FAILED)] == [1, 1, 1, 0]
    assert seen.settled == 2
    assert len(seen.found()) == 1
    assert seen.open_tiles(np.arange(3)).tolist() == [2]
    with pytest.raises(SodsliceError, match="about the tile 3, of 3 tiles"):
        seen.take(empty_record(3))
    seen.take(Record(b"HOLD", 99))


def test_tiles_that_were_cut_short_are_those_in_which_the_model_stopped_above_the_threshold():
    seen = Seen(4)
    rows = [[0, 0, 4, 4]] * 3
    records = [
        full_record(2, 0.1),
        tile_record(2, table(rows, [0.9, 0.8, 0.1])),
        tile_record(1, table(rows, [0.9, 0.8, 0.7])),
        full_record(1, 0.7),
        tile_record(0, table(rows[:2])),
        full_record(3, 0.9),
    ]
    for record in records:
        seen.take(record)
    assert (seen.cut_short(0.05), seen.cut_short(0.1), seen.cut_short(0.69), seen.cut_short(0.7)) == (
        2,
        1,
        1,
        0,
    )
    assert Seen(1).cut_short(0.0) == 0


def test_a_tile_that_was_cut_short_keeps_its_own_score_whoever_sees_it_again():
    seen = Seen(3)
    rows = table([[0, 0, 4, 4]], [0.9])
    again = [tile_record(0, rows), full_record(0, 0.2), full_record(1, 0.2), tile_record(1, rows)]
    for record in [full_record(0, 0.7), tile_record(0, rows), tile_record(1, rows), full_record(1, 0.7)]:
        seen.take(record)
    for record in again:
        seen.take(record)
    assert seen.whole_from.tolist() == np.array([0.7, 0.7, 0], np.float32).tolist()
    seen.take(full_record(2, 0.2))
    seen.take(failed_record(2, "cut short"))
    seen.take(full_record(2, 0.4))
    seen.take(tile_record(2, rows))
    assert seen.cut_short(0.3) == 3


def test_tiles_that_failed_are_open_again_and_their_failures_forgotten():
    seen = Seen(4)
    seen.take(failed_record(0, "cut short"))
    seen.take(failed_record(3, "of another part"))
    seen.take(empty_record(1))
    assert seen.reopen(np.array([2, 1, 0])).tolist() == [2, 0]
    assert [seen.count(state) for state in (UNKNOWN, READ, EMPTY, FAILED)] == [2, 0, 1, 1]
    assert seen.failures == {3: "of another part"}
    seen.take(empty_record(0))
    assert (seen.settled, seen.count(UNKNOWN)) == (2, 1)


def test_failed_tiles_are_listed_and_have_no_say():
    plan = planned(128, tile=64, overlap=0, on_error="skip", threshold=0.0)
    seen = Seen(4)
    seen.take(failed_record(3, "cut short"))
    for tile in range(3):
        seen.take(empty_record(tile))
    result = finish_seen(plan, seen)
    (failed,) = result.provenance.failed_tiles
    assert (failed.id, failed.window, failed.error) == (3, (64, 64, 64, 64), "cut short")
    assert result.provenance.counts.failed == 1
    strict = planned(128, tile=64, overlap=0)
    with pytest.raises(SodsliceError, match="1 tiles of array could not be read; execute the plan again"):
        finish_seen(strict, seen)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(32, 130), st.integers(0, 31), st.data())
def test_near_tiles_are_those_that_share_pixels(width, height, tile, overlap, data):
    grid = Grid(width, height, tile, overlap)
    ids = np.array(data.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1, max_size=4, unique=True)))
    boxes = grid.boxes(np.arange(len(grid)))
    low = np.maximum(boxes[:, None, :2], boxes[None, ids, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, ids, 2:])
    sharing = np.flatnonzero((np.maximum(high - low, 0).prod(axis=2) > 0).any(axis=1))
    assert grid.near(ids).tolist() == sharing.tolist()


MILLION = """
import resource, sys
import numpy as np
from sodslice import Detections, ModelInfo, make_plan
from sodslice.place.georef import GeoRef
from sodslice.results import write
from sodslice.running.execution import carry_out
from sodslice.running.finishing import finish, finish_seen
from sodslice.running.records import empty_record, tile_record
from sodslice.running.store import FileStore

side, folder = int(sys.argv[1]), sys.argv[2]

class Scene:
    name, notes, georef, width, height = "drawn", (), GeoRef(), side, side
    def read(self, x, y, width, height): raise AssertionError
    def close(self): pass

class Model:
    info = ModelInfo(("car",), suppressed=True, sha256="0" * 64)
    def detect(self, pixels): raise AssertionError

class Drawn:
    def run(self, plan, units, starting):
        rng = np.random.default_rng(0)
        for unit in units:
            some = rng.random(len(unit.ids)) < 0.01
            low = rng.uniform(0, 50, (len(unit.ids), 2))
            boxes = np.concatenate([low, low + 10], axis=1)
            yield [
                tile_record(i, Detections(boxes[k : k + 1], [0.9], [0], [i])) if some[k] else empty_record(i)
                for k, i in enumerate(unit.ids.tolist())
            ]
    def close(self): pass

plan = make_plan(Scene(), model=Model(), options={"tile": 64, "overlap": 0})
with FileStore(__import__("pathlib").Path(folder) / "a.raw", plan) as store:
    carry_out(plan, store, hands=Drawn())
    write(finish_seen(plan, store.seen), folder + "/a.json")
write(finish(plan, [folder + "/a.raw"]), folder + "/b.json")
print(len(plan), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_a_million_tiles_take_at_most_100_mb_more_than_a_thousand(tmp_path):
    peaks = {}
    for side in (2048, 64_000):
        command = [sys.executable, "-c", MILLION, str(side), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        tiles, peak = map(int, done.stdout.split())
        peaks[tiles] = peak
        (tmp_path / "a.raw").unlink()
        first, second = (len((tmp_path / f"{name}.json").read_bytes()) for name in "ab")
        assert first == second
    assert list(peaks) == [1024, 1_000_000]
    assert peaks[1_000_000] - peaks[1024] <= 100


@pytest.mark.slow
def test_parts_take_the_memory_of_the_largest_of_them(tmp_path):
    scene = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "SPARSE_OK": True}
    rasterio.open(scene, "w", width=10240, height=10240, **profile).close()
    plan = make_plan(scene, model="blobs", options={"tile": 64, "overlap": 0, "threshold": 0.9})

    def written(name: str, part) -> Path:
        with FileStore(tmp_path / name, part) as store:
            for tile_id in part.ids.tolist():
                low = np.random.default_rng(tile_id).uniform(0, 62, (14, 2))
                found = table(np.concatenate([low, low + 2], axis=1), [0.5] * 13 + [0.95])
                store.append([tile_record(tile_id, found)])
            store.finish({})
        return tmp_path / name

    whole = [written("whole.raw", plan)]
    parts = [written(f"{number}.raw", plan.part(number, 8)) for number in (3, 1, 8, 2, 7, 5, 4, 6)]
    peaks, results = [], []
    for stores in (whole, parts):
        tracemalloc.start()
        results.append(finish(plan, stores))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert results[0].detections == results[1].detections
    assert len(results[0]) > 5000
    assert peaks[1] < 0.35 * peaks[0]
