"""What a run does when it is interrupted, when nobody listens, and when there is no room to speak."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from sodslice.cli._shared import progress_bar
from sodslice.cli._streams import unfailing_streams
from sodslice.system.signals import signals_held
from tests.rasters import scene_with_blobs, write_raster

FULL = "/dev/full"
NO_ROOM = "error: cannot write to stdout: No space left on device\n"
TRAP = """
import subprocess, sys

class Trap:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            subprocess.Popen(["sh", "-c", "sleep {seconds}; kill -{number} $PPID"])

sys.meta_path.insert(0, Trap())
from sodslice.cli import main
main(["run", "scene.tif", "-o", "a.json", "--engine", {engine!r}])
"""

needs_full = pytest.mark.skipif(not os.path.exists(FULL), reason=f"there is no {FULL} here")  # noqa: PTH110


@pytest.fixture
def scene(tmp_path):
    return write_raster(tmp_path / "scene.tif", scene_with_blobs(300, 200, [(20, 30), (250, 150)]))


def sodslice(*arguments, cwd, redirect="", **streams) -> subprocess.CompletedProcess[str]:
    """Run the command line, its streams changed by the shell's words."""
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-m", "sodslice"]
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=cwd, text=True, check=False, timeout=120, **captured
    )


def without_reader(*arguments, cwd) -> subprocess.CompletedProcess[str]:
    """Run the command line with a stdout whose reader has gone away."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return sodslice(*arguments, cwd=cwd, stdout=writer)
    finally:
        os.close(writer)


INTERRUPTED = (signal.SIGINT, (130, "interrupted"))
TERMINATED = (signal.SIGTERM, (143, ""))
NATIVE = ("paddle.base.libpaddle", 0.1, "paddle")
PYTHON = ("paddle.distributed", 0, "paddle")
OPENVINO = ("openvino", 0, "openvino")


# Each signal in paddle and in openvino, each place in paddle; the other pairs take long and say no more.
@pytest.mark.parametrize(
    ("module", "seconds", "engine", "sent", "end"),
    [
        pytest.param(*NATIVE, *INTERRUPTED, id="C++ interrupted"),
        pytest.param(*NATIVE, *TERMINATED, marks=pytest.mark.slow, id="C++ terminated"),
        pytest.param(*PYTHON, *INTERRUPTED, marks=pytest.mark.slow, id="Python interrupted"),
        pytest.param(*PYTHON, *TERMINATED, id="Python terminated"),
        pytest.param(*OPENVINO, *INTERRUPTED, id="openvino interrupted"),
        pytest.param(*OPENVINO, *TERMINATED, id="openvino terminated"),
    ],
)
@pytest.mark.usefixtures("scene")
def test_a_signal_while_an_engine_is_loaded_ends_the_run_like_any_other(
    tmp_path, module, seconds, engine, sent, end
):
    trap = TRAP.format(module=module, seconds=seconds, engine=engine, number=int(sent))
    done = subprocess.run(
        [sys.executable, "-c", trap],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr.strip()) == end
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.tif"]


HELD = """
import signal, sys
from sodslice.system.signals import signals_held

number, heard = int(sys.argv[1]), []

def hear(sent, _frame):
    heard.append(sent)

signal.signal(number, hear)
with signals_held(), signals_held():
    signal.raise_signal(number)
    assert heard == []
assert heard == [number]
assert signal.getsignal(number) is hear
try:
    with signals_held():
        signal.raise_signal(number) or 1 / 0
