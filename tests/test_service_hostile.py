"""Files of strangers: bombs, and those that name others to be read or written; on a real server."""

from __future__ import annotations

import base64
import json
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sodslice.errors import SceneError
from sodslice.scene import as_scene
from sodslice.scene.pointers import mark_from_elsewhere
from tests.pointing_files import NAMES, PIXELS, SIDE, pointing
from tests.rasters import write_raster
from tests.raw_http import address_of, chunks, connection, request, say, until
from tests.serving import Service, serving

pytestmark = pytest.mark.service

TOKEN = "0123456789abcdef-hostile"

MODULES = (
    "sodslice", "json", "orjson", "logging", "numpy", "rasterio", "threading", "signal", "multiprocessing",
    "pyproj", "encodings", "sitecustomize", "usercustomize", "openvino", "onnx", "yaml", "PIL", "shapely",
    "sqlite3",
)  # fmt: skip
"""What a process of ours imports, and Python when it starts."""


@pytest.fixture(scope="module")
def secret() -> Iterator[Path]:
    """A file whose pixels nobody shall see, in a folder where nobody shall write."""
    with tempfile.TemporaryDirectory(prefix="sodslice-secret-") as folder:  # of a short name
        path = Path(folder) / "secret"
        path.write_bytes(PIXELS)
        pixels = np.frombuffer(PIXELS, np.uint8).reshape(1, SIDE, SIDE)
        write_raster(path.with_name("secret.tif"), pixels)
        yield path


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    root = folder / "root"
    root.mkdir()
    write_raster(root / "town.tif", np.zeros((3, 100, 100), np.uint8))
    for name in MODULES:
        (root / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write({name!r})")
    flags = ("--model", "blobs", "--root", str(root), "--max-pixels", "20", "--jobs", "2")
    with serving(folder / "data", *flags, token=TOKEN) as one:
        yield one
        assert one.ask("GET", "/health")[0] == 200, "the server is gone"


def ended(service: Service, job_id: str) -> dict:
    """The job, when it has ended."""
    found: dict = {}

    def has_ended() -> bool:
        found.update(service.get(f"/jobs/{job_id}"))
        return found["state"] in ("done", "failed", "cancelled")

    until(has_ended)
    return found


def picture(content: bytes) -> dict:
    return {"image": base64.b64encode(content).decode(), "visualize": True}


# Files that name others


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_that_names_another_file_shows_nothing_of_it(service, secret, name):
    before = sorted(secret.parent.iterdir())
    refused = service.post("/small-object-detection", picture(pointing(name, secret)), status=422)
    assert refused["errorCode"] == 422
    assert sorted(secret.parent.iterdir()) == before


def test_uploads_that_name_other_files_fail_and_show_nothing_of_them(service, secret):
    before = sorted(secret.parent.iterdir())
    jobs = {}
    for name in NAMES:
        upload = service.upload(name, pointing(name, secret))["upload"]
        jobs[name] = service.post("/jobs", {"upload": upload}, status=202)["id"]
    for name, job_id in jobs.items():
        job = ended(service, job_id)
        assert (job["state"], job["objects"]) == ("failed", None), name
        assert str(service.data) not in json.dumps(job), name
        assert service.get(f"/jobs/{job_id}/report.html", status=409)
        assert service.get(f"/jobs/{job_id}/result.png", status=409)
    assert sorted(secret.parent.iterdir()) == before


@pytest.mark.parametrize("name", NAMES)
def test_no_process_reads_them_where_the_mark_lies(tmp_path, secret, name):
    mark_from_elsewhere(tmp_path)
    for suffix in (Path(name).suffix, ".tif"):
        path = tmp_path / f"upload{suffix}"
        path.write_bytes(pointing(name, secret))
        with pytest.raises(SceneError):
            as_scene(path).read(0, 0, 64, 64)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "link.tif").symlink_to(path)
    with pytest.raises(SceneError):
        as_scene(tmp_path / "below" / "link.tif").read(0, 0, 64, 64)
    assert "written.dat" not in [one.name for one in secret.parent.iterdir()]


def test_these_files_would_show_it_elsewhere(tmp_path, secret):
    """So that the tests above test something: without the mark GDAL follows some of them."""
    shown = []
    for name in ("a.h5", "a.cub", "a.lbl"):
        path = tmp_path / name
        path.write_bytes(pointing(name, secret))
        try:
            pixels, _ = as_scene(path).read(0, 0, 64, 64)
        except SceneError:
            continue
        shown += [name] if {7, 77, 177, 201} <= set(np.unique(pixels).tolist()) else []
    assert "a.h5" in shown


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "JPEG", "JP2OpenJPEG", "WEBP", "GIF", "BMP", "PNM"])
def test_pictures_of_common_formats_are_read_where_the_mark_lies(tmp_path, driver):
    mark_from_elsewhere(tmp_path)
    path = tmp_path / "upload.tif"
    bands = 1 if driver == "GIF" else 3
    write_raster(path, np.zeros((bands, 64, 64), np.uint8), driver=driver)
    assert as_scene(path).width == 64


