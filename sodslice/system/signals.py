"""Lets Ctrl-C and SIGTERM wait where they would do harm."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HELD = (signal.SIGINT, signal.SIGTERM)

_FAULTS = ("SIGSEGV", "SIGILL", "SIGFPE", "SIGABRT", "SIGBUS")

_ACTION_BYTES = 512
"""More than any system's `struct sigaction` takes."""


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back as long as it lasts, then deliver what came.

    The exception of a handler that runs while a library is loaded ends as an error of that library, and a
    library may have handlers of its own for a time. Threads that it starts meanwhile never take these
    signals. Outside of the main thread, where no handler runs, nothing is held. What the process does at
    these signals, and at faults, is afterwards what it was, in any thread.
    """
    if threading.current_thread() is not threading.main_thread():
        with _actions_kept():
            yield
        return
    came: list[int] = []
    try:
        with _blocked(), _actions_kept(), _noted(came):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


@contextmanager
def _actions_kept() -> Iterator[None]:
    """Give the signals back the actions that they had, which libraries replace without asking Python.

    Only the main thread can have Python do that, so it is asked of the system.
    """
    if os.name != "posix":
        yield
        return
    act = ctypes.CDLL(None).sigaction
    numbers = (*HELD, *(getattr(signal, name) for name in _FAULTS))
    kept = {number: ctypes.create_string_buffer(_ACTION_BYTES) for number in numbers}
    for number, action in kept.items():
        act(number, None, action)
    try:
        yield
    finally:
        for number, action in kept.items():
            act(number, action, None)


@contextmanager
def _blocked() -> Iterator[None]:
    """Leave the signals to the system for now, where it can keep them: no handler of anyone's sees them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _noted(came: list[int]) -> Iterator[None]:
    """Only note the signals that another thread, begun before, has taken meanwhile."""
    handlers = {number: signal.getsignal(number) for number in HELD}
    ours = {number: handler for number, handler in handlers.items() if handler is not None}
    for number in ours:
        signal.signal(number, lambda taken, _frame: came.append(taken))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
