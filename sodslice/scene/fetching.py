"""Images from the network: http and https alone, within limits of size and time."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TypeGuard
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from sodslice.errors import FetchError, SceneError
from sodslice.scene.rendering import Rendering
from sodslice.scene.temporary import TemporaryScene, temporary_scene
from sodslice.system.arriving import AbsentError, Limits
from sodslice.system.downloads import download
from sodslice.system.redirects import SCHEMES

ADDRESS = re.compile(r"https?://", re.IGNORECASE)
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")
AS_THEY_ARE = "/%:@!$&'()*+,;=~[]"
"""In paths; `%` too, since what is quoted already stays so."""
BY_HAND = "download it by hand and give the file"

LIMITS = Limits(most_bytes=2 << 30, seconds=900.0, tries=3)
"""What an image may cost."""


def is_address(given: object) -> TypeGuard[str]:
    """Whether something is the http or https address of an image."""
    return isinstance(given, str) and ADDRESS.match(given) is not None


def scene_of_address(
    address: str, rendering: Rendering | None = None, *, limits: Limits = LIMITS
) -> TemporaryScene:
    """The image at an address, as a scene that is called like the address, without what follows its path.

    Args:
        address: that begins with http:// or https://.
        rendering: how it is read.
        limits: when it is given up.

    Raises:
        SceneError: it cannot be fetched, costs too much, or is no image.
    """
    parts, shown = _parts(address), shown_address(address)

    def fill(path: Path) -> None:
        try:
            download(_spelt(parts), path, limits=limits, shown=shown, lasting=False)
        except AbsentError as error:
            raise SceneError(f"{error}; correct the address") from None
        except FetchError as error:
            raise SceneError(f"{error}; {BY_HAND}") from None
        except OSError as error:
            raise SceneError(f"{shown} needs a temporary file, which fails: {error.strerror}") from None

    return temporary_scene(fill, name=shown, file=_file_name(parts.path), rendering=rendering)


def shown_address(address: str) -> str:
    """An address without query and fragment, which may be secrets.

    Raises:
        SceneError: it is none, or holds a password.
    """
    parts = _parts(address)
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path}"


def address_to_fetch(address: str) -> tuple[str, str]:
    """An address as it is asked for, and as it is shown.

    Raises:
        SceneError: it is none, or holds a password.
    """
    return _spelt(_parts(address)), shown_address(address)


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
