"""Bodies of requests: how large, how long, and how many bytes of all of them are held at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers

from sodslice.service.envelope import Refusal
from sodslice.service.settings import MEBIBYTE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

SILENCE_S = 30.0
"""Between two pieces of a body."""


MOST_DIGITS = 20


class ClientGone(Exception):  # noqa: N818 -- says what happened, and is no fault of ours
    """The client went away before its body was whole."""


@dataclass(frozen=True)
class Limit:
    """What a body may cost.

    Args:
        most: bytes.
        seconds: until it must be whole.
        slowest: bytes for each of which a second more is given, parted by their number; 0 for none.
        held: whether all of it lies in memory, so that it counts towards what all together may hold.
    """

    most: int
    seconds: float
    slowest: float = 0.0
    held: bool = True


class Held:
    """Bytes of bodies that lie in memory, of all requests together.

    Args:
        most: of them.
    """

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0

    def check(self, more: int) -> None:
        """Refuse what goes beyond.

        Raises:
            Refusal: it does.
        """
        if self.now + more > self.most:
            raise Refusal(
                429,
                f"bodies of {self.now / MEBIBYTE:.4g} MiB wait already; come back in 1 s",
                {"Retry-After": "1"},
            )

    def add(self, more: int) -> None:
        """Count some, which may be fewer than none."""
        self.now += more


class Body:
    """Receives on, within limits.

    Args:
        receive: what comes.
        headers: of the request.
        limit: of this one.
        held: by all of them; `close` takes this one out again.

    Raises:
        Refusal: the head of the request says that more will come than may.
    """

    def __init__(self, receive: Receive, headers: Headers, limit: Limit, held: Held) -> None:
        self._receive, self._limit, self._held = receive, limit, held
        self._began = time.monotonic()
        self._come = self._counted = 0
        said = headers.get("content-length", "0")
        self.whole = "transfer-encoding" not in headers and said == "0"
        if said.isdecimal():
            self._check(int(said) if len(said) <= MOST_DIGITS else limit.most + 1)

    async def __call__(self) -> Message:
        """The next piece.

        Raises:
            Refusal: too much has come, or too slowly.
        """
        if self.whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._left())
        except asyncio.TimeoutError:
            raise Refusal(408, "the body of the request took too long") from None
        if message["type"] == "http.request":
            self._count(len(message.get("body", b"")))
            self.whole = not message.get("more_body", False)
        return message

    async def all(self) -> bytes:
        """The whole body.

        Raises:
            Refusal: see above.
            ClientGone: it will never be whole.
        """
        pieces = bytearray()
        while not self.whole:
            message = await self()
            if message["type"] != "http.request":
                raise ClientGone
            pieces += message.get("body", b"")
        return bytes(pieces)

    def close(self) -> None:
        """Hold nothing any more."""
        self._held.add(-self._counted)
        self._counted = 0

    def _left(self) -> float:
        """Seconds until the next piece must have come."""
        more = self._come / self._limit.slowest if self._limit.slowest else 0.0
        return max(0.0, min(SILENCE_S, self._began + self._limit.seconds + more - time.monotonic()))

    def _count(self, more: int) -> None:
        self._check(more)
        self._come += more
        if self._limit.held:
            self._held.add(more)
            self._counted += more

    def _check(self, more: int) -> None:
        if self._come + more > self._limit.most:
            raise Refusal(413, f"the body of a request may have {self._limit.most / MEBIBYTE:.4g} MiB")
        if self._limit.held:
            self._held.check(more)


def replay(content: bytes, after: Receive) -> Receive:
    """What gives a body that has come already, once and without keeping it, and then what comes after it."""
    left = [content]

    async def receive() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await after()

    return receive
