"""`Clock`: ends a connection when the time is over, whatever it is waiting for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any


class Clock:
    """Time for all that one download does, of whose connections only the last is open.

    Timeouts of sockets hold for one wait, which a byte now and then begins anew.

    Args:
        seconds: until the connection ends.
    """

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._double: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    @property
    def left(self) -> float:
        """Seconds; 0 or less when the time is over."""
        return self._deadline - time.monotonic()

    def __enter__(self) -> Clock:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._hold(None)

    def trace(self, event: str, facts: Mapping[str, Any]) -> None:
        """See what httpx does: a connection is known here by a double, since TLS takes it away."""
        if event.endswith("connect_tcp.complete"):
            self._hold(facts["return_value"].get_extra_info("socket").dup())
            if self.left <= 0:
                self._ring()

    def _hold(self, double: socket.socket | None) -> None:
        with self._lock:
            if self._double is not None:
                self._double.close()
            self._double = double

    def _ring(self) -> None:
        with self._lock:
            if self._double is not None:
                with suppress(OSError):
                    self._double.shutdown(socket.SHUT_RDWR)
