"""The HTTP inlet for FHIR events: any accepted shape goes to the broker, and 202 means that the broker has it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from service.ambient.ports import TooLarge
from service.ambient.routing import whole_body
from service.ambient.wire.error import refusals
from service.api.replay import message_id, routing_key
from service.api.terms import Terms
from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event_grid import validation_code
from service.telemetry import EVENTS_IGNORED
from service.workflow.ports import Broker, PublishFailed

_MEDIA = {
    "resourceType": "Media",
    "id": "rec-1",
    "status": "completed",
    "encounter": {"reference": "Encounter/enc-1"},
    "content": {"url": "Binary/aud-1"},
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "JSON of one event or several.",
        "content": {"application/fhir+json": {"schema": {"type": "object"}, "example": _MEDIA}},
    }
}
_TAKEN = {
    "type": "object",
    "required": ["taken"],
    "properties": {
        "taken": {"type": "integer", "description": "so many events were published"},
        "ignored": {"type": "string", "description": "why there was nothing to do"},
    },
}
_VALIDATED = {
    "type": "object",
    "required": ["validationResponse"],
    "properties": {"validationResponse": {"type": "string", "description": "the code that was sent"}},
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **refusals(400, 401, 403, 413, 500, 503),
    200: {
        "description": "Azure Event Grid's validation of the subscription, answered",
        "content": {"application/json": {"schema": _VALIDATED, "example": {"validationResponse": "512d38b6"}}},
    },
    202: {"content": {"application/json": {"schema": _TAKEN, "example": {"taken": 1}}}},
}
_LONGEST = 255
"""Bytes of a header's name or a content type that AMQP can carry."""


def events_router(
    broker: Broker,
    terms: Terms,
    secret: SecretStr | None,
    require: Callable[[Request], Awaitable[Any]],
) -> APIRouter:
    """`secret` signs bodies (`X-Signature`: hex HMAC-SHA256), for rest-hook senders that cannot fetch a token."""
    router = APIRouter(tags=["events"])

    @router.post(
        "/events",
        status_code=202,
        summary="Take in FHIR events",
        response_description="Stored by the broker, or nothing to do",
        responses=_ANSWERS,
        openapi_extra=_BODY,
    )
    async def take_events(request: Request) -> JSONResponse:
        """Any accepted shape: a raw Media or Encounter, a notification Bundle, a CloudEvent, and others (docs/wire.md)."""
        body = await _body(request, terms.max_message)
        if not await _signed(request, body, secret):
            await require(request)
        if code := validation_code(body):
            return JSONResponse({"validationResponse": code})
        headers = {
            k: v
            for k, v in request.headers.items()
            if k.startswith(("ce-", "ce_", "cloudevents")) and len(k) <= _LONGEST
        }
        delivery = Delivery(body, request.headers.get("content-type", "")[:_LONGEST] or None, headers=headers)
        try:
            events = terms.read(delivery)
        except Rejected as rejected:
            raise HTTPException(400, str(rejected)) from None
        except Ignored as ignored:
            EVENTS_IGNORED.labels(ignored.reason).inc()
            return JSONResponse({"taken": 0, "ignored": ignored.reason}, 202)
        await _publish(broker, delivery, routing_key(events), message_id(events[0]))
        return JSONResponse({"taken": len(events)}, 202)

    return router


async def _publish(broker: Broker, delivery: Delivery, key: str, ident: str) -> None:
    try:
        await broker.publish(
            delivery.body,
            routing_key=key,
            content_type=delivery.content_type or "application/fhir+json",
            message_id=ident,
            headers=delivery.headers,
        )
    except PublishFailed:
        raise HTTPException(503, "the broker did not confirm; send the event again", {"Retry-After": "5"}) from None


async def _signed(request: Request, body: bytes, secret: SecretStr | None) -> bool:
    """True for a right signature, 401 for a wrong one, False when there is none to check."""
    given = request.headers.get("x-signature")
    if not secret or given is None:
        return False
    expected = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.removeprefix("sha256=").lower().encode()):
        raise HTTPException(401)
    return True


async def _body(request: Request, limit: int) -> bytes:
    try:
        return await whole_body(request, limit)
    except TooLarge:
        raise HTTPException(413, f"more than {limit} bytes") from None
