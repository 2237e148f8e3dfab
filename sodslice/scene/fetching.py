"""Images from the network: http and https alone, within limits of size and time."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, TypeGuard
from urllib.parse import SplitResult, unquote, urlsplit

from sodslice.errors import SceneError
from sodslice.scene.rendering import Rendering
from sodslice.scene.temporary import TemporaryScene, temporary_scene
from sodslice.system.version import __version__

SCHEMES = ("http", "https")
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
CHUNK = 2**18
LONGEST_NAME = 100
BY_HAND = "download it by hand and give the file"


class FetchLimits(NamedTuple):
    """What an image may cost.

    Fields: `most_bytes` of the file; `seconds` for all of it; `silence`, seconds without a byte.
    """

    most_bytes: int = 2 * 2**30
    seconds: float = 900.0
    silence: float = 30.0


LIMITS = FetchLimits()


def is_address(given: object) -> TypeGuard[str]:
    """Whether something is the http or https address of an image."""
    return isinstance(given, str) and ADDRESS.match(given) is not None


def scene_of_address(
    address: str, rendering: Rendering | None = None, *, limits: FetchLimits = LIMITS
) -> TemporaryScene:
    """The image at an address, as a scene that is called like the address, without what follows its path.

    Args:
        address: that begins with http:// or https://.
        rendering: how it is read.
        limits: of size and time.

    Raises:
        SceneError: it cannot be fetched, costs too much, or is no image.
    """
    parts = _parts(address)

    def fill(path: Path) -> None:
        _fetch(address, path, shown_address(address), limits)

    return temporary_scene(
        fill, name=shown_address(address), file=_file_name(parts.path), rendering=rendering
    )


def shown_address(address: str) -> str:
    """An address without query and fragment, which may be secrets.

    Raises:
        SceneError: it is none, or holds a password.
    """
    parts = _parts(address)
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path}"


def _parts(address: str) -> SplitResult:
    """The parts of an address.

    Raises:
        SceneError: it is none, or holds a password, which no message must show.
    """
    if "@" in address.partition("://")[2].partition("/")[0]:
        raise SceneError(f"an address with user and password is not fetched; {BY_HAND}")
    try:
        parts = urlsplit(address)
        good = parts.scheme.lower() in SCHEMES and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or re.search(r"[\s\x00-\x1f\x7f]", address):
        raise SceneError(f"{address!r} is no address of an image; write https://host/name.jpg")
    return parts


def _file_name(path: str) -> str:
    """A harmless name for the file, that of the address where there is one."""
    last = PurePosixPath(unquote(path, errors="replace")).name
    harmless = re.sub(r"[^\w.+ -]", "_", last)[-LONGEST_NAME:].lstrip(". ")
    return harmless or "image"


class _OnlyHttp(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https, and to nothing else."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not is_address(newurl):
            raise urllib.error.URLError(f"it leads to {newurl}, which is neither http nor https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """One that knows http and https alone; `build_opener` would add files, FTP and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _OnlyHttp(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"sodslice/{__version__}")]
    return opener


def _fetch(address: str, path: Path, shown: str, limits: FetchLimits) -> None:
    """Write what is at an address into a file.

    Raises:
        SceneError: see `scene_of_address`.
    """
    until = time.monotonic() + limits.seconds
    try:
        with _opener().open(address, timeout=limits.silence) as answer, path.open("wb") as file:
            _copy(answer, file, shown, limits, until)
    except SceneError:
        raise
    except urllib.error.HTTPError as error:
        words = " ".join(str(error.reason).split())
        raise SceneError(f"{shown} cannot be fetched: the server says {error.code} {words}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SceneError(f"{shown} cannot be fetched: {_reason(error, limits)}") from None


def _copy(answer: Any, file: IO[bytes], shown: str, limits: FetchLimits, until: float) -> None:
    """Copy an answer, as far as it says that it is long.

    Raises:
        SceneError: it is too long or too slow, or ends before its end.
    """
    stated = answer.headers.get("Content-Length", "")
    expected = int(stated) if stated.isascii() and stated.isdecimal() else None
    if expected is not None and expected > limits.most_bytes:
        raise SceneError(_too_large(shown, limits))
    got = 0
    while part := answer.read1(CHUNK):
        got += len(part)
        if got > limits.most_bytes:
            raise SceneError(_too_large(shown, limits))
        if time.monotonic() > until:
            raise SceneError(f"{shown} takes longer than {limits.seconds:g} s; {BY_HAND}")
        file.write(part)
    if expected is not None and got < expected:
        raise SceneError(f"{shown} ended after {got} of {expected} bytes; try again, or {BY_HAND}")


def _too_large(shown: str, limits: FetchLimits) -> str:
    return f"{shown} is larger than {limits.most_bytes / 2**20:g} MiB, the most that is fetched; {BY_HAND}"


def _reason(error: Exception, limits: FetchLimits) -> str:
    """Why nothing came, on one line."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no byte came for {limits.silence:g} s; {BY_HAND}"
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(words).split())
