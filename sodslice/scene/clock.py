"""`Clock`: ends connections when their time is over, whatever they are waiting for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any


class Clock:
    """Time for all that one fetch does.

    Timeouts of sockets hold for one wait, which a byte now and then begins anew.

    Args:
        seconds: until all connections end.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._lock = threading.Lock()
        self._doubles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def __enter__(self) -> Clock:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            while self._doubles:
                self._doubles.pop().close()

    def watched(self, kind: Callable[..., Any]) -> Any:
        """What makes connections of a kind of `http.client` that end with the time."""

        def made(*words: Any, **more: Any) -> Any:
            connection = kind(*words, **more)
            connection._create_connection = self._connected
            return connection

        return made

    def _connected(self, *words: Any, **more: Any) -> socket.socket:
        """A connection, known here by a double: TLS takes the socket itself away."""
        made = socket.create_connection(*words, **more)
        with self._lock:
            self._doubles.append(made.dup())
        if self.over:
            self._ring()
        return made

    def _ring(self) -> None:
        with self._lock:
            self.over = True
            for double in self._doubles:
                with suppress(OSError):
                    double.shutdown(socket.SHUT_RDWR)
