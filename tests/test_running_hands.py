"""Whoever looks at the tiles, in whatever order, dying or not: the result is the same, or it is said."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from sodslice import ArrayScene, BlobDetector, Detections, SodsliceError, execute, finish, make_plan, run
from sodslice.errors import Cancelled
from sodslice.inference.detector import ModelInfo
from sodslice.results import write
from sodslice.running import Events, Here, ProgressEvents
from sodslice.running.execution import carry_out
from sodslice.running.finishing import finish_seen
from sodslice.running.records import deadly_record, empty_record, failed_record, json_record
from sodslice.running.store import FileStore, MemoryStore
from sodslice.scene import as_scene
from tests.rasters import scene_with_blobs, write_raster

CORNERS = [(5, 7), (100, 30), (300, 200), (390, 290), (635, 100), (700, 500), (790, 590)]


@pytest.fixture
def scene(tmp_path):
    return write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, CORNERS))


class Shuffled:
    """Hands that give all records back at the end, in another order."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def run(self, plan, units, starting):
        records = [record for bundle in Here().run(plan, units, starting) for record in bundle]
        for row in self._rng.permutation(len(records)):
            yield [records[row]]

    def close(self):
        pass


class Dying:
    """Hands that die after some units, and say nothing of the others."""

    def __init__(self, alive: int) -> None:
        self.alive = alive
        self.rounds = 0

    def run(self, plan, units, starting):
        self.rounds += 1
        yield from Here().run(plan, list(units)[: self.alive], starting)

    def close(self):
        pass


def finished(plan, hands) -> tuple[bytes, ...]:
    store = MemoryStore(plan)
    carry_out(plan, store, hands=hands)
    return finish_seen(plan, store.seen)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_order_in_which_records_come_back_changes_nothing(scene, tmp_path, seed):
    plan = make_plan(scene, model="blobs", options={"tile": 64})
    expected = write(finished(plan, Here()), tmp_path / "one.json").read_bytes()
    assert write(finished(plan, Shuffled(seed)), tmp_path / "two.json").read_bytes() == expected


def test_units_of_hands_that_died_are_handed_out_again(scene):
    plan = make_plan(scene, model="blobs", options={"tile": 64})
    hands = Dying(alive=1)
    result = finished(plan, hands)
    assert hands.rounds == len(list(plan.units()))
    assert result.detections == finished(plan, Here()).detections
    assert result.provenance.counts.read == len(plan)


def test_tiles_that_no_hand_gives_back_alive_end_the_work_in_words(scene):
    plan = make_plan(scene, model="blobs", options={"tile": 64})
    hands = Dying(alive=0)
    with pytest.raises(SodsliceError, match="192 tiles of .* were given back 3 times by hands that died"):
        finished(plan, hands)


def test_two_engines_in_one_store_are_refused(scene, tmp_path):
    plan = make_plan(scene, model="blobs", options={"tile": 64})

    class Other(Here):
        def run(self, plan, units, starting):
            yield [json_record(b"FACT", {"engine": "another"})]
            yield from ()

    with FileStore(tmp_path / "a.raw", plan) as store:
        carry_out(plan.part(1, 3), store)
    with (
        FileStore(tmp_path / "a.raw", plan) as store,
        pytest.raises(SodsliceError, match=r"was begun with engine opencv \(now another\)"),
    ):
        carry_out(plan, store, hands=Other())


def test_each_detector_is_loaded_once_for_many_plans(scene, monkeypatch):
    from sodslice.running import hands as module

    loads = []
    monkeypatch.setattr(module, "load_spec", lambda spec: loads.append(spec) or BlobDetector())
    here = Here()
    for tile in (64, 128):
        finished(make_plan(scene, model="blobs", options={"tile": tile}), here)
    assert len(loads) == 1
    here.close()


def test_a_detector_that_is_loaded_here_is_closed_and_one_that_was_given_is_not(scene, monkeypatch):
    from sodslice.running import hands as module

    class Closing(BlobDetector):
        closed = 0

        def close(self):
            self.closed += 1

    mine, loaded = Closing(), Closing()
    monkeypatch.setattr(module, "load_spec", lambda spec: loaded)
    run(scene, model=mine, options={"tile": 256})
    run(scene, model="blobs", options={"tile": 256})
    assert (mine.closed, loaded.closed) == (0, 1)


class Bare:
    """A detector as README promises: `info` and `detect`, and nothing else."""

    info = ModelInfo(("thing",))

    def detect(self, pixels):
        return [Detections([[100.0, 100, 120, 120]], [0.9], [0], [row]) for row in range(len(pixels))]


