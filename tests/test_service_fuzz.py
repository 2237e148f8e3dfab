"""Whatever is sent is answered as the OpenAPI says, and never by a fault of the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from sodslice.service.app import make_app
from sodslice.service.documented import ErrorAnswer
from sodslice.service.jobs.options import job_schema
from sodslice.service.settings import ServiceSettings
from sodslice.settings import Options
from tests.rasters import write_raster

TOKEN = "0123456789abcdef-fuzz"
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)
JOB = "0" * 24


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "root").mkdir()
    write_raster(folder / "root" / "town.tif", np.zeros((3, 64, 64), np.uint8))
    how = ServiceSettings(
        data=folder / "data",
        root=folder / "root",
        token=TOKEN,
        options=Options.from_mapping({"model": "blobs"}),
        hosts=("pictures.example.com",),
        jobs_waiting=1,
        most_pixels=1_000_000,
    )
    with TestClient(make_app(how), base_url="http://a", raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


@pytest.fixture(scope="module")
def documented(service) -> dict[str, Any]:
    return service.get("/openapi.json").json()


def operations(documented: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(m.upper(), path, how) for path, ways in documented["paths"].items() for m, how in ways.items()]


def check(answer: Any, how: dict[str, Any], documented: dict[str, Any]) -> None:
    """Whether an answer is one that is documented."""
    said = how["responses"].get(str(answer.status_code))
    assert answer.status_code < 500, answer.text
    assert said is not None, (answer.status_code, answer.text)
    schema = said.get("content", {}).get("application/json", {}).get("schema")
    if answer.headers["content-type"] == "application/json" and schema:
        Draft202012Validator({**schema, "components": documented["components"]}).validate(answer.json())
    if answer.status_code >= 400:
        assert answer.json()["errorCode"] == answer.status_code
        assert set(answer.json()) == set(ErrorAnswer.model_fields)


# What is sent

LETTERS = st.text(max_size=20) | st.sampled_from(
    ["", ".", "..", "/", "\x00", "town.tif", JOB, "http://a", "-o"]
)
NUMBERS = st.integers() | st.floats() | st.integers(-3, 3)
PLAIN = st.none() | st.booleans() | NUMBERS | LETTERS
ANY_JSON = st.recursive(
    PLAIN, lambda more: st.lists(more, max_size=4) | st.dictionaries(LETTERS, more, max_size=4), max_leaves=12
)
OPTIONS = st.dictionaries(st.sampled_from([*job_schema()["properties"], "model", "x"]), ANY_JSON, max_size=3)
JOBS = st.fixed_dictionaries(
    {}, optional={"path": PLAIN, "url": PLAIN, "upload": PLAIN, "options": OPTIONS | ANY_JSON, "x": PLAIN}
)
PICTURES = st.fixed_dictionaries(
    {}, optional={"image": PLAIN, "threshold": ANY_JSON, "visualize": PLAIN, "logId": PLAIN, "x": ANY_JSON}
)
IDS = st.sampled_from([JOB, "a"]) | st.text("ab.%-_ \u00e9\n", min_size=1).map(lambda text: f"a{quote(text)}")
RESULTS = ["result.json", "result.geojson", "result.gpkg", "result.csv", "result.png", "result", "result.x.y"]


def sent(body: Any) -> bytes:
    """JSON as Python writes it, with what is none: NaN, Infinity, halves of letters."""
    return json.dumps(body).encode()


@QUICK
@given(data=st.data())
def test_any_request_is_answered_as_documented(service, documented, data):
    every = operations(documented)
    method, path, how = every[data.draw(st.integers(0, len(every) - 1))]
    if path.endswith("/events"):
        return
    spelt = path.format(job_id=data.draw(IDS), name=data.draw(st.sampled_from(RESULTS) | IDS))
    names = [one["name"] for one in how.get("parameters", ()) if one["in"] == "query"]
    query = data.draw(st.dictionaries(st.sampled_from([*names, "x"]), PLAIN.map(str), max_size=3))
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    body = data.draw(st.none() | ANY_JSON.map(sent) | st.binary(max_size=50))
    kinds = ["application/json", "application/octet-stream", "text/plain", "multipart/form-data", "x"]
    head = {"Content-Type": data.draw(st.sampled_from(kinds))}
    check(service.request(method, spelt, params=query, content=body, headers=head), how, documented)


@pytest.mark.parametrize(("path", "bodies"), [("/jobs", JOBS), ("/small-object-detection", PICTURES)])
def test_any_json_is_answered_as_documented(service, documented, path, bodies):
    how = documented["paths"][path]["post"]

    @QUICK
    @given(bodies | ANY_JSON)
    def one(body: Any) -> None:
        answer = service.post(path, content=sent(body), headers={"Content-Type": "application/json"})
        check(answer, how, documented)

    one()


@QUICK
@given(st.binary(max_size=200), LETTERS.map(lambda name: name.encode("utf-8", "replace").decode()))
def test_any_upload_is_answered_as_documented(service, documented, content, name):
    how = documented["paths"]["/uploads"]["post"]
    check(service.post("/uploads", params={"name": name}, content=content), how, documented)


@pytest.mark.parametrize(
    "broken",
    [b"", b"{", b"[" * 9000, b'{"a":' * 2000, b"\xff\xfe", b"null", b"[]", b"1", b'"a"', b"NaN", b"1e999",
     b"9" * 5000, b'{"image": "\\ud800"}', b'{"path": "\\ud800"}', b'{"logId": "\\udfff"}',
     b'{"a": 1, "a": 2}', b"\x00", b"{}\x00", b'\xef\xbb\xbf{"path": "town.tif"}',
     '{"path": "x"}'.encode("utf-16"), '{"path": "x"}'.encode("utf-32")],
)  # fmt: skip
def test_broken_json_is_answered_as_documented(service, documented, broken):
    for path in ("/jobs", "/small-object-detection"):
        for kind in (
            "application/json",
            "application/json; charset=latin-1",
            "application/vnd.a+json",
            "text/plain",
        ):
            answer = service.post(path, content=broken, headers={"Content-Type": kind})
            check(answer, documented["paths"][path]["post"], documented)


def test_all_operations_name_the_errors_of_the_gate_in_its_envelope(documented):
    envelope = {"$ref": "#/components/schemas/ErrorAnswer"}
    for method, path, how in operations(documented):
        if path == "/health":
            continue
        for code in ("401", "403", "413", "422"):
            said = how["responses"][code]["content"]["application/json"]["schema"]
            assert said == envelope, (method, path, code)
    for path in ("/jobs", "/small-object-detection"):
        assert (
            documented["paths"][path]["post"]["responses"]["429"]["content"]["application/json"]["schema"]
            == envelope
        )


def test_whoever_writes_a_body_finds_an_example_that_fits(documented):
    for _, path, how in operations(documented):
        for kind, content in how.get("requestBody", {}).get("content", {}).items():
            if kind != "application/json":
                continue
            name = content["schema"]["$ref"].rpartition("/")[2]
            schema = documented["components"]["schemas"][name]
            known = schema["properties"]
            examples = schema.get("examples") or [{key: one["examples"][0] for key, one in known.items()}]
            for example in examples:
                Draft202012Validator({**schema, "components": documented["components"]}).validate(example)
            assert examples, path
