"""What a service fetches from the web: from allowed hosts and public addresses alone, however spelt."""

from __future__ import annotations

import socket

import httpx
import pytest

from sodslice.errors import FetchError, SceneError, SodsliceError
from sodslice.scene.pointers import is_from_elsewhere
from sodslice.service import addresses
from sodslice.service.addresses import PublicTransport, fetch, is_public, public_addresses
from tests.web import flood, redirect, serve, status

HOSTS = ("pictures.example.com", "*.example.org")
LOOK_UP = socket.getaddrinfo


class Names:
    """A resolver of names, which tells what it was asked; addresses it leaves to the system.

    Args:
        known: addresses by name; of several answers one a question, the last one for all that follow.
    """

    def __init__(self, **known: list[list[str]]) -> None:
        self.known, self.asked = known, []

    def __call__(self, host, port, *more, **options):
        host = host.decode() if isinstance(host, bytes) else host
        try:
            return LOOK_UP(host, port, *more, **{**options, "flags": socket.AI_NUMERICHOST})
        except OSError:
            self.asked.append((host, port))
        answers = self.known.get(host.rstrip(".").replace(".", "_"))
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [LOOK_UP(one, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0] for one in found]


@pytest.fixture
def named(monkeypatch):
    """Give names their addresses."""

    def give(**known: list[list[str]]) -> Names:
        names = Names(**known)
        monkeypatch.setattr(socket, "getaddrinfo", names)
        return names

    return give


@pytest.fixture
def loopback_is_public(monkeypatch):
    """Take 127.0.0.1, where the servers of tests are, for an address of the open internet."""
    true = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda one: one == "127.0.0.1" or true(one))


def fetched(url: str, folder, *, hosts=HOSTS, most_bytes=1 << 20) -> bytes:
    return fetch(url, folder / "picture", hosts=hosts, most_bytes=most_bytes).read_bytes()


# Which addresses are public


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", ["64:ff9b::808:808", "2002:808:808::1"])
def test_public_addresses_of_ipv4_within_ipv6_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        # IPv4: this machine, private, link-local (cloud metadata), carrier, multicast, examples, broadcast
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",
        "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255", "168.63.129.16",
        # IPv6: this machine, private, link-local (with a zone), multicast, examples, discard, site-local
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "3fff::1", "100::1", "fec0::1", "2620:4f:8000::1", "5f00::1", "8.8.8.8%eth0",
        # IPv4 within IPv6: mapped, compatible, translated, 6to4, NAT64, Teredo, ISATAP
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1", "2002:7f00:1::1",
        "2002:a00:1::1", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
        "64:ff9b::a00:1", "2001:0:7f00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2a00:1450::5efe:a00:1", "2a00:1450::200:5efe:7f00:1",
        # none at all
        "", "localhost", "127.1", "2130706433", "0x7f.0.0.1",
    ],
)  # fmt: skip
def test_all_other_addresses_are_not(address):
    assert not is_public(address)


def test_a_name_with_one_address_that_is_not_public_is_refused(named):
    named(mixed_example=[["8.8.8.8", "10.0.0.1"]], six_example=[["2606:4700::1", "::1"]], none_example=[[]])
    for host in ("mixed.example", "six.example", "none.example"):
        with pytest.raises(FetchError, match="is not a public address; images are not fetched from it"):
            public_addresses(host, 80)
    with pytest.raises(FetchError, match="is not known"):
        public_addresses("unknown.example", 80)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0", "0x7f000001", "2130706433", "017700000001", "127.1", "0177.0.0.1", "0x7f.1", "::1",
     "::ffff:127.0.0.1", "169.254.169.254", "2852039166", "fe80::1%lo"],
)  # fmt: skip
def test_private_addresses_are_refused_in_all_their_spellings(host):
    """These need no network: the system reads them as numbers."""
    with pytest.raises(FetchError, match="is not (a public address|known)"):
        public_addresses(host, 80)


# Which hosts are in the list


@pytest.mark.parametrize(
    "host",
    ["pictures.example.com", "PICTURES.Example.COM", "pictures.example.com.", "a.example.org",
     "a.b.example.org", "\uff50ictures.example.com"],
)  # fmt: skip
def test_hosts_of_the_list_may_be_asked(host):
    assert PublicTransport(HOSTS).allows(host)


@pytest.mark.parametrize(
    "host",
    ["example.com", "evil-pictures.example.com", "pictures.example.com.evil.example", "pictures_example.com",
     "example.org", "evil-example.org", "evilexample.org", "example.org.evil.example", "", ".",
     "pictures.example.com:80", "pictures.example.com@evil.example", "127.0.0.1", "pictures.example.comm",
     "p\u0456ctures.example.com", "a" * 300 + ".example.net", "\udcff"],
)  # fmt: skip
def test_hosts_that_only_look_like_it_may_not(host):
    assert not PublicTransport(HOSTS).allows(host)


