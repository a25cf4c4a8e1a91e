"""The wire's error body: `{requestid, status, type, detail, validationErrors?}`, and an empty body for 401.

`requestid` equals the response header `X-Request-Id`. Types are the codes that the wire's specification lists.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Retryable

log = structlog.get_logger()

FORBIDDEN = "A0001"
BAD_REQUEST = "A0003"
BAD_ID = "A0006"
NO_INTERACTION = "A0007"
NO_DOCUMENT = "A0009"
PROCESSING_FAILED = "A0010"
NO_RECORDING = "A0011"
NO_TRANSCRIPT = "A0012"
BAD_QUERY = "A0013"
NO_SECTION = "A0014"
BAD_CONTEXT = "A0015"
LIMIT_REACHED = "A0016"
DUPLICATE = "A0017"
BAD_LANGUAGE = "A0018"
NO_FACT_GROUP = "A0019"
NO_FACT = "A0020"
UNTYPED = "about:blank"

_TYPES = {400: BAD_REQUEST, 403: FORBIDDEN, 500: PROCESSING_FAILED}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MOST_PROBLEMS = 50
_COME_AGAIN = 5.0
"""Seconds."""


class ApiError(Exception):
    """Ends a request with the wire's error body. `detail` goes to the caller alone, never to a log."""

    def __init__(self, status: int, kind: str, detail: str, problems: Iterable[Mapping[str, Any]] = ()) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.problems = [{_place(problem): str(problem["msg"])} for problem in islice(problems, _MOST_PROBLEMS)]


def install_error_handlers(app: FastAPI) -> None:
    """Every refusal of `app` in the wire's shape. Call it before the app serves its first request."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_middleware(RequestIds)


class RequestIds:
    """Names each request, writes a line for each that is refused, and answers without details when the app fails: 503
    where that may pass (Retryable, and what the stop of the process cuts off), else 500. HEAD is answered as GET without
    its body.

    An id that the caller sends in `X-Request-Id` is kept when it is short and plain.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        headless = scope["method"] == "HEAD"
        await self._answer(
            {**scope, "method": "GET"} if headless else scope, receive, _Named(send, request_id, headless)
        )

    async def _answer(self, scope: Scope, receive: Receive, send: _Named) -> None:
        try:
            await self._app(scope, receive, send)
            if 400 <= send.status < 500:
                log.info("request_refused", request=send.request_id, status=send.status, **_refused(scope))
        except ClientDisconnect:
            log.info("client_left", request=send.request_id, method=scope["method"])
        except asyncio.CancelledError:
            log.info("request_cut_off", request=send.request_id, **_refused(scope))
            if not send.started:
                response = _come_again(send.request_id, "the service is stopping", Connection="close")
                await response(scope, receive, send)
            raise
        except Retryable as error:
            log.warning("request_failed", request=send.request_id, reason=error.reason, **_refused(scope))
            if send.started:
                raise
            response = _come_again(send.request_id, error.reason, error.after)
            await response(scope, receive, send)
        except Exception:
            log.exception("request_failed", request=send.request_id, **_refused(scope))
            if send.started:
                raise
            response = _body(send.request_id, 500, PROCESSING_FAILED, "the request could not be processed")
            await response(scope, receive, send)


def _refused(scope: Scope) -> dict[str, str]:
    """What is safe to log of a request: the route's template and never the path, whose parts a caller chose."""
    state, template = scope["state"], getattr(scope.get("route"), "path", None)
    known = {"path": template, "code": state.get("refusal"), "client": state.get("client")}
    return {"method": scope["method"], **{key: str(value) for key, value in known.items() if value}}


class _Named:
    """Adds the request's id to the response's headers; knows whether the response has begun, and with which status."""

    def __init__(self, send: Send, request_id: str, headless: bool = False) -> None:
        self._send = send
        self._headless = headless
        self.request_id = request_id
        self.started = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self.request_id
        elif self._headless and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


async def _api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return refusal(request, error)


def refusal(request: Request, error: ApiError) -> Response:
    """The answer of an app that stands in front of the routes; behind them the error is raised."""
    request.state.refusal = error.kind
    return _body(request.state.request_id, error.status, error.kind, error.detail, error.problems)


async def _validation_error(request: Request, error: Exception) -> Response:
    """Path, query and header parameters that FastAPI checked, and bodies of routes that let it read them."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [{_place(problem): str(problem["msg"])} for problem in error.errors()[:_MOST_PROBLEMS]]
    in_query = all(problem["loc"][:1] == ("query",) for problem in error.errors())
    kind = BAD_QUERY if in_query else BAD_REQUEST
    request.state.refusal = kind
    return _body(request.state.request_id, 400, kind, "the request is not valid", problems)


async def _http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 401:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return Response(status_code=401, headers={**challenge, **(error.headers or {})})
    kind = request.state.refusal = _TYPES.get(error.status_code, UNTYPED)
    headers = {**(error.headers or {}), **({"Allow": _allowed(request)} if error.status_code == 405 else {})}
    return _body(request.state.request_id, error.status_code, kind, str(error.detail), headers=headers)


def _allowed(request: Request) -> str:
    """Of all routes with this path: the framework names those of the first alone."""
    routes = request.app.routes
    found = [m for m in _METHODS if any(r.matches({**request.scope, "method": m})[0] is Match.FULL for r in routes)]
    return ", ".join([*found, *(["HEAD"] if "GET" in found else [])])


def _come_again(request_id: str, why: str, after: float | None = None, **headers: str) -> Response:
    seconds = math.ceil(_COME_AGAIN if after is None else after)
    headers["Retry-After"] = str(seconds)
    return _body(request_id, 503, UNTYPED, f"come again later: {why}", headers=headers)


def _body(
    request_id: str,
    status: int,
    kind: str,
    detail: str,
    problems: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    content: dict[str, Any] = {"requestid": request_id, "status": status, "type": kind, "detail": detail}
    if problems:
        content["validationErrors"] = problems
    return JSONResponse(content, status_code=status, headers=headers)


def _place(problem: Mapping[str, Any]) -> str:
    return ".".join(str(step) for step in problem["loc"]) or "body"
