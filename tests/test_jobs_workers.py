"""Many scenes with workers: the same outcomes in the same order, each model loaded once by each worker."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from sodslice import SodsliceError, run_many
from sodslice.errors import Cancelled, ModelError
from sodslice.jobs import JobEvents
from sodslice.jobs.events import JobWatcher
from tests import odd_detectors
from tests.rasters import scene_with_blobs, write_raster
from tests.test_running_workers import Mine
from tests.worker_processes import workers_of

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

SIZES = {"a": 400, "b": 100, "c": 130, "d": 70, "e": 300}
NAMES = ["a", "b", "bb", "c", "d", "e"]


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    for name, side in SIZES.items():
        corners = [(x, y) for x in range(5, side - 10, 50) for y in range(5, side - 10, 50)]
        write_raster(tmp_path / "in" / f"{name}.tif", scene_with_blobs(side, side, corners))
    return tmp_path / "in"


@pytest.fixture
def odd(tmp_path, monkeypatch) -> Path:
    site = odd_detectors.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv(odd_detectors.LOG, str(tmp_path / "loads"))
    return tmp_path / "loads"


@pytest.fixture(autouse=True)
def nothing_left():
    """No test leaves a worker, or a thread, behind."""
    yield
    assert not workers_of()
    assert not [one for one in threading.enumerate() if one.name.startswith("sodslice-scene")]


def content(path: Path) -> dict:
    document = json.loads(path.read_text())
    del document["timings"]
    return document


class Watching(JobEvents):
    def __init__(self):
        self.scenes, self.seen, self.jobs, self.busy = [], [], [], False
        self.most_under_way = 0

    def scene(self, path, number, total):
        self.scenes.append((path.stem, number, total))

    def job(self, progress):
        self.jobs.append(progress)
        self.most_under_way = max(self.most_under_way, len(self.scenes) - progress.settled)

    def progress(self, done, total):
        assert not self.busy, "two at once"
        self.busy = True
        time.sleep(0.001)
        self.seen.append((done, total))
        self.busy = False


def test_outcomes_are_those_of_one_process_in_input_order_and_models_are_loaded_once(folder, tmp_path, odd):
    (folder / "bb.tif").write_bytes(b"broken")
    expected = list(run_many(folder, model="slow", options={"tile": 64}, output=tmp_path / "one"))
    odd.unlink()
    events = Watching()
    options = {"tile": 64, "workers": 2}
    outcomes = []
    for outcome in run_many(folder, model="slow", options=options, output=tmp_path / "two", events=events):
        outcomes.append(outcome)
    assert [(o.path, o.status) for o in outcomes] == [(o.path, o.status) for o in expected]
    assert [o.path.stem for o in outcomes] == NAMES
    for one, two in zip(expected, outcomes, strict=True):
        if one.done:
            assert two.result.detections == one.result.detections
            assert content(two.outputs[0]) == content(one.outputs[0])
    loads = [line.split()[0] for line in odd.read_text().splitlines()]
    assert len(loads) == len(set(loads)) == 2
    assert events.scenes == [(name, number, 6) for number, name in enumerate(NAMES, 1)]
    assert events.most_under_way == 3  # one more than there are workers
    pixels = sum(side * side for side in SIZES.values())
    assert (events.jobs[-1].settled, events.jobs[-1].seen, events.jobs[-1].scenes) == (6, pixels, 6)
    assert [one.seen for one in events.jobs] == sorted(one.seen for one in events.jobs)
    again = run_many(folder, model="slow", options=options, output=tmp_path / "two")
    assert [o.status for o in again] == ["skipped", "skipped", "failed", "skipped", "skipped", "skipped"]


def test_what_ends_a_job_ends_its_workers(folder, tmp_path, odd):
    options = {"tile": 64, "workers": 2}
    with pytest.raises(ModelError, match="the weights of unloadable are torn"):
        next(run_many(folder, model="unloadable", options=options))
    with pytest.raises(ModelError, match="is an object of this process"):
        next(run_many(folder, model=Mine(), options=options))
    outcomes = run_many(folder, model="slow", options=options, output=tmp_path / "out")
    assert next(outcomes).done
    outcomes.close()


@pytest.mark.slow
def test_a_job_that_is_called_off_keeps_what_was_seen(folder, tmp_path, odd):
    class Impatient(Watching):
        def cancelled(self):
            return len(self.seen) > 10

    options = {"tile": 64, "workers": 2}
    with pytest.raises(Cancelled, match="was called off"):
        list(run_many(folder, model="slow", options=options, output=tmp_path / "out", events=Impatient()))
    assert list((tmp_path / "out").glob("*.journal"))
    again = list(run_many(folder, model="slow", options=options, output=tmp_path / "out"))
    assert not any(outcome.failed for outcome in again)
    assert not list((tmp_path / "out").glob("*.journal"))


def test_a_watcher_of_many_scenes_hears_one_count_and_each_note_once():
    heard = []

    class Listening(JobEvents):
        def progress(self, done, total):
            heard.append((done, total))

        def note(self, text):
            heard.append(text)

        def cancelled(self):
            raise SodsliceError("asked")

    watcher = JobWatcher(Listening())
    first, second = watcher.of_scene(1), watcher.of_scene(2)
    first.progress(1, 10)
    second.progress(2, 5)
    first.progress(10, 10)
    first.note("wide")
    second.note("wide")
    assert heard == [(1, 10), (3, 15), (12, 15), "wide"]
    with pytest.raises(SodsliceError, match="asked"):
        second.cancelled()


def test_pixels_are_counted_as_runs_see_them_where_nothing_is_fetched_for_that(tmp_path, monkeypatch):
    from sodslice.jobs import many
    from sodslice.jobs.listing import JobScene
    from sodslice.scene import Rendering

    write_raster(tmp_path / "a.tif", scene_with_blobs(80, 60, [(5, 5)]))
    told, opened = [], []
    as_scene = many.as_scene
    monkeypatch.setattr(many, "as_scene", lambda *given: opened.append(given) or as_scene(*given))

    class Counting(JobEvents):
        def job(self, progress):
            told.append(progress.pixels)

    def count(*sources):
        watcher = JobWatcher(Counting(), len(sources))
        many._count_pixels([JobScene(source, "x") for source in sources], Rendering(), watcher)
        return watcher

    count(tmp_path / "a.tif", tmp_path / "none.tif")
    assert told == [4800]
    assert opened[0][1] == Rendering()
    count(tmp_path / "a.tif", "https://host.invalid/b.tif")
    assert len(opened) == 2
    watcher = JobWatcher(Counting(), 1)
    watcher.stop()
    watcher.pixels(7)
    assert told == [4800]
