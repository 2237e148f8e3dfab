"""Images from the network: http and https alone, within limits of size and time."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, TypeGuard
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from sodslice.errors import SceneError
from sodslice.scene.clock import Clock
from sodslice.scene.rendering import Rendering
from sodslice.scene.temporary import TemporaryScene, temporary_scene
from sodslice.system.version import __version__

SCHEMES = ("http", "https")
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
CHUNK = 2**18
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")
AS_THEY_ARE = "/%:@!$&'()*+,;=~[]"
"""In paths; `%` too, since what is quoted already stays so."""
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
        _fetch(_spelt(parts), path, shown_address(address), limits)

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
        good = good and not re.search(r"\s", parts.netloc) and _spelt(parts).isascii()
    except ValueError:
        good = False
    if not good or CONTROLS.search(address):
        shown = re.split("[?#]", address, maxsplit=1)[0]
        raise SceneError(f"{shown!r} is no address of an image; write https://host/name.jpg")
    return parts


def _spelt(parts: SplitResult) -> str:
    """An address in the letters that HTTP has: other letters and spaces quoted, the host in IDNA.

    Raises:
        ValueError: the host cannot be spelt so, or letters are broken.
    """
    host = parts.netloc
    if not host.isascii():
        port = "" if parts.port is None else f":{parts.port}"
        host = f"{(parts.hostname or '').encode('idna').decode('ascii')}{port}"
    path, query = quote(parts.path, AS_THEY_ARE), quote(parts.query, f"{AS_THEY_ARE}?")
    return urlunsplit((parts.scheme.lower(), host, path, query, ""))


def _file_name(path: str) -> str:
    """A harmless name for the file, with the suffix of the address where there is one."""
    suffix = PurePosixPath(path).suffix
    return f"image{suffix if SUFFIX.fullmatch(suffix) else ''}"


class _OnlyHttp(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https, and to nothing else."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Refuse in words of our own, which hold no secret, before urllib does."""
        leads = headers.get("location") or headers.get("uri")
        if leads is not None:
            try:
                _check_leads(urljoin(req.full_url, leads))
            except urllib.error.URLError:
                fp.close()
                raise
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _check_leads(address: str) -> None:
    """Refuse where a redirection leads, which is never shown: it may hold a key.

    Raises:
        URLError: it is neither http nor https, or no address that we would fetch by itself.
    """
    if not is_address(address):
        scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,20}(?=:)", address)
        named = f"an address of {scheme[0].lower()}" if scheme else "an address"
        raise urllib.error.URLError(f"it leads to {named}, which is neither http nor https; {BY_HAND}")
    try:
        _parts(address)
    except SceneError:
        raise urllib.error.URLError(
            f"it leads to an address that is malformed, or has a user and password; {BY_HAND}"
        ) from None


class _Http(urllib.request.HTTPHandler):
    """Connections over http that a clock can end."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def http_open(self, req: Any) -> Any:
        return self.do_open(self._clock.watched(http.client.HTTPConnection), req)


class _Https(urllib.request.HTTPSHandler):
    """Connections over https that a clock can end."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def https_open(self, req: Any) -> Any:
        return self.do_open(self._clock.watched(http.client.HTTPSConnection), req)


def _opener(clock: Clock) -> urllib.request.OpenerDirector:
    """One that knows http and https alone; `build_opener` would add files, FTP and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Http(clock),
        _Https(clock),
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
    with Clock(limits.seconds) as clock:
        try:
            with _opener(clock).open(address, timeout=limits.silence) as answer, path.open("wb") as file:
                _copy(answer, file, shown, limits, clock)
        except SceneError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            if clock.over:
                raise SceneError(_too_slow(shown, limits)) from None
            raise SceneError(f"{shown} cannot be fetched: {_reason(error, limits)}") from None


def _copy(answer: Any, file: IO[bytes], shown: str, limits: FetchLimits, clock: Clock) -> None:
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
        file.write(part)
    if clock.over:
        raise SceneError(_too_slow(shown, limits))
    if expected is not None and got < expected:
        raise SceneError(f"{shown} ended after {got} of {expected} bytes; try again, or {BY_HAND}")


def _too_large(shown: str, limits: FetchLimits) -> str:
    return f"{shown} is larger than {limits.most_bytes / 2**20:g} MiB, the most that is fetched; {BY_HAND}"


def _too_slow(shown: str, limits: FetchLimits) -> str:
    return f"{shown} takes longer than {limits.seconds:g} s; {BY_HAND}"


def _reason(error: Exception, limits: FetchLimits) -> str:
    """Why nothing came, on one line, in words that neither hold the address nor are the server's."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"the server says {error.code} {http.client.responses.get(error.code, '')}".rstrip()
    if isinstance(error, http.client.InvalidURL):
        return f"it leads to an address that is malformed; {BY_HAND}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no byte came for {limits.silence:g} s; {BY_HAND}"
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(words).split())
