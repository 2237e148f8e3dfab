"""Jobs of the service: a real server, its processes, and what is left of them when something dies."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from sodslice.synthetic import SceneSpec, draw_scene
from tests.serving import Service, serving

pytestmark = pytest.mark.service

SCENE = SceneSpec(width=700, height=500, seed=3, vehicles=2.0, nodata=False)
MANY = {"tile": 128, "overlap": 0.5}
"""Options that make many tiles of it, so that there is a middle to die in."""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for seed in (3, 4, 5):
        draw_scene(folder / f"town-{seed}.tif", SceneSpec(width=700, height=500, seed=seed, vehicles=2.0))
    (folder / "broken.tif").write_bytes(b"II*\0 is no more of a TIFF")
    return folder


@pytest.fixture(scope="module")
def service(root, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("service"), "--root", str(root)) as one:
        yield one


def ended(service: Service, job_id: str, seconds: float = 60.0) -> dict:
    """The job, when it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        job = service.get(f"/jobs/{job_id}")
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job has not ended: {job}")


def without_times(content: bytes) -> dict:
    found = json.loads(content)
    found.pop("timings")
    return found


def test_a_scene_below_the_root_is_looked_at(service):
    job = service.post("/jobs", {"path": "town-3.tif", "options": {"threshold": 0.3}}, status=202)
    assert job["state"] == "queued"
    assert job["scene"] == "town-3.tif"
    done = ended(service, job["id"])
    assert done["state"] == "done"
    assert done["objects"] == done["classes"]["vehicle"] > 0
    assert done["progress"]["done"] == done["progress"]["tiles"] > 0
    result = json.loads(service.fetch(f"/jobs/{job['id']}/result.json"))
    assert len(result["boxes"]) == done["objects"]
    assert result["run"]["options"]["threshold"] == {"all": 0.3}


def test_a_result_says_nothing_of_the_folders_of_the_service(service, root):
    job = service.post("/jobs", {"path": "town-3.tif"}, status=202)
    ended(service, job["id"])
    for name in ("result.json", "result.geojson", "result.csv"):
        said = service.fetch(f"/jobs/{job['id']}/{name}").decode()
        assert str(root) not in said
        assert str(service.data) not in said


def test_an_upload_is_looked_at_and_named(service, root):
    sent = service.upload("my town.tif", (root / "town-4.tif").read_bytes())
    job = service.post("/jobs", {"upload": sent["upload"]}, status=202)
    assert job["scene"] == "my_town.tif"
    assert ended(service, job["id"])["state"] == "done"


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("result.geojson", b'{\n"type": "FeatureCollection"'),
        ("result.csv", b"lon,lat,score"),
        ("result.gpkg", b"SQLite format 3"),
        ("result.parquet", b"PAR1"),
        ("result.png", b"\x89PNG"),
        ("result.coco.json", b"{"),
        ("report.html", b"<!DOCTYPE html>"),
    ],
)
def test_results_come_in_every_format(service, name, begins):
    job = finished(service)
    assert service.fetch(f"/jobs/{job}/{name}").startswith(begins)


def test_a_report_has_neither_our_origin_nor_a_network(service):
    with urllib.request.urlopen(f"{service.url}/jobs/{finished(service)}/report.html") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts allow-downloads; default-src 'none'")


def finished(service: Service) -> str:
    """The id of a job that is done; one for all tests that want no more of it."""
    for job in service.get("/jobs"):
        if job["state"] == "done" and job["scene"] == "town-5.tif" and not job["options"]:
            return job["id"]
    job = service.post("/jobs", {"path": "town-5.tif"}, status=202)
    return ended(service, job["id"])["id"]


def test_a_result_may_be_points_in_other_coordinates(service):
    job = finished(service)
    boxes = service.fetch(f"/jobs/{job}/result.geojsonl")
    points = service.fetch(f"/jobs/{job}/result.geojsonl?geometry=point")
    assert b'"Polygon"' in boxes
    assert b'"Point"' in points
    assert service.fetch(f"/jobs/{job}/result.gpkg?output_crs=native")


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        ("result.xyz", 404, "results end in .json, .geojson"),
        ("options.json", 404, "results end in"),
        ("lock", 404, "results end in"),
        ("result.gpkg?output_crs=EPSG:999999", 422, "EPSG:999999"),
        ("result.geojson?geometry=circle", 422, "geometry"),
        ("result.csv?output_crs=native", 422, "output_crs"),
    ],
)
def test_results_that_cannot_be_are_refused(service, asked, status, why):
    refused = service.get(f"/jobs/{finished(service)}/{asked}", status=status)
    assert refused["errorCode"] == status
    assert why in refused["errorMsg"]


def test_events_tell_of_a_job_until_it_has_ended(service):
    job = service.post("/jobs", {"path": "town-3.tif", "options": MANY}, status=202)
    told = [
        json.loads(line.removeprefix("data: "))
        for line in service.fetch(f"/jobs/{job['id']}/events").decode().split("\n\n")
        if line.startswith("data: ")
    ]
    assert told[0]["id"] == job["id"]
    assert told[-1]["state"] == "done"
    counts = [one["progress"]["done"] for one in told]
    assert counts == sorted(counts)


def test_a_scene_that_cannot_be_read_fails_with_its_reason(service):
    job = ended(service, service.post("/jobs", {"path": "broken.tif"}, status=202)["id"])
    assert job["state"] == "failed"
    assert "broken.tif" in job["error"]
    assert "\n" not in job["error"]
    refused = service.get(f"/jobs/{job['id']}/result.json", status=409)
    assert refused["errorMsg"] == f"job {job['id']} is failed; it has no result"


