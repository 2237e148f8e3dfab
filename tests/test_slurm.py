"""configs/slurm, run as SLURM would: a task a shard, queued again when its time ends, then the merge."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sodslice.errors import StoreError
from sodslice.running.records import read_records
from tests import odd_detectors
from tests.rasters import scene_with_blobs, write_raster

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "configs" / "slurm"
TASKS = (1, 2, 3)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SLURM has no Windows")


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """A shared folder with images, and `sodslice` and `scontrol` on the path."""
    for k in range(9):
        (tmp_path / "in").mkdir(exist_ok=True)
        write_raster(tmp_path / "in" / f"{k} a.tif", scene_with_blobs(70, 70, [(5, 5 * k)]))
    write_raster(
        tmp_path / "in" / "large.tif", scene_with_blobs(600, 600, [(50 * k, 55 * k) for k in range(10)])
    )
    (tmp_path / "bin").mkdir()
    programs = {
        "sodslice": f'exec "{sys.executable}" -m sodslice "$@"',
        "scontrol": f'echo "$@" >> "{tmp_path}/requeued"',
    }
    for name, line in programs.items():
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    site = odd_detectors.install(tmp_path / "site")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def task(number: int) -> subprocess.Popen[str]:
    """A task of an array 1-3."""
    environment = {
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_COUNT": "3",
        "SLURM_CPUS_PER_TASK": "1",
    }
    words = ["bash", str(SCRIPTS / "detect.sbatch"), "in", "out", "--model", "slow", "--tile", "64"]
    return subprocess.Popen(
        words, env={**os.environ, **environment}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def tiles_in(part: Path) -> int:
    """How many tiles a store holds; 0 before it is one."""
    try:
        return sum(one.kind == b"TILE" for one, _ in read_records(part))
    except StoreError:
        return 0


def content(path: Path) -> dict:
    document = json.loads(path.read_text())
    del document["timings"]
    return document


def test_an_array_of_shards_ends_as_one_job_does_also_when_a_task_is_queued_again(cluster):
    one = subprocess.run(
        ["sodslice", "run", "in", "-o", "whole", "--model", "slow", "--tile", "64", "--threads", "1", "-q"],
        check=False,
    )
    assert one.returncode == 0
    first = task(1)
    part = cluster / "out" / "large.tif.geojson.1-of-3.raw"
    deadline = time.monotonic() + 60
    while tiles_in(part) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 143, said
    assert (cluster / "requeued").read_text() == "requeue 77_1\n"
    for number in TASKS:
        again = task(number)
        _, said = again.communicate(timeout=60)
        assert again.returncode == 0, said
        assert json.loads(said.splitlines()[-1])["event"] == "end"
        if number == 1:
            assert any("going on with" in json.loads(line).get("text", "") for line in said.splitlines())
    merge = ["bash", str(SCRIPTS / "merge.sbatch"), "out", "--combine", "all.json"]
    done = subprocess.run(merge, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "10 done: " in done.stdout
    for path in sorted((cluster / "whole").glob("*.geojson")):
        assert content(cluster / "out" / path.name) == content(path), path.name
    assert len(json.loads((cluster / "all.json").read_text())["images"]) == 10
