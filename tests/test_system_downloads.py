from __future__ import annotations

import json
import re
import socket
import time

import pytest

from sodslice.errors import FetchError
from sodslice.system.arriving import AbsentError, Limits, remove_download
from sodslice.system.downloads import download
from tests.web import claim, flood, mute, serve, stall, status, trickle, trickle_head, truncate

CONTENT = bytes(range(256)) * 400
PATH = "/model.tar"
SOON = Limits(silence_s=0.4, tries=3, pause_s=0.01)


def ranges(web):
    return [wanted for _, wanted in web.asked]


def test_a_file_is_fetched_and_its_progress_told(web, tmp_path):
    told = []
    url = web.put(PATH, CONTENT)
    download(url, tmp_path / "f", limits=SOON, progress=lambda done, total: told.append((done, total)))
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    remove_download(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_connection_goes_on_where_it_broke(web, tmp_path):
    url = web.put(PATH, CONTENT, truncate(30_000), truncate(20_000), serve)
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(web) == ["", "bytes=30000-", "bytes=50000-"]


def test_a_stalled_server_is_left_and_asked_again(web, tmp_path):
    url = web.put(PATH, CONTENT, stall(1000), serve)
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(web) == ["", "bytes=1000-"]


def test_a_server_that_only_stalls_is_given_up_and_what_came_is_kept(web, tmp_path):
    url = web.put(PATH, CONTENT, stall(60_000), stall(0))
    with pytest.raises(FetchError) as error:
        download(url, tmp_path / "f", limits=SOON)
    assert str(error.value) == (
        f"{url}: tried 3 times, nothing came for 0.4 s; 0.1 MiB of it are kept, and another try goes on from "
        "there"
    )
    web.answers[PATH] = [serve]
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(web)[-1] == "bytes=60000-"


def test_a_part_of_a_file_that_has_changed_is_not_gone_on_with(web, tmp_path):
    url = web.put(PATH, CONTENT, truncate(30_000))
    with pytest.raises(FetchError, match="the connection broke"):
        download(url, tmp_path / "f", limits=Limits(tries=1))
    other = CONTENT[::-1]
    web.put(PATH, other)
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == other


def test_a_part_of_another_url_is_not_gone_on_with(web, tmp_path):
    first, second = web.put("/a.tar", CONTENT, truncate(30_000)), web.put("/b.tar", CONTENT[::-1])
    with pytest.raises(FetchError):
        download(first, tmp_path / "f", limits=Limits(tries=1))
    download(second, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT[::-1]
    assert web.asked[-1] == ("/b.tar", "")


def test_a_server_that_does_not_say_which_file_it_is_starts_over(web, tmp_path):
    broken = claim(len(CONTENT))
    url = web.put(PATH, CONTENT[:500], broken)
    with pytest.raises(FetchError) as error:
        download(url, tmp_path / "f", limits=SOON)
    assert "kept" not in str(error.value)
    assert ranges(web) == ["", "", ""]


def test_a_length_that_is_too_long_is_noticed(web, tmp_path):
    url = web.put(PATH, CONTENT, claim(len(CONTENT) + 7, ETag='"x"'), status(416))
    words = r"tried 3 times, the (connection broke|server answers 416)"
    with pytest.raises(FetchError, match=words):
        download(url, tmp_path / "f", limits=SOON)


def test_what_comes_beyond_the_length_is_not_taken(web, tmp_path):
    url = web.put(PATH, CONTENT, claim(1000))
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT[:1000]


def test_a_file_without_a_length_is_fetched_to_its_end(web, tmp_path):
    url = web.put(PATH, CONTENT, claim(None))
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "rest", ["bytes 5-9/10", "bytes 30000-102399/999", "", "bytes */102400", "items 30000-102399/102400"]
)
def test_another_part_than_was_asked_for_is_not_taken(rest, web, tmp_path):
    odd = status(206, Content_Range=rest)
    url = web.put(PATH, CONTENT, truncate(30_000), odd, serve)
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(web) == ["", "bytes=30000-", ""]


@pytest.mark.parametrize("length", [len(CONTENT), None])
def test_what_is_too_large_is_refused_and_not_kept(length, web, tmp_path):
    url = web.put(PATH, CONTENT, claim(length))
    with pytest.raises(FetchError, match=r"is larger than 0\.\d+ MiB, the most that is fetched"):
        download(url, tmp_path / "f", limits=Limits(most_bytes=1000))
    assert list(tmp_path.iterdir()) == []


def test_what_takes_too_long_is_given_up(web, tmp_path):
    url = web.put(PATH, CONTENT, trickle(100, 0.05))
    with pytest.raises(FetchError, match=r"it took more than 0.3 s; 0.0 MiB of it are kept"):
        download(url, tmp_path / "f", limits=Limits(seconds=0.3))
    assert 0 < (tmp_path / "f").stat().st_size < len(CONTENT)


@pytest.mark.parametrize("code", [404, 410])
def test_a_file_that_is_not_there_is_not_asked_for_again(code, web, tmp_path):
    url = web.put(PATH, b"", status(code))
    with pytest.raises(AbsentError, match=rf"{re.escape(url)}: the server answers {code}"):
        download(url, tmp_path / "f", limits=SOON)
    assert len(web.asked) == 1


@pytest.mark.parametrize("code", [401, 403, 204])
def test_a_refusal_is_not_tried_again(code, web, tmp_path):
    url = web.put(PATH, b"", status(code))
    with pytest.raises(FetchError, match=f"the server answers {code}"):
        download(url, tmp_path / "f", limits=SOON)
    assert len(web.asked) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(code, web, tmp_path):
    url = web.put(PATH, CONTENT, status(code), status(code), serve)
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    web.put(PATH, b"", status(code))
    with pytest.raises(FetchError, match=f"tried 3 times, the server answers {code}"):
        download(url, tmp_path / "g", limits=SOON)


def test_the_pause_that_a_server_asks_for_is_made(web, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("sodslice.system.downloads.time.sleep", pauses.append)
    url = web.put(
        PATH, CONTENT, status(503, Retry_After="7"), status(503, Retry_After="900"), status(500), serve
    )
    download(url, tmp_path / "f", limits=Limits(tries=5, pause_s=1))
    assert pauses == [7, 30, 4]


@pytest.mark.parametrize("answer", [trickle_head(0.05), mute, status(503, Retry_After="20")])
def test_the_time_holds_for_heads_silence_and_pauses(answer, web, tmp_path):
    url = web.put(PATH, CONTENT, answer)
    begun = time.monotonic()
    with pytest.raises(FetchError) as error:
        download(url, tmp_path / "f", limits=Limits(seconds=0.4, silence_s=5))
    assert time.monotonic() - begun < 3
    assert str(error.value) == f"{url}: it took more than 0.4 s"


def test_a_file_without_a_length_that_the_clock_ends_is_not_whole(web, tmp_path):
    url = web.put(PATH, CONTENT, flood(200))
    with pytest.raises(FetchError, match=r"it took more than 0.2 s$"):
        download(url, tmp_path / "f", limits=Limits(seconds=0.2))


def test_a_compressed_answer_is_refused(web, tmp_path):
    url = web.put(PATH, CONTENT, claim(len(CONTENT), Content_Encoding="gzip"))
    with pytest.raises(FetchError, match="in another form than it has"):
        download(url, tmp_path / "f", limits=SOON)


def test_no_network_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/f.tar"
        with pytest.raises(FetchError, match=r"tried 3 times, no connection \(.*refused\)"):
            download(url, tmp_path / "f", limits=SOON)


def test_damaged_notes_of_a_part_start_over(web, tmp_path):
    url = web.put(PATH, CONTENT)
    broken = (b"", b"[]", b"{", b'{"url": 3}', b'{"url": "x", "validator": null, "bytes": "y"}')
    for notes in (*broken, b'{"validator": "\\"a\\"", "bytes": 3}'):
        (tmp_path / "f").write_bytes(b"something else")
        (tmp_path / "f.json").write_bytes(notes)
        download(url, tmp_path / "f", limits=SOON)
        assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("begun", "goes_on"),
    [
        ({"ETag": '"a"'}, {"ETag": '"b"'}),
        (
            {"Last_Modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
            {"Last_Modified": "Thu, 22 Oct 2015 07:28:00 GMT"},
        ),
    ],
    ids=["etag", "date"],
)
def test_a_part_of_another_file_is_not_taken(begun, goes_on, web, tmp_path):
    size = len(CONTENT)
    url = web.put(PATH, CONTENT[:500], claim(size, **begun), claim(size, **begun))
    with pytest.raises(FetchError):
        download(url, tmp_path / "f", limits=Limits(tries=1))
    odd = status(206, Content_Range=f"bytes 500-{size - 1}/{size}", **goes_on)
    web.put(PATH, CONTENT, odd, serve)
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(web)[-2:] == ["bytes=500-", ""]


def test_an_etag_that_cannot_be_sent_back_is_none(web, tmp_path):
    url = web.put(
        PATH, CONTENT[:500], claim(len(CONTENT), ETag='"\xff\xfe"'), claim(len(CONTENT), ETag='"\xff"')
    )
    with pytest.raises(FetchError, match="the connection broke"):
        download(url, tmp_path / "f", limits=SOON)
    assert ranges(web) == ["", "", ""]


def test_an_etag_that_was_noted_and_cannot_be_sent_back_is_none(web, tmp_path):
    url = web.put(PATH, CONTENT)
    (tmp_path / "f").write_bytes(CONTENT[:10])
    notes = {"url": url, "validator": '"\xff"', "bytes": len(CONTENT)}
    (tmp_path / "f.json").write_text(json.dumps(notes))
    download(url, tmp_path / "f", limits=SOON)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ranges(web) == [""]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "ftp://127.0.0.1:9"),
        ("HTTPS_PROXY", "http://[::1"),
        ("SSL_CERT_FILE", "/nowhere/at/all.pem"),
    ],
)
def test_settings_of_the_environment_that_cannot_be_used_are_said(name, value, tmp_path, monkeypatch):
    monkeypatch.setenv(name, value)
    words = "the proxy or certificate settings of the environment cannot be used: .*; correct or unset them"
    with pytest.raises(FetchError, match=words):
        download("https://127.0.0.1:9/x.tar", tmp_path / "f", limits=SOON)


@pytest.mark.parametrize("answer", [truncate(30_000), stall(30_000)])
def test_what_is_not_to_last_is_gone_where_it_ends_early(answer, web, tmp_path):
    url = web.put(PATH, CONTENT, answer)
    with pytest.raises(
        FetchError, match=r"tried once, (nothing came for 0\.2 s|the connection broke \(.*\))$"
    ):
        download(url, tmp_path / "f", limits=Limits(silence_s=0.2, tries=1, pause_s=0), lasting=False)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_to_last_goes_on_within_one_download_without_notes(web, tmp_path):
    url = web.put(PATH, CONTENT, truncate(30_000), serve)
    (tmp_path / "f").write_bytes(CONTENT[:10])
    download(url, tmp_path / "f", limits=SOON, lasting=False)
    assert ranges(web) == ["", "bytes=30000-"]
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_host_that_no_name_server_can_be_asked_for_is_said(host, tmp_path):
    with pytest.raises(FetchError, match="it is at, or leads to, a host of no good name"):
        download(f"http://{host}/f", tmp_path / "f", limits=SOON)
