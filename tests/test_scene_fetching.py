"""Images from the network, against a server of our own that does what servers do."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

import sodslice
from sodslice.errors import SceneError
from sodslice.integrations.paddlex import create_pipeline
from sodslice.scene.fetching import _parts, _spelt, is_address, scene_of_address, shown_address
from sodslice.system.arriving import Limits
from tests.command_line import sodslice as typed
from tests.web import (
    claim,
    flood,
    mute,
    redirect,
    serve,
    stall,
    status,
    trickle,
    trickle_head,
    truncate,
    web_server,
    words,
)


def bright_png() -> bytes:
    pixels = np.zeros((90, 120, 3), np.uint8)
    pixels[30:50, 40:70] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


PNG = bright_png()
OTHER_LETTERS = ("图像.png", "a b.png", "a[1]é.png")


BLOBS = {
    "pipeline_name": "small_object_detection",
    "SubModules": {"SmallObjectDetection": {"model_name": "blobs", "threshold": 0.2}},
}


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server() as server:
        for path in ("/bright.png", "/deep/bright.png"):
            server.put(path, PNG)
        server.put("/moved.png", b"", redirect("/deep/bright.png"))
        yield server


@pytest.fixture
def address(web):
    return web.url


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of this machine, signed by itself; its key is in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes certificates, is not installed")
    file = tmp_path_factory.mktemp("certificate") / "both.pem"
    how = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        ["openssl", *how.split(), "-keyout", str(file), "-out", str(file.with_suffix(".crt"))],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())
    return file


@pytest.fixture
def secure_web(certificate, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with web_server(context) as server:
        server.put("/bright.png", PNG)
        yield server


@pytest.mark.parametrize("path", ["/bright.png", "/moved.png", "/deep/bright.png?size=3#part"])
def test_an_image_is_fetched_and_called_like_its_address(address, path):
    result = sodslice.run(f"{address}{path}", model="blobs")
    assert result.detections.boxes.tolist() == [[40, 30, 70, 50]]
    assert result.scene.path == f"{address}{path.partition('?')[0]}"


def test_secrets_of_an_address_are_not_kept():
    assert shown_address("https://host:8443/a/b@2.png?token=1#x") == "https://host:8443/a/b@2.png"
    with pytest.raises(SceneError, match="an address with user and password is not fetched") as caught:
        scene_of_address("https://me:word@host/a.png")
    assert "word@" not in str(caught.value)


BY_HAND = "; download it by hand and give the file"
LARGE = f" is larger than 1 MiB, the most that is fetched{BY_HAND}"
LATE = f": it took more than 0.5 s{BY_HAND}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            redirect("ftp://u:SECRET@h/x?sig=SECRET"),
            f" leads to an address of ftp, which is neither http nor https{BY_HAND}",
        ),
        (
            redirect("http://u:SECRET@127.0.0.1:1/x"),
            f" leads to an address with user and password; it is not followed{BY_HAND}",
        ),
        (redirect("http://host:SECRET/x"), f" leads to an address that is malformed{BY_HAND}"),
        (
            redirect("http://SECRET..host/x"),
            f" cannot be fetched: it is at, or leads to, a host of no good name{BY_HAND}",
        ),
        (redirect("/a.png"), f" leads to another place more than 5 times{BY_HAND}"),
        (status(302), f": the server answers 302 Found{BY_HAND}"),
        (status(404), ": the server answers 404 Not Found; correct the address"),
        (words(b"HTTP/1.1 403 SECRET\r\n\r\n"), f": the server answers 403 Forbidden{BY_HAND}"),
        (status(503), f": tried twice, the server answers 503 Service Unavailable{BY_HAND}"),
        (words(b"SECRET\r\n\r\n"), f": tried twice, the connection broke (illegal status line){BY_HAND}"),
        (
            words(b"HTTP/1.1 302 Found\r\nLocation /SECRET\r\n\r\n"),
            f": tried twice, the connection broke (illegal header line){BY_HAND}",
        ),
        (
            claim(len(PNG) + 50),
            ": tried twice, the connection broke (peer closed connection without sending complete message "
            f"body (received {len(PNG)} bytes, expected {len(PNG) + 50})){BY_HAND}",
        ),
        (claim(10**12), LARGE),
        (flood(200), LARGE),
        (trickle(len(PNG), 0.05), LATE),
        (trickle_head(0.05), LATE),
        (status(503, Retry_After="20"), LATE),
    ],
)
def test_trouble_is_one_line_and_leaves_nothing(web, answer, said, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    url = web.put("/a.png", PNG, answer)
    begun, seconds = time.monotonic(), 0.5 if said == LATE else 10.0
    with pytest.raises(SceneError) as caught:
        scene_of_address(f"{url}?sig=SECRET", limits=Limits(1 << 20, seconds, tries=2, pause_s=0.01))
    assert time.monotonic() - begun < 3
    assert str(caught.value) == url + said.replace("tried twice", "tried 2 times")
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", [mute, stall(10)])
def test_silence_is_given_up_sooner_than_the_time_is_over(web, first):
    url = web.put("/a.png", PNG, first, mute)
    with pytest.raises(SceneError) as caught:
        scene_of_address(url, limits=Limits(silence_s=0.2, tries=2, pause_s=0.01))
    assert str(caught.value) == f"{url}: tried 2 times, nothing came for 0.2 s{BY_HAND}"


def test_what_is_no_image_is_called_like_its_address(web, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    url = web.put("/page.png", b"<html>please log in</html>")
    with pytest.raises(SceneError, match=f"^{url} is not an image that GDAL can open") as caught:
        scene_of_address(f"{url}?sig=SECRET")
    assert str(tmp_path) not in str(caught.value)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_said(web, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sodslice.scene.fetching.download", refuse)
    with pytest.raises(SceneError) as caught:
        scene_of_address(f"{web.url}/bright.png?sig=SECRET")
    assert str(caught.value) == (
        f"{web.url}/bright.png needs a temporary file, which fails: No space left on device"
    )


def test_beside_the_image_lies_nothing(web, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    web.answers["/bright.png"] = [truncate(20), serve]
    scene = scene_of_address(f"{web.url}/bright.png")
    assert [wanted for _, wanted in web.asked] == ["", "bytes=20-"]
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [".from-elsewhere", "image.png"]
    assert scene.width == 120


def test_the_body_of_a_redirect_is_not_read(web):
    url = web.put("/old.png", b"", flood(302, Location="/bright.png"))
    assert scene_of_address(url).width == 120
    assert web.flooded < 32 << 20


def test_an_address_is_tried_three_times_within_seconds(web):
    busy, absent = web.put("/busy.png", b"", status(503)), f"{web.url}/none.png"
    for url, asked in ((busy, 3), (absent, 1)):
        begun = time.monotonic()
        with pytest.raises(SceneError):
            scene_of_address(url)
        assert time.monotonic() - begun < (1 if asked == 1 else 3)
        assert [path for path, _ in web.asked].count(url.removeprefix(web.url)) == asked


def test_no_connection_is_found_out_within_seconds():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a.png"
        begun = time.monotonic()
        with pytest.raises(SceneError, match=rf"{url}: tried 3 times, no connection \(.*refused\); download"):
            scene_of_address(url)
        assert time.monotonic() - begun < 3


def test_the_proxy_of_the_environment_is_asked(web, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, web.url)
    web.files["http://nowhere.invalid/a.png"] = PNG
    assert scene_of_address("http://nowhere.invalid/a.png").width == 120
    assert web.asked == [("http://nowhere.invalid/a.png", "")]


def test_certificates_that_nobody_trusts_are_refused(secure_web):
    with pytest.raises(SceneError, match=r"no connection \(.*CERTIFICATE_VERIFY_FAILED.*\); download it by"):
        scene_of_address(f"{secure_web.url}/bright.png", limits=Limits(tries=1))
    assert secure_web.asked == []


def test_certificates_of_the_environment_are_trusted(secure_web, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert scene_of_address(f"{secure_web.url}/bright.png").width == 120


@pytest.fixture
def trusted(certificate, monkeypatch):
    """As if the system knew the certificate."""
    monkeypatch.setattr(
        ssl.SSLContext,
        "load_default_certs",
        lambda self, *_: self.load_verify_locations(certificate),
    )


@pytest.mark.usefixtures("trusted")
def test_certificates_of_the_system_are_trusted(secure_web):
    assert scene_of_address(f"{secure_web.url}/bright.png").width == 120


@pytest.mark.usefixtures("trusted")
def test_nothing_leads_from_https_to_http(secure_web, web):
    url = secure_web.put("/old.png", b"", redirect(f"{web.url}/bright.png?sig=SECRET"))
    with pytest.raises(SceneError) as caught:
        scene_of_address(url)
    assert str(caught.value) == (
        f"{url} leads to an address that is not encrypted; it is not followed{BY_HAND}"
    )
    assert web.asked == []


@pytest.mark.usefixtures("trusted")
def test_the_host_that_a_redirect_leads_to_is_not_shown(secure_web, web):
    elsewhere = secure_web.url.replace("127.0.0.1", "localhost")
    url = web.put("/old.png", b"", redirect(f"{elsewhere}/bright.png"))
    with pytest.raises(SceneError, match="Hostname mismatch") as caught:
        scene_of_address(url, limits=Limits(tries=1))
    assert "localhost" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://127.0.0.1:1/a.png", ": tried 3 times, no connection .*Connection refused"),
        ("http://nowhere.invalid/a.png", "http://nowhere.invalid/a.png: tried 3 times, no connection "),
        (f"http://{'x' * 70}.example/a.png", "it is at, or leads to, a host of no good name; download it by"),
        ("https:///a.png", "'https:///a.png' is no address of an image; write https://host/name.jpg"),
        ("http://host:99999999/a", "is no address of an image"),
        ("http://[::1/a", "is no address of an image"),
        ("http://ho st/a.png", "is no address of an image"),
        ("http://host/a.png\n", "is no address of an image"),
        (f"http://{'x' * 70}é/a.png", "is no address of an image"),
    ],
)
def test_bad_addresses_are_one_line(text, words):
    with pytest.raises(SceneError, match=words):
        sodslice.run(text, model="blobs")


@pytest.mark.parametrize(
    "text", ["/vsicurl/http://127.0.0.1/a.tif", "s3://bucket/a.tif", "ftp://host/a.tif", "file:///etc/a"]
)
def test_other_schemes_are_names_of_files_as_ever(text):
    assert not is_address(text)
    with pytest.raises(SceneError, match="there is no file"):
        sodslice.run(text, model="blobs")


def test_a_path_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_address(Path("http://host/a.png"))


def test_the_command_line_writes_a_file_called_like_the_image(address, tmp_path):
    done = typed("run", f"{address}/bright.png?x=[1]", "--model", "blobs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "bright.json").read_text())
    assert written["input_path"] == f"{address}/bright.png"
    assert len(written["boxes"]) == 1


def test_a_job_takes_addresses_beside_files(address, tmp_path):
    (tmp_path / "here.png").write_bytes(PNG)
    scenes = [
        str(tmp_path / "here.png"),
        f"{address}/bright.png",
        f"{address}/deep/bright.png",
        f"{address}/none.png",
    ]
    outcomes = list(sodslice.run_many(scenes, model="blobs", output=tmp_path / "results"))
    assert [one.status for one in outcomes] == ["done", "done", "done", "failed"]
    assert outcomes[0].outputs[0].name == "here.png.json"
    assert len({path for one in outcomes[:3] for path in one.outputs}) == 3
    assert "404" in outcomes[3].why


def test_paddlexs_pipeline_takes_addresses_and_names_files_by_them(address, tmp_path):
    with create_pipeline(config=BLOBS) as pipeline:
        for kind in (f"{address}/bright.png?x=1", [f"{address}/moved.png"], {"img": f"{address}/bright.png"}):
            for whole in (True, False):
                (result,) = pipeline.predict(kind, slice=whole, save_path=tmp_path)
                assert [box["coordinate"] for box in result["boxes"]] == [[40, 30, 70, 50]]
                assert result["input_path"].startswith(address)
    names = ["bright_res.json", "bright_res.png", "moved_res.json", "moved_res.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize("name", OTHER_LETTERS)
def test_addresses_may_have_other_letters_and_spaces(web, address, name):
    web.put(f"/{quote(name, '[]')}", PNG)
    result = sodslice.run(f"{address}/{name}?q=图 x%20y", model="blobs")
    assert len(result.detections.boxes) == 1
    assert result.scene.path == f"{address}/{name}"


def test_what_is_quoted_already_stays_so_and_hosts_are_spelt_as_dns_has_them():
    assert _spelt(_parts("HTTPS://bücher.example:8443/%20é+(1)?a=%2F图#x")) == (
        "https://xn--bcher-kva.example:8443/%20%C3%A9+(1)?a=%2F%E5%9B%BE"
    )


def test_no_error_shows_the_query_of_an_address():
    for text in ("http://host:99999/x?sig=SECRET", "http:///x#SECRET", "http://host/x?sig=SECRET\n"):
        with pytest.raises(SceneError, match="is no address of an image") as caught:
            scene_of_address(text)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["图" * 90, "a" * 300, "%E5%9B%BE" * 90], ids=["wide", "long", "quoted"])
def test_long_names_of_addresses_are_cut(web, address, tmp_path, name):
    web.put(f"/{quote(name, '%')}.png", PNG)
    outcomes = list(sodslice.run_many([f"{address}/{name}.png"], model="blobs", output=tmp_path / "many"))
    assert [one.status for one in outcomes] == ["done"]
    with create_pipeline(config=BLOBS) as pipeline:
        (result,) = pipeline.predict(f"{address}/{name}.png", save_path=tmp_path / "one")
    assert len(result.name.encode()) <= 200
    assert len(list((tmp_path / "one").iterdir())) == 2


def test_a_job_numbers_addresses_that_differ_in_their_query_alone(address, tmp_path):
    scenes = [f"{address}/bright.png?id={number}" for number in (1, 2, 3)]
    outcomes = list(sodslice.run_many(scenes, model="blobs", output=tmp_path))
    assert [one.status for one in outcomes] == ["done"] * 3
    names = [one.outputs[0].name for one in outcomes]
    assert names == ["bright.png.json", "bright-2.png.json", "bright-3.png.json"]


def test_a_result_gives_back_its_temporary_file(address, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with create_pipeline(config=BLOBS) as pipeline:
        results = list(pipeline.predict([f"{address}/bright.png"] * 2))
    assert len(list(tmp_path.iterdir())) == 2
    for result in results:
        result.close()
        result.close()
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert len(results[0]["boxes"]) == 1
    with pytest.raises(SceneError, match="the image of bright was given back"):
        results[0].img  # noqa: B018


def test_workers_that_could_not_have_the_image_are_refused(address):
    with pytest.raises(SceneError, match="bright.png is in the memory of this process"):
        sodslice.run(f"{address}/bright.png", model="blobs", options={"workers": 2})
