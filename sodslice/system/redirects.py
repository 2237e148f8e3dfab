"""Answers of the web behind redirects, of which neither a body is read nor a target shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sodslice.errors import FetchError

if TYPE_CHECKING:
    import httpx

REDIRECTS = 5
SCHEMES = ("http", "https")


@contextmanager
def led(client: httpx.Client, request: httpx.Request, shown: str) -> Iterator[httpx.Response]:
    """The answer where redirects end, whose body is still to come.

    Args:
        client: that follows none by itself, and calls `check_leads`.
        request: what is asked for.
        shown: what messages call it.

    Raises:
        FetchError: there are too many.
    """
    for _ in range(REDIRECTS + 1):
        response = client.send(request, stream=True)
        try:
            if response.next_request is None:
                yield response
                return
            request = response.next_request
        finally:
            response.close()
    raise FetchError(f"{shown} leads to another place more than {REDIRECTS} times")


def check_leads(response: httpx.Response, shown: str) -> None:
    """Refuse where a redirect leads, which is never shown: it may hold a key.

    Raises:
        FetchError: it is no address that would be fetched by itself, or is not encrypted where the one that
            leads there is.
    """
    import httpx

    if not response.has_redirect_location:
        return
    asked = response.request.url
    try:
        target = asked.join(response.headers["location"])
    except httpx.InvalidURL:
        raise FetchError(f"{shown} leads to an address that is malformed") from None
    if target.scheme not in SCHEMES:
        raise FetchError(
            f"{shown} leads to an address of {target.scheme[:20]}, which is neither http nor https"
        )
    if target.userinfo:
        raise FetchError(f"{shown} leads to an address with user and password; it is not followed")
    if asked.scheme == "https" and target.scheme != "https":
        raise FetchError(f"{shown} leads to an address that is not encrypted; it is not followed")
