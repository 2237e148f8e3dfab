from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sodslice.errors import OutputError, SceneError
from sodslice.system.files import (
    appearing,
    appearing_folder,
    check_writable,
    remove_leftovers,
    write_atomically,
)


def names_of(folder):
    return sorted(entry.name for entry in folder.iterdir())


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_a_file_is_written_with_its_folders(tmp_path):
    path = tmp_path / "deep" / "er" / "a.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert names_of(path.parent) == ["a.bin"]


def test_the_name_to_write_under_is_hidden_beside_the_file_and_ends_alike(tmp_path):
    path = tmp_path / "scene.v1.tif"
    with appearing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".scene.v1.")
        assert temporary.suffix == ".tif"
        temporary.write_bytes(b"x")
        assert not path.exists()
    assert names_of(tmp_path) == ["scene.v1.tif"]
    with appearing(path, suffix_kept=False) as temporary:
        assert temporary.suffix == ".part"
        temporary.write_bytes(b"y")
    assert path.read_bytes() == b"y"


def test_two_writers_of_one_process_never_have_the_same_name(tmp_path):
    with appearing(tmp_path / "a") as one, appearing(tmp_path / "a") as other:
        assert one != other
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert names_of(tmp_path) == ["a"]


def failing(path, error):
    with appearing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.mark.parametrize(
    ("error", "seen", "words"),
    [
        (
            OSError(28, "No space left on device"),
            OutputError,
            "cannot write .*a.tif: No space left on device$",
        ),
        (OSError("no reason\nwith a number"), OutputError, "cannot write .*a.tif: no reason with a number$"),
        (SceneError("b.tif is broken"), SceneError, "^b.tif is broken$"),
        (ZeroDivisionError("x"), ZeroDivisionError, "^x$"),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
)
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, error, seen, words):
    path = tmp_path / "a.tif"
    path.write_bytes(b"old")
    with pytest.raises(seen, match=words):
        failing(path, error)
    assert path.read_bytes() == b"old"
    assert names_of(tmp_path) == ["a.tif"]


@pytest.mark.parametrize("step", ["replace", "write_bytes"])
def test_a_disk_that_fills_up_is_one_line(tmp_path, monkeypatch, step):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(Path, step, full_disk)
    with pytest.raises(OutputError, match=r"cannot write .*a.json: No space left on device$"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names_of(tmp_path) == ["a.json"]


def test_what_was_never_written_is_said(tmp_path):
    with (
        pytest.raises(OutputError, match=r"cannot write .*a.png: No such file"),
        appearing(tmp_path / "a.png"),
    ):
        pass
    assert names_of(tmp_path) == []


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    steps = []
    replace = Path.replace
    monkeypatch.setattr("sodslice.system.files.os.fsync", lambda _: steps.append("flushed"))
    monkeypatch.setattr(Path, "replace", lambda self, path: (steps.append("named"), replace(self, path)))
    write_atomically(tmp_path / "a", b"x")
    assert steps == ["flushed", "named"]


def test_threads_that_write_one_file_leave_one_of_theirs_whole(tmp_path):
    path = tmp_path / "a.bin"
    contents = [bytes([number]) * 300_000 for number in range(8)]
    failures = []

    def write(content):
        try:
            for _ in range(10):
                write_atomically(path, content)
                assert path.read_bytes() in contents
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert path.read_bytes() in contents
    assert names_of(tmp_path) == ["a.bin"]


KILLED = """
import os, signal, sys
from pathlib import Path
from sodslice.system.files import appearing, appearing_folder
with {how}(Path(sys.argv[1])) as temporary:
    {write}
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_amid(path, how, write):
    code = KILLED.format(how=how, write=write)
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    killed_amid(path, "appearing", "temporary.write_bytes(b'half')")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write to the folder .*file: .*; choose another `output`$"):
        check_writable(tmp_path / "file" / "a.json")
    with pytest.raises(OutputError, match="cannot write .*: it is a folder"):
        check_writable(tmp_path)
    check_writable(tmp_path / "new" / "a.json")
    assert names_of(tmp_path / "new") == []


def interrupted(wanted):
    with appearing_folder(wanted) as half:
        (half / "file").write_text("half")
        assert not wanted.exists()
        raise KeyboardInterrupt


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    wanted = tmp_path / "deep" / "model"
    with pytest.raises(KeyboardInterrupt):
        interrupted(wanted)
    assert names_of(wanted.parent) == []
    with appearing_folder(wanted) as half:
        (half / "file").write_text("whole")
        (half / "more").mkdir()
        (half / "more" / "file").write_text("whole")
    assert (wanted / "file").read_text() == (wanted / "more" / "file").read_text() == "whole"
    assert names_of(wanted.parent) == ["model"]


def test_an_empty_folder_is_filled(tmp_path):
    wanted = tmp_path / "model"
    wanted.mkdir()
    with appearing_folder(wanted) as half:
        (half / "new").write_text("new")
    assert names_of(wanted) == ["new"]
    assert names_of(tmp_path) == ["model"]


@pytest.fixture
def held(tmp_path):
    """A folder that holds a file."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old")
    return folder


