"""How answers that are errors look: PaddleX's envelope, for all of the service."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sodslice.errors import SodsliceError

log = logging.getLogger(__name__)

UNPROCESSABLE = 422
FAILED = "Internal server error"

MOST_LETTERS = 4096
"""Of a `logId` that is sent back."""

MOST_READ = 1 << 20
"""Bytes of a body that no route has read, and that is read for its `logId` alone."""


class Refusal(HTTPException):
    """A request that is refused, with the reason in a line."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, why, dict(headers or {}))


class FieldRefusal(Refusal):
    """A field of a request's body that cannot be used; said as those that are missing or of a wrong type."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(UNPROCESSABLE, faults_text([("value_error", ("body", field), why)]))


def error_answer(
    status: int, message: str, *, log_id: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in PaddleX's envelope; `errorCode` is the HTTP status."""
    return json_answer(
        {"logId": log_id or str(uuid4()), "errorCode": status, "errorMsg": message}, status, headers
    )


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(content), status, dict(headers or {}), "application/json")


def handle_errors(app: FastAPI) -> None:
    """Let every error of an app be answered in the envelope."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(SodsliceError, _said)
    app.add_exception_handler(Exception, _failed)


def faults_text(faults: Sequence[tuple[str, Sequence[str | int], str]]) -> str:
    """What is wrong with a request, as a list in a JSON text, as PaddleX has it for the status 422.

    Args:
        faults: of each the type, the place and the reason.
    """
    return json.dumps([{"type": kind, "loc": _place(place), "msg": why} for kind, place, why in faults])


def _place(parts: Sequence[str | int]) -> str:
    """A place in a request: `body.threshold.float`, `body[10]`."""
    words = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return "".join(words).removeprefix(".")


async def _invalid(request: Request, error: Exception) -> Response:
    """Fields that are missing or wrong."""
    del request
    assert isinstance(error, RequestValidationError)
    text = faults_text([(one["type"], one["loc"], one["msg"]) for one in error.errors()])
    body = _parsed(error.body) if isinstance(error.body, bytes) else error.body
    return error_answer(UNPROCESSABLE, text, log_id=_log_id(body))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = str(error.detail) or HTTPStatus(error.status_code).phrase
    log_id = await _log_id_of(request)
    return error_answer(error.status_code, words, log_id=log_id, headers=error.headers)


async def _log_id_of(request: Request) -> str | None:
    """The `logId` of a body, where a route has read it, or it is short."""
    length = request.headers.get("content-length", "")
    if not (hasattr(request, "_body") or (length.isdecimal() and int(length) <= MOST_READ)):
        return None
    try:
        return _log_id(_parsed(await request.body()))
    except (HTTPException, ClientDisconnect, RuntimeError):
        return None


def _parsed(content: bytes) -> Any:
    """What JSON holds; None where it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _log_id(body: Any) -> str | None:
    given = body.get("logId") if isinstance(body, dict) else None
    if not isinstance(given, str):
        return None
    with suppress(UnicodeEncodeError):  # halves of letters
        given.encode()
        return given[:MOST_LETTERS] or None
    return None


async def _said(request: Request, error: Exception) -> Response:
    """What the library refuses, in its own line."""
    del request
    return error_answer(UNPROCESSABLE, " ".join(str(error).split()))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_answer(500, FAILED)
