"""Files from the web that arrive whole: resumed and tried again, and bounded in size and in time."""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sodslice.errors import FetchError
from sodslice.system.arriving import USUAL, Arriving, Limits, Progress, TryAgain, remove_download
from sodslice.system.clock import Clock
from sodslice.system.redirects import check_leads
from sodslice.system.unlogged import unlogged
from sodslice.system.version import __version__

if TYPE_CHECKING:
    import ssl

    import httpx

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 30.0
"""Between two tries."""


def download(
    url: str,
    path: Path,
    *,
    limits: Limits = USUAL,
    progress: Progress | None = None,
    shown: str = "",
    lasting: bool = True,
) -> Path:
    """Fetch a file; where a part of it lies already, go on behind that part.

    What has come stays where the download ends early, with a small JSON beside it that tells of which file
    it is a part: another call goes on if the server still has that one, by its ETag or its date.

    Args:
        url: http or https.
        path: where the file comes to lie, which is given back; not to be used by two processes at once.
        limits: when to give up.
        progress: is told of each piece.
        shown: what messages and logs call it, where the URL holds what they must not show.
        lasting: whether what has come stays; else nothing lies there but a whole file, without a JSON.

    Raises:
        AbsentError: the server has no such file.
        FetchError: it cannot be had; the message says what was tried and how it ended.
        OSError: the disk refuses.
    """
    told, shown = progress or (lambda _done, _total: None), shown or url
    with unlogged(), Clock(limits.seconds) as clock, _client(shown, limits.transport) as client:
        arriving = Arriving(url, path, limits, clock, told, shown, lasting)
        try:
            _until_whole(arriving, client, limits)
        except BaseException:
            if not lasting:
                remove_download(path)
            raise
    return path


def _until_whole(arriving: Arriving, client: httpx.Client, limits: Limits) -> None:
    """Try until all is there.

    Raises:
        FetchError: a try ended for good, or too many brought nothing.
    """
    furthest, vain, pause = 0, 0, limits.pause_s
    while True:
        try:
            arriving.go_on(client)
        except TryAgain as failed:
            arriving.check_time()
            grown, furthest = arriving.done > furthest, max(furthest, arriving.done)
            vain = 1 if grown else vain + 1
            pause = limits.pause_s if grown else pause
            if vain >= limits.tries:
                tried = f"tried {limits.tries} times" if limits.tries > 1 else "tried once"
                raise FetchError(f"{arriving.shown}: {tried}, {failed}{arriving.kept()}") from None
            log.info("%s: %s; trying again", arriving.shown, failed)
            time.sleep(min(max(pause, failed.pause_s), LONGEST_PAUSE_S, max(arriving.clock.left, 0)))
            pause *= 2
        else:
            return


def _client(shown: str, transport: httpx.BaseTransport | None) -> httpx.Client:
    """What asks servers, as the environment says; it follows no redirect by itself, and keeps no connection.

    Args:
        shown: what messages call the address.
        transport: what connects.

    Raises:
        FetchError: what the environment says of proxies or certificates cannot be used.
    """
    import httpx

    try:
        return httpx.Client(
            verify=_trusted(),
            transport=transport,
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"Accept-Encoding": "identity", "User-Agent": f"sodslice/{__version__}"},
            event_hooks={"response": [partial(check_leads, shown=shown)]},
        )
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        raise FetchError(
            "the proxy or certificate settings of the environment cannot be used: "
            f"{' '.join(str(error).split())}; correct or unset them"
        ) from None


def _trusted() -> ssl.SSLContext:
    """The certificates of the environment; where it names none, httpx's own and the system's."""
    import httpx

    context = httpx.create_ssl_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        context.load_default_certs()
    return context
