"""Sockets that are open before a model is loaded, and a server that ends when it is told to."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import threading

import pytest

from sodslice.errors import OptionError, SodsliceError
from sodslice.service import server
from sodslice.service.gate import Gate
from sodslice.service.metrics import Metrics
from sodslice.service.server import listening, most_connections, serve
from sodslice.service.settings import ServiceSettings
from tests.raw_http import address_of, ask, connection, request, rest_of, until
from tests.serving import serving

pytestmark = pytest.mark.service

TOKEN = "0123456789abcdef-server"


@pytest.fixture
def opened():
    """Sockets for settings, which are closed in the end."""
    found: list[socket.socket] = []

    def call(**given) -> list[socket.socket]:
        found.extend(listening(ServiceSettings(data=None, **{"port": 0, **given})))
        return found

    yield call
    for one in found:
        one.close()


def test_any_port_that_is_free_may_be_taken(opened):
    (one,) = opened()
    assert one.getsockname()[0] == "127.0.0.1"
    assert one.getsockname()[1] > 0
    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_a_name_is_served_at_all_its_addresses_and_one_port(opened, monkeypatch):
    def look_up(host, port, **_):
        return [
            (socket.AF_INET, None, None, "", (one, port)) for one in ("127.0.0.1", "127.0.0.2", "127.0.0.1")
        ]

    monkeypatch.setattr(server.socket, "getaddrinfo", look_up)
    found = opened(host="localhost")
    assert [one.getsockname()[0] for one in found] == ["127.0.0.1", "127.0.0.2"]
    assert len({one.getsockname()[1] for one in found}) == 1


def test_an_address_of_ipv6_may_be_written_as_in_urls(opened):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    (one,) = opened(host="[::1]")
    assert one.getsockname()[0] == "::1"


def test_a_port_in_use_is_said_in_a_line(opened):
    (one,) = opened()
    port = one.getsockname()[1]
    with pytest.raises(OptionError) as error:
        listening(ServiceSettings(data=None, port=port))
    assert str(error.value) == (
        f"cannot serve at 127.0.0.1:{port}: Address already in use; give another `port` or `host`"
    )


@pytest.mark.parametrize(
    "host", ["no.such.host.invalid", "", "203.0.113.1", "256.256.256.256", "a" * 300, "\u00e9" * 70]
)
def test_a_host_that_is_none_is_said_in_a_line(host):
    with pytest.raises(OptionError) as error:
        listening(ServiceSettings(data=None, host=host, port=0, token=TOKEN))
    assert str(error.value).startswith(f"cannot serve at {host}:0: ")
    assert "\n" not in str(error.value)


def test_half_of_the_files_of_a_process_are_left_for_work(monkeypatch):
    for soft, wanted in ((1024, 512), (64, 32), (1, 1), (100_000, 1000), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert most_connections() == wanted


def test_an_app_that_does_not_start_is_said_so(opened):
    async def broken(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    gate = Gate(broken, ServiceSettings(data=None), Metrics(), end_streams=lambda: None)
    with pytest.raises(SodsliceError, match="the service did not start"):
        serve(gate, opened(), ready=print)


# A real one


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_whoever_is_connected(tmp_path, number):
    with serving(tmp_path / "data", "--model", "blobs", token=TOKEN) as service:
        address = address_of(service.url)
        silent, half, slow = (connection(address) for _ in range(3))
        half.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        token = f"Authorization: Bearer {TOKEN}"
        slow.sendall(request("POST", "/uploads", token, "Content-Length: 1000", body=b"x"))
        until(lambda: list((service.data / "coming").iterdir()))
        service.process.send_signal(number)
        for sock in (silent, half):
            assert rest_of(sock) == b""
        until(lambda: not listens(address))
        slow.sendall(b"x" * 999)
        assert b'"bytes":1000' in rest_of(slow)
        assert service.process.wait(60) in (0, 143)
        for sock in (silent, half, slow):
            sock.close()
        assert not [line for line in service.said if "Traceback" in line]
    assert list((tmp_path / "data" / "coming").iterdir()) == []


def listens(address: tuple[str, int]) -> bool:
    """Whether anybody takes connections there."""
    try:
        connection(address).close()
    except ConnectionError:
        return False
    return True


def test_two_of_them_cannot_share_a_folder(tmp_path):
    with serving(tmp_path / "data", "--model", "blobs") as service:
        command = [sys.executable, "-m", "sodslice", "serve", "--port", "0", "--model", "blobs", "--data"]
        other = subprocess.run([*command, str(service.data)], capture_output=True, text=True, timeout=120)
        assert other.returncode == 1
        assert other.stderr == (
            f"error: another service uses --data {service.data}; end it, or give another folder\n"
        )
        assert service.get("/health")["errorMsg"] == "Healthy"


def test_guessing_and_silence_of_many_keep_nobody_out(tmp_path):
    """More connections than there may be, without a head, and wrong tokens, beside a right one."""
    with serving(tmp_path / "data", "--model", "blobs", token=TOKEN) as service:
        address = address_of(service.url)
        idle = [connection(address) for _ in range(most_connections() + 100)]
        statuses: list[int] = []

        def guess(number: int) -> None:
            for n in range(20):
                wrong = request(
                    "POST", "/jobs", f"Authorization: Bearer {TOKEN[:-3]}{number}{n:02d}", body=b""
                )
                statuses.append(ask(address, wrong)[0])

        threads = [threading.Thread(target=guess, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            assert service.get("/jobs") == []
        for thread in threads:
            thread.join(60)
        assert statuses == [401] * 100
        for sock in idle:
            sock.close()
