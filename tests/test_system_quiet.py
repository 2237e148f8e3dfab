"""What native code prints is kept from view, and what the program says is not."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sodslice.system.quiet import quiet_native_output


@pytest.fixture
def alone(monkeypatch):
    """As in a program without other threads."""
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread()])


def native(text: str) -> None:
    """What C would do."""
    os.write(1, text.encode())
    os.write(2, text.encode())


def test_what_is_written_past_python_is_not_seen(alone, capfd):
    sys.stdout.write("before, ")
    with quiet_native_output():
        native("noise")
    native("after")
    assert capfd.readouterr() == ("before, after", "after")


def test_the_streams_are_given_back_when_the_block_fails(alone, capfd):
    with pytest.raises(ZeroDivisionError), quiet_native_output():
        raise ZeroDivisionError
    native("after")
    assert capfd.readouterr() == ("after", "after")


def test_of_several_blocks_that_overlap_the_last_one_gives_the_streams_back(alone, capfd):
    first, second = quiet_native_output(), quiet_native_output()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    native("still quiet")
    second.__exit__(None, None, None)
    native("after")
    assert capfd.readouterr() == ("after", "after")


def test_where_other_threads_are_about_nothing_that_they_say_is_lost(capfd):
    leave, inside = threading.Event(), threading.Event()

    def quietly():
        with quiet_native_output():
            inside.set()
            leave.wait(10)

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(quietly) for _ in range(2)]
        inside.wait(10)
        native("said")
        leave.set()
        assert all(one.result() is None for one in working)
    native(" and said")
    assert capfd.readouterr() == ("said and said", "said and said")