def test_a_folder_with_files_is_only_replaced_when_asked(tmp_path, held):
    words = r"model exists already; name another folder, or give `overwrite` to replace it$"
    with pytest.raises(OutputError, match=words), appearing_folder(held):
        pass
    with appearing_folder(held, overwrite=True) as half:
        (half / "new").write_text("new")
        assert names_of(held) == ["old"]
    assert names_of(held) == ["new"]
    assert names_of(tmp_path) == ["model"]


def test_a_folder_that_was_to_be_replaced_stays_after_a_failure(tmp_path, held):
    with pytest.raises(ZeroDivisionError), appearing_folder(held, overwrite=True):
        raise ZeroDivisionError
    words = "cannot write .*model: No space left"
    with pytest.raises(OutputError, match=words), appearing_folder(held, overwrite=True):
        full_disk()
    assert names_of(held) == ["old"]
    assert names_of(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_folder_that_was_put_aside_comes_back_after_a_failure(tmp_path, held, monkeypatch, error):
    rename = Path.rename

    def rename_unless_new(self, target):
        if self.suffix == ".part":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_unless_new)
    with pytest.raises((OutputError, KeyboardInterrupt)), appearing_folder(held, overwrite=True) as half:
        (half / "new").write_text("new")
    assert names_of(held) == ["old"]
    assert names_of(tmp_path) == ["model"]


def overtaken(wanted):
    with appearing_folder(wanted) as half:
        (half / "mine").write_text("mine")
        wanted.mkdir()
        (wanted / "theirs").write_text("theirs")


def test_a_folder_that_came_in_between_is_not_touched(tmp_path):
    with pytest.raises(OutputError, match="cannot write .*model: Directory not empty"):
        overtaken(tmp_path / "model")
    assert names_of(tmp_path / "model") == ["theirs"]
    assert names_of(tmp_path) == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_no_folder(tmp_path, overwrite):
    path = tmp_path / "model"
    path.write_text("x")
    words = "model exists already and is a file; name another folder"
    with pytest.raises(OutputError, match=words), appearing_folder(path, overwrite=overwrite):
        pass
    assert path.read_text() == "x"


def test_what_a_killed_process_left_of_a_folder_can_be_removed(tmp_path):
    wanted, other = tmp_path / "model[1]", tmp_path / "model[1]-any"
    for folder in (wanted, other):
        killed_amid(folder, "appearing_folder", "(temporary / 'file').write_text('half')")
    assert len(names_of(tmp_path)) == 2
    remove_leftovers(wanted)
    (left,) = names_of(tmp_path)
    assert left.startswith(".model[1]-any.")
