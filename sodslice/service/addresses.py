"""Images from the web for a service: from hosts that it may ask, and from public addresses alone."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path

import httpx

from sodslice.errors import FetchError
from sodslice.scene.fetching import address_to_fetch
from sodslice.scene.pointers import mark_from_elsewhere
from sodslice.system.arriving import Limits
from sodslice.system.downloads import download

SECONDS, SILENCE_S, TRIES = 30.0, 10.0, 2
SLOWEST = 1e6
"""Bytes a second at which the largest of images may come, if that takes longer than SECONDS."""

PORTS = {"http": 80, "https": 443}
MOST_SHOWN = 100

NOT_GLOBAL_V4 = tuple(
    map(
        IPv4Network,
        ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
         "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
         "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
         "168.63.129.16/32"),
    )
)  # fmt: skip
"""IANA's special ranges, which Python's versions know in part; the last is of Azure's own machines."""

GLOBAL_V6 = IPv6Network("2000::/3")
"""What is given out of IPv6; all else is local, or another kind of address in its dress."""

NOT_GLOBAL_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20", "2620:4f:8000::/48")))
"""Of these, those for protocols, for examples and for tests."""

NAT64 = IPv6Network("64:ff9b::/96")
ISATAP = (0x00005EFE, 0x02005EFE)


class PublicTransport(httpx.BaseTransport):
    """Connects to hosts of a list, and to public addresses of theirs alone; redirects are held to the same.

    A name is looked up once, all of its addresses are checked, and the connection goes to one that was
    checked, so that another look-up cannot lead elsewhere.

    Args:
        hosts: that may be asked, `*.example.com` with all below.
        inner: what connects.
    """

    def __init__(self, hosts: Sequence[str], inner: httpx.BaseTransport | None = None) -> None:
        self._hosts = tuple(host.lower() for host in hosts)
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask a host that may be asked.

        Raises:
            FetchError: it may not, or has no public address.
        """
        host = request.url.raw_host.decode("ascii")
        if not self.allows(host):
            raise FetchError(
                f"images are not fetched from {host[:MOST_SHOWN]}; the service names the hosts it asks"
            )
        addresses = public_addresses(host, request.url.port or PORTS[request.url.scheme])
        for address in addresses[:-1]:
            try:
                return self._ask(request, host, address)
            except httpx.ConnectError:
                continue
        return self._ask(request, host, addresses[-1])

    def allows(self, host: str) -> bool:
        """Whether a host is in the list; one that is spelt in other letters is looked for as it is asked."""
        name = _ascii(host).lower().rstrip(".")
        return any(
            name == known or (known.startswith("*.") and name.endswith(known[1:])) for known in self._hosts
        )

    def close(self) -> None:
        """End all connections."""
        if self._inner is not None:
            self._inner.close()

    def _ask(self, request: httpx.Request, host: str, address: str) -> httpx.Response:
        """Ask a host at one of its addresses."""
        if self._inner is None:
            self._inner = httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
        return self._inner.handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host.rstrip(".")},
            )
        )


def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, all of which are public.

    Raises:
        FetchError: it has none, or also others.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError(f"{host[:MOST_SHOWN]} is not known") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not addresses or not all(map(is_public, addresses)):
        raise FetchError(f"{host[:MOST_SHOWN]} is not a public address; images are not fetched from it")
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also where it is one of IPv4 within one of IPv6."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _is_public_v4(ip) if isinstance(ip, IPv4Address) else _is_public_v6(ip)


def _is_public_v4(ip: IPv4Address) -> bool:
    return not any(ip in other for other in NOT_GLOBAL_V4)


def _is_public_v6(ip: IPv6Address) -> bool:
    """Mapped addresses are refused with all else that is not given out."""
    if ip.scope_id is not None:
        return False
    if ip in NAT64:
        return _is_public_v4(IPv4Address(int(ip) & 0xFFFFFFFF))
    tunnel = (int(ip) >> 32) & 0xFFFFFFFF in ISATAP
    if ip not in GLOBAL_V6 or any(ip in other for other in NOT_GLOBAL_V6) or tunnel:
        return False
    return ip.sixtofour is None or _is_public_v4(ip.sixtofour)


def fetch(address: str, path: Path, *, hosts: Sequence[str], most_bytes: int) -> Path:
    """Fetch an image into a file, whose folder is marked as one of files from elsewhere.

    Args:
        address: http or https.
        path: where it comes to lie.
        hosts: see `PublicTransport`.
        most_bytes: that it may have.

    Raises:
        SceneError: it is no address.
        FetchError: it cannot be had, or may not.
    """
    url, shown = address_to_fetch(address)
    if not hosts:
        raise FetchError(
            "images are not fetched from the web by this service; send the image itself, in base64"
        )
    public, seconds = PublicTransport(hosts), max(SECONDS, most_bytes / SLOWEST)
    limits = Limits(most_bytes, seconds=seconds, silence_s=SILENCE_S, tries=TRIES, transport=public)
    mark_from_elsewhere(path.parent)
    return download(url, path, limits=limits, shown=shown, lasting=False)


def _ascii(host: str) -> str:
    """A host in the letters in which it is asked for; what cannot be spelt so stays."""
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return host
