"""Connections: heads that do not come, answers that nobody reads, bodies that nobody wants, odd HTTP."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from contextlib import suppress

import pytest

from sodslice.service import protocol, server
from tests.raw_http import (
    answering,
    ask,
    chunks,
    connection,
    error_in,
    is_cut_off,
    parsed,
    request,
    rest_of,
    say,
    until,
)

BIG = 40 << 20
"""Bytes that no buffers of a connection hold."""


class App:
    """Answers with what it was sent, or with as much as is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        self.asked.append(scope["path"])
        content, more = b"", True
        while more and not scope["path"].startswith("/no"):
            message = await receive()
            content += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", b"ok")]})
        if scope["path"] == "/stream":
            for _ in range(BIG >> 16):
                await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        big = bytes(BIG) if scope["path"] == "/big" else content
        await send({"type": "http.response.body", "body": big})


@pytest.fixture(scope="module")
def one_app() -> App:
    return App()


@pytest.fixture(scope="module")
def address(one_app, tmp_path_factory):
    with answering(one_app, tmp_path_factory.mktemp("service")) as one:
        yield one


@pytest.fixture
def app(one_app) -> App:
    """The app of the server at `address`, which was not asked anything yet."""
    one_app.asked.clear()
    return one_app


def is_alive(address) -> bool:
    return ask(address, request("GET", "/alive"))[0] == 200


# HTTP that is none, or odd


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no TLS here\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/3.7.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\nA : b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n\r\n\r\n\x00\x00\x00\x00\r\n\r\n",
        b"POST /uploads HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nno\r\n",
        b"POST /uploads HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nno\r\n",
        b"POST /uploads HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"f" * 30
        + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
    ],
)
def test_what_is_no_http_is_answered_with_400_in_the_envelope(address, sent, caplog):
    caplog.set_level(logging.DEBUG)
    answer = ask(address, sent)
    assert error_in(answer)["errorMsg"] == "Invalid HTTP request received."
    assert (answer[0], answer[1]["connection"]) == (400, "close")
    assert is_alive(address)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("GET", "http://evil.example/x"), 200),
        (request("CONNECT", "evil.example:443"), 200),
        (request("OPTIONS", "*"), 200),
        (request("GET", "/", version="1.0"), 200),
        (request("GET", "//evil.example/x"), 200),
        (request("GET", "/%00%0d%0aSet-Cookie:%20a=b"), 200),
        (
            request("GET", "/", "Upgrade: websocket", "Sec-WebSocket-Key: a", "Connection: Upgrade, close"),
            200,
        ),
        (request("GET", "/", "Upgrade: h2c", "HTTP2-Settings: a"), 200),
        (request("PRI", "*", version="2.0"), 200),
        (request("A" * 60_000, "/"), 200),
        (request("GET", "/" + "a" * 60_000), 200),
        (request("GET", "/", *(f"X-{n}: a" for n in range(3000))), 200),
    ],
)
def test_odd_requests_are_requests_like_others(app, address, sent, status, caplog):
    caplog.set_level(logging.WARNING)
    found, headers, _ = ask(address, sent)
    assert found == status
    assert "set-cookie" not in headers
    assert is_alive(address)
    assert len(app.asked) == 2


def test_a_request_of_http_1_0_without_a_host_is_answered_by_the_gate(address):
    assert ask(address, b"GET / HTTP/1.0\r\n\r\n")[0] == 421


def test_a_body_whose_length_is_told_twice_is_taken_by_its_chunks(app, address):
    lines = ("Content-Length: 3", "Transfer-Encoding: chunked")
    assert ask(address, request("POST", "/a", *lines), *chunks([b"chunked"]))[2].endswith(
        b"chunked\r\n0\r\n\r\n"
    )
    assert app.asked == ["/a"]


