"""Redirects: followed a few times, checked, and neither read nor shown."""

from __future__ import annotations

import httpx
import pytest

from sodslice.errors import FetchError
from sodslice.system.arriving import Limits
from sodslice.system.downloads import download
from sodslice.system.redirects import REDIRECTS
from tests.web import flood, redirect, serve, truncate

CONTENT = bytes(range(256)) * 400
PATH = "/model.tar"
SOON = Limits(silence_s=0.4, tries=3, pause_s=0.01)


def test_redirects_are_followed_and_not_for_ever(web, tmp_path):
    web.put(PATH, CONTENT)
    url = web.put("/old.tar", b"", redirect(PATH))
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    loop = web.put("/loop.tar", b"", redirect("/loop.tar"))
    with pytest.raises(FetchError, match=f"leads to another place more than {REDIRECTS} times"):
        download(loop, tmp_path / "g", limits=SOON)
    away = web.put("/away.tar", b"", redirect("file:///etc/hostname"))
    with pytest.raises(FetchError, match=r"leads to an address of file, which is neither http nor https$"):
        download(away, tmp_path / "h", limits=SOON)


def test_the_body_of_a_redirect_is_not_read(web, tmp_path):
    web.put(PATH, CONTENT)
    url = web.put("/old.tar", b"", flood(302, Location=PATH))
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert web.flooded < 32 << 20


def test_a_redirect_asks_for_the_rest_too(web, tmp_path):
    web.put(PATH, CONTENT, truncate(30_000), serve)
    url = web.put("/old.tar", b"", redirect(PATH))
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert web.asked[-1] == (PATH, "bytes=30000-")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ftp://u:SECRET@h/x?sig=SECRET", "an address of ftp, which is neither http nor https"),
        ("http://u:SECRET@127.0.0.1:1/x", "an address with user and password; it is not followed"),
        ("http://host:SECRET/x", "an address that is malformed"),
    ],
)
def test_where_a_redirect_leads_is_checked_and_not_shown(target, words, web, tmp_path):
    url = web.put(PATH, b"", redirect(target))
    with pytest.raises(FetchError) as error:
        download(url, tmp_path / "f", limits=SOON)
    assert str(error.value) == f"{url} leads to {words}"
    assert len(web.asked) == 1


def test_nothing_leads_from_https_to_what_is_not_encrypted(tmp_path, monkeypatch):
    def answer(request):
        assert request.url.scheme == "https"
        return httpx.Response(302, headers={"location": "http://example.org/f.tar?key=SECRET"})

    client = httpx.Client
    monkeypatch.setattr(
        httpx, "Client", lambda **how: client(**{**how, "transport": httpx.MockTransport(answer)})
    )
    with pytest.raises(FetchError) as error:
        download("https://example.org/f.tar", tmp_path / "f", limits=SOON)
    assert str(error.value) == (
        "https://example.org/f.tar leads to an address that is not encrypted; it is not followed"
    )
