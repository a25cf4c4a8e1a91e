"""What an answer of the ambient API, or its absence, means for the workflow: said once, here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from service.errors import NeedsPerson, Retryable
from service.workflow.destinations import Call
from service.workflow.retry_after import retry_after

_PASSING = frozenset({408, 425, 429})
_TYPE = re.compile(r"[A-Z]{1,3}\d{3,5}|about:blank")


@contextmanager
def no_answer_is_retryable() -> Iterator[None]:
    """Turns timeouts and lost connections into Retryable."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException):
        raise Retryable("engine_timeout") from None
    except (httpx.RequestError, httpx.StreamError) as error:
        raise Retryable("engine_unreachable", type(error).__name__) from None


@contextmanager
def failing(call: Call, request: httpx.Request) -> Iterator[None]:
    """Tells the destination that `request` got no answer. Of another one, for a token, it says nothing."""
    try:
        yield
    except TimeoutError:
        call.unanswered(no_connection=False)
        raise
    except httpx.RequestError as error:
        if error.request is request:
            call.unanswered(no_connection=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout))
        raise


def refusal(response: httpx.Response) -> Retryable | NeedsPerson:
    """The outcome of anything but a 2xx: its status and the body's `type`, never its `detail`, which may hold PHI."""
    status = response.status_code
    if status in _PASSING or status >= 500:
        return Retryable("engine_unavailable", f"status {status}", retry_after(response.headers.get("Retry-After")))
    if status == 401 and not isinstance(response.request.stream, httpx.ByteStream):
        return Retryable("engine_unauthorised", "status 401 to an upload, which cannot be sent twice", 1.0)
    return NeedsPerson("engine_refused", f"status {status}{_type_of(response)}")


def answer(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a 2xx. Raises Retryable when there is none: a proxy spoke, not the API."""
    try:
        content = response.json()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise unreadable()
    return content


def unreadable() -> Retryable:
    return Retryable("engine_answer_unreadable")


def _type_of(response: httpx.Response) -> str:
    try:
        kind = response.json().get("type")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return f" {kind}" if isinstance(kind, str) and _TYPE.fullmatch(kind) else ""
