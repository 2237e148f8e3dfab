"""A connection that nobody holds for long: neither with half a head, nor by not reading an answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sodslice.service.envelope import error_answer

HEAD_SECONDS = 15.0
"""From the first byte of a connection, or of a request on it, to the end of the request's head."""

STALL_SECONDS = 30.0
STALL_BYTES = 30_000
"""Of an answer, that a client must take within that time."""

LINGER_SECONDS = 5.0
"""How long a connection is read on, and nothing of it kept, that is closed before its request has come whole.

Else a client that still sends would find the connection broken before it reads why.
"""

READ_BYTES = 65536
"""At once: chunks of a byte each are costly, and others wait meanwhile."""

LEAST_BODY = 0.25
"""Of the bytes of chunks; the rest tells of their lengths."""


class GuardedProtocol(H11Protocol):
    """A connection that ends if the head of a request does not come, or if its answer is not taken."""

    most_connections = 1000

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _linger_timer: asyncio.TimerHandle | None = None
    since = 0.0

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`; of too many connections the one ends that has waited longest for a head."""
        transport.max_size = READ_BYTES
        super().connection_made(_Closing(transport, self))  # type: ignore[arg-type]  # is one in all but name
        self.since = self.loop.time()
        self._watch_head()
        if len(self.connections) > self.most_connections:
            waiting = [one for one in self.connections if isinstance(one, GuardedProtocol) and one.is_waiting]
            oldest = min(waiting, key=lambda one: one.since)
            self.connections.discard(oldest)  # at once: it is lost later, and others are made before
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.lingers:
            return
        cycle, before = self.cycle, self._body_bytes
        super().data_received(data)
        same = cycle is not None and cycle is self.cycle and len(data) > READ_BYTES // 4
        if same and self._is_chaff(len(data), self._body_bytes - before):
            self.transport.abort()
        self._watch_head()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        self.since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        for timer in (self._head_timer, self._stall_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self.watch_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def send_400_response(self, msg: str) -> None:
        """See uvicorn; in the envelope, and not where an answer is under way already."""
        answer = error_answer(400, msg, headers={"connection": "close"})
        if not self.is_waiting:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            head = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            self.transport.abort()
        else:
            self.transport.close()

    @property
    def is_waiting(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def lingers(self) -> bool:
        """Whether nothing that comes is kept any more."""
        return self._linger_timer is not None

    @property
    def is_half(self) -> bool:
        """Whether a request has not come whole."""
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    def linger(self) -> None:
        """Close for writing, and read on for a while."""
        transport = self.transport
        self._linger_timer = self.loop.call_later(LINGER_SECONDS, transport.abort)
        with suppress(OSError, NotImplementedError):
            transport.write_eof()
        transport.resume_reading()

    def watch_writing(self, left: float = float("inf")) -> None:
        """End the connection if the client does not take what is written; so much was left before."""
        size = self.transport.get_write_buffer_size()
        if size and size > left - STALL_BYTES:
            self.transport.abort()
        elif size:
            if self._stall_timer is not None:
                self._stall_timer.cancel()
            self._stall_timer = self.loop.call_later(STALL_SECONDS, self.watch_writing, size)

    @property
    def _body_bytes(self) -> int:
        return 0 if self.cycle is None else len(self.cycle.body)

    def _is_chaff(self, come: int, of_body: int) -> bool:
        chunked = any(name == b"transfer-encoding" for name, _ in self.headers or ())
        return chunked and self.conn.their_state is h11.SEND_BODY and of_body < LEAST_BODY * come

    def _watch_head(self) -> None:
        """Wait for the end of a head, from the first byte of it; between two requests uvicorn waits."""
        if not self.is_waiting:
            self._forget_head()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.is_waiting and not self.lingers:
            self.transport.abort()


class _Closing:
    """A transport that tells its connection when it is to be closed."""

    def __init__(self, transport: Any, protocol: GuardedProtocol) -> None:
        self._transport, self._protocol = transport, protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is to be written."""
        return bool(self._protocol.lingers or self._transport.is_closing())

    def close(self) -> None:
        """Close when all is written that is to be, if the client takes it."""
        if self._transport.is_closing() or self._protocol.lingers:
            return
        if self._protocol.is_half:
            self._protocol.linger()
        else:
            self._transport.close()
            self._protocol.watch_writing()
