"""One file on its way from the web, part by part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import responses
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from sodslice.errors import FetchError
from sodslice.system.clock import Clock
from sodslice.system.files import write_atomically
from sodslice.system.redirects import led

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, "int | None"], None]
"""Bytes that are here, and all of them; None where the server does not say how many."""

BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which another try may go better."""

ABSENT = (404, 410)
PARTIAL, BEYOND = 206, 416
OTHERS_WORDS = re.compile(r"(: bytearray|, certificate is not valid for).*", re.DOTALL)
"""In what httpx says: what a server sent, or the host that a redirect led to."""

MEBIBYTE = 1 << 20


class AbsentError(FetchError):
    """The server has no such file."""


class TryAgain(Exception):  # noqa: N818 -- says what to do about it
    """A try that failed, and why; another may go better."""

    def __init__(self, why: str, pause_s: float = 0.0) -> None:
        super().__init__(why)
        self.pause_s = pause_s


@dataclass(frozen=True)
class Limits:
    """When a download is given up, and what it may reach.

    Args:
        most_bytes: of the file.
        seconds: for all of it, with redirects, pauses and further tries; what has come until then is kept.
        silence_s: for a connection, and between two pieces.
        tries: in a row that bring nothing more.
        pause_s: before the second try; twice as much before each that follows.
        transport: what connects, and may refuse to; None for what follows the proxies of the environment.
    """

    most_bytes: int = 4 << 30
    seconds: float = 6 * 3600.0
    silence_s: float = 30.0
    tries: int = 5
    pause_s: float = 0.5
    transport: httpx.BaseTransport | None = None


USUAL = Limits()


def remove_download(path: Path) -> None:
    """Remove a file, or a part of one, and what is known of it."""
    for file in (path, _notes(path)):
        file.unlink(missing_ok=True)


