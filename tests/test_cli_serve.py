"""`sodslice serve`: what it says when it starts, and in one line when it cannot."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from sodslice.cli import main
from sodslice.service import server
from sodslice.service.jobs.storage import Storage
from sodslice.service.settings import ServiceSettings

TOKEN = "0123456789abcdef"


@pytest.fixture
def serve(capsys, monkeypatch, tmp_path) -> Iterator:
    """Run `sodslice serve` as far as it would serve; gives exit code and stderr."""
    on_terminate, umask = signal.getsignal(signal.SIGTERM), os.umask(0o022)
    access = logging.getLogger("sodslice.access")
    kept = access.handlers[:], access.propagate, access.level
    served = []

    def pretend(gate, sockets, *, ready):
        served.append((gate, os.umask(0o077)))
        ready("http://127.0.0.1:1")
        for one in sockets:
            one.close()

    monkeypatch.setattr(server, "serve", pretend)

    def call(*arguments: object, data: object = tmp_path / "data") -> tuple[int, str]:
        served.clear()
        with pytest.raises(SystemExit) as done:
            main(["serve", "--port", "0", "--model", "blobs", "--data", str(data), *map(str, arguments)])
        return done.value.code or 0, capsys.readouterr().err

    call.served = served
    yield call
    signal.signal(signal.SIGTERM, on_terminate)
    os.umask(umask)
    access.handlers[:], access.propagate = kept[:2]
    access.setLevel(kept[2])


def last_line(told: tuple[int, str], code: int) -> str:
    found, words = told
    assert found == code, words
    assert "Traceback" not in words
    return words.strip().splitlines()[-1]


def test_it_says_where_it_serves(serve):
    assert serve() == (0, "sodslice serves at http://127.0.0.1:1\n")


def test_its_files_are_for_nobody_else(serve, tmp_path):
    serve()
    assert serve.served[0][1] == 0o077


def test_requests_are_told_on_stderr_unless_it_is_quiet(serve, capsys, tmp_path):
    serve()
    access = logging.getLogger("sodslice.access")
    access.info(json.dumps({"path": "/health"}))
    assert capsys.readouterr().err == '{"path": "/health"}\n'
    serve("-q", data=tmp_path / "other")
    access.info("{}")
    assert capsys.readouterr().err == ""


def test_without_a_token_others_are_not_served(serve):
    for host in ("0.0.0.0", "::", "192.168.0.1"):
        line = last_line(serve("--host", host), 2)
        assert line.startswith(
            f"Error: --host {host} can be reached from other machines and there is no token; give"
        )
        assert "--token-file" in line
    assert serve.served == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "must hold one line"),
        ("two words", "must hold one line"),
        ("short", "a token needs 16 letters at least, got 5"),
        ("caf\u00e9-0123456789abc", "must hold one line"),
    ],
)
def test_a_token_that_is_none_is_refused(serve, tmp_path, content, words):
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    line = last_line(serve("--token-file", file), 2)
    assert words in line
    assert content not in line or not content


def test_a_token_that_is_not_there_is_refused(serve, tmp_path):
    assert "does not exist" in last_line(serve("--token-file", tmp_path / "none"), 2)
    assert "is a directory" in last_line(serve("--token-file", tmp_path), 2)


def test_a_token_is_said_nowhere(serve, tmp_path, caplog):
    (tmp_path / "token").write_text(TOKEN)
    code, words = serve("--token-file", tmp_path / "token", "-v", "--host", "127.0.0.1")
    assert code == 0
    assert TOKEN not in words + caplog.text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "70000"], "70000"),
        (["--port", "-1"], "-1"),
        (["--root", "/none"], "does not exist"),
        (["--jobs", "0"], "0"),
        (["--jobs", "65"], "65"),
        (["--max-body", "0"], "0"),
        (["--keep", "0"], "0"),
        (["--quota", "nan"], "nan"),
        (["--tokenfile", "x"], "--token-file"),
        (
            ["--allow-url", "https://example.com/"],
            "--allow-url https://example.com/ is no host; give its name alone",
        ),
        (["--allow-url", "*"], "is no host"),
        (
            ["--allow-vrt"],
            "--allow-vrt would let whoever sends a file read all others; a service leaves it out",
        ),
        (["--tile", "0"], "--tile"),
        (["extra"], "extra"),
    ],
)
def test_flags_that_cannot_be_are_mistakes_in_typing(serve, flags, words):
    assert words in last_line(serve(*flags), 2)
    assert serve.served == []


def test_a_port_in_use_is_said_before_a_model_is_loaded(serve, monkeypatch):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr("sodslice.service.app.make_app", never)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = last_line(serve("--port", port), 1)
    assert line == (
        f"error: cannot serve at 127.0.0.1:{port}: Address already in use; give another --port or --host"
    )


def test_a_host_that_is_none_is_refused(serve, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    for host in ("no.such.host.invalid", "203.0.113.1", "a" * 300, "\u00e9" * 70):
        line = last_line(serve("--host", host, "--token-file", tmp_path / "token"), 1)
        assert line.startswith(f"error: cannot serve at {host}:0: ")
        assert line.endswith("; give another --port or --host")


def test_a_folder_that_cannot_be_used_is_said_so(serve, tmp_path):
    (tmp_path / "file").touch()
    for data in (tmp_path / "file" / "data", "/proc/none"):
        line = last_line(serve(data=data), 1)
        assert line.startswith(f"error: --data {data} cannot be used: ")
    line = last_line(serve("--root", tmp_path, data=tmp_path / "data"), 2)
    assert line.endswith("must lie apart; give another folder")


def test_a_folder_of_another_service_is_said_so(serve, tmp_path):
    other = Storage(ServiceSettings(data=tmp_path / "data"))
    line = last_line(serve(), 1)
    other.close()
    assert line == f"error: another service uses --data {tmp_path / 'data'}; end it, or give another folder"


def test_a_list_of_jobs_that_is_none_is_said_so(serve, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "jobs.sqlite").write_bytes(b"no database " * 1000)
    line = last_line(serve(), 1)
    assert line.startswith(f"error: {tmp_path}/data/jobs.sqlite cannot be used as a list of jobs: ")


def test_a_model_that_is_none_is_said_so(serve):
    assert last_line(serve("--model", "none-such"), 1).startswith("error: unknown model 'none-such'")


def test_files_of_settings_are_found_from_any_folder(serve, tmp_path, monkeypatch):
    """Processes of jobs work in the folder of their scene."""
    (tmp_path / "area.geojson").write_text("{}")
    (tmp_path / "blobs").mkdir()  # is no model, since one has that name
    monkeypatch.chdir(tmp_path)
    serve("--aoi", "area.geojson")
    options = serve.served[0][0]._settings.options
    assert options.coverage.aoi == str(tmp_path / "area.geojson")
    assert options.inference.model == "blobs"
    serve("--aoi", "POLYGON ((0 0, 1 0, 1 1, 0 0))" + " " * 5000, data=tmp_path / "other")
    assert serve.served[0][0]._settings.options.coverage.aoi.startswith("POLYGON")