def test_names_of_other_letters_are_compared_as_they_are_asked():
    transport = PublicTransport(("xn--mnchen-3ya.example",))
    assert transport.allows("münchen.example")
    assert transport.allows("xn--mnchen-3ya.example")
    assert not PublicTransport(("munchen.example",)).allows("münchen.example")


# What is fetched


def test_a_picture_of_an_allowed_host_is_fetched(named, web, tmp_path, loopback_is_public):
    names = named(pictures_example_com=[["127.0.0.1"]])
    url = web.put("/a.png", b"the picture").replace("127.0.0.1", "pictures.example.com")
    assert fetched(url, tmp_path) == b"the picture"
    assert [host for host, _ in names.asked] == ["pictures.example.com"]
    assert is_from_elsewhere(tmp_path / "picture")


def test_the_host_is_told_to_the_server_as_it_was_asked(named, web, tmp_path, loopback_is_public):
    named(pictures_example_com=[["127.0.0.1"]])
    told = []

    def answer(handler, content):
        told.append(handler.headers["Host"])
        serve(handler, content)

    port = web.url.rpartition(":")[2]
    fetched(web.put("/a", b"x", answer).replace("127.0.0.1", "pictures.example.com"), tmp_path)
    assert told == [f"pictures.example.com:{port}"]


def test_the_address_that_was_checked_is_the_one_that_is_asked(named, web, tmp_path, monkeypatch):
    """DNS rebinding: the second answer of the resolver would be this machine."""
    names = named(pictures_example_com=[["198.41.0.4"], ["127.0.0.1"]])
    asked = []

    class Inner(httpx.BaseTransport):
        def handle_request(self, request):
            asked.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
            return httpx.Response(200, content=b"x")

    with httpx.Client(transport=PublicTransport(HOSTS, Inner())) as client:
        client.get("https://pictures.example.com/a.png")
        with pytest.raises(FetchError):
            client.get("https://pictures.example.com/a.png")
    assert asked == [("198.41.0.4", "pictures.example.com", "pictures.example.com")]
    assert len(names.asked) == 2


def test_a_server_that_leads_elsewhere_is_followed_to_allowed_hosts_alone(
    named, web, tmp_path, loopback_is_public
):
    names = named(pictures_example_com=[["127.0.0.1"]], www_example_org=[["127.0.0.1"]])
    port = web.url.rpartition(":")[2]
    web.put("/whole.png", b"whole")
    start = f"http://pictures.example.com:{port}"
    web.put("/good", b"", redirect(f"http://www.example.org:{port}/whole.png"))
    assert fetched(f"{start}/good", tmp_path) == b"whole"
    for number, target in enumerate(
        (
            f"http://127.0.0.1:{port}/whole.png",
            f"http://localhost:{port}/whole.png",
            f"http://[::ffff:127.0.0.1]:{port}/whole.png",
            f"http://2130706433:{port}/whole.png",
            f"http://0x7f.1:{port}/whole.png",
            "http://169.254.169.254/latest/meta-data/",
            f"http://evil-pictures.example.com:{port}/whole.png",
            f"http://pictures.example.com@127.0.0.1:{port}/whole.png",
            f"//127.0.0.1:{port}/whole.png",
            "file:///etc/passwd",
            "ftp://pictures.example.com/a",
            "gopher://pictures.example.com/a",
        )
    ):
        web.put(f"/{number}", b"", redirect(target))
        with pytest.raises(FetchError):
            fetched(f"{start}/{number}", tmp_path)
    assert {host for host, _ in names.asked} == {"pictures.example.com", "www.example.org"}
    assert [path for path, _ in web.asked].count("/whole.png") == 1