def test_requests_that_come_together_are_answered_one_by_one(app, address):
    open_end = request("GET", "/one").replace(b"Connection: close\r\n", b"")
    answer = say(address, open_end * 20 + request("POST", "/two", "Content-Length: 3", body=b"end"))
    assert answer.count(b"HTTP/1.1 200 OK") == 21
    assert b"end" in answer.rpartition(b"HTTP/1.1")[2]
    assert app.asked == ["/one"] * 20 + ["/two"]


def test_what_follows_a_body_that_was_refused_is_no_request(app, address):
    hidden = request("GET", "/smuggled")
    head = f"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {9 << 30}\r\n\r\n".encode()
    answer = say(address, head + hidden)
    assert answer.count(b"HTTP/1.1") == 1
    assert error_in(parsed(answer))["errorCode"] == 413
    assert app.asked == []


def test_a_connection_may_be_used_again(app, address):
    asked = request("POST", "/again", "Content-Length: 2", body=b"ok").replace(b"Connection: close\r\n", b"")
    with connection(address) as sock:
        for _ in range(3):
            sock.sendall(asked)
            found = b""
            while not found.endswith(b"ok\r\n0\r\n\r\n"):
                found += sock.recv(1000)
            assert b"connection: close" not in found.lower()
    assert app.asked == ["/again"] * 3


def test_a_client_that_waits_for_a_word_to_go_on_gets_the_refusal_at_once(address):
    head = request("POST", "/jobs", "Expect: 100-continue", f"Content-Length: {9 << 30}")
    answer = say(address, head)
    assert not answer.startswith(b"HTTP/1.1 100")
    assert error_in(parsed(answer))["errorCode"] == 413


def test_a_client_that_waits_for_a_word_to_go_on_gets_it(address):
    with connection(address) as sock:
        sock.sendall(request("POST", "/jobs", "Expect: 100-continue", "Content-Length: 2"))
        assert sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert parsed(rest_of(sock))[0] == 200


# Bodies that nobody wants


@pytest.mark.parametrize("path", ["/small-object-detection", "/uploads", "/jobs", "/health", "/nowhere"])
def test_a_client_that_sends_too_much_reads_why(app, address, path):
    """It sends all of it before it reads anything, as most clients do."""
    piece, sent = bytes(1 << 20), 0
    with connection(address) as sock:
        sock.sendall(request("POST", path, f"Content-Length: {20 << 30}"))
        for _ in range(300):
            sock.sendall(piece)
            sent += len(piece)
        answer = parsed(rest_of(sock))
    assert error_in(answer)["errorMsg"].startswith("the body of a request may have")
    assert (answer[0], answer[1]["connection"], sent) == (413, "close", 300 << 20)
    assert app.asked == []


@pytest.mark.parametrize("path", ["/small-object-detection", "/jobs", "/nowhere"])
def test_a_body_that_says_nothing_of_its_length_is_cut_off_too(address, path):
    answer = ask(
        address, request("POST", path, "Transfer-Encoding: chunked"), *chunks([bytes(1 << 20)] * 100)
    )
    assert error_in(answer)["errorCode"] == 413


def test_a_client_that_never_stops_is_not_listened_to_for_long(address, monkeypatch):
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.3)
    with connection(address) as sock:
        sock.sendall(request("POST", "/jobs", f"Content-Length: {20 << 30}"))
        assert is_cut_off(sock, bytes(1 << 16), pause_s=0.001)


def test_chunks_of_a_byte_each_are_cut_off(app, address, monkeypatch):
    seen = []
    monkeypatch.setattr(
        protocol.GuardedProtocol, "_is_chaff", _noting(protocol.GuardedProtocol._is_chaff, seen)
    )
    with connection(address) as sock:
        sock.sendall(request("POST", "/uploads", "Transfer-Encoding: chunked"))
        until(lambda: app.asked)
        assert is_cut_off(sock, b"1\r\na\r\n" * 10_000)
    assert seen[-1] is True
    assert is_alive(address)


def _noting(function, seen):
    def noting(*given):
        seen.append(function(*given))
        return seen[-1]

    return noting


