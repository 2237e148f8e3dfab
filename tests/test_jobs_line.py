"""sodslice.jobs.line: outcomes in order, few scenes at once, whatever takes long or is held by others."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from sodslice import run
from sodslice.errors import HeldError, ModelError
from sodslice.jobs import line
from sodslice.jobs.line import in_order
from sodslice.jobs.listing import JobScene
from sodslice.jobs.outcomes import Outcome
from tests.rasters import scene_with_blobs


def scenes(count):
    return (JobScene(f"{number}.tif", f"{number}.tif") for number in range(1, count + 1))


def outcome(scene, result=None):
    return Outcome(scene.path, "done", name=scene.name, result=result)


def test_outcomes_come_in_order_and_few_scenes_are_under_way():
    under_way, most = set(), []

    def do(number, scene):
        under_way.add(number)
        most.append(len(under_way))
        time.sleep(0.02 * (number % 4))
        under_way.discard(number)
        return outcome(scene)

    found = [one.name for one in in_order(scenes(20), do, at_once=3, stop=lambda: None)]
    assert found == [f"{number}.tif" for number in range(1, 21)]
    assert max(most) <= 3
    assert 3 in most


def test_a_scene_that_takes_long_keeps_none_from_being_done_and_results_are_kept_as_they_are(monkeypatch):
    monkeypatch.setattr(line, "HELD_RESULTS", 2)
    result = run(scene_with_blobs(60, 60, [(5, 5), (30, 40)]).transpose(1, 2, 0), model="blobs")
    others = threading.Event()
    done = []

    def do(number, scene):
        if number == 1:
            assert others.wait(10)
        done.append(number)
        if len(done) == 11:
            others.set()
        return outcome(scene, result)

    coming = in_order(scenes(12), do, at_once=2, stop=lambda: None)
    found = list(coming)
    assert done[-1] == 1
    assert [one.name for one in found] == [f"{number}.tif" for number in range(1, 13)]
    assert all(one.result.detections == result.detections for one in found)
    assert found[5].result.provenance == result.provenance


def test_scenes_that_are_none_of_ours_are_passed_over():
    found = in_order(scenes(6), lambda n, s: outcome(s) if n % 2 else None, at_once=2, stop=lambda: None)
    assert [one.name for one in found] == ["1.tif", "3.tif", "5.tif"]


def test_scenes_that_others_are_at_are_tried_again_when_the_rest_is_done(monkeypatch, caplog):
    monkeypatch.setattr(line, "PAUSE_S", 0.02)
    tries = []

    def do(number, scene):
        tries.append(number)
        if number == 1 and tries.count(1) < 4:
            raise HeldError("another is at it")
        return outcome(scene)

    found = [one.name for one in in_order(scenes(5), do, at_once=1, stop=lambda: None)]
    assert found == [f"{number}.tif" for number in range(1, 6)]
    assert tries.count(1) == 4
    assert tries[-1] == 1
    assert caplog.messages == ["waiting for 1 scenes that others are at: another is at it"]


@pytest.mark.parametrize("early", [False, True])
def test_whatever_ends_the_line_stops_what_is_under_way(early):
    stopped, ended = threading.Event(), []

    def do(number, scene):
        if number == 2 and not early:
            raise ModelError("torn")
        if number == 3:
            ended.append(stopped.wait(10))
        return outcome(scene)

    coming = in_order(scenes(9), do, at_once=3, stop=stopped.set)
    if early:
        next(coming)
        coming.close()
    else:
        with pytest.raises(ModelError, match="torn"):
            list(coming)
    assert ended == [True]
    assert not [one for one in threading.enumerate() if one.name.startswith("sodslice-scene")]


def test_paths_of_scenes_are_those_of_their_sources():
    assert JobScene("a/b.tif", "b.tif").path == Path("a/b.tif")