def test_a_detector_with_info_and_detect_alone_runs_from_end_to_end(tmp_path):
    scene = ArrayScene(np.full((700, 700, 3), 90, np.uint8))
    result = run(scene, model=Bare(), options={"tile": 350, "overlap": 0}, output=tmp_path / "a.json")
    assert len(result) == 4
    assert result.provenance.engine == "its own"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (object(), "must be a name, a path, or have `info` and `detect`, got object"),
        (type("NoInfo", (), {"detect": lambda self, p: []})(), "got NoInfo; it lacks info"),
        (type("NoDetect", (), {"info": ModelInfo(("a",))})(), "got NoDetect; it lacks detect"),
        (type("Odd", (), {"info": {"class_names": ["a"]}, "detect": len})(), "must be a ModelInfo, got dict"),
        (type("Nameless", (), {"info": ModelInfo(()), "detect": len})(), "must name its classes as a tuple"),
        (type("Text", (), {"info": ModelInfo("car"), "detect": len})(), "must name its classes as a tuple"),
    ],
)
def test_a_detector_that_lacks_something_is_refused_before_the_first_tile_is_read(model, words):
    class Unread(ArrayScene):
        def read(self, *_):
            raise AssertionError

    with pytest.raises(SodsliceError, match=words):
        run(Unread(np.zeros((64, 64), np.uint8)), model=model)


def test_progress_counts_every_tile_once_and_notes_go_to_the_watcher(scene, caplog):
    seen, notes = [], []

    class Watching(ProgressEvents):
        def note(self, text):
            notes.append(text)

    class Small(BlobDetector):
        def __init__(self):
            super().__init__()
            self.info = replace(self.info, input_size=(32, 32))

    with caplog.at_level(logging.WARNING, logger="sodslice"):
        run(scene, model=Small(), options={"tile": 64}, events=Watching(lambda *at: seen.append(at)))
    assert seen == [(done, 192) for done in range(1, 193)]
    assert notes == [
        "tiles of 64 x 64 are resized to the model's 32 x 32, "
        "so objects change their size by a factor of 0.50"
    ]
    assert not caplog.records


def test_progress_goes_on_from_what_was_seen_before_and_counts_a_tile_that_failed_then_as_any(
    scene, tmp_path
):
    plan = make_plan(scene, model="blobs", options={"tile": 64, "on_error": "skip"})
    ids = plan.ids.tolist()
    elsewhere = [empty_record(ids[100]), failed_record(ids[101], "cut short")]
    here = [*(empty_record(tile_id) for tile_id in ids[:5]), failed_record(ids[7], "cut short")]
    with FileStore(tmp_path / "a.raw", plan) as store:
        store.append([*here, *elsewhere])
    told = []
    for _ in range(2):
        with FileStore(tmp_path / "a.raw", plan) as store:
            carry_out(plan.part(1, 3), store, events=ProgressEvents(lambda *at: told.append(at)))
    assert told == [*((done, 64) for done in range(5, 65)), (64, 64)]


def test_work_that_is_called_off_keeps_what_was_seen_and_goes_on(scene, tmp_path):
    output = tmp_path / "a.json"

    class Impatient(Events):
        batches = 0

        def progress(self, done, total):
            self.batches += 1

        def cancelled(self):
            return self.batches > 20

    with pytest.raises(Cancelled, match="was called off; what was seen is kept"):
        run(scene, model="blobs", options={"tile": 64}, output=output, events=Impatient())
    assert not output.exists()
    result = run(scene, model="blobs", options={"tile": 64}, output=output)
    assert result.timings.tiles_from_journal >= 15
    assert result.detections == run(scene, model="blobs", options={"tile": 64}).detections


class Together(BlobDetector):
    """Says that it may be called from several threads, and notes how many there are at once."""

    concurrent = True

    def __init__(self, fails_at: int | None = None):
        super().__init__()
        self.inside = self.most = self.calls = 0
        self.threads = set()
        self._fails_at = fails_at
        self._counting = threading.Lock()

    def detect(self, pixels):
        with self._counting:
            self.calls += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.threads.add(threading.get_ident())
            fails = self.calls == self._fails_at
        time.sleep(0.004 if self.calls % 3 else 0.001)
        found = super().detect(pixels)
        with self._counting:
            self.inside -= 1
        if fails:
            raise SodsliceError("no more")
        return found