@dataclass
class Arriving:
    """A file under way.

    Args:
        url: where it comes from.
        path: where it comes to lie.
        limits: when to give up.
        clock: runs for as long as they say.
        progress: is told of each piece.
        shown: what messages call it.
        lasting: whether what has come stays for another download.
    """

    url: str
    path: Path
    limits: Limits
    clock: Clock
    progress: Progress
    shown: str
    lasting: bool

    def __post_init__(self) -> None:
        self._validator, self._total = _noted(self.path, self.url) if self.lasting else ("", None)

    @property
    def done(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def kept(self) -> str:
        """A closing half sentence on what has come; "" where that is of no use."""
        if not self.lasting or not self.done or not self._validator:
            return ""
        return f"; {self.done / MEBIBYTE:.1f} MiB of it are kept, and another try goes on from there"

    def check_time(self) -> None:
        """Give up when the time is over.

        Raises:
            FetchError: it is.
        """
        if self.clock.left <= 0:
            raise FetchError(f"{self.shown}: it took more than {self.limits.seconds:g} s{self.kept()}")

    def forget(self) -> None:
        """Start over."""
        remove_download(self.path)
        self._validator, self._total = "", None

    def go_on(self, client: httpx.Client) -> None:
        """Fetch what is missing.

        Raises:
            TryAgain: the try failed.
            FetchError: there is no use in trying.
        """
        if self._total is not None and self.done == self._total:
            return
        self.check_time()
        done = self.done if self._validator else 0
        with _said(self.shown, self.limits), led(client, self._request(client, done), self.shown) as response:
            self._check_answer(response)
            if response.status_code == PARTIAL:
                self._check_part(response, done)
            else:
                self._begin(response)
            self._take(response)

    def _request(self, client: httpx.Client, done: int) -> httpx.Request:
        """What asks for all that is behind so many bytes, and tells the clock of its connections."""
        asked = {"Range": f"bytes={done}-", "If-Range": self._validator} if done else {}
        longest = min(self.limits.silence_s, max(self.clock.left, 0.001))
        watched = {"trace": self.clock.trace}
        return client.build_request("GET", self.url, headers=asked, timeout=longest, extensions=watched)

    def _check_answer(self, response: httpx.Response) -> None:
        """Whether an answer brings the file.

        Raises:
            TryAgain: not this time.
            FetchError: it does not.
        """
        code = response.status_code
        words = f"the server answers {code} {responses.get(code, '')}".rstrip()
        if code in ABSENT:
            raise AbsentError(f"{self.shown}: {words}")
        if code == BEYOND:
            self.forget()
            raise TryAgain(f"{words} to the rest of the file")
        if code in BUSY:
            raise TryAgain(words, _asked_pause(response))
        if code not in (200, PARTIAL):
            raise FetchError(f"{self.shown}: {words}{self.kept()}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchError(f"{self.shown}: the server sends the file in another form than it has")

    def _check_part(self, response: httpx.Response, done: int) -> None:
        """Whether a part is the one that is missing.

        Raises:
            TryAgain: it is another, and all is to be fetched again.
        """
        unit, _, rest = response.headers.get("content-range", "").partition(" ")
        if unit != "bytes" or not rest.startswith(f"{done}-") or rest.rpartition("/")[2] != str(self._total):
            self.forget()
            raise TryAgain("the server sends another part than was asked for")
        name = "etag" if self._validator.startswith('"') else "last-modified"
        if response.headers.get(name, self._validator) != self._validator:
            self.forget()
            raise TryAgain("the server sends a part of another file than the one that was begun")

    def _begin(self, response: httpx.Response) -> None:
        """Start a file, and note which one it is."""
        self.forget()
        length = response.headers.get("content-length", "")
        self._total = int(length) if length.isdecimal() else None
        etag, date = (response.headers.get(name, "") for name in ("etag", "last-modified"))
        found = [each for each in (etag if etag.startswith('"') else "", date) if _can_be_sent(each)]
        self._validator = found[0] if found and self._total is not None else ""
        self._check_size(self._total or 0)
        if self.lasting:
            notes = {"url": self.url, "validator": self._validator, "bytes": self._total}
            write_atomically(_notes(self.path), orjson.dumps(notes))

    def _take(self, response: httpx.Response) -> None:
        """Write what comes behind what is there.

        Raises:
            TryAgain: it ended early.
            FetchError: it is too much, or takes too long.
        """
        done = self.done
        with self.path.open("ab") as file:
            for piece in response.iter_raw():
                done += len(piece)
                self._check_size(done)
                file.write(piece)
                self.progress(done, self._total)
                if self.clock.left <= 0:
                    break
        if done != self._total:
            self.check_time()
        if self._total is not None and done != self._total:
            raise TryAgain(f"the file ended after {done} of {self._total} bytes")

    def _check_size(self, size: int) -> None:
        """Refuse what is too large, and keep nothing of it.

        Raises:
            FetchError: it is.
        """
        if size > self.limits.most_bytes:
            self.forget()
            most = self.limits.most_bytes / MEBIBYTE
            raise FetchError(f"{self.shown} is larger than {most:.4g} MiB, the most that is fetched")


def _notes(path: Path) -> Path:
    """The file beside a download that tells what it is a part of."""
    return path.with_name(path.name + ".json")


def _noted(path: Path, url: str) -> tuple[str, int | None]:
    """By what the file of a part is recognised, and its size; "" where the part is of no use."""
    try:
        notes = orjson.loads(_notes(path).read_bytes())
        validator, total = str(notes["validator"]), int(notes["bytes"])
        right = notes["url"] == url and path.is_file() and path.stat().st_size <= total
    except (OSError, ValueError, TypeError, LookupError):
        return "", None
    return (validator, total) if right and _can_be_sent(validator) else ("", None)


def _can_be_sent(validator: str) -> bool:
    """Whether a text can stand in a header."""
    return validator != "" and validator.isascii() and validator.isprintable()


def _asked_pause(response: httpx.Response) -> float:
    """Seconds that a server asks us to wait; 0 where it says none."""
    given: str = response.headers.get("retry-after", "")
    return float(given) if given.isdecimal() else 0.0


@contextmanager
def _said(shown: str, limits: Limits) -> Iterator[None]:
    """What goes wrong on the way, in our words.

    Raises:
        TryAgain: another try may go better.
        FetchError: none will.
    """
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        what = "no connection" if isinstance(error, httpx.ConnectTimeout) else "nothing came"
        raise TryAgain(f"{what} for {limits.silence_s:g} s") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise FetchError(f"{shown} cannot be fetched: {_words_of(error)}") from None
    except UnicodeError:
        raise FetchError(
            f"{shown} cannot be fetched: it is at, or leads to, a host of no good name"
        ) from None
    except httpx.ConnectError as error:
        raise TryAgain(f"no connection ({_words_of(error)})") from None
    except httpx.RequestError as error:
        raise TryAgain(f"the connection broke ({_words_of(error)})") from None


def _words_of(error: Exception) -> str:
    """What an error says, on one line, but for what others said."""
    return " ".join(OTHERS_WORDS.sub("", str(error)).split()) or type(error).__name__