def test_an_image_of_another_format_is_refused_with_those_that_are_read(tmp_path):
    mark_from_elsewhere(tmp_path)
    write_raster(tmp_path / "a.img", np.zeros((3, 64, 64), np.uint8), driver="HFA")
    with pytest.raises(
        SceneError, match="of what comes from elsewhere, TIFF, JPEG, PNG, JPEG 2000, .* are read$"
    ):
        as_scene(tmp_path / "a.img")


# Files that are taken for code


def test_an_upload_is_never_run_as_code(service, tmp_path):
    """Processes work in the folder of a scene, where `python -m` would look for modules first."""
    jobs = []
    for name in ("json.py", "orjson.py", "sodslice.py", "numpy.py", "sitecustomize.py", "encodings.py"):
        code = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})"
        upload = service.upload(name, code.encode())["upload"]
        jobs.append(service.post("/jobs", {"upload": upload}, status=202)["id"])
    assert {ended(service, job)["state"] for job in jobs} == {"failed"}
    assert not (tmp_path / "ran").exists()


def test_what_lies_beside_a_scene_is_never_run_as_code(service):
    job = service.post("/jobs", {"path": "town.tif"}, status=202)["id"]
    assert ended(service, job)["state"] == "done"
    for name in ("report.html", "result.png", "result.gpkg"):
        assert service.fetch(f"/jobs/{job}/{name}")
    assert not (service.data.parent / "ran").exists()


# Bombs


def png(width: int, height: int, content: bytes) -> bytes:
    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", content) + part(b"IEND", b"")


def black(width: int, height: int) -> bytes:
    """Compressed rows of a PNG."""
    packing = zlib.compressobj(1)
    rows = b"".join(packing.compress(bytes(1 + width * 3)) for _ in range(height))
    return rows + packing.flush()


def memory_mb(service: Service) -> float:
    """The most that the server itself has ever taken."""
    for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError


@pytest.mark.parametrize(
    ("width", "height", "status"),
    [(100_000, 100_000, 413), (2**31 - 1, 1, 422), (5000, 5000, 413), (100_000, 100, 422), (0, 0, 422)],
)
def test_a_picture_is_measured_before_it_is_decoded(service, width, height, status):
    before, began = memory_mb(service), time.monotonic()
    refused = service.post("/small-object-detection", picture(png(width, height, b"x")), status=status)
    assert status == 422 or "a picture may have 20 megapixels" in refused["errorMsg"]
    assert time.monotonic() - began < 10
    assert memory_mb(service) - before < 300


def test_a_picture_that_unpacks_to_much_more_is_refused(service):
    bomb = png(20_000, 20_000, black(20_000, 2000))
    assert len(bomb) < 1 << 20
    before = memory_mb(service)
    service.post("/small-object-detection", picture(bomb), status=413)
    more = png(64, 64, black(20_000, 2000))  # more rows than it says
    assert service.ask("POST", "/small-object-detection", json.dumps(picture(more)).encode(),
                       {"Content-Type": "application/json"})[0] in (200, 422)  # fmt: skip
    assert memory_mb(service) - before < 300


def test_an_upload_of_any_size_needs_no_memory(service):
    before = memory_mb(service)
    size = 300 << 20
    head = request("POST", "/uploads", f"Authorization: Bearer {TOKEN}", f"Content-Length: {size}")
    answer = say(address_of(service.url), head, *([bytes(1 << 20)] * 300))
    assert b'"bytes":%d' % size in answer
    assert memory_mb(service) - before < 150


def test_an_upload_that_stops_leaves_nothing(service):
    kept = {path.name for path in (service.data / "uploads").iterdir()}
    head = request("POST", "/uploads", f"Authorization: Bearer {TOKEN}", "Content-Length: 1000")
    chunked = request("POST", "/uploads", f"Authorization: Bearer {TOKEN}", "Transfer-Encoding: chunked")
    for start in (head, chunked):
        with connection(address_of(service.url)) as sock:
            sock.sendall(start + (b"x" * 500 if start is head else next(iter(chunks([b"x" * 500])))))
            until(lambda: list((service.data / "coming").iterdir()))
        until(lambda: not list((service.data / "coming").iterdir()))
    assert {path.name for path in (service.data / "uploads").iterdir()} == kept
    assert not [line for line in service.said if "Traceback" in line]


def test_the_log_is_lines_of_json_and_holds_no_token(service):
    service.get("/jobs")
    told = [line for line in list(service.said) if not line.startswith("sodslice serves at")]
    assert told
    for line in told:
        assert set(json.loads(line)) == {"time", "client", "method", "path", "status", "bytes", "ms"}
    assert not [line for line in told if TOKEN in line]