def test_a_host_of_the_list_that_is_private_is_refused(named, web, tmp_path):
    named(pictures_example_com=[["127.0.0.1"]], www_example_org=[["10.0.0.1"]])
    url = web.put("/a.png", b"secret")
    for host in ("pictures.example.com", "www.example.org"):
        with pytest.raises(
            FetchError, match=f"{host} is not a public address; images are not fetched from it"
        ):
            fetched(url.replace("127.0.0.1", host), tmp_path)
    with pytest.raises(FetchError, match="127.0.0.1 is not a public address"):
        fetched(url, tmp_path, hosts=("127.0.0.1",))
    assert web.asked == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://pictures.example.com/a", "gopher://pictures.example.com/",
     "//pictures.example.com", "http:/etc/passwd", "http://", "http:///etc/passwd", "http://user:pass@pictures.example.com/a",
     "http://user@pictures.example.com/a", "http://pictures.example.com:0/", "http://pictures.example.com:99999/",
     "http://pictures.example.com\r\nX: y/", "http://pictures.example.com /a", "http://[::1", "http://\udcff/",
     "data:image/png;base64,AAAA", "/vsicurl/http://pictures.example.com/a", "https://pictures.example.com\\@evil/"],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anybody_is_asked(named, tmp_path, url):
    names = named()
    with pytest.raises(SodsliceError) as refused:
        fetched(url, tmp_path)
    assert isinstance(refused.value, (SceneError, FetchError))
    assert "pass" not in str(refused.value).replace("/etc/passwd", "").replace("password", "")
    assert names.asked == []
    assert "\n" not in str(refused.value)


def test_without_a_list_nothing_is_fetched(named, tmp_path):
    names = named(pictures_example_com=[["8.8.8.8"]])
    with pytest.raises(FetchError, match="send the image itself, in base64"):
        fetched("http://pictures.example.com/a", tmp_path, hosts=())
    assert names.asked == []


def test_proxies_of_the_environment_are_not_asked(named, web, tmp_path, monkeypatch, loopback_is_public):
    """A proxy would look names up by itself, and reach what this machine may not."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    named(pictures_example_com=[["127.0.0.1"]])
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = web.put("/a", b"direct").replace("127.0.0.1", "pictures.example.com")
    assert fetched(url, tmp_path) == b"direct"


@pytest.mark.parametrize(
    ("url", "port"), [("http://pictures.example.com/", 80), ("https://pictures.example.com/", 443)]
)
def test_a_name_is_looked_up_for_the_port_that_is_asked(named, tmp_path, url, port):
    names = named(pictures_example_com=[["10.0.0.1"]])
    with pytest.raises(FetchError):
        fetched(url, tmp_path)
    assert names.asked == [("pictures.example.com", port)]


def test_the_next_address_is_asked_where_one_does_not_answer(named, web, tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda one: one.startswith("127.0.0."))
    named(pictures_example_com=[["127.0.0.9", "127.0.0.1"]])  # nobody listens at the first
    url = web.put("/a", b"found").replace("127.0.0.1", "pictures.example.com")
    assert fetched(url, tmp_path) == b"found"


def test_what_is_too_large_is_given_up_and_nothing_of_it_is_left(named, web, tmp_path, loopback_is_public):
    named(pictures_example_com=[["127.0.0.1"]])
    for answer in (flood(200), flood(200, Content_Length=str(9 << 30))):
        url = web.put("/a", b"", answer).replace("127.0.0.1", "pictures.example.com")
        with pytest.raises(FetchError, match="is larger than 0.0625 MiB"):
            fetched(url, tmp_path, most_bytes=1 << 16)
        assert [one.name for one in tmp_path.iterdir() if not one.name.startswith(".")] == []
    assert web.flooded < 64 << 20


@pytest.mark.parametrize(
    ("most", "seconds"), [(1 << 20, 30.0), (64 << 20, 67.108864), (8 << 30, 8589.934592)]
)
def test_large_images_may_take_longer(monkeypatch, tmp_path, most, seconds):
    seen = []
    monkeypatch.setattr(
        addresses, "download", lambda *_, limits, **__: seen.append(limits.seconds) or tmp_path
    )
    fetch("http://pictures.example.com/a", tmp_path / "a", hosts=HOSTS, most_bytes=most)
    assert seen == [seconds]


def test_what_is_packed_is_not_unpacked(named, web, tmp_path, loopback_is_public):
    """A few bytes of gzip can be many of a picture."""
    named(pictures_example_com=[["127.0.0.1"]])

    def packed(handler, content):
        handler.head(200, len(content), Content_Encoding="gzip")
        handler.wfile.write(content)

    url = web.put("/a", b"\x1f\x8b", packed).replace("127.0.0.1", "pictures.example.com")
    with pytest.raises(FetchError, match="in another form than it has"):
        fetched(url, tmp_path)


def test_an_error_of_the_server_is_told_without_what_the_server_says(
    named, web, tmp_path, loopback_is_public
):
    named(pictures_example_com=[["127.0.0.1"]])
    url = web.put("/a?key=secret", b"", status(403, X="<script>")).replace(
        "127.0.0.1", "pictures.example.com"
    )
    with pytest.raises(FetchError) as refused:
        fetched(url, tmp_path)
    assert "403 Forbidden" in str(refused.value)
    assert "secret" not in str(refused.value)
