"""Errors in PaddleX's envelope."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import FastAPI, Query, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from sodslice.errors import SceneError
from sodslice.service.envelope import (
    MOST_LETTERS,
    MOST_READ,
    FieldRefusal,
    Refusal,
    faults_text,
    handle_errors,
)


class Asked(BaseModel):
    number: int
    scores: dict[int, float] | float | None = None


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = FastAPI()
    handle_errors(app)

    @app.post("/number")
    async def number(asked: Asked) -> int:
        return asked.number

    @app.get("/few")
    async def few(limit: Annotated[int, Query(le=9)] = 5) -> int:
        return limit

    @app.post("/refused")
    async def refused(asked: Asked) -> None:
        raise Refusal(418, f"not {asked.number}", {"Retry-After": "3"})

    @app.post("/unread")
    async def unread(request: Request) -> None:
        raise Refusal(507, f"{request.method}: no room")

    @app.post("/field")
    async def field(asked: Asked) -> None:
        raise FieldRefusal("number", f"is odd: {asked.number}")

    @app.get("/scene")
    async def scene() -> None:
        raise SceneError("it has\n  no pixels")

    @app.get("/wordless")
    async def wordless() -> None:
        raise HTTPException(409)

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("a secret")

    with TestClient(app, raise_server_exceptions=False) as one:
        yield one


def told(answer) -> tuple[int, str]:
    """Status and words of an error, whose log id is the server's."""
    content = answer.json()
    assert list(content) == ["logId", "errorCode", "errorMsg"]
    assert content["errorCode"] == answer.status_code
    assert UUID(content["logId"]).version == 4
    return answer.status_code, content["errorMsg"]


def faults(answer) -> list[dict[str, str]]:
    """What is wrong with which field."""
    status, words = told(answer)
    assert status == 422
    found: list[dict[str, str]] = json.loads(words)
    assert words == json.dumps(found)
    return found


def test_each_fault_has_its_type_place_and_words(client):
    assert faults(client.post("/number", json={"scores": {"a": 1, "0": "x"}})) == [
        {"type": "missing", "loc": "body.number", "msg": "Field required"},
        {
            "type": "int_parsing",
            "loc": "body.scores.dict[int,float].a.[key]",
            "msg": "Input should be a valid integer, unable to parse string as an integer",
        },
        {
            "type": "float_parsing",
            "loc": "body.scores.dict[int,float].0",
            "msg": "Input should be a valid number, unable to parse string as a number",
        },
        {"type": "float_type", "loc": "body.scores.float", "msg": "Input should be a valid number"},
    ]
    (fault,) = faults(client.get("/few", params={"limit": 10}))
    assert (fault["type"], fault["loc"]) == ("less_than_equal", "query.limit")


def test_where_json_ends_is_told_in_letters(client):
    answer = client.post(
        "/number", content='{"ü": "ü", x}'.encode(), headers={"Content-Type": "application/json"}
    )
    assert faults(answer) == [{"type": "json_invalid", "loc": "body[11]", "msg": "JSON decode error"}]


def test_places_are_paths():
    assert json.loads(faults_text([("t", ("body", 3, "a", ""), "ü <b>")])) == [
        {"type": "t", "loc": "body[3].a.", "msg": "ü <b>"}
    ]
    assert faults_text([("t", ("body",), "ü")]).isascii()


def test_a_field_that_cannot_be_used_is_a_fault_too(client):
    (fault,) = faults(client.post("/field", json={"number": 5}))
    assert fault == {"type": "value_error", "loc": "body.number", "msg": "is odd: 5"}


def test_what_is_refused_has_its_status_words_and_headers(client):
    answer = client.post("/refused", json={"number": 5})
    assert told(answer) == (418, "not 5")
    assert answer.headers["Retry-After"] == "3"
    assert told(client.get("/wordless")) == (409, "Conflict")
    assert told(client.get("/nothing")) == (404, "Not Found")
    assert told(client.put("/number")) == (405, "Method Not Allowed")


def test_what_the_library_refuses_is_said_in_one_line(client):
    assert told(client.get("/scene")) == (422, "it has no pixels")


def test_what_fails_is_logged_and_nothing_of_it_is_said(client, caplog):
    with caplog.at_level(logging.ERROR):
        assert told(client.get("/broken")) == (500, "Internal server error")
    assert "GET /broken failed" in caplog.text
    assert "a secret" in caplog.text


@pytest.mark.parametrize("path", ["/number", "/refused", "/field", "/unread", "/nothing"])
def test_an_error_has_the_log_id_of_the_request(client, path):
    for number in ({}, {"number": 5}):
        if path == "/number" and number:
            continue
        answer = client.post(path, json={**number, "logId": "mine <b>ü"})
        assert answer.status_code >= 400
        assert answer.json()["logId"] == "mine <b>ü"


def test_an_error_has_the_log_id_whatever_the_type_of_the_body(client):
    for kind in ("text/plain", "application/octet-stream"):
        answer = client.post("/number", content=b'{"logId": "mine"}', headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["logId"]) == (422, "mine")


@pytest.mark.parametrize(
    "content",
    [
        b'{"logId": 5}',
        b'{"logId": ""}',
        b'{"logId": null}',
        b'{"logId": ["a"]}',
        b'["logId"]',
        b"{",
        b"\xff",
        b"",
    ],
)
def test_log_ids_that_are_none_are_left_out(client, content):
    for path in ("/number", "/nothing"):
        told(client.post(path, content=content, headers={"Content-Type": "application/json"}))


def test_halves_of_letters_are_no_log_id(client):
    for path in ("/number", "/nothing"):
        told(client.post(path, content=b'{"logId": "\\ud800"}', headers={"Content-Type": "application/json"}))


def test_a_long_log_id_is_cut(client):
    answer = client.post("/number", json={"logId": "x" * 2 * MOST_LETTERS})
    assert answer.json()["logId"] == "x" * MOST_LETTERS


def test_no_large_body_is_read_for_its_log_id_alone(client):
    content = json.dumps({"logId": "mine", "more": "x" * MOST_READ}).encode()
    for path in ("/unread", "/nothing"):
        told(client.post(path, content=content))
        told(client.post(path, content=iter([content[:9], content[9:]])))
    assert client.post("/refused", json={"number": 5, **json.loads(content)}).json()["logId"] == "mine"
