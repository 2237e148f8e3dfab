"""What a service is told when it starts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from sodslice.errors import OptionError
from sodslice.settings import Options

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
CLIENT_GONE = 499
"""What is noted as the status of requests whose client went away; nginx's."""

LOCAL_NAMES = ("localhost",)
SHORTEST_TOKEN = 16
FOLDERS = ("jobs", "uploads", "coming")
"""In the folder of a service; what is coming is removed when a service starts."""

LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
HOST = re.compile(rf"(\*\.{LABEL}\.)?({LABEL}\.)*{LABEL}", re.IGNORECASE)
"""A name of which pictures may be fetched, or of all below one; not of all below one of a single word."""


@dataclass(frozen=True)
class ServiceSettings:
    """What a service may do and how much of it.

    Args:
        data: folder for uploads, results and the list of jobs.
        options: of the model and of runs; a job's own go before them.
        host: address to listen at.
        port: to listen at; 0 takes any that is free.
        token: that each request must bring; None asks for none, which only loopback addresses may do.
        root: folder whose scenes jobs may name; None for no such folder.
        hosts: from which images may be fetched, `*.example.com` with all below; none are fetched where empty.
        waiting: pictures that may wait for the model; one more is told to come back.
        most_body: bytes of the body of a request that is no upload.
        body_seconds: until a body must have come.
        most_pixels: of a picture.
        jobs_at_once: processes for jobs.
        jobs_waiting: jobs that may wait.
        most_upload: bytes of one upload.
        quota: bytes of uploads and results together.
        keep_seconds: how long the results of a job are kept, and uploads that nobody uses.
    """

    data: Path
    options: Options = field(default_factory=Options)
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    root: Path | None = None
    hosts: tuple[str, ...] = ()
    waiting: int = 64
    most_body: int = 64 * MEBIBYTE
    body_seconds: float = 60.0
    most_pixels: int = 178_956_970
    jobs_at_once: int = 1
    jobs_waiting: int = 64
    most_upload: int = 8 * GIBIBYTE
    quota: int = 50 * GIBIBYTE
    keep_seconds: float = 7 * 86400.0

    def __post_init__(self) -> None:
        self._check_reach()
        if self.options.rendering.allow_vrt:
            raise OptionError(
                "`allow_vrt` would let whoever sends a file read all others; a service leaves it out"
            )
        for host in self.hosts:
            if not HOST.fullmatch(host):
                raise OptionError(
                    f"`allow_url={host}` is no host; give its name alone, as example.com or *.example.com"
                )
        if self.root is not None:
            self._check_folders(self.root.resolve(), self.data.resolve())

    def _check_reach(self) -> None:
        """Refuse to be reached from other machines without a token, or with one that is soon guessed.

        Raises:
            OptionError: it would be so.
        """
        if self.token is None and not is_loopback(self.host):
            raise OptionError(
                f"`host={self.host}` can be reached from other machines and there is no token; "
                "give `token_file`, or take `host=127.0.0.1`"
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise OptionError(
                f"a token needs {SHORTEST_TOKEN} letters at least, got {len(self.token)}; "
                "make one with: openssl rand -hex 32"
            )

    def _check_folders(self, root: Path, data: Path) -> None:
        """Refuse a root in which the service's own files lie: whoever may name scenes could name them.

        Raises:
            OptionError: they do.
        """
        if not root.is_dir():
            raise OptionError(f"`root={self.root}` is no folder")
        if data.is_relative_to(root) or any(root.is_relative_to(data / name) for name in FOLDERS):
            raise OptionError(
                f"`data={self.data}` and `root={self.root}` must lie apart; give another folder"
            )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in LOCAL_NAMES


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        OptionError: there is none.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise OptionError(f"`token_file={path}` cannot be read: {error}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise OptionError(f"`token_file={path}` must hold one line of plain letters without spaces")
    return token
