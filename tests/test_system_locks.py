from __future__ import annotations

import errno
import logging
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import portalocker
import pytest

from sodslice.system.locks import alone, try_lock

HOLDER = """
import sys
from pathlib import Path
from sodslice.system.locks import alone, try_lock
{how}
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = "with open(sys.argv[1], 'ab') as file:\n    assert try_lock(file)"
ALONE = "with alone(Path(sys.argv[1])) as held:\n    assert held"


@contextmanager
def another_process(path, how):
    """A process that holds the lock until its standard input is closed or it is killed."""
    words = [sys.executable, "-c", HOLDER.format(how=how), str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def is_free(path) -> bool:
    with path.open("ab") as file:
        return try_lock(file)


@pytest.mark.parametrize("how", [TRY, ALONE])
def test_one_process_at_a_time_has_a_lock(tmp_path, how):
    path = tmp_path / "lock"
    with another_process(path, how) as process:
        assert not is_free(path)
        process.communicate("")
        assert process.returncode == 0
        assert is_free(path)


@pytest.mark.parametrize("how", [TRY, ALONE])
def test_a_lock_is_free_after_its_holder_was_killed(tmp_path, how):
    path = tmp_path / "lock"
    with another_process(path, how) as process:
        assert not is_free(path)
        process.kill()
        process.wait()
        assert is_free(path)


def test_a_lock_lasts_until_its_file_is_closed(tmp_path):
    path = tmp_path / "store"
    with path.open("w+b") as file:
        assert try_lock(file)
        file.write(b"content")
        file.flush()
        assert not is_free(path)
    assert path.read_bytes() == b"content"
    assert is_free(path)


def test_who_wants_to_be_alone_waits(tmp_path):
    path = tmp_path / "lock"
    came = threading.Event()

    def wait():
        with alone(path):
            came.set()

    with another_process(path, ALONE) as process:
        thread = threading.Thread(target=wait)
        thread.start()
        assert not came.wait(0.5)
        process.kill()
        process.wait()
        assert came.wait(10)
        thread.join()


def test_threads_are_alone_one_after_the_other(tmp_path):
    inside = []

    def work():
        with alone(tmp_path / "lock") as held:
            inside.append(held)
            assert len(inside) == 1
            time.sleep(0.02)
            inside.pop()
            done.append(held)

    done: list[bool] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [True] * 4


def test_a_lock_file_stays_and_what_it_holds_is_left_alone(tmp_path):
    path = tmp_path / "lock"
    path.write_text("kept")
    with alone(path) as held:
        assert held
    assert path.read_text() == "kept"
    assert is_free(path)


def test_a_failure_in_the_block_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "lock"):
        raise ZeroDivisionError
    assert is_free(tmp_path / "lock")


def test_where_there_are_no_locks_the_work_goes_on_and_that_is_logged(tmp_path, monkeypatch, caplog):
    def no_locks(file, flags):
        raise portalocker.LockException(OSError(errno.ENOLCK, "No locks available"), "No locks available")

    monkeypatch.setattr(portalocker, "lock", no_locks)
    with caplog.at_level(logging.INFO, "sodslice"):
        assert is_free(tmp_path / "lock")
        with alone(tmp_path / "lock") as held:
            assert not held
    assert [record.getMessage() for record in caplog.records] == 2 * [
        f"{tmp_path / 'lock'} cannot be locked (No locks available); nothing keeps others from it"
    ]