except ZeroDivisionError:
    assert heard == [number] * 2
    print("held")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_are_held_come_when_it_is_over_and_handlers_are_put_back(number):
    """In a process of its own: others' threads may take signals, and their libraries have handlers."""
    command = [sys.executable, "-c", HELD, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX threads")
def test_a_signal_that_another_thread_takes_is_held_too():
    go, gone = threading.Event(), threading.Event()

    def take():
        go.wait(10)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        gone.set()

    def load():
        with signals_held():
            go.set()
            assert gone.wait(10)

    threading.Thread(target=take).start()
    with pytest.raises(KeyboardInterrupt):
        load()
    assert gone.is_set()


def test_signals_are_left_alone_outside_of_the_main_thread():
    handlers = []

    def look():
        with signals_held():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


@needs_full
def test_a_summary_that_cannot_be_written_is_one_error_line_and_the_result_is_there(scene, tmp_path):
    done = sodslice("run", scene, "--model", "blobs", "-o", "a.json", cwd=tmp_path, redirect=f">{FULL}")
    assert (done.returncode, done.stderr) == (1, NO_ROOM)
    assert len(json.loads((tmp_path / "a.json").read_text())["boxes"]) == 2


@needs_full
@pytest.mark.parametrize(
    "command", [["config"], ["models"], ["plan", "scene.tif", "--model", "blobs"], ["run", "--help"]]
)
def test_data_that_cannot_be_written_is_one_error_line(scene, tmp_path, command):
    done = sodslice(*command, cwd=tmp_path, redirect=f">{FULL}")
    assert (done.returncode, done.stderr) == (1, NO_ROOM)


@needs_full
def test_exit_codes_do_not_depend_on_room_for_the_words(scene, tmp_path):
    assert sodslice("run", scene, "--tiel", 3, cwd=tmp_path, redirect=f"2>{FULL}").returncode == 2
    assert sodslice("run", "no.tif", cwd=tmp_path, redirect=f"2>{FULL}").returncode == 1


@needs_full
def test_a_folder_is_done_although_nothing_can_be_said_of_it(scene, tmp_path):
    (tmp_path / "broken.tif").write_text("nonsense")
    done = sodslice("run", tmp_path, "--model", "blobs", "-o", "out", cwd=tmp_path, redirect=f">{FULL}")
    assert done.returncode == 3
    assert done.stderr.endswith(NO_ROOM)
    assert [p.name for p in (tmp_path / "out").glob("*.geojson")] == ["scene.tif.geojson"]


@pytest.mark.parametrize("redirect", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed(scene, tmp_path, redirect):
    done = sodslice("run", scene, "--model", "blobs", "-o", "a.json", cwd=tmp_path, redirect=redirect)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("2 objects" in done.stdout) == (">&-" not in redirect.split())
    assert len(json.loads((tmp_path / "a.json").read_text())["boxes"]) == 2


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path):
    code = (
        "import os, sys\n"
        "from sodslice.cli._streams import unfailing_streams\n"
        "with unfailing_streams():\n"
        "    file = open('a.txt', 'w')\n"
        "    assert file.fileno() > 2\n"
        "    os.write(1, b'by a library')\n"
        "    os.write(2, b'by a library')\n"
        "    print('said')\n"
        "    print('said', file=sys.stderr)\n"
    )
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "a.txt").read_text() == ""


def test_there_is_no_bar_without_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar(quiet=False) as bar:
        assert bar is None


def test_a_bar_of_bytes_counts_in_powers_of_two_and_knows_no_end_at_first(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar(quiet=False, title="some model", of_bytes=True) as bar:
        bar(1 << 19, None)
        time.sleep(0.15)
        bar(1 << 20, 2 << 20)
    assert re.search(r"some model: +50%.* 1\.00M/2\.00M ", screen.getvalue())


def test_all_scenes_are_done_although_the_reader_went_away(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abc":
        write_raster(tmp_path / "in" / f"{name}.tif", scene_with_blobs(64, 64, [(5, 5)]))
    done = without_reader("run", "in", "--model", "blobs", "-o", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(p.name[0] for p in (tmp_path / "out").glob("*.geojson")) == ["a", "b", "c"]
    (tmp_path / "in" / "a.tif").write_text("nonsense")
    done = without_reader("run", "in", "--model", "blobs", "-o", "again", cwd=tmp_path)
    assert done.returncode == 3
    assert sorted(p.name[0] for p in (tmp_path / "again").glob("*.geojson")) == ["b", "c"]


@pytest.mark.parametrize(
    "command", [["config"], ["models"], ["plan", "scene.tif", "--model", "blobs"], ["run", "--help"]]
)
def test_a_reader_that_has_enough_is_no_error(scene, tmp_path, command):
    done = without_reader(*command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_streams_are_put_back_and_say_what_was_said(capfd):
    before = sys.stdout, sys.stderr
    with unfailing_streams() as lost:
        sys.stdout.write("out, with é\n")
        sys.stderr.write("err\n")
        assert sys.stdout.isatty() is False
        assert lost() is None
    assert (sys.stdout, sys.stderr) == before
    assert capfd.readouterr() == ("out, with é\n", "err\n")


def test_streams_that_are_no_files_are_left_alone(capsys):
    before = sys.stdout
    with unfailing_streams() as lost:
        assert sys.stdout is before
        sys.stdout.write("said\n")
        assert lost() is None
    assert capsys.readouterr().out == "said\n"
