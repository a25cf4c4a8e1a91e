"""The OpenAPI description made whole: an example of every JSON body, put together from those of its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel

from service.ambient.wire.error import ErrorResponse

_BY_FORMAT = {"date-time": "2026-01-01T09:00:00Z", "uuid": "0f6e1c4e-6f0c-4d5e-9b1c-77aa12d0c1b2", "binary": "..."}
_BY_TYPE = {"string": "text", "integer": 0, "number": 0.0, "boolean": True, "null": None}
_NEVER = ("HTTPValidationError", "ValidationError")


def operation_id(route: APIRoute) -> str:
    """`createInteraction`: what generators of clients call their methods."""
    return to_camel(route.name)


def describe_examples(app: FastAPI) -> None:
    """Adds the examples, and takes out 422, which the framework describes and nothing answers."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        description = describe()
        schemas = description.get("components", {}).get("schemas", {})
        for name in _NEVER:
            schemas.pop(name, None)
        schemas["ErrorResponse"] = ErrorResponse.model_json_schema()
        for operation in (one for path in description["paths"].values() for one in path.values()):
            operation["responses"].pop("422", None)
            for media in _json_bodies(operation):
                if not {"example", "examples"} & set(media):
                    media["example"] = example(media["schema"], schemas)
        return description

    app.openapi = openapi  # type: ignore[method-assign]


def _json_bodies(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        if media := body.get("content", {}).get("application/json"):
            yield media


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value of this schema. Of a field that may be left out only one that has an example of its own."""
    if reference := schema.get("$ref"):
        return example(schemas[reference.rsplit("/", 1)[-1]], schemas)
    if given := schema.get("examples") or schema.get("enum"):
        return given[0]
    for key in ("const", "example"):
        if key in schema:
            return schema[key]
    choices: list[dict[str, Any]] = schema.get("anyOf") or schema.get("oneOf") or []
    if choices and "properties" not in schema:
        return example(choices[0], schemas)
    if schema.get("type") == "array":
        return [example(schema["items"], schemas)]
    if schema.get("type") == "object":
        fields: dict[str, Any] = schema.get("properties", {})
        needed = {name for part in (schema, *choices[:1]) for name in part.get("required", ())}
        return {name: example(of, schemas) for name, of in fields.items() if name in needed or "examples" in of}
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(schema.get("type", ""), {}))
