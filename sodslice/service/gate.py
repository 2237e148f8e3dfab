"""The gate: who may ask, how large and how long a request may be, and how many may wait."""

from __future__ import annotations

import hmac
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from hashlib import sha256
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from sodslice.service.bodies import Body, ClientGone, Held, Limit, Message, Receive, replay
from sodslice.service.envelope import Refusal, error_answer
from sodslice.service.metrics import Metrics
from sodslice.service.settings import CLIENT_GONE, MEBIBYTE, ServiceSettings, is_loopback

Send = Callable[[Message], Awaitable[None]]
Inner = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

access = logging.getLogger("sodslice.access")

PICTURE = ("POST", "/small-object-detection")
UPLOAD = ("POST", "/uploads")
OPEN = ("/", "/health", "/page.css", "/page.js", "/frame.html")
"""Paths without secrets, which need no token: the page asks for one itself."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
METHODS = (*SAFE_METHODS, "POST", "PUT", "PATCH", "DELETE")

HELD_TOGETHER = 4
"""Bodies of the largest size, as many bytes of which may lie in memory at once."""

MOST_JSON = MEBIBYTE
"""Bytes of bodies that are neither pictures nor uploads."""

MOST_USELESS = 65536
"""Bytes of bodies where none is of use, some without a token."""

MOST_PARTS = 25_000
"""Marks of JSON in a body; each may become an object of many bytes."""

SLOWEST_UPLOAD = 100e3
"""Bytes a second."""

MOST_LETTERS = 300
"""Of a path in the log."""


class Gate:
    """Stands before an app: refuses what may not pass, and logs and counts all that comes.

    Args:
        inner: the app.
        settings: of the service.
        metrics: that count.
        end_streams: ends what would go on as long as a client listens; to be called when the service ends.
    """

    def __init__(
        self, inner: Inner, settings: ServiceSettings, metrics: Metrics, *, end_streams: Callable[[], None]
    ) -> None:
        self._inner, self._settings, self._metrics = inner, settings, metrics
        self.end_streams = end_streams
        self._token = None if settings.token is None else _digest(settings.token)
        self._held = Held(HELD_TOGETHER * settings.most_body)
        self._looking = 0
        self._usual_s = 0.5

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        told = _Told(send)
        try:
            await self._let_in(scope, receive, told)
        except HTTPException as refused:
            if not told.status:
                await error_answer(refused.status_code, refused.detail, headers=refused.headers)(
                    scope, receive, told
                )
        except ClientGone:
            pass
        finally:
            self._log(scope, told)

    async def _let_in(self, scope: MutableMapping[str, Any], receive: Receive, told: _Told) -> None:
        """Let a request in that has come whole; an upload comes while it is written to the disk."""
        headers = Headers(scope=scope)
        self._check(scope, headers)
        body = told.body = Body(receive, headers, self._limit(scope), self._held)
        asked = (scope["method"], scope["path"])
        try:
            if asked == UPLOAD:
                await self._inner(scope, body, told)
            elif asked == PICTURE:
                self._check_waiting()
                as_json = {**scope, "headers": _as_json(scope["headers"])}
                await self._look(as_json, replay(await _few_parts(body), body), told)
            else:
                await self._inner(scope, replay(await _few_parts(body), body), told)
        finally:
            body.close()

    async def _look(self, scope: MutableMapping[str, Any], receive: Receive, told: _Told) -> None:
        """Let a picture in, if not too many are there already."""
        self._check_waiting()
        self._looking += 1
        self._metrics.waiting.set(self._looking)
        began = time.monotonic()
        try:
            await self._inner(scope, receive, told)
        finally:
            each = (time.monotonic() - began) / self._looking
            self._usual_s += (each - self._usual_s) / 8
            self._looking -= 1
            self._metrics.waiting.set(self._looking)

    def _check_waiting(self) -> None:
        """Whether one more picture may wait.

        Raises:
            Refusal: not now.
        """
        if self._looking >= self._settings.waiting:
            seconds = str(max(1, math.ceil(self._looking * self._usual_s)))
            raise Refusal(
                429,
                f"{self._looking} pictures wait already; come back in {seconds} s",
                {"Retry-After": seconds},
            )

    def _check(self, scope: MutableMapping[str, Any], headers: Headers) -> None:
        """Whether one may ask at all.

        Raises:
            Refusal: not so.
        """
        host = headers.get("host", "").lower()
        if self._token is None and not is_loopback(_name_of(host)):
            raise Refusal(421, "without a token this service answers to localhost alone")
        if _is_of_others(scope, headers, host):
            raise Refusal(403, "pages of other sites may not use this service")
        if self._token is None or scope["path"] in OPEN:
            return
        given = headers.getlist("authorization")
        scheme, _, word = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        right = hmac.compare_digest(_digest(word.strip()), self._token)
        if scheme.lower() != "bearer" or not right:
            raise Refusal(
                401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )

    def _limit(self, scope: MutableMapping[str, Any]) -> Limit:
        """What the body of a request may cost; an upload may go on as long as it moves."""
        settings, asked = self._settings, (scope["method"], scope["path"])
        if asked == UPLOAD:
            return Limit(settings.most_upload, settings.body_seconds, SLOWEST_UPLOAD, held=False)
        if asked == PICTURE:
            return Limit(settings.most_body, settings.body_seconds)
        useless = scope["method"] in SAFE_METHODS or scope["path"] in OPEN
        return Limit(MOST_USELESS if useless else MOST_JSON, settings.body_seconds)

    def _log(self, scope: MutableMapping[str, Any], told: _Told) -> None:
        """A line of JSON, without the query, which may hold secrets."""
        seconds = time.monotonic() - told.began
        status = told.status or CLIENT_GONE
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = _route_of(scope)
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        access.info(
            json.dumps(
                {
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "client": str((scope.get("client") or ["-"])[0])[:MOST_LETTERS],
                    "method": scope["method"][:MOST_LETTERS],
                    "path": scope["path"][:MOST_LETTERS],
                    "status": status,
                    "bytes": told.bytes,
                    "ms": round(seconds * 1000, 1),
                }
            )
        )


class _Told:
    """Sends on, and remembers the status and the bytes of an answer.

    A connection whose request has not come whole by then is closed: what follows would be taken for another.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status, self.bytes = 0, 0
        self.began = time.monotonic()
        self.body: Body | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.body is None or not self.body.whole:
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        await self._send(message)


