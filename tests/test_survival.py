"""Runs that are interrupted go on and end as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sodslice import ArrayScene, BlobDetector, Detections, SodsliceError, run
from sodslice.errors import SceneError
from sodslice.results import FailedTile
from sodslice.running import finish_again
from sodslice.running.records import read_records
from sodslice.scene import RasterScene, scene_identity
from tests.rasters import scene_with_blobs, write_raster

CORNERS = [(x, y) for x in range(5, 780, 40) for y in range(5, 580, 40)]


@pytest.fixture
def scene(tmp_path) -> Path:
    return write_raster(tmp_path / "scene.tif", scene_with_blobs(800, 600, CORNERS))


def content(path: Path) -> dict:
    document = json.loads(path.read_text())
    del document["timings"]
    return document


class Dying(BlobDetector):
    """Raises after some batches, and counts the tiles it has seen."""

    def __init__(self, batches: int):
        super().__init__()
        self.left = batches
        self.seen = 0

    def detect(self, pixels):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.seen += len(pixels)
        return super().detect(pixels)


def test_an_interrupted_run_goes_on_and_ends_the_same(scene, tmp_path):
    options = {"tile": 64, "batch": 3}
    run(scene, model=BlobDetector(), options=options, output=tmp_path / "whole.json")
    seen = 0
    for batches in (5, 1, 20, 1000):
        detector = Dying(batches)
        try:
            result = run(scene, model=detector, options=options, output=tmp_path / "parts.json")
        except KeyboardInterrupt:
            assert (tmp_path / "parts.json.journal").is_file()
            assert not (tmp_path / "parts.json").exists()
        seen += detector.seen
    parts, whole = (json.dumps(content(tmp_path / f"{name}.json")) for name in ("parts", "whole"))
    assert parts == whole
    assert seen == result.provenance.counts.read
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts.json", "scene.tif", "whole.json"]


def begin(scene, tmp_path, **options):
    with pytest.raises(KeyboardInterrupt):
        run(scene, model=Dying(5), options={"tile": 64} | options, output=tmp_path / "a.json")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tile": 128}, r"tile 64 \(now 128\)"),
        ({"overlap": 0.1}, r"overlap 0.2 \(now 0.1\)"),
        ({"bands": "3,2,1"}, r"bands None \(now \[3, 2, 1\]\)"),
    ],
)
def test_a_rerun_that_would_see_other_pixels_is_refused(scene, tmp_path, changed, words):
    begin(scene, tmp_path)
    with pytest.raises(SodsliceError, match=words):
        run(scene, model=BlobDetector(), options={"tile": 64} | changed, output=tmp_path / "a.json")
    run(
        scene, model=BlobDetector(), options={"tile": 64, "fresh": True} | changed, output=tmp_path / "a.json"
    )


def test_another_model_is_refused(scene, tmp_path):
    begin(scene, tmp_path)
    with pytest.raises(SodsliceError, match="model sha256"):
        run(scene, model=BlobDetector(level=100), options={"tile": 64}, output=tmp_path / "a.json")


@pytest.mark.parametrize(
    "changed", [{"iou": 0.3}, {"threshold": 0.9}, {"merge": "none"}, {"readers": 4}, {"batch": 2}]
)
def test_a_rerun_with_other_settings_after_detection_goes_on(scene, tmp_path, changed):
    begin(scene, tmp_path)
    result = run(scene, model=BlobDetector(), options={"tile": 64} | changed, output=tmp_path / "a.json")
    assert result.timings.tiles_from_journal > 0


def test_a_scene_that_changed_is_refused(scene, tmp_path):
    begin(scene, tmp_path)
    os.utime(scene, ns=(1, 1))
    with pytest.raises(SodsliceError, match=r"scene changed"):
        run(scene, model=BlobDetector(), options={"tile": 64}, output=tmp_path / "a.json")


def test_a_scene_replaced_during_the_run_is_noticed_and_the_journal_kept(scene, tmp_path):
    class Replacing(BlobDetector):
        def detect(self, pixels):
            os.utime(scene, ns=(1, 1))
            return super().detect(pixels)

    with pytest.raises(SodsliceError, match="was replaced or removed while it was read"):
        run(scene, model=Replacing(), options={"tile": 256}, output=tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()
    assert journaled(tmp_path / "a.json")


def test_the_windows_under_way_are_named_on_the_next_run(scene, tmp_path, caplog):
    begin(scene, tmp_path)
    with caplog.at_level("WARNING", logger="sodslice"):
        run(scene, model=BlobDetector(), options={"tile": 64}, output=tmp_path / "a.json")
    assert "tiles are done; the last run ended at the windows x " in caplog.text


class Broken(ArrayScene):
    """Cannot be read in its right half."""

    def read(self, x, y, width, height):
        if x >= 400:
            raise SceneError(f"bad block at {x}, {y}")
        return super().read(x, y, width, height)


def test_tiles_that_cannot_be_read_fail_the_run_or_are_listed():
    broken = Broken(np.ascontiguousarray(scene_with_blobs(800, 200, CORNERS[:5]).transpose(1, 2, 0)))
    options = {"tile": 200, "overlap": 0}
    with pytest.raises(SodsliceError, match="bad block"):
        run(broken, model="blobs", options=options)
    result = run(broken, model="blobs", options=options | {"on_error": "skip"})
    assert result.provenance.counts.failed == 2
    assert result.provenance.failed_tiles[0] == FailedTile(
        id=2, window=(400, 0, 200, 200), error="bad block at 400, 0"
    )
    assert len(result) == 5


class BrokenFile(RasterScene):
    """A file of which a part cannot be read."""

    def read(self, x, y, width, height):
        if x == 192 and y == 0:
            raise SceneError("bad block")
        return super().read(x, y, width, height)


def test_a_tile_that_failed_says_nothing_about_what_its_neighbours_saw(tmp_path):
    # Two tiles see the blob whole; the one that sees it deeper cannot be read.
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(448, 256, [(236, 100)]))
    options = {"tile": 256, "overlap": 64, "on_error": "skip", "keep_raw": True}
    whole = run(path, model="blobs", options=options, output=tmp_path / "whole.json")
    with BrokenFile(path) as broken:
        result = run(broken, model="blobs", options=options, output=tmp_path / "a.json")
    assert [tile.id for tile in result.provenance.failed_tiles] == [1]
    assert result.detections.boxes.tolist() == whole.detections.boxes.tolist() == [[236, 100, 246, 110]]
    assert result.detections.scores.tolist() == whole.detections.scores.tolist()
    assert finish_again(tmp_path / "a.json").detections == result.detections


def test_skipped_tiles_give_exit_3(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3, 1000, 1000), dtype=np.uint8)
    path = write_raster(tmp_path / "a.tif", noise, compress="deflate")
    path.write_bytes(path.read_bytes()[:1_500_000])
    command = [
        sys.executable,
        "-m",
        "sodslice",
        "run",
        str(path),
        "--model",
        "blobs",
        "--tile",
        "256",
        "-o",
        "a.json",
    ]
    done = subprocess.run(
        [*command, "--on-error", "skip"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    failed = json.loads((tmp_path / "a.json").read_text())["run"]["failed_tiles"]
    assert failed
    assert all(row["window"][2:] == [256, 256] for row in failed)
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_a_finished_output_is_overwritten_by_a_rerun(scene, tmp_path):
    for threshold in (0.1, 0.2):
        run(scene, model="blobs", options={"tile": 64, "threshold": threshold}, output=tmp_path / "a.json")
    assert content(tmp_path / "a.json")["run"]["options"]["threshold"] == {"all": 0.2}


def test_a_kept_store_merges_again_like_a_run(scene, tmp_path):
    options = {"tile": 64, "merge": "nms"}
    run(scene, model="blobs", options=options | {"keep_raw": True}, output=tmp_path / "a.json")
    again = finish_again(tmp_path / "a.json", {"merge": "none", "threshold": 0.5})
    fresh = run(scene, model="blobs", options=options | {"merge": "none", "threshold": 0.5})
    assert again.detections == fresh.detections
    assert len(again) > len(run(scene, model="blobs", options=options))
    assert (
        finish_again(tmp_path / "a.json.raw").detections
        == run(scene, model="blobs", options=options).detections
    )


def test_a_store_of_another_run_than_the_result_is_not_merged(scene, tmp_path):
    run(scene, model="blobs", options={"tile": 64, "keep_raw": True}, output=tmp_path / "a.json")
    again = json.loads((tmp_path / "a.json").read_text())
    again["timings"]["started"] = "2001-01-01T00:00:00+00:00"
    (tmp_path / "a.json").write_text(json.dumps(again))
    with pytest.raises(
        SodsliceError, match=r"a.json.raw is of the run of .* and .*a.json of that of 2001-01"
    ):
        finish_again(tmp_path / "a.json")
    assert len(finish_again(tmp_path / "a.json.raw")) == len(CORNERS)


class TwoClasses(BlobDetector):
    """Calls every second blob of a tile something else, less surely."""

    def __init__(self):
        super().__init__()
        self.info = replace(self.info, class_names=("a", "b"), threshold=0.2, sha256="two")

    def detect(self, pixels):
        return [
            Detections(t.boxes, np.resize([0.8, 0.3], len(t)), np.resize([0, 1], len(t)), t.tile_ids)
            for t in super().detect(pixels)
        ]


def test_a_threshold_for_one_class_leaves_the_others_theirs_when_merging_again(scene, tmp_path):
    options = {"tile": 800, "keep_raw": True}
    run(scene, model=TwoClasses(), options=options, output=tmp_path / "a.json")
    for threshold in ("a=0.9", ["a=0.9", "b=0.5"], 0.5, ["0.5", "b=0.1"]):
        fresh = run(scene, model=TwoClasses(), options={"tile": 800, "threshold": threshold})
        again = finish_again(tmp_path / "a.json", {"threshold": threshold})
        assert again.detections == fresh.detections
        assert again.provenance.options["threshold"] == fresh.provenance.options["threshold"]


@pytest.mark.parametrize("read", ["scene", "aoi"])
def test_what_a_run_reads_is_not_overwritten(scene, tmp_path, read):
    area = tmp_path / "area.geojson"
    area.write_text('{"type": "Polygon", "coordinates": [[[0, 0], [90, 0], [90, 80], [0, 80], [0, 0]]]}')
    output = area if read == "aoi" else scene.rename(tmp_path / "scene.json")
    path = scene if read == "aoi" else output
    before = output.read_bytes()
    with pytest.raises(SodsliceError, match="would overwrite .*, which the run reads; give another name"):
        run(path, model="blobs", options={"aoi": str(area)}, output=output)
    assert output.read_bytes() == before


def test_merging_again_says_what_it_lacks(scene, tmp_path):
    run(scene, model="blobs", options={"tile": 64}, output=tmp_path / "a.json")
    with pytest.raises(SodsliceError, match="run the scene with `keep_raw`"):
        finish_again(tmp_path / "a.json")
    with pytest.raises(SodsliceError, match="there is no file"):
        finish_again(tmp_path / "b.json")
    begin(scene, tmp_path)
    (tmp_path / "a.json.journal").rename(tmp_path / "a.json.raw")
    with pytest.raises(SodsliceError, match="has not finished"):
        finish_again(tmp_path / "a.json")


def test_the_command_line_keeps_and_merges(scene, tmp_path):
    def sodslice(*words):
        command = [sys.executable, "-m", "sodslice", *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (
        sodslice("run", scene, "--model", "blobs", "--tile", 64, "-o", "a.json", "--keep-raw").returncode == 0
    )
    done = sodslice("merge", "a.json", "-o", "b.json", "--merge", "none")
    assert done.returncode == 0, done.stderr
    assert len(content(tmp_path / "b.json")["boxes"]) > len(content(tmp_path / "a.json")["boxes"])
    assert sodslice("merge", "b.json", "-o", "c.json").returncode == 1


def test_a_run_that_did_nothing_leaves_nothing(scene, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(scene, model=Dying(0), options={"tile": 64}, output=tmp_path / "a.json")
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_identity_is_that_of_the_file(scene):
    from sodslice import open_scene

    with open_scene(scene) as opened:
        assert scene_identity(opened)["scene bytes"] == scene.stat().st_size
    assert scene_identity(ArrayScene(np.zeros((4, 4), np.uint8))) == {}


SLOW_BLOBS = """
import sys, time
import sodslice
from sodslice import BlobDetector

