"""Errors as the OpenAPI documents them: one schema for all."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

Responses = dict[int | str, dict[str, Any]]

REASONS = {
    400: "The body cannot be read.",
    401: "A token is needed, or it is another.",
    403: "That is not for clients of this service.",
    404: "There is no such thing.",
    408: "The request took too long to come.",
    409: "The job has no result yet, or none.",
    413: "It is too large.",
    421: "Without a token the service answers to localhost alone.",
    422: "Something in the request is missing, malformed or out of range.",
    429: "Too many wait; come back after Retry-After.",
    500: "The service has failed; its log says how.",
    503: "It took too long.",
    507: "There is no room.",
}
ALWAYS = (400, 401, 403, 408, 413, 421, 422, 429, 500)


class ErrorAnswer(BaseModel):
    """What is wrong, in a line."""

    logId: Annotated[str, Field(description="Of this answer.")]  # noqa: N815 -- PaddleX's words
    errorCode: Annotated[int, Field(description="The HTTP status.")]  # noqa: N815
    errorMsg: Annotated[str, Field(examples=["there is no job 'a'"])]  # noqa: N815


def errors(*codes: int) -> Responses:
    """The errors that a route may answer besides those that any may."""
    return {code: {"model": ErrorAnswer, "description": REASONS[code]} for code in sorted({*codes, *ALWAYS})}
