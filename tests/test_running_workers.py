"""Whatever happens to worker processes: the result is that of one process, or it is said what is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sodslice import (
    ArrayScene,
    BlobDetector,
    SodsliceError,
    execute,
    finish,
    make_plan,
    open_scene,
    run,
    write,
)
from sodslice.errors import Cancelled, ModelError, SceneError
from sodslice.running import Events, Processes
from sodslice.running.records import read_records
from sodslice.scene import RasterScene
from tests import odd_detectors
from tests.command_line import sodslice
from tests.rasters import scene_with_blobs, write_raster
from tests.worker_processes import ended_within, workers_of

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

CORNERS = [(x, y) for x in range(5, 780, 40) for y in range(5, 580, 40)]
OPTIONS = {"tile": 128, "threads": 1}


@pytest.fixture
def scene(tmp_path) -> Path:
    return write_raster(tmp_path / "scene.tif", scene_with_blobs(800, 600, CORNERS))


@pytest.fixture
def small(tmp_path) -> Path:
    return write_raster(tmp_path / "small.tif", scene_with_blobs(100, 100, [(30, 40)]))


@pytest.fixture
def odd(tmp_path, monkeypatch) -> Path:
    site = odd_detectors.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.fixture(autouse=True)
def nothing_left():
    """No test leaves a worker behind."""
    yield
    assert not workers_of()


def content(path: Path) -> bytes:
    """A written result, timings apart."""
    document = json.loads(path.read_text())
    del document["timings"]
    return json.dumps(document).encode()


class Killing(Events):
    """Kills workers when so many tiles are done: one of them, or all."""

    def __init__(self, one: int, everyone: int) -> None:
        self._at = {one: 1, everyone: None}
        self.killed = 0

    def progress(self, done, total):
        for at in [at for at in self._at if at <= done]:
            for process_id in workers_of()[: self._at.pop(at)]:
                os.kill(process_id, signal.SIGKILL)
                self.killed += 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_give_the_bytes_of_one_process(scene, tmp_path, workers):
    run(scene, model="blobs", options=OPTIONS, output=tmp_path / "one.json")
    options = OPTIONS | {"workers": workers}
    result = run(scene, model="blobs", options=options, output=tmp_path / "two.json")
    assert content(tmp_path / "two.json") == content(tmp_path / "one.json")
    assert result.timings.workers == workers


def test_workers_that_are_killed_are_replaced_and_change_nothing(scene, tmp_path, caplog):
    plan = make_plan(scene, model="blobs", options={"tile": 64})
    events, hands = Killing(one=8, everyone=60), Processes(2)
    try:
        store = execute(plan, tmp_path / "a.raw", hands=hands, events=events)
    finally:
        hands.close()
    assert events.killed >= 2
    assert "a worker process died (killed by SIGKILL)" in caplog.text
    expected = execute(plan, tmp_path / "b.raw")
    files = [write(finish(plan, [raw]), raw.with_suffix(".json")) for raw in (store, expected)]
    assert content(files[0]) == content(files[1])


def test_a_tile_that_kills_whoever_looks_at_it_is_reported_and_the_run_goes_on(odd, tmp_path):
    pixels = scene_with_blobs(600, 600, [(x, y) for x in range(5, 600, 40) for y in range(5, 600, 40)])
    pixels[:, 310, 310] = odd_detectors.DEADLY_LEVEL
    write_raster(tmp_path / "scene.tif", pixels)
    words = ("run", "scene.tif", "--tile", 200, "--overlap", 0, "--merge", "none")
    done = sodslice(*words, "--model", "deadly", "--workers", 2, "-o", "a.json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "1 tiles cannot be looked at and are left out" in done.stderr
    assert "1 not readable" in done.stdout
    found = json.loads((tmp_path / "a.json").read_text())
    (failed,) = found["run"]["failed_tiles"]
    assert failed["window"] == [200, 200, 200, 200]
    assert failed["error"] == "2 worker processes died that looked at this tile alone (exit code 7)"
    whole = run(tmp_path / "scene.tif", model="blobs", options={"tile": 200, "overlap": 0, "merge": "none"})
    x, y = whole.detections.boxes[:, :2].T
    elsewhere = ~((x >= 200) & (x < 400) & (y >= 200) & (y < 400))
    assert len(found["boxes"]) == elsewhere.sum() < len(whole)


def test_what_libraries_print_in_a_worker_does_no_harm(odd, small, capfd):
    result = run(small, model="noisy", options={"workers": 2})
    assert result.detections.boxes.tolist() == [[30, 40, 40, 50]]
    printed = capfd.readouterr()
    assert "nothing to see" not in printed.out + printed.err


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("unloadable", ModelError, "the weights of unloadable are torn; write them again"),
        ("faulty", SodsliceError, "a worker process failed: ZeroDivisionError: no such blob"),
    ],
)
def test_an_error_in_a_worker_is_that_of_the_run(odd, small, tmp_path, model, kind, words):
    with pytest.raises(kind, match=words) as error:
        run(small, model=model, options={"workers": 2}, output=tmp_path / "a.json")
    assert type(error.value) is kind
    assert "Traceback" in str(error.value.__cause__)
    assert not (tmp_path / "a.json.journal").exists()


@pytest.mark.slow
def test_workers_that_die_before_they_look_at_anything_end_the_run_in_words(odd, small):
    with pytest.raises(SodsliceError, match=r"6 worker processes died before they looked at a tile of .*5\)"):
        run(small, model="stillborn", options={"workers": 2})


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run_in_words(small, monkeypatch):
    monkeypatch.setattr("sodslice.running.child.START", "raise SystemExit('no such module')")
    with pytest.raises(
        SodsliceError, match=r"die before they begin \(exit code 1, no such module\); use `workers=1`"
    ):
        run(small, model="blobs", options={"workers": 2})


def test_several_plans_share_the_workers(scene, tmp_path):
    plans = [make_plan(scene, model="blobs", options={"tile": tile}) for tile in (64, 96, 128)]
    hands, stores = Processes(2), [tmp_path / f"{number}.raw" for number in range(3)]
    pairs = list(zip(plans, stores, strict=True))
    try:
        threads = [threading.Thread(target=execute, args=pair, kwargs={"hands": hands}) for pair in pairs]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        assert len(workers_of()) <= 2
        for thread in threads:
            thread.join()
        assert len(workers_of()) == 2
        again = execute(plans[0].part(1, 2), tmp_path / "again.raw", hands=hands)
    finally:
        hands.close()
    for plan, store in pairs:
        expected = execute(plan, store.with_suffix(".here"))
        assert finish(plan, [store]).detections == finish(plan, [expected]).detections
    assert len(finish(plans[0].part(1, 2), [again]))
    with pytest.raises(Cancelled, match="the worker processes were ended"):
        execute(plans[0], tmp_path / "late.raw", hands=hands)


def test_work_that_is_called_off_leaves_the_workers_to_others(odd, scene, tmp_path):
    class Impatient(Events):
        def progress(self, done, total):
            self.done = done

        def cancelled(self):
            return getattr(self, "done", 0) >= 5

    plan = make_plan(scene, model="slow", options={"tile": 128})
    hands = Processes(2)
    try:
        with pytest.raises(Cancelled, match="was called off; what was seen is kept"):
            execute(plan, tmp_path / "a.raw", hands=hands, events=Impatient())
        before = workers_of()
        store = execute(plan, tmp_path / "a.raw", hands=hands)
        assert workers_of() == before
    finally:
        hands.close()
    assert finish(plan, [store]).provenance.counts.read == len(plan)


class Mine(BlobDetector):
    pass


class Turned(RasterScene):
    def read(self, x, y, width, height):
        pixels, valid = super().read(x, y, width, height)
        return pixels[::-1], valid


def test_what_only_this_process_has_is_refused_before_anything_starts(scene):
    options = {"workers": 2}
    with pytest.raises(
        ModelError, match="the model blobs is an object of this process, .* or take `workers=1`"
    ):
        run(scene, model=Mine(), options=options)
    with pytest.raises(SceneError, match="is in the memory of this process, .* or take `workers=1`"):
        run(np.zeros((64, 64), np.uint8), model="blobs", options=options)
    with pytest.raises(SceneError, match="is in the memory of this process"):
        run(ArrayScene(np.zeros((64, 64), np.uint8)), model="blobs", options=options)
    with Turned(scene) as turned, pytest.raises(SceneError, match="is read by an object of this process"):
        run(turned, model="blobs", options=options)
    with (
        open_scene(scene, {"bands": "3,2,1"}) as other,
        pytest.raises(SceneError, match="was opened with other settings than those of the run"),
    ):
        run(other, model="blobs", options=options)


def begun(output: Path, least: int = 5) -> None:
    """Wait until the journal of a run holds some tiles."""
    deadline = time.monotonic() + 60
    while journaled(output) < least:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def journaled(output: Path) -> int:
    try:
        records = list(read_records(output.with_name(f"{output.name}.journal")))
    except SodsliceError:
        return 0
    return sum(record.kind == b"TILE" for record, _ in records)


UNGUARDED = """
import sys, sodslice
sodslice.run(sys.argv[1], model="slow", options={"tile": 128, "workers": 2}, output=sys.argv[2])
"""


def test_a_script_without_a_guard_dies_with_its_workers_and_goes_on(odd, scene, tmp_path):
    run(scene, model="slow", options={"tile": 128}, output=tmp_path / "one.json")
    root = str(Path(__file__).parents[1])
    settings = {"env": {**os.environ, "PYTHONPATH": os.pathsep.join([str(odd), root])}, "cwd": tmp_path}
    command = [sys.executable, "-", str(scene), str(tmp_path / "a.json")]
    (tmp_path / "random.py").write_text("raise SystemExit('a module of the folder that it runs in')")
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, **settings) as running:
        running.stdin.write(f"sys_path = __import__('sys').path; sys_path.remove(''); {UNGUARDED.strip()}")
        running.stdin.close()
        begun(tmp_path / "a.json")
        workers = workers_of(running.pid)
        running.kill()
    assert len(workers) == 2
    assert ended_within(3, workers)
    result = run(scene, model="slow", options={"tile": 128}, output=tmp_path / "a.json")
    assert result.timings.tiles_from_journal >= 5
    assert content(tmp_path / "a.json") == content(tmp_path / "one.json")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a.json", "one.json", "random.py", "scene.tif", "site"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_an_interrupted_run_ends_with_its_workers_within_two_seconds(odd, scene, tmp_path, number, code):
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(odd), root])}
    words = ["run", str(scene), "--model", "slow", "--tile", "64", "--workers", "2", "-o", "a.json"]
    command = [sys.executable, "-m", "sodslice", *words]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    begun(tmp_path / "a.json")
    workers = workers_of(running.pid)
    began = time.monotonic()
    os.killpg(running.pid, number)
    assert running.wait(10) == code
    assert time.monotonic() - began < 2
    assert ended_within(0.1, workers)
    with running.stderr as said:
        assert not re.search("Traceback|died", said.read())
    assert (tmp_path / "a.json.journal").exists()


@pytest.mark.slow
def test_workers_with_the_default_model_give_the_bytes_of_one_process(tmp_path):
    from sodslice.synthetic import SceneSpec, draw_scene

    scene = tmp_path / "town.tif"
    draw_scene(scene, SceneSpec(width=1600, height=1400, seed=3))
    options = {"tile": 320, "threads": 1, "batch": 2}
    run(scene, options=options, output=tmp_path / "one.json")
    for workers in (2, 3):
        events = Killing(one=4, everyone=20)
        plan = make_plan(scene, options=options)
        hands = Processes(workers)
        try:
            store = execute(plan, tmp_path / f"{workers}.raw", hands=hands, events=events)
        finally:
            hands.close()
        write(finish(plan, [store]), tmp_path / "two.json")
        assert content(tmp_path / "two.json") == content(tmp_path / "one.json")
        assert events.killed > workers