def test_chunks_of_common_sizes_are_not(address):
    pieces = [bytes([n % 256]) * 100 for n in range(5000)]
    found = ask(address, request("POST", "/uploads", "Transfer-Encoding: chunked"), b"".join(chunks(pieces)))
    assert found[0] == 200
    assert len(found[2]) > 500_000


# Heads that do not come


def test_a_head_that_does_not_come_ends_the_connection(address, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    for begun in (b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n", request("GET", "/")[:-2]):
        with connection(address) as sock:
            sock.sendall(begun)
            assert rest_of(sock) == b""
    monkeypatch.undo()
    assert is_alive(address)


def test_a_head_that_trickles_ends_the_connection(address, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    with connection(address) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert is_cut_off(sock, b"X: y\r\n", pause_s=0.01)


def test_the_second_head_on_a_connection_must_come_as_well(address, monkeypatch):
    with connection(address) as sock:
        sock.sendall(
            request("POST", "/a", "Content-Length: 2", body=b"ok").replace(b"Connection: close\r\n", b"")
        )
        found = b""
        while not found.endswith(b"ok\r\n0\r\n\r\n"):
            found += sock.recv(1000)
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
        sock.sendall(b"GET /b HT")
        assert rest_of(sock) == b""


def test_a_request_that_takes_long_is_no_head_that_does_not_come(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    release = threading.Event()

    async def slow(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        await asyncio.to_thread(release.wait, 60)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    with answering(slow, tmp_path) as address:
        threading.Timer(1.5, release.set).start()
        assert b"late" in ask(address, request("GET", "/"))[2]


def test_many_who_send_no_head_keep_nobody_out(app, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 20)
    with answering(app, tmp_path) as address:
        idle = [connection(address) for _ in range(200)]
        for sock in idle[::2]:
            with suppress(ConnectionError):
                sock.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(20):
            assert is_alive(address)
        until(lambda: sum(map(is_closed, idle)) >= 180)
        for sock in idle:
            sock.close()


def is_closed(sock: socket.socket) -> bool:
    sock.settimeout(0)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_those_who_are_answered_are_never_ended_for_others(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 5)
    release, entered = threading.Event(), []

    async def slow(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        entered.append(1)
        await asyncio.to_thread(release.wait, 60)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    with answering(slow, tmp_path) as address:
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(ask(address, request("GET", "/"))[2]))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(entered) == 5)
        assert say(address, request("GET", "/")) == b""  # there is no room, and nobody who waits for a head
        release.set()
        for thread in threads:
            thread.join(60)
        assert [b"late" in answer for answer in answers] == [True] * 5


# Answers that are not read


@pytest.mark.parametrize("path", ["/big", "/stream"])
def test_an_answer_that_is_not_read_ends_the_connection(app, address, monkeypatch, path):
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.3)
    with connection(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(request("GET", path))
        until(lambda: app.asked and not held_by_server(address))
    assert is_alive(address)


def held_by_server(address) -> bool:
    """Whether an established connection to the server is left, by what the kernel knows."""
    port = f":{address[1]:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123 -- as one line reads it
        rows = [line.split() for line in table.readlines()[1:]]
    return any(row[1].endswith(port) and row[3] == "01" for row in rows)


@pytest.mark.parametrize("path", ["/big", "/stream"])
def test_an_answer_that_is_read_slowly_comes_whole(address, monkeypatch, path):
    monkeypatch.setattr(protocol, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(protocol, "STALL_BYTES", 1)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    with connection(address) as sock:
        sock.sendall(request("GET", path))
        size = 0
        while piece := sock.recv(1 << 20):
            size += len(piece)
            time.sleep(0.03)
    assert size > BIG


def test_ending_waits_for_no_client(app, tmp_path):
    began = time.monotonic()
    with answering(app, tmp_path) as address:
        silent = [connection(address) for _ in range(5)]
        assert is_alive(address)
    for sock in silent:
        assert rest_of(sock) == b""
        sock.close()
    assert time.monotonic() - began < 15
