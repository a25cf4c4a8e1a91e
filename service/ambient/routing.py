"""How a request is read: paths with and without a trailing slash, and JSON bodies that are read after authentication."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from service.ambient.errors import BAD_REQUEST, LIMIT_REACHED, UNTYPED, ApiError
from service.ambient.ports import TooLarge
from service.ambient.wire.error import refusals

BODY_LIMIT = 16 * 1024**2

VALUE_LIMIT = 100_000
"""Values in a JSON body. Reading one holds the interpreter from the first byte to the last: so many take up to 50 ms."""

BODY_SECONDS = 60.0

_AT_ONCE = 64 * 1024
"""Bytes of JSON that are read and checked on the event loop; more goes to a thread."""

_PREFIXES = ("/v2/", "/audio-bridge/v2/")
_COLLECTION = re.compile(
    r"/v2/(?:interactions|factgroups|templates|templateSections|languages"
    r"|interactions/[^/]+/(?:recordings|transcripts|documents|facts))"
)

Model = TypeVar("Model", bound=BaseModel)


class EitherForm:
    """Serves every path with and without a trailing slash, never by a redirect: an upload cannot be sent twice.

    Routes have the wire's own form: a collection ends in a slash, all else does not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"].startswith(_PREFIXES):
            path = scope["path"].removesuffix("/")
            scope = {**scope, "path": f"{path}/" if _COLLECTION.fullmatch(path) else path}
        await self._app(scope, receive, send)


class Described(APIRouter):
    """Each route is described with the refusals that its path and its body bring with them."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["responses"] = {**_refusals(path, options), **(options.get("responses") or {})}
        super().add_api_route(path, endpoint, **options)


def _refusals(path: str, options: dict[str, Any]) -> dict[int | str, Any]:
    takes_json = "application/json" in ((options.get("openapi_extra") or {}).get("requestBody") or {}).get(
        "content", {}
    )
    return refusals(400, 401, 403, *([404] if "{" in path else []), *([408, 415] if takes_json else []), 500, 503)


def json_body(model: type[Model], seconds: float = BODY_SECONDS) -> Callable[[Request], Coroutine[Any, Any, Model]]:
    """A dependency that reads the body as `model`, or ends the request with 400, 408 or 415.

    FastAPI would read a body before its dependencies run, so a caller without a token could make us parse anything.
    """

    async def read(request: Request) -> Model:
        _refuse_other_media(request)
        try:
            body = await whole_body(request, BODY_LIMIT, seconds)
        except TooLarge:
            raise ApiError(400, LIMIT_REACHED, f"the body is larger than {BODY_LIMIT} bytes") from None
        if len(body) <= _AT_ONCE:
            return _parsed(model, body)
        return await asyncio.to_thread(_parsed, model, body)

    return read


def _parsed(model: type[Model], body: bytes) -> Model:
    if body.count(b",") > VALUE_LIMIT:
        raise ApiError(400, LIMIT_REACHED, f"the body has more than {VALUE_LIMIT} values")
    try:
        return model.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError:
        raise ApiError(400, BAD_REQUEST, "the body is not valid JSON") from None
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise ApiError(400, BAD_REQUEST, "the request is not valid", problems) from None


def _refuse_other_media(request: Request) -> None:
    """A body without a type is taken for JSON. A page of another site could send any other type from a browser."""
    kind, _, parameters = request.headers.get("content-type", "application/json").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if not (kind.strip() == "application/json" or kind.strip().endswith("+json")) or charset not in (
        "",
        "utf-8",
        "utf8",
    ):
        raise ApiError(415, UNTYPED, "Content-Type must be application/json in UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, UNTYPED, "Content-Encoding is not supported")


async def whole_body(request: Request, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """Raises TooLarge beyond `limit` bytes, and ApiError 408 when it takes longer than `seconds`."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge
    except TimeoutError:
        raise ApiError(408, UNTYPED, "the body did not arrive in time") from None
    return bytes(body)


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The body that `json_body(model)` reads, for `openapi_extra`; definitions are written out in place."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    content = {"application/json": {"schema": _inline(schema, definitions)}}
    return {"requestBody": {"required": True, "content": content}}


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_inline(definitions[reference.rsplit("/", 1)[-1]], definitions), **beside}
    return {key: _inline(value, definitions) for key, value in schema.items() if key != "discriminator"}
