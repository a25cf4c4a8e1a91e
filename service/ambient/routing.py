"""How a request is read: paths with and without a trailing slash, and JSON bodies that are read after authentication."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError

from service.ambient.errors import BAD_REQUEST, LIMIT_REACHED, ApiError

BODY_LIMIT = 16 * 1024**2

Model = TypeVar("Model", bound=BaseModel)


class SlashTolerant(APIRouter):
    """Serves every path with and without a trailing slash, never by a redirect: an upload cannot be sent twice."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().add_api_route(path, endpoint, **options)
        other = path.removesuffix("/") if path.endswith("/") else path + "/"
        super().add_api_route(other, endpoint, **{**options, "include_in_schema": False})


def json_body(model: type[Model]) -> Callable[[Request], Coroutine[Any, Any, Model]]:
    """A dependency that reads the body as `model`, or ends the request with 400.

    FastAPI would read a body before its dependencies run, so a caller without a token could make us parse anything.
    """

    async def read(request: Request) -> Model:
        try:
            content = orjson.loads(await _capped(request))
        except orjson.JSONDecodeError:
            raise ApiError(400, BAD_REQUEST, "the body is not valid JSON") from None
        try:
            return model.model_validate(content)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            raise ApiError(400, BAD_REQUEST, "the request is not valid", problems) from None

    return read


async def _capped(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise ApiError(400, LIMIT_REACHED, f"the body is larger than {BODY_LIMIT} bytes")
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
        return _inline(definitions[reference.rsplit("/", 1)[-1]], definitions)
    return {key: _inline(value, definitions) for key, value in schema.items() if key != "discriminator"}
