"""Images from the network, against a server of our own that does what servers do."""

from __future__ import annotations

import gc
import http.server
import io
import json
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import sodslice
from sodslice.errors import SceneError
from sodslice.integrations.paddlex import create_pipeline
from sodslice.scene.fetching import _parts, _spelt, is_address, scene_of_address, shown_address
from sodslice.system.arriving import Limits
from tests.command_line import sodslice as typed


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


class Server(http.server.BaseHTTPRequestHandler):
    """Serves the image, and every trouble by its name."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2].partition(".")[0]
        getattr(self, {"headers": "headers_"}.get(name, name), self.bright_by_other_letters)()

    def bright_by_other_letters(self) -> None:
        name = unquote(self.path.partition("?")[0]).rpartition("/")[2]
        self.bright() if name in OTHER_LETTERS or len(name) > 40 else self.nothing()

    def nothing(self) -> None:
        self.send_error(404)

    def bright(self, length: int | None = None, sent: bytes = PNG) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(sent) if length is None else length))
        self.end_headers()
        self.wfile.write(sent)

    def moved(self) -> None:
        self.leads_to("/pictures/bright.png")

    def leads_to(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.end_headers()

    def flooding(self) -> None:
        """A redirect with a body without an end."""
        self.send_response(302)
        self.send_header("Location", "/bright.png")
        self.end_headers()
        with suppress(OSError):
            while not self.server.stopping:
                self.wfile.write(bytes(100_000))
                self.server.flooded += 100_000

    def local(self) -> None:
        self.leads_to("file:///etc/hostname")

    def ftp(self) -> None:
        self.leads_to("ftp://127.0.0.1/a.png")

    def keyed(self) -> None:
        self.leads_to("ftp://u:SECRET@h/x?sig=SECRET")

    def known(self) -> None:
        self.leads_to("http://u:SECRET@127.0.0.1:1/x")

    def nonsense(self) -> None:
        self.leads_to("http://host:SECRET/x")

    def secretive(self) -> None:
        self.send_response(503, "SECRET")
        self.end_headers()

    def headers_(self) -> None:
        """Headers that come slowly, each before the silence would be too long."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(40):
            self.wfile.write(b"X-%d: y\r\n" % number)
            self.wfile.flush()
            time.sleep(0.1)
        self.wfile.write(b"Content-Length: %d\r\n\r\n%b" % (len(PNG), PNG))

    def round(self) -> None:
        self.leads_to("/round.png")

    def cut(self) -> None:
        self.bright(length=len(PNG) + 50)

    def boasts(self) -> None:
        self.bright(length=10**12)

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.stopping:
            self.wfile.write(bytes(10_000))

    def drips(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.stopping:
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.02)

    def stalls(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.server.ended.wait(20)

    def page(self) -> None:
        self.bright(sent=b"<html>please log in</html>")

    def broken(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # the client had enough
            super().handle()


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.flooded = 0
    server.stopping, server.ended = False, threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.stopping = True
    server.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/bright.png", "/moved.png", "/deep/bright.png?size=3#part"])
def test_an_image_is_fetched_and_called_like_its_address(address, path):
    result = sodslice.run(f"{address}{path}", model="blobs")
    assert result.detections.boxes.tolist() == [[40, 30, 70, 50]]
    assert result.scene.path == f"{address}{path.partition('?')[0]}"


def test_the_body_of_a_redirect_is_not_read(address):
    assert len(sodslice.run(f"{address}/flooding.png", model="blobs")) == 1


def test_secrets_of_an_address_are_not_kept():
    assert shown_address("https://host:8443/a/b@2.png?token=1#x") == "https://host:8443/a/b@2.png"
    with pytest.raises(SceneError, match="an address with user and password is not fetched") as caught:
        scene_of_address("https://me:word@host/a.png")
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "/keyed.png",
            " leads to an address of ftp, which is neither http nor https; download it by hand and",
        ),
        ("/known.png", " leads to an address with user and password; it is not followed"),
        ("/nonsense.png", " leads to an address that is malformed"),
        ("/headers.png", ": it took more than 1 s; download it by hand and give the file"),
        ("/secretive.png", ": tried once, the server answers 503 Service Unavailable; download it by"),
        ("/nothing-here.png", ": the server answers 404 Not Found; download it by hand and give the file$"),
        ("/broken.png", ": tried once, the server answers 503"),
        ("/local.png", " leads to an address of file, which is neither http nor https"),
        ("/ftp.png", " leads to an address of ftp, which is neither"),
        ("/round.png", " leads to another place more than 5 times"),
        ("/cut.png", rf"the connection broke .*received {len(PNG)} bytes, expected {len(PNG) + 50}.*by hand"),
        (
            "/boasts.png",
            "is larger than 1 MiB, the most that is fetched; download it by hand and give the file",
        ),
        ("/endless.png", "is larger than 1 MiB, the most that is fetched"),
        ("/drips.png", ": it took more than 1 s; download it by hand and give the file"),
        ("/stalls.png", ": tried once, nothing came for 0.3 s"),
        ("/page.png", "is not an image that GDAL can open"),
    ],
)
def test_trouble_is_one_line_and_leaves_nothing(address, path, words, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    begun = time.monotonic()
    with pytest.raises(SceneError, match=words) as caught:
        scene_of_address(address + path, limits=Limits(2**20, 1.0, 0.3, tries=1))
    assert time.monotonic() - begun < 4
    assert str(caught.value).startswith((f"{address}{path} ", f"{address}{path}: "))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert "SECRET" not in str(caught.value)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://127.0.0.1:1/a.png", ": tried 3 times, no connection .*Connection refused"),
        ("http://nowhere.invalid/a.png", "http://nowhere.invalid/a.png: tried 3 times, no connection "),
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
def test_addresses_may_have_other_letters_and_spaces(address, name):
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
def test_long_names_of_addresses_are_cut(address, tmp_path, name):
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
