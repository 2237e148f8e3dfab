from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sodslice.system.caches import cache_folder


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SODSLICE_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("SODSLICE_CACHE", "~/cache")
    assert cache_folder() == Path.home() / "cache"


@pytest.mark.parametrize("own", [None, ""])
def test_else_it_is_a_folder_in_the_users_cache_which_is_not_made(tmp_path, monkeypatch, own):
    monkeypatch.delenv("SODSLICE_CACHE", raising=False)
    if own is not None:
        monkeypatch.setenv("SODSLICE_CACHE", own)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder().is_relative_to(tmp_path)
    assert "sodslice" in cache_folder().parts
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="says where the cache is on Linux")
def test_on_linux_it_follows_the_base_directories_of_the_desktop(tmp_path, monkeypatch):
    monkeypatch.delenv("SODSLICE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "sodslice"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "sodslice"
