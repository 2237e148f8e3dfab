"""Jobs that are killed, that run side by side, and what they say, typed as people and cron do."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests import odd_detectors
from tests.rasters import scene_with_blobs, write_raster

SODSLICE = [sys.executable, "-m", "sodslice"]
COUNT = 14


@pytest.fixture
def folder(tmp_path) -> Path:
    """Scenes of several tiles, some in folders, with names that people give; one is broken."""
    names = [f"{'ä b' if k % 3 else 'sub/x'}{k:02}.tif" for k in range(COUNT)]
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for k, name in enumerate(names):
        write_raster(tmp_path / "in" / name, scene_with_blobs(160, 160, [(10, 10), (3 + 9 * k, 60)]))
    (tmp_path / "in" / "ä b05.tif").write_bytes(b"torn")
    return tmp_path / "in"


@pytest.fixture
def where(tmp_path, monkeypatch) -> Path:
    """The folder in which commands run, with the model `slow`, which logs each process that loads it."""
    monkeypatch.chdir(tmp_path)
    site = odd_detectors.install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(Path(__file__).resolve().parents[1])]))
    monkeypatch.setenv(odd_detectors.LOG, str(tmp_path / "loads"))
    return tmp_path


def command(*words: str) -> list[str]:
    return [*SODSLICE, "run", "in", "--model", "slow", "--tile", "64", "--overlap", "8", *words]


def run(*words: str, code: int | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False)
    assert code is None or done.returncode == code, done.stderr
    return done


def entries(out: Path) -> list[dict]:
    """The manifest, without times."""
    found = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in entry.items() if k not in ("seconds", "finished", "result_bytes")}
        for entry in found
    ]


def results(out: Path) -> list[Path]:
    """Files that are whole."""
    return sorted(path for path in out.rglob("*.geojson") if not path.name.startswith("."))


def content(out: Path) -> dict[str, dict]:
    found = {}
    for path in results(out):
        found[str(path.relative_to(out))] = document = json.loads(path.read_text())
        document.pop("timings", None)
    return found


def wait_for(out: Path, count: int) -> None:
    """Until so many results are there."""
    deadline = time.monotonic() + 60
    while len(results(out)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_that_is_killed_twice_goes_on_and_ends_as_if_nothing_had_happened(folder, where):
    run("-o", "whole", "--combine", "whole.json", code=3)
    out, written = where / "out", {}
    for count in (3, 8):
        process = subprocess.Popen(command("-o", "out"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(out, count)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for path, before in written.items():
            assert path.stat().st_mtime_ns == before, f"{path} was done again"
        written = {path: path.stat().st_mtime_ns for path in results(out)}
        assert COUNT - 1 > len(written) >= count
    done = run("-o", "out", "--combine", "out.json", code=3)
    assert all(path.stat().st_mtime_ns == before for path, before in written.items())
    assert f"{len(written)} done before, 1 failed" in done.stdout
    assert entries(out) == entries(where / "whole")
    assert content(out) == content(where / "whole")
    assert (where / "out.json").read_bytes() == (where / "whole.json").read_bytes()
    assert not [path for path in out.rglob("*") if ".journal" in path.name or ".part" in path.name]


def test_two_processes_share_a_folder_and_each_scene_is_done_once(folder, where):
    (folder / "ä b05.tif").unlink()
    run("-o", "whole", code=0)
    both = [
        subprocess.Popen(command("-o", "out"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    done = [set(re.findall(r"^(in/.*): \d+ objects", out, re.MULTILINE)) for out, _ in said]
    assert not done[0] & done[1]
    assert len(done[0] | done[1]) == COUNT - 1
    assert min(map(len, done)) > 1
    assert all(
        f"{len(one)} done, {COUNT - 1 - len(one)} done before" in out
        for one, (out, _) in zip(done, said, strict=True)
    )
    assert entries(where / "out") == entries(where / "whole")
    assert content(where / "out") == content(where / "whole")


def test_shards_are_run_and_merged_as_slurm_would(folder, where):
    run("-o", "whole", code=3)
    shards = [
        subprocess.Popen(command("-o", "out", "-q", "--shard", f"{number}/3"), stderr=subprocess.PIPE)
        for number in (1, 2, 3)
    ]
    codes = [process.wait(timeout=120) for process in shards]
    assert sorted(codes) == [0, 0, 3]
    merged = subprocess.run(
        [*SODSLICE, "jobs", "merge", "out", "--combine", "all.geojson"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert merged.returncode == 3, merged.stderr
    assert content(where / "out") == content(where / "whole")
    table = json.loads((where / "all.geojson").read_text())
    assert {feature["properties"]["source"] for feature in table["features"]} == {
        entry["path"] for entry in entries(where / "whole") if entry["status"] == "done"
    }
    status = subprocess.run([*SODSLICE, "jobs", "status", "out"], capture_output=True, text=True, check=False)
    assert status.returncode == 3
    assert status.stdout.splitlines()[0] == "13 done, 1 failed: 26 objects (manifest.jsonl)"
    assert status.stdout.splitlines()[1].startswith("failed: in/ä b05.tif: ")


def test_ctrl_c_ends_a_job_soon_and_loses_nothing(folder, where):
    process = subprocess.Popen(
        command("-o", "out"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(where / "out", 2)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 2
    assert (process.returncode, said.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in said
    done = len(results(where / "out"))
    assert f"{done} done before, 1 failed" in run("-o", "out", code=3).stdout


def test_the_log_is_one_line_of_json_an_event_with_its_time(folder, where):
    done = run("-o", "out", "--log-json", "--combine", "all.json", code=3)
    assert done.stdout == ""
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", event["time"]) for event in events
    )
    kinds = [event["event"] for event in events]
    assert (kinds.count("scene"), kinds.count("done"), kinds.count("failed")) == (COUNT, COUNT - 1, 1)
    assert [event["path"] for event in events if event["event"] == "failed"] == ["in/ä b05.tif"]
    assert events[-1] | {"time": 0} == {
        "time": 0, "event": "combined", "output": "all.json", "images": 13, "objects": 26, "left_out": 0,
    }  # fmt: skip
    end = next(event for event in events if event["event"] == "end")
    assert (end["done"], end["failed"], end["objects"], end["pixels"]) == (13, 1, 26, 13 * 160 * 160)
    last = [event for event in events if event["event"] == "progress"][-1]
    assert (last["settled"], last["scenes"]) == (COUNT, COUNT)
    for words in (["-o", "-"], ["-o", "one.json"], ["-o", "one.json", "--dry-run"]):
        one = subprocess.run(
            [*SODSLICE, "run", "in/sub/x00.tif", "--model", "blobs", "--log-json", *words],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        last = json.loads(one.stderr.splitlines()[-1])
        assert last["event"] == ("planned" if "--dry-run" in words else "done")
        assert "--dry-run" in words or any('"progress"' in line for line in one.stderr.splitlines())
    dry = run("-o", "other", "--log-json", "--dry-run", code=3)
    assert json.loads(dry.stderr.splitlines()[-1])["event"] == "end"
    assert dry.stdout == ""
    single = subprocess.run(
        [*SODSLICE, "run", "nowhere.tif", "--log-json"], capture_output=True, text=True, check=False
    )
    assert single.returncode == 1
    assert [json.loads(line)["event"] for line in single.stderr.splitlines()] == ["error"]


def test_a_quiet_job_says_errors_alone_and_each_once(folder, where):
    done = run("-o", "out", "-q", code=3)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    for path in folder.rglob("*.tif"):
        path.write_bytes(b"torn")
    nothing = run("-o", "none", "-q", "--combine", "none.json", code=3)
    assert json.loads((where / "none.json").read_text())["images"] == []
    assert nothing.stderr.count("error: ") == len(nothing.stderr.splitlines()) == COUNT
    assert line.startswith("error: in/ä b05.tif is not an image")


def test_a_job_stops_at_the_first_failure_where_it_is_told_to(folder, where):
    done = run("-o", "out", "--fail-fast", "--readers", "1", code=3)
    assert done.stderr.count("error: ") == 1
    assert done.stdout.splitlines()[-1].startswith(
        "stopped at the first failure; run again without --fail-fast"
    )
    assert len(results(where / "out")) < COUNT - 1


def test_a_terminal_shows_one_bar_over_all_images_and_one_over_tiles(folder, where):
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(command("-o", "out"), stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            some = os.read(leader, 4096)
        except OSError:
            break
        if not some:
            break
        shown += some
    os.close(leader)
    out, _ = process.communicate(timeout=60)
    text = shown.decode()
    assert re.search(r"\d+ of 14 images, 0\.\d of 0\.3 Mpx, about \d+ s", text), text[-2000:]
    assert "tile" in text
    assert out.decode().splitlines()[-1].startswith("13 done, 1 failed: 26 objects in 0.3 Mpx, ")


def test_a_list_on_stdin_and_a_result_on_stdout(folder, where):
    listed = "\n".join(["in/sub/x00.tif", "in/ä b01.tif", "# none"])
    words = [*SODSLICE, "run", "-", "--model", "blobs", "-o", "out"]
    done = subprocess.run(words, input=listed, capture_output=True, text=True, check=False)
    assert (done.returncode, sorted(content(where / "out"))) == (0, ["x00.tif.geojson", "ä b01.tif.geojson"])
    one = [*SODSLICE, "run", "in/sub/x00.tif", "--model", "blobs", "-o", "-"]
    single = subprocess.run(one, capture_output=True, text=True, check=False)
    assert len(json.loads(single.stdout)["features"]) == 2
    assert re.fullmatch(r"in/sub/x00\.tif: 2 objects \(blob 2\) -> stdout \[1 tile, .* s\]\n", single.stderr)
    nothing = subprocess.run(words, input="\n", capture_output=True, text=True, check=False)
    assert (nothing.returncode, "stdin lists no scene" in nothing.stderr) == (2, True)


def test_what_would_be_done_is_listed_and_nothing_is_done(folder, where):
    done = run("-o", "out", "--dry-run", code=3)
    lines = done.stdout.splitlines()
    assert "in/ä b01.tif: to do, 9 tiles, it is new -> out/ä b01.tif.geojson" in lines
    assert any(line.startswith("in/ä b05.tif: cannot be done: ") for line in lines)
    assert lines[-1] == "13 to do (117 tiles), 0 done before, 1 cannot be done; nothing was run"
    assert not (where / "out").exists()
    assert not (where / "loads").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "x.json"], "need one folder for their results: -o FOLDER"),
        (["-o", "-"], "need one folder for their results: -o FOLDER"),
        (["-o", ""], "need one folder for their results: -o FOLDER"),
        (["-", "-o", "out"], "beside which nothing else can be named"),
        ([], "need one folder for their results: -o FOLDER"),
        (["-o", "out", "--shard", "1/2", "--combine", "a.json"], "a shard has not all results"),
        (
            ["-o", "out", "--combine", "a.txt"],
            "--combine a.txt is no table of many results; its suffix must be",
        ),
        (["-o", "out", "--shard", "5/2"], "--shard is one of 1/2 to 2/2, got 5/2"),
        (["-o", "site/odd-1.0.dist-info/METADATA"], "cannot write to the folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(folder, where, words, said):
    done = run(*words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert not (where / "loads").exists()


def test_a_table_takes_the_place_of_tables_alone(folder, where):
    (where / "all.json").write_text('{"my": "own"}')
    done = run("-o", "out", "--combine", "all.json", code=1)
    assert "all.json is here and is no table of a job; give --combine another name" in done.stderr
    assert (where / "all.json").read_text() == '{"my": "own"}'