def test_a_job_is_cancelled_and_then_removed(service):
    job = service.post("/jobs", {"path": "town-3.tif", "options": MANY}, status=202)
    assert service.delete(f"/jobs/{job['id']}")["state"] == "cancelled"
    assert service.get(f"/jobs/{job['id']}")["state"] == "cancelled"
    assert service.delete(f"/jobs/{job['id']}") is None
    assert service.get(f"/jobs/{job['id']}", status=404)["errorMsg"] == f"there is no job '{job['id']}'"
    assert not (service.data / "jobs" / job["id"]).exists()


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        ({}, 422, "give one of path, url and upload"),
        ({"path": "town-3.tif", "upload": "abc"}, 422, "give one of path, url and upload"),
        ({"path": "town-9.tif"}, 404, "there is no scene 'town-9.tif'"),
        ({"upload": "0" * 24}, 404, "there is no upload"),
        ({"url": "https://example.com/a.tif"}, 403, "scenes are not fetched from there"),
        ({"path": "town-3.tif", "options": {"tiel": 3}}, 422, "did you mean 'tile'"),
        ({"path": "town-3.tif", "options": {"tile": -3}}, 422, "tile"),
        ({"path": "town-3.tif", "options": {"model": "blobs"}}, 422, "'model' is no option of a job"),
        ({"path": "town-3.tif", "more": 1}, 422, "extra_forbidden"),
    ],
)
def test_jobs_that_cannot_be_are_refused(service, asked, status, why):
    refused = service.post("/jobs", asked, status=status)
    assert refused["errorCode"] == status
    assert why in refused["errorMsg"]


def test_too_many_jobs_are_told_to_come_back(root, tmp_path):
    with serving(tmp_path, "--root", str(root), "--jobs-waiting", "2") as service:
        slow = {"path": "town-3.tif", "options": {**MANY, "overlap": 0.9}}
        first = service.post("/jobs", slow, status=202)["id"]
        until = time.monotonic() + 20
        while service.get(f"/jobs/{first}")["state"] == "queued":
            assert time.monotonic() < until
            time.sleep(0.05)
        for _ in range(2):
            service.post("/jobs", slow, status=202)
        refused = service.post("/jobs", slow, status=429)
        assert "jobs wait already" in refused["errorMsg"]


def test_a_service_that_is_killed_finishes_its_jobs_after_the_next_start(root, tmp_path):
    asked = [{"path": f"town-{seed}.tif", "options": MANY} for seed in (3, 4, 5)]
    with serving(tmp_path / "undisturbed", "--root", str(root), "--jobs", "3") as service:
        ids = [service.post("/jobs", one, status=202)["id"] for one in asked]
        assert all(ended(service, one)["state"] == "done" for one in ids)
        wanted = [without_times(service.fetch(f"/jobs/{one}/result.json")) for one in ids]
    with serving(tmp_path / "killed", "--root", str(root), "--jobs", "3") as service:
        ids = [service.post("/jobs", one, status=202)["id"] for one in asked]
        until = time.monotonic() + 60
        while not all(service.get(f"/jobs/{one}")["progress"]["done"] for one in ids):
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
    with serving(tmp_path / "killed", "--root", str(root), "--jobs", "3") as service:
        jobs = [ended(service, one) for one in ids]
        assert [one["state"] for one in jobs] == ["done"] * 3
        found = [without_times(service.fetch(f"/jobs/{one}/result.json")) for one in ids]
    assert found == wanted


def test_a_process_that_dies_takes_no_other_with_it(root, tmp_path):
    with serving(tmp_path, "--root", str(root)) as service:
        job = service.post("/jobs", {"path": "town-3.tif", "options": {**MANY, "overlap": 0.8}}, status=202)
        killed = 0
        until = time.monotonic() + 60
        while service.get(f"/jobs/{job['id']}")["state"] in ("queued", "running"):
            assert time.monotonic() < until
            for child in service.children():
                os.kill(child, signal.SIGKILL)
                killed += 1
            time.sleep(0.2)
        failed = service.get(f"/jobs/{job['id']}")
        assert failed["error"] == "its process was ended by SIGKILL, 2 times"
        assert killed == 2
        assert (
            ended(service, service.post("/jobs", {"path": "town-4.tif"}, status=202)["id"])["state"] == "done"
        )


def test_a_service_that_ends_parks_its_jobs_and_leaves_nothing_running(root, tmp_path):
    with serving(tmp_path, "--root", str(root)) as service:
        job = service.post("/jobs", {"path": "town-3.tif", "options": {**MANY, "overlap": 0.8}}, status=202)
        until = time.monotonic() + 60
        while not service.get(f"/jobs/{job['id']}")["progress"]["done"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        children = service.children()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=30) in (0, -signal.SIGTERM, 143)
        assert children
        assert not any(Path(f"/proc/{child}").exists() for child in children)
    with serving(tmp_path, "--root", str(root)) as service:
        assert ended(service, job["id"])["state"] == "done"


def test_results_and_uploads_are_removed_when_they_are_old(root, tmp_path):
    with serving(tmp_path, "--root", str(root), "--keep", "0.00002") as service:  # 1.7 s
        kept = service.upload("a.tif", b"II*\0")["upload"]
        job = ended(service, service.post("/jobs", {"path": "broken.tif"}, status=202)["id"])["id"]
        time.sleep(2)
    with serving(tmp_path, "--root", str(root), "--keep", "0.00002") as service:
        until = time.monotonic() + 20
        while (service.data / "jobs" / job).exists() or (service.data / "uploads" / kept).exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        service.get(f"/jobs/{job}", status=404)