def _digest(token: str) -> bytes:
    """Of one length for all tokens, so that the time of comparing tells nothing of theirs."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _is_of_others(scope: MutableMapping[str, Any], headers: Headers, host: str) -> bool:
    """Whether a page of another site makes a browser ask; a link that is followed from there is none."""
    origin = headers.get("origin")
    if origin is not None and scope["method"] not in SAFE_METHODS:
        return not host or origin.lower().partition("://")[2] != host
    followed = headers.get("sec-fetch-dest") == "document" and scope["method"] in SAFE_METHODS
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") and not followed


def _route_of(scope: MutableMapping[str, Any]) -> str:
    """The route of a request as it is declared: paths are of strangers' making, and without an end."""
    if (scope["method"], scope["path"]) == PICTURE or scope["path"] in OPEN:
        return str(scope["path"])
    return str(getattr(scope.get("route"), "path", "other"))


async def _few_parts(body: Body) -> bytes:
    """A whole body that is soon read.

    Raises:
        Refusal: it is too large, came too slowly, or becomes too large when it is read.
        ClientGone: it will never be whole.
    """
    content = await body.all()
    if sum(map(content.count, (b",", b":", b"[", b"{"))) > MOST_PARTS:
        raise Refusal(422, f"the body of a request may have {MOST_PARTS} commas, colons and brackets")
    return content


def _as_json(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers that say JSON where they say nothing, or "form": two of PaddleX's documented clients do so."""
    kept = [(name, value) for name, value in headers if name.lower() != b"content-type"]
    said = [value for name, value in headers if name.lower() == b"content-type"]
    form = not said or said[0].lower().startswith(b"application/x-www-form-urlencoded")
    return [*kept, (b"content-type", b"application/json" if form else said[0])]


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
