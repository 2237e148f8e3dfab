"""What a service refuses to start with."""

from __future__ import annotations

import pytest

from sodslice.errors import OptionError
from sodslice.service.settings import HOST, SHORTEST_TOKEN, ServiceSettings, is_loopback, read_token
from sodslice.settings import Options

TOKEN = "0123456789abcdef"


def refused(**given) -> str:
    with pytest.raises(OptionError) as error:
        ServiceSettings(**given)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LocalHost", "::1", "[::1]"])
def test_loopback_needs_no_token(tmp_path, host):
    assert ServiceSettings(data=tmp_path, host=host).token is None


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "[::]", "", "192.168.0.1", "10.0.0.1", "example.com", "localhost.example.com", "0",
     "::ffff:127.0.0.1", "127.1", "localhost ", "127.0.0.1 ", "2130706433"],
)  # fmt: skip
def test_all_else_needs_one(tmp_path, host):
    assert refused(data=tmp_path, host=host) == (
        f"`host={host}` can be reached from other machines and there is no token; give `token_file`, or take "
        "`host=127.0.0.1`"
    )
    assert ServiceSettings(data=tmp_path, host=host, token=TOKEN)


def test_a_token_that_is_soon_guessed_is_refused(tmp_path):
    assert "16 letters" in refused(data=tmp_path, token=TOKEN[:-1])
    assert ServiceSettings(data=tmp_path, token="x" * SHORTEST_TOKEN)


def test_a_token_is_not_shown_with_the_settings(tmp_path):
    assert TOKEN not in repr(ServiceSettings(data=tmp_path, token=TOKEN))


def test_the_token_of_a_file_is_its_only_word(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"\n  {TOKEN}\r\n")
    assert read_token(file) == TOKEN


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"two words", b"two\nlines", b"caf\xc3\xa9-0123456789abc", b"\xff\xfe", b"a\x00b", b"a\tb"],
)
def test_a_file_without_a_token_is_refused(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(OptionError) as error:
        read_token(file)
    assert str(error.value).startswith(f"`token_file={file}` ")
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_holds_none(tmp_path):
    with pytest.raises(OptionError, match="cannot be read"):
        read_token(tmp_path / "none")
    with pytest.raises(OptionError, match="cannot be read"):
        read_token(tmp_path)


def test_files_of_strangers_may_never_point_to_others(tmp_path):
    options = Options.from_mapping({"allow_vrt": True})
    assert refused(data=tmp_path, options=options).startswith(
        "`allow_vrt` would let whoever sends a file read"
    )


def test_the_files_of_the_service_are_no_scenes(tmp_path):
    inside = tmp_path / "root" / "service"
    for data, root in ((inside, tmp_path / "root"), (inside, inside), (inside, inside / "uploads")):
        root.mkdir(parents=True, exist_ok=True)
        assert refused(data=data, root=root).endswith("must lie apart; give another folder")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert "must lie apart" in refused(data=inside, root=tmp_path / "link")
    assert ServiceSettings(data=tmp_path / "beside", root=tmp_path / "root")


def test_a_root_that_is_none_is_refused(tmp_path):
    assert "is no folder" in refused(data=tmp_path, root=tmp_path / "none")


@pytest.mark.parametrize(
    "host",
    ["", "*", "*.", "*.com", ".example.com", "example.com.", "https://example.com", "example.com/",
     "example.com:80", "*.*.com", "a.*.com", "ex ample.com", "example..com", "user@example.com",
     "m\u00fcnchen.example", "[::1]", "-a.com"],
)  # fmt: skip
def test_what_is_no_host_is_refused(tmp_path, host):
    assert refused(data=tmp_path, hosts=("good.example", host)).startswith(
        f"`allow_url={host}` is no host; give"
    )


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "EXAMPLE.com",
        "*.example.com",
        "a_b.example.com",
        "xn--mnchen-3ya.example",
        "nas",
        "8.8.8.8",
    ],
)
def test_hosts_are_named(tmp_path, host):
    assert ServiceSettings(data=tmp_path, hosts=(host,))


def test_a_name_that_is_long_is_soon_read():
    assert not HOST.fullmatch("a-" * 50_000)
    assert not HOST.fullmatch("a." * 50_000 + "!")


def test_names_are_of_this_machine_only_where_they_say_so():
    assert not is_loopback("")
    assert not is_loopback("localhost.")
    assert not is_loopback("127.0.0.1.example.com")
