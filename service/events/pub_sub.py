"""Google Cloud Healthcare's notifications: a Pub/Sub message whose data names a FHIR resource, or holds it.

Source: "FHIR Pub/Sub notifications" (cloud.google.com/healthcare-api/docs/fhir-pubsub). As pushed or pulled it is
wrapped in `message` and its data is base64; a bridge to AMQP may set the attributes as headers and the data as the body.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from service.errors import Rejected
from service.events.event import Event, Origin, from_pointer, from_resource
from service.events.operations import named_operation
from service.events.parsing import parse_object
from service.fhir.elements import Json, mapping, string

_NAME = re.compile(r"(?P<store>projects/[^/]+/locations/[^/]+/datasets/[^/]+/fhirStores/[^/]+)/fhir/(?P<type>\w+)/(?P<id>[^/]+)(?:/_history/[^/]+)?", re.ASCII)  # fmt: skip
_RFC_1123 = "%a, %d %b %Y %H:%M:%S %Z"
_LONGEST = 4096


def pub_sub_message(body: Json) -> Json | None:
    """The message in a push, a pull, or alone; None when the body is none of this service."""
    message = mapping(body, "message") or body
    attributes = mapping(message, "attributes")
    return message if string(attributes, "action") and string(attributes, "payloadType") else None


def from_message(message: Json, origin: Origin) -> Event:
    """Raises Ignored, Rejected."""
    data = message.get("data")
    try:
        content = base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except ValueError:
        raise Rejected("not_fhir", "a Pub/Sub message whose data is not base64") from None
    return from_data(_lowered(mapping(message, "attributes") or {}), content, origin)


def attributes_in(headers: Mapping[str, str]) -> Mapping[str, str] | None:
    """The message's attributes among headers; None when they are not there."""
    lowered = _lowered(headers)
    return lowered if {"action", "payloadtype", "storename"} <= lowered.keys() else None


def from_data(attributes: Mapping[str, str], data: bytes, origin: Origin) -> Event:
    """`attributes` by their names in lower case. Raises Ignored, Rejected."""
    _refuse_elsewhere(attributes.get("storename"), origin.base)
    origin = replace(origin, operation=named_operation(attributes["action"]) or origin.operation)
    if attributes["payloadtype"] == "FullResource":
        return from_resource(parse_object(data), origin)
    name = _NAME.fullmatch(data[:_LONGEST].decode("utf-8", "replace"))
    if name is None:
        raise Rejected("not_fhir", "a Pub/Sub message that names no FHIR resource")
    _refuse_elsewhere(name["store"], origin.base)
    updated = _moment(attributes.get("lastupdatedtime"))
    return from_pointer(name["type"], name["id"], attributes.get("versionid"), origin, updated)


def _lowered(attributes: Mapping[str, object]) -> dict[str, str]:
    return {name.lower(): value for name, value in attributes.items() if isinstance(value, str) and value}


def _refuse_elsewhere(store: str | None, base: str) -> None:
    """The store's name is the end of its base URL: `https://healthcare.googleapis.com/v1/<name>/fhir`."""
    if store and not base.rstrip("/").endswith(f"/{store}/fhir"):
        raise Rejected("foreign_base", "the resource is in another Google FHIR store")


def _moment(text: str | None) -> str | None:
    """From RFC 1123 to a FHIR instant."""
    if not text or not text.endswith(("GMT", "UTC")):
        return None
    try:
        return datetime.strptime(text, _RFC_1123).replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    except ValueError:
        return None
