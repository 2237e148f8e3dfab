"""Requests as hostile clients send them, bytes on sockets, and a server in a thread to send them to."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sodslice.service.gate import Gate
from sodslice.service.metrics import Metrics
from sodslice.service.server import Server, listening
from sodslice.service.settings import ServiceSettings

PATIENCE_S = 60.0
"""Longer than any answer takes, also where the machine has much to do."""

Address = tuple[str, int]


def address_of(url: str) -> Address:
    """Host and port of a service."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def request(
    method: str, target: str, *lines: str, host: str = "127.0.0.1", version: str = "1.1", body: bytes = b""
) -> bytes:
    """A request after which the connection is to be closed."""
    head = [f"{method} {target} HTTP/{version}", f"Host: {host}", "Connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def connection(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE_S)


def rest_of(sock: socket.socket) -> bytes:
    """All that still comes, until the server closes."""
    pieces = []
    with suppress(ConnectionError):
        while piece := sock.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def say(address: Address, *pieces: bytes) -> bytes:
    """What is answered to some bytes, until the server closes the connection."""
    with connection(address) as sock:
        with suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
        return rest_of(sock)


def is_cut_off(sock: socket.socket, piece: bytes, *, pause_s: float = 0.0) -> bool:
    """Whether the server breaks the connection while a client sends the same again and again."""
    end = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < end:
            sock.sendall(piece)
            time.sleep(pause_s)
    except ConnectionError:
        return True
    return False


def ask(address: Address, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to some bytes."""
    return parsed(say(address, *pieces))


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (in lower case) and body of one answer; one that is only "continue" is left out."""
    head, _, body = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, body


def error_in(answer: tuple[int, dict[str, str], bytes]) -> dict[str, Any]:
    """An error in the envelope, which must be one."""
    status, headers, body = answer
    assert headers["content-type"] == "application/json"
    found = json.loads(body)
    assert set(found) == {"logId", "errorCode", "errorMsg"}
    assert found["errorCode"] == status >= 400
    assert found["errorMsg"]
    assert "\n" not in found["errorMsg"]
    return found


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces in chunked coding, with their end."""
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


@contextmanager
def answering(inner: Any, folder: Path, **settings: Any) -> Iterator[Address]:
    """A server of an app of ASGI behind a gate, in a thread."""
    how = ServiceSettings(data=folder, port=0, **settings)
    ready = threading.Event()
    server = Server(Gate(inner, how, Metrics(), end_streams=lambda: None), lambda _: ready.set())
    sockets = listening(how)
    thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield sockets[0].getsockname()[:2]
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        for one in sockets:
            one.close()
        assert not thread.is_alive()


def until(what: Any, *, seconds: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def sample(metrics: str, name: str) -> float:
    """The sum of all samples of a name in what Prometheus is told."""
    return sum(float(found) for found in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics, re.MULTILINE))
