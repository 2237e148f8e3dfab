"""What is left out of the logs: whole addresses."""

from __future__ import annotations

import logging

import httpx
import pytest

from sodslice.system.arriving import Limits
from sodslice.system.downloads import download
from sodslice.system.unlogged import unlogged
from tests.web import redirect, status, web_server


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server() as server:
        yield server


def test_no_log_holds_a_query_or_where_a_redirect_leads(web, tmp_path, caplog):
    web.put("/b", b"x", status(503))
    url = web.put("/a", b"", redirect("/b?sig=SECRET"))
    caplog.set_level(logging.DEBUG)
    with pytest.raises(OSError, match="tried 2 times"):
        download(f"{url}?sig=SECRET", tmp_path / "f", limits=Limits(tries=2, pause_s=0.01), shown=url)
    assert f"{url}: the server answers 503 Service Unavailable; trying again" in caplog.text
    assert "SECRET" not in caplog.text


def test_what_others_ask_for_is_logged_as_ever(web, caplog):
    url = web.put("/a", b"x")
    caplog.set_level(logging.DEBUG)
    with unlogged():
        httpx.get(f"{url}?ours")
    assert "ours" not in caplog.text
    httpx.get(f"{url}?theirs")
    assert "theirs" in caplog.text