@pytest.mark.parametrize("batch", [1, 3])
def test_a_detector_that_allows_it_looks_at_two_batches_at_once_and_gives_the_same_bytes(
    scene, tmp_path, batch
):
    options = {"tile": 64, "batch": batch}
    one = run(scene, model=BlobDetector(), options=options, output=tmp_path / "one.json")
    detector, seen = Together(), []
    events = ProgressEvents(lambda done, _: seen.append(done))
    two = run(scene, model=detector, options=options, output=tmp_path / "two.json", events=events)
    assert detector.most == len(detector.threads) == 2
    assert threading.get_ident() not in detector.threads
    assert two.detections == one.detections
    assert seen == sorted(set(seen))
    documents = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two")]
    assert all(document.pop("timings") for document in documents)
    assert documents[0] == documents[1]


def test_records_of_two_batches_at_once_come_in_order(scene):
    plan = make_plan(scene, model=Together(), options={"tile": 64})
    with closing(Here(as_scene(scene), Together()).run(plan, plan.units(), lambda _: None)) as coming:
        ids = [record.tile_id for records in coming for record in records if record.kind == b"TILE"]
    assert ids == plan.ids.tolist()


def test_an_error_in_one_of_two_batches_ends_the_run_with_its_threads(scene):
    detector = Together(fails_at=7)
    with pytest.raises(SodsliceError, match="no more"):
        run(scene, model=detector, options={"tile": 64})
    assert detector.inside == 0
    assert detector.calls <= 9
    assert not [one for one in threading.enumerate() if one.name.startswith("sodslice")]


def test_a_run_that_is_left_leaves_no_threads(scene):
    detector = Together()
    plan = make_plan(scene, model=detector, options={"tile": 64})
    coming = Here(as_scene(scene), detector).run(plan, plan.units(), lambda _: None)
    for _ in range(5):
        next(coming)
    coming.close()
    assert detector.calls <= 7
    assert not [one for one in threading.enumerate() if one.name.startswith("sodslice")]


def test_a_detector_that_does_not_say_so_is_called_from_the_thread_of_the_run(scene):
    class Alone(Together):
        concurrent = False

    detector = Alone()
    run(scene, model=detector, options={"tile": 128})
    assert detector.threads == {threading.get_ident()}


class Deadly(Here):
    """Hands that give up one tile as one at which processes die."""

    def run(self, plan, units, starting):
        tile_id = int(plan.ids[3])
        for records in super().run(plan, units, starting):
            yield [deadly_record(tile_id, "it died") if one.tile_id == tile_id else one for one in records]


def test_a_tile_at_which_processes_die_is_listed_whatever_is_done_about_files_and_tried_again(
    scene, tmp_path
):
    plan = make_plan(scene, model="blobs", options={"tile": 128})
    store, notes = tmp_path / "a.raw", []
    events = Events()
    events.note = notes.append
    execute(plan, store, hands=Deadly(), events=events)
    assert notes == ["1 tiles cannot be looked at and are left out; the first: it died"]
    (failed,) = finish(plan, [store]).provenance.failed_tiles
    assert (failed.id, failed.error) == (int(plan.ids[3]), "it died")
    execute(plan, store)
    assert not finish(plan, [store]).provenance.failed_tiles
    with FileStore(store, plan) as opened:
        opened.append([failed_record(int(plan.ids[3]), "cut short")])
        assert not opened.seen.deadly
    with FileStore(tmp_path / "b.raw", plan) as opened:
        opened.append([*map(empty_record, plan.ids.tolist()[1:]), failed_record(int(plan.ids[0]), "torn")])
    with pytest.raises(SodsliceError, match="1 tiles of .* could not be read; execute the plan again"):
        finish(plan, [tmp_path / "b.raw"])


class Told(BlobDetector):
    """A detector that is told what comes."""

    def __init__(self):
        super().__init__()
        self.told = []

    def expect(self, side, *, many):
        self.told.append((side, many))


@pytest.mark.parametrize(("tile", "many"), [(64, True), (400, False)])
def test_a_detector_is_told_of_many_tiles_of_one_size_before_they_come(scene, tile, many):
    detector = Told()
    options = {"tile": tile, "overlap": 0}
    plan = make_plan(scene, model=detector, options=options)
    hands = Here(detector=detector)
    hands.load(plan)
    carry_out(plan, MemoryStore(plan), hands=hands)
    carry_out(plan.part(2, 2), MemoryStore(plan), hands=Here(detector=detector))
    hands.close()
    assert detector.told == ([((tile, tile), True)] * 2 if many else [])
