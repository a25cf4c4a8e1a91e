"""The one body of every refusal, and how each status is described."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ErrorResponse(BaseModel):
    """Every refusal but 401, whose body is empty."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "requestid": "6f0c2c8e-9c0b-4b0f-8b1e-0a3f5a9d7c11",
                    "status": 404,
                    "type": "A0007",
                    "detail": "interaction not found",
                }
            ]
        }
    )

    requestid: str = Field(description="Names the request: the same as the header `X-Request-Id`, and in the log.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    type: str = Field(description="A code such as `A0007`, or `about:blank` where the wire has none.")
    detail: str = Field(description="What is wrong, in words.")
    validationErrors: list[dict[str, str]] | None = Field(  # noqa: N815 - the wire's name
        None, description="What is wrong with which field; left out where no field is to blame."
    )


_WORDS = {
    400: "The request is not valid.",
    401: "No token, or one that is not valid (any more). The body is empty; the reason is in `WWW-Authenticate`.",
    403: "No `Tenant-Name`, another tenant's token, or a client without the scope.",
    404: "There is no such thing, or it belongs to another tenant.",
    408: "The body did not arrive in time.",
    409: "What is there does not allow it.",
    413: "The body is too large.",
    415: "The body is of another type, encoding or character set.",
    429: "Too many requests: ask again after `Retry-After` seconds.",
    500: "The request could not be processed; the log names the cause under its `requestid`.",
    503: "Something that is needed does not answer: try again after `Retry-After` seconds.",
}
_BODY = {"$ref": "#/components/schemas/ErrorResponse"}
_CHALLENGE = {"WWW-Authenticate": {"description": "Why the token was refused.", "schema": {"type": "string"}}}
_LATER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route's refusals are described. By name: the framework would build a validator for each."""
    return {status: _refusal(status) for status in statuses}


def _refusal(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _WORDS[status]}
    if status == 401:
        return {**described, "headers": _CHALLENGE}
    if status in (429, 503):
        described["headers"] = _LATER
    return {**described, "content": {"application/json": {"schema": _BODY, "example": _example(status)}}}


def _example(status: int) -> dict[str, Any]:
    request = "6f0c2c8e-9c0b-4b0f-8b1e-0a3f5a9d7c11"
    return {"requestid": request, "status": status, "type": "about:blank", "detail": HTTPStatus(status).phrase.lower()}
