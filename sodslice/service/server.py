"""Runs an app: uvicorn, on sockets that are open before a model is loaded, and an end that parks jobs."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn

from sodslice.errors import OptionError, SodsliceError
from sodslice.service.gate import Gate
from sodslice.service.protocol import GuardedProtocol
from sodslice.service.settings import ServiceSettings

IDLE_SECONDS = 15
"""Between two requests on a connection."""

GRACE_SECONDS = 20
MOST_HEAD = 65536
MOST_CONNECTIONS = 1000


class Server(uvicorn.Server):
    """A server whose streams end when it is told to end.

    Args:
        gate: the app.
        ready: is told the address, once it answers there.
    """

    def __init__(self, gate: Gate, ready: Callable[[str], None]) -> None:
        super().__init__(
            uvicorn.Config(
                gate,
                http=type("Protocol", (GuardedProtocol,), {"most_connections": most_connections()}),
                loop="asyncio",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                h11_max_incomplete_event_size=MOST_HEAD,
            )
        )
        self._gate, self._ready = gate, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; says where it serves."""
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    def handle_exit(self, sig: int, frame: Any) -> None:
        """See uvicorn; a second signal ends it at once."""
        self._gate.end_streams()
        super().handle_exit(sig, frame)


def listening(settings: ServiceSettings) -> list[socket.socket]:
    """Sockets of all addresses of the host, at one port.

    Raises:
        OptionError: nothing can be served there.
    """
    host, port = settings.host.strip("[]"), settings.port
    found: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            opened = socket.create_server((address, port), family=family, backlog=socket.SOMAXCONN)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as asyncio does for its own
            found.append(opened)
            port = opened.getsockname()[1]
    except (OSError, UnicodeError) as error:
        for opened in found:
            opened.close()
        raise OptionError(
            f"cannot serve at {settings.host}:{settings.port}: {_reason(error)}; "
            "give another `port` or `host`"
        ) from None
    return found


def serve(gate: Gate, sockets: Sequence[socket.socket], *, ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it; then answer what has come, and park jobs.

    Args:
        gate: the app.
        sockets: see `listening`.
        ready: is told the address, once it answers there.

    Raises:
        SodsliceError: the app does not start.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    server = Server(gate, ready)
    try:
        server.run(list(sockets))
    except KeyboardInterrupt:
        pass
    except SystemExit:  # of a signal, but for the one by which uvicorn says that the app does not start
        if server.started:
            raise
    if not server.started:
        raise SodsliceError("the service did not start; what was said before tells why")


def most_connections() -> int:
    """So many that half of the files that a process may open are left for work."""
    try:
        import resource
    except ImportError:  # of POSIX alone
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft < 0 else max(1, min(MOST_CONNECTIONS, soft // 2))


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """Addresses of a host; those of IPv6 are left out where this machine has none of it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    known = (socket.AF_INET, socket.AF_INET6)
    named = [(family, str(address[0])) for family, _, _, _, address in found if family in known]
    here = [one for one in named if one[0] == socket.AF_INET or _is_here(one[1])]
    return list(dict.fromkeys(here or named))


def _is_here(address: str) -> bool:
    """Whether an address of IPv6 is one of this machine."""
    try:
        socket.create_server((address, 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def _reason(error: Exception) -> str:
    """The system's words alone, to which asyncio and socket add others."""
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(getattr(error, "strerror", None) or error)
