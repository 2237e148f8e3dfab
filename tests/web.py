"""A web server of this machine, which answers as a test says."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler", bytes], None]


@dataclass
class Web:
    """What a server has, how it answers, and what it was asked.

    Args:
        url: where it is.
        files: by path, with its query or, where there is no such one, without.
        answers: by path, one a request; the last one stays. Without any, the file is served.
        asked: the requests, each with the range that it wants.
        flooded: bytes that floods sent.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    flooded: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, content: bytes, *answers: Answer) -> str:
        """Have a file served, and give its URL."""
        self.files[path] = content
        self.answers[path] = list(answers)
        return self.url + path


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        """Do what the test says."""
        self.web.asked.append((self.path, self.headers.get("Range", "")))
        path = self.path if self.path in self.web.files else self.path.partition("?")[0]
        content, answers = self.web.files.get(path), self.web.answers.get(path, [])
        if content is None and not answers:
            return status(404)(self, b"")
        answer = answers.pop(0) if len(answers) > 1 else next(iter(answers), serve)
        return answer(self, content or b"")

    def head(self, code: int, length: int | None, **more: str) -> None:
        """The head of an answer."""
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def handle(self) -> None:
        """Answer as long as the client listens."""
        with suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def web_server(secure: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A server while the block lasts.

    Args:
        secure: the keys of https.
    """
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"web": web}))
    server.daemon_threads = True
    if secure is not None:
        server.socket = secure.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    web.url = f"{'https' if secure else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        web.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def etag_of(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:12]}"'


def _rest(handler: Handler, content: bytes) -> tuple[int, int, dict[str, str]]:
    """Where to begin, the status, and what the head says: of the range that is asked for, if of this file."""
    wanted, of = handler.headers.get("Range", ""), handler.headers.get("If-Range", "")
    facts = {"ETag": etag_of(content)}
    if not wanted or of != etag_of(content):
        return 0, 200, facts
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    return start, 206, {**facts, "Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}


def serve(handler: Handler, content: bytes) -> None:
    """The file, or the rest of it that is asked for."""
    start, code, facts = _rest(handler, content)
    handler.head(code, len(content) - start, **facts)
    handler.wfile.write(content[start:])


def truncate(length: int) -> Answer:
    """So many bytes of what is asked for, and then the connection is closed."""

    def answer(handler: Handler, content: bytes) -> None:
        start, code, facts = _rest(handler, content)
        handler.head(code, len(content) - start, **facts)
        handler.wfile.write(content[start : start + length])
        handler.close_connection = True

    return answer


def stall(length: int) -> Answer:
    """So many bytes of what is asked for, and then nothing more, until the server is closed."""

    def answer(handler: Handler, content: bytes) -> None:
        start, code, facts = _rest(handler, content)
        handler.head(code, len(content) - start, **facts)
        handler.wfile.write(content[start : start + length])
        handler.wfile.flush()
        handler.web.closing.wait()
        handler.close_connection = True

    return answer


def trickle(pieces: int, pause_s: float) -> Answer:
    """All of the file, slowly."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.head(200, len(content), ETag=etag_of(content))
        size = -(-len(content) // pieces)
        for start in range(0, len(content), size):
            handler.wfile.write(content[start : start + size])
            handler.wfile.flush()
            time.sleep(pause_s)

    return answer


def flood(code: int, **more: str) -> Answer:
    """Bytes without an end."""

    def answer(handler: Handler, _: bytes) -> None:
        handler.head(code, None, **more)
        handler.close_connection = True
        with suppress(OSError):  # the client had enough
            while not handler.web.closing.is_set():
                handler.wfile.write(bytes(1 << 16))
                handler.web.flooded += 1 << 16

    return answer


def trickle_head(pause_s: float) -> Answer:
    """A head without an end, of which a line comes now and then."""

    def answer(handler: Handler, _: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        handler.close_connection = True
        with suppress(OSError):
            while not handler.web.closing.wait(pause_s):
                handler.wfile.write(b"X: y\r\n")
                handler.wfile.flush()

    return answer


def mute(handler: Handler, _: bytes) -> None:
    """Nothing, not even a head, until the server is closed."""
    handler.web.closing.wait()
    handler.close_connection = True


def claim(length: int | None, **more: str) -> Answer:
    """The file, with another length than it has, or none."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.head(200, length, **more)
        handler.wfile.write(content)
        handler.close_connection = True

    return answer


def status(code: int, **more: str) -> Answer:
    """No file."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.head(code, 0, **more)

    return answer


def redirect(to: str) -> Answer:
    """Another place."""
    return status(302, Location=to)


def words(raw: bytes) -> Answer:
    """An answer as it is written here, head and all."""

    def answer(handler: Handler, _: bytes) -> None:
        handler.wfile.write(raw)
        handler.close_connection = True

    return answer
