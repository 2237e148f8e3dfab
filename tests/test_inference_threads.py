"""Threads: one loaded model for many of them, many that load at once, and what they say meanwhile."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from sodslice import SodsliceError, load_model, run
from sodslice.synthetic import SceneSpec, render
from tests.dense_models import dots, export_cells
from tests.tiny_models import PERMUTE, export_bright_box


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = export_bright_box(tmp_path_factory.mktemp("threads") / "m", preprocess=[PERMUTE])
    return load_model(folder, device="cpu")


def bright(row: int) -> np.ndarray:
    """One tile with a bright rectangle that no other number gives."""
    tile = np.full((1, 96, 96, 3), 20, np.uint8)
    tile[:, row : row + 10, 2 * row : 2 * row + 12] = 250
    return tile


def test_each_thread_gets_the_boxes_of_its_own_tiles(detector):
    tiles = [bright(row) for row in range(40)]
    alone = [detector.detect(tile)[0] for tile in tiles]
    assert len({tuple(table.boxes[0]) for table in alone}) == 40
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(lambda tile: detector.detect(tile)[0], tiles)) == alone


def test_threads_that_meet_a_crowded_tile_at_once_load_the_deeper_graph_once(tmp_path, caplog):
    shared = load_model(export_cells(tmp_path / "m", 16, candidates=100, anchors=2), device="cpu")
    pixels = dots(3000, 16)[None]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shared.detect(pixels)[0], range(8)))
    assert [len(table) for table in found] == [3000] * 8
    assert not caplog.records


def test_a_model_that_is_closed_in_another_thread_is_an_error_and_nothing_else(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    shared, start = load_model(folder, device="cpu"), Barrier(3)

    def work(_):
        start.wait()
        try:
            for _ in range(200):
                shared.detect(bright(3))
        except SodsliceError as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        working = pool.map(work, range(2))
        start.wait()
        shared.close()
        assert set(working) <= {"the model is closed; load it again", "done"}


def test_runs_in_threads_give_what_runs_alone_give():
    scenes = [render(SceneSpec(width=300, height=300, seed=seed)) for seed in range(3)]
    shared = load_model("vehicle-t", device="cpu")

    def boxes(scene):
        return run(scene, model=shared, options={"tile": 160, "threshold": 0.2}).detections

    alone = [boxes(scene) for scene in scenes]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(boxes, scenes)) == alone


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_models_that_are_loaded_in_several_threads_leave_the_streams_and_lose_nothing_that_is_said():
    outcome = in_a_process(
        """
        import sys, threading, time
        from concurrent.futures import ThreadPoolExecutor
        import sodslice

        done = threading.Event()

        def talk():
            said = 0
            while not done.is_set() or said < 20:
                print("out", said, flush=True)
                print("err", said, file=sys.stderr, flush=True)
                said += 1
                time.sleep(0.01)
            print("said", said, flush=True)

        talking = threading.Thread(target=talk)
        talking.start()
        with ThreadPoolExecutor(3) as pool:
            models = list(pool.map(lambda _: sodslice.load_model("vehicle-t", device="cpu"), range(3)))
        done.set()
        talking.join()
        print("loaded", len(models), flush=True)
        """
    )
    assert outcome.returncode == 0, outcome.stderr
    out = outcome.stdout.splitlines()
    said = int(next(line for line in out if line.startswith("said")).split()[1])
    assert [line for line in out if line.startswith("out")] == [f"out {n}" for n in range(said)]
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("err")]
    assert errors == [f"err {n}" for n in range(said)]
    assert out[-1] == "loaded 3"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_model_that_is_loaded_in_a_thread_leaves_the_signals_alone():
    outcome = in_a_process(
        """
        import faulthandler, os, signal, sys, threading
        faulthandler.enable()
        taken = []
        signal.signal(signal.SIGTERM, lambda number, _: taken.append(number))
        caught = next(line for line in open("/proc/self/status") if line.startswith("SigCgt")).split()[1]
        import sodslice
        loading = threading.Thread(target=sodslice.load_model, args=("vehicle-t",))
        loading.start()
        loading.join()
        after = next(line for line in open("/proc/self/status") if line.startswith("SigCgt")).split()[1]
        os.kill(os.getpid(), signal.SIGTERM)
        lost = int(caught, 16) & ~int(after, 16)
        print(taken == [signal.SIGTERM], lost)
        """
    )
    assert (outcome.returncode, outcome.stdout.split()) == (0, ["True", "0"]), outcome.stderr