class Slow(BlobDetector):
    def detect(self, pixels):
        time.sleep(0.02)
        with open(sys.argv[3], "a") as log:
            log.write("x" * len(pixels))
        return super().detect(pixels)

sodslice.run(sys.argv[1], model=Slow(), options={"tile": 64, "batch": 2}, output=sys.argv[2])
"""

KILLS = 20


def journaled(output: Path) -> int:
    """How many tiles the journal beside an output holds."""
    try:
        kinds = [record.kind for record, _ in read_records(output.with_name(output.name + ".journal"))]
    except SodsliceError:
        return 0
    return kinds.count(b"TILE") + kinds.count(b"NONE")


def killed_at_random(command: list[str], output: Path, tiles: int) -> None:
    """Start a run, kill it at a random moment, and again, all through its tiles; then let it finish."""
    dice = random.Random(0)
    for least in sorted(dice.randrange(tiles) for _ in range(KILLS)):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while journaled(output) < least and running.poll() is None:
            time.sleep(0.005)
        time.sleep(dice.uniform(0, 0.1))
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL, "the run ended by itself"
        assert not output.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_like_one_that_was_not(scene, tmp_path):
    log = tmp_path / "log"
    run(scene, model=BlobDetector(), options={"tile": 64, "batch": 2}, output=tmp_path / "whole.json")
    tiles = content(tmp_path / "whole.json")["run"]["counts"]["read"]
    output = tmp_path / "parts.json"
    killed_at_random(
        [sys.executable, "-c", SLOW_BLOBS, str(scene), str(output), str(log)], output, tiles - 40
    )
    assert json.dumps(content(output)) == json.dumps(content(tmp_path / "whole.json"))
    lost_at_a_kill = 2  # a batch that was seen and not yet in the journal
    assert tiles <= len(log.read_text()) <= tiles + KILLS * lost_at_a_kill


@pytest.mark.slow
def test_the_default_model_killed_twenty_times_ends_the_same(tmp_path):
    from sodslice.synthetic import SceneSpec, draw_scene

    draw_scene(tmp_path / "town.tif", SceneSpec(width=1600, height=1400, seed=3))
    command = [sys.executable, "-m", "sodslice", "run", str(tmp_path / "town.tif"), "--tile", "320", "-o"]
    done = subprocess.run(
        [*command, str(tmp_path / "whole.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    tiles = content(tmp_path / "whole.json")["run"]["counts"]["tiles"]
    killed_at_random([*command, str(tmp_path / "parts.json")], tmp_path / "parts.json", tiles - 6)
    parts, whole = (json.dumps(content(tmp_path / f"{name}.json")) for name in ("parts", "whole"))
    assert parts == whole
