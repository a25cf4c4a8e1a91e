"""Deliveries that nobody meant to send, seeded: the same seed gives the same ones. Their ids begin with `x`."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

Json = dict[str, Any]
STRANGERS = 40
"""Visits that the mutations are about; some of them are in the EHR."""


@dataclass(frozen=True)
class Publication:
    """`expected` is the ending that its mutation is sure of: a dead letter's reason, `ignored` or `stored`; None where
    it depends on what the mutation hit."""

    body: bytes
    mutation: str
    expected: str | None = None
    routing_key: str = "fhir.Media.update"
    properties: Json = field(default_factory=dict)

    def as_json(self) -> Json:
        return json.loads(self.body)  # type: ignore[no-any-return]

    def but(self, mutation: str, body: bytes | object, expected: str | None = None, **more: Any) -> Publication:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return replace(self, body=raw, mutation=mutation, expected=expected, **more)


class NotText(str):
    """A text that goes over the wire as these bytes."""

    raw: bytes

    def __new__(cls, raw: bytes) -> NotText:
        text = super().__new__(cls, raw.decode("latin-1"))
        text.raw = raw
        return text

    def encode(self, *_: Any, **__: Any) -> bytes:
        return self.raw


class Never(datetime):
    """A moment that goes over the wire as a number which is no date: microseconds, or worse."""

    def timestamp(self) -> float:
        return 2.0**62


def mutations(seed: int, count: int, base: str, max_message: int) -> Iterator[Publication]:
    """Each kind in turn, so that also a short run has all of them."""
    kinds = [*RARE, *Random(seed).sample(FREQUENT * 40, len(FREQUENT) * 40)]
    for number in range(count):
        random = Random(f"{seed}:{number}")
        meant = random.choice(SHAPES)(stranger(random, base), random, base)
        yield kinds[number % len(kinds)](meant, random, max_message)


def stranger(random: Random, base: str) -> Json:
    """An Encounter or Media of a visit of the mutations' own."""
    number, version = random.randrange(STRANGERS), random.randint(1, 4)
    meta = {"versionId": str(version), "lastUpdated": f"2026-01-05T09:0{version}:00Z"}
    own = {"meta": meta, "subject": {"reference": f"Patient/xp{number}"}}
    if random.random() < 0.4:
        return {"resourceType": "Encounter", "id": f"xe{number}", "status": "finished", "class": {"code": "AMB"},
                "period": {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:30:00Z"}, **own}  # fmt: skip
    place = random.choice(["", base + "/"])
    return {"resourceType": "Media", "id": f"xm{number}", "status": "completed", "encounter": {"reference": f"{place}Encounter/xe{number}"},
            "createdDateTime": "2026-01-05T09:00:00Z", "content": {"contentType": "audio/ogg", "url": f"Binary/b-xm{number}"}, **own}  # fmt: skip


# --- shapes: every way in which a resource may come -------------------------------------------------------------------


def publication(body: object, shape: str, **more: Any) -> Publication:
    return Publication(json.dumps(body).encode(), shape, "stored", **more)


def raw(resource: Json, random: Random, base: str) -> Publication:
    return publication(resource, "raw", routing_key=f"fhir.{resource['resourceType']}.update")


def _cloud_event(random: Random, **data: Any) -> Json:
    return {"specversion": "1.0", "id": f"x-{random.getrandbits(64):x}", "source": "urn:fuzz", "type": "x.updated", **data}  # fmt: skip


def structured(resource: Json, random: Random, base: str) -> Publication:
    text = json.dumps(resource)
    data = random.choice([{"data": resource}, {"data": text}, {"data_base64": base64.b64encode(text.encode()).decode()}])  # fmt: skip
    return publication(_cloud_event(random, **data), "structured")


def binary(resource: Json, random: Random, base: str) -> Publication:
    prefix = random.choice(["ce-", "ce_", "cloudEvents:", "cloudEvents_", "CE-"])
    headers = {prefix + name: value for name, value in _cloud_event(random).items()}
    return publication(resource, "binary", properties={"headers": headers})


def hapi(resource: Json, random: Random, base: str) -> Publication:
    version = resource.get("meta", {}).get("versionId")
    name = f"{resource['resourceType']}/{resource['id']}" + (f"/_history/{version}" if version else "")
    payload = {"operationType": "UPDATE", "resourceId": name, "payloadId": name}
    inner = {} if random.random() < 0.2 else {"payload": json.dumps(resource)}
    return publication({"headers": {}, "payload": {**payload, **inner}}, "hapi")


def notification(resource: Json, random: Random, base: str) -> Publication:
    """Parameters or SubscriptionStatus, with the resource or only its name."""
    name, number = f"{resource['resourceType']}/{resource['id']}", str(random.getrandbits(48))
    entry = {"fullUrl": f"{base}/{name}", "request": {"method": "PUT", "url": name}, "resource": resource}
    if random.random() < 0.3:
        del entry["resource"]
    parts = [{"name": "event-number", "valueString": number}, {"name": "focus", "valueReference": {"reference": name}}]
    parameters = [{"name": "subscription", "valueReference": {"reference": "Subscription/x"}}, {"name": "type", "valueCode": "event-notification"},
                  {"name": "notification-event", "part": parts}]  # fmt: skip
    status = {"resourceType": "SubscriptionStatus", "type": "event-notification", "subscription": {"reference": "Subscription/x"},
              "notificationEvent": [{"eventNumber": number, "focus": {"reference": name}}]}  # fmt: skip
    first = random.choice([{"resourceType": "Parameters", "parameter": parameters}, status])
    bundle = {"resourceType": "Bundle", "type": "history", "entry": [{"resource": first}, entry]}
    return publication(random.choice([bundle, {"topic": "x", "value": bundle}]), "notification")


SHAPES = (raw, raw, structured, binary, hapi, notification)

# --- mutations --------------------------------------------------------------------------------------------------------

Mutation = Callable[[Publication, Random, int], Publication]
WRONG: tuple[Any, ...] = (None, True, 0, -1, 1.5, 10**30, 1e300, "", " ", "x" * 5000, "x/../y", "é\U0001f600\u202e", [], [None], [[]], {}, {"reference": {}},
         "#p", "urn:uuid:1", "https://evil.test/fhir/Media/x", "Patient/x", "Encounter/xe0", ["finished"], "2026-13-45", "0" * 70, "x" * 65)  # fmt: skip


def truncated(meant: Publication, random: Random, most: int) -> Publication:
    return meant.but("truncated", meant.body[: random.randrange(len(meant.body))], "not_json")


def flipped(meant: Publication, random: Random, most: int) -> Publication:
    body = bytearray(meant.body)
    for _ in range(random.randint(1, 6)):
        body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return meant.but("flipped", bytes(body))


def spliced(meant: Publication, random: Random, most: int) -> Publication:
    """A piece is missing, doubled, or moved."""
    first, second = sorted(random.randrange(len(meant.body) + 1) for _ in range(2))
    piece, rest = meant.body[first:second], meant.body[:first] + meant.body[second:]
    place = random.randrange(len(rest) + 1)
    return meant.but("spliced", random.choice([rest, meant.body[:second] + piece + meant.body[second:], rest[:place] + piece + rest[place:]]))  # fmt: skip


def not_utf8(meant: Publication, random: Random, most: int) -> Publication:
    place = random.randrange(len(meant.body) + 1)
    return meant.but("not UTF-8", meant.body[:place] + random.choice([b"\xff", b"\xc3", b"\xed\xa0\x80"]) + meant.body[place:], "not_json")  # fmt: skip


def with_control_characters(meant: Publication, random: Random, most: int) -> Publication:
    evil, expected = random.choice([(b"\\ud800", None), (b"\\u0000", "not_fhir"), (b"\x00", "not_json"), (b"\\udfff\\ud800", None)])  # fmt: skip
    sound = {"resourceType": "Media", "id": "xm1", "status": "completed", "note": [{"text": "EVIL"}]}
    return meant.but("control characters", json.dumps(sound).encode().replace(b"EVIL", evil), expected or "not_json")


def nested(meant: Publication, random: Random, most: int) -> Publication:
    levels = random.choice([63, 64, 65, 200, 1000, 5000])
    opened, closed = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    body = meant.body[:-1] + b',"x":' + opened * levels + b"1" + closed * levels + b"}"
    return meant.but("nested", body, None if levels < 66 else "not_json" if levels > 1024 else "not_fhir")


def numbers(meant: Publication, random: Random, most: int) -> Publication:
    number, expected = random.choice([(b"NaN", "not_json"), (b"-Infinity", "not_json"), (b"1e999", "not_json"), (b"1" * 400, "not_json"), (b"-0", None),
        (b"18446744073709551616", None), (b"1e-400", None), (b"01", "not_json"), (b"1.", "not_json")])  # fmt: skip
    return meant.but("numbers", meant.body[:-1] + b',"x":' + number + b"}", expected)


def duplicate_keys(meant: Publication, random: Random, most: int) -> Publication:
    key = random.choice(["id", "status", "resourceType", "encounter", "meta", "subject", "specversion", "payload", "entry", "x"])  # fmt: skip
    extra = json.dumps({key: random.choice(WRONG)}).encode()[1:]
    return meant.but("duplicate keys", meant.body[:-1] + b"," + extra)


def of_a_wrong_type(meant: Publication, random: Random, most: int) -> Publication:
    """Something else, or nothing, at a random path; a resource that travels as text is opened for it."""
    body = meant.as_json()
    for _ in range(random.randint(1, 3)):
        node, key = random.choice(list(_paths(body)) or [({"all": "gone"}, "all")])
        if random.random() < 0.25:
            node.pop(key)
        elif isinstance(node[key], str) and node[key].startswith("{"):
            inner = json.loads(node[key])
            inner[random.choice(sorted(inner))] = random.choice(WRONG)
            node[key] = json.dumps(inner)
        else:
            node[key] = deepcopy(random.choice(WRONG))
    return meant.but("a wrong type", body)


def _paths(node: Any) -> Iterator[tuple[Any, Any]]:
    children = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    for key, child in children:
        yield node, key
        yield from _paths(child)


def odd_ids(meant: Publication, random: Random, most: int) -> Publication:
    ident = random.choice(["", "a/b", "..", ".", "x y", "x\n", "x" * 65, "x" * 4097, "é", "x?y", "x#1", "%2e%2e", "\u0661", 7, None, ["x"]])  # fmt: skip
    body = {"resourceType": random.choice(["Media", "Encounter"]), "id": ident, "status": "completed"}
    return meant.but("odd ids", body, "not_fhir")


def odd_versions(meant: Publication, random: Random, most: int) -> Publication:
    version = random.choice(["", "x" * 65, "9" * 64, "9" * 5000, "\u0663", "-1", "1.0", "W/1", 7, None, {}, "é" * 40])
    updated = random.choice(["", "now", "9999-12-31T23:59:59+00:01", "0001-01-01T00:00:00+14:00", "2026-01-05", 7, "2" * 5000])  # fmt: skip
    body = {"resourceType": "Media", "id": f"xm{random.randrange(STRANGERS)}", "status": "completed", "meta": {"versionId": version, "lastUpdated": updated}}  # fmt: skip
    return meant.but("odd versions", body, "stored")


def of_another_server(meant: Publication, random: Random, most: int) -> Publication:
    there = random.choice(["https://evil.test/fhir", "http://127.0.0.1:1/fhir", "ftp://x", "://", "HTTPS://EVIL.TEST"])
    media = {"resourceType": "Media", "id": "xm1", "status": "completed", "encounter": {"reference": f"{there}/Encounter/xe1"}}  # fmt: skip
    pointer = {"payload": {"operationType": "UPDATE", "payloadId": f"{there}/Media/xm1"}}
    return meant.but("another server", random.choice([media, pointer]), "foreign_base")


def no_object(meant: Publication, random: Random, most: int) -> Publication:
    body = random.choice([[[meant.as_json()]], [7], ["Media/xm1"], "Media/xm1", None, 7, True, [], {}, {"hello": "world"}, {"resourceType": "Bundle"}, {"resourceType": 7}])  # fmt: skip
    return meant.but("no object", body, "not_fhir")


def not_json(meant: Publication, random: Random, most: int) -> Publication:
    body = random.choice([b"", b" ", b"\x00", b"hello", gzip.compress(meant.body, mtime=0), meant.body.decode().encode("utf-16"), b"<Media/>", b"{" * 50,
        random.randbytes(random.randint(1, 300)) + b"\xff", meant.body + b"}", meant.body.replace(b'"', b"'")])  # fmt: skip
    return meant.but("not JSON", body, "not_json")


def not_read(meant: Publication, random: Random, most: int) -> Publication:
    kind = random.choice(["Observation", "Patient", "DocumentReference", "Composition", "MEDIA", "Mediä"])
    return meant.but("not read", {"resourceType": kind, "id": "x1", "status": "final"}, "ignored")


def nothing_notified(meant: Publication, random: Random, most: int) -> Publication:
    kind = random.choice(["handshake", "heartbeat", "event-notification"])
    status = {"resourceType": "SubscriptionStatus", "type": kind, "subscription": {"reference": "Subscription/x"}}
    bundle = {"resourceType": "Bundle", "type": "subscription-notification", "entry": [{"resource": status}]}
    return meant.but("nothing notified", bundle, "ignored", properties={})


def odd_properties(meant: Publication, random: Random, most: int) -> Publication:
    """The body is fine, and what the transport says about it is not."""
    odd: Json = random.choice([
        {"content_type": "text/plain; charset=utf-16"}, {"content_type": ""}, {"content_type": NotText(b"\xff" * 90)}, {"message_id": NotText(b"x\xfe")},
        {"content_encoding": "gzip"}, {"priority": 255}, {"type": NotText(b"\x80")}, {"app_id": "x" * 255}, {"timestamp": Never(2026, 1, 1, tzinfo=UTC)},
        {"reply_to": "x" * 255}, {"correlation_id": "\x00\n"}, {"message_id": ""}, {"message_id": "x\r\ny: z"},
    ])  # fmt: skip
    return meant.but("odd properties", meant.body, meant.expected, properties={**meant.properties, **odd})


def odd_headers(meant: Publication, random: Random, most: int) -> Publication:
    deep: Any = {"x": "y"}
    for _ in range(random.choice([3, 60, 250])):
        deep = {"x": deep}
    value = random.choice([NotText(b"\xff\xfe"), 1.5, -0.0, None, True, 2**62, -1, [], [1, [2, None]], {"t": {"u": 1.5}}, deep, bytearray(b"\xff\x00"),
        "x\x00y", "é" * 4000, datetime(2026, 1, 1, tzinfo=UTC), Never(2026, 1, 1, tzinfo=UTC), "\r\nx-evil: 1"])  # fmt: skip
    name = random.choice(
        ["x", "X" * 127, "", "é" * 60, NotText(b"x\xff"), "content-type", "x-ambient-reason", "x-death"]
    )
    headers = {**meant.properties.get("headers", {}), name: value}
    return meant.but("odd headers", meant.body, meant.expected, properties={"headers": headers})


def odd_cloud_events(meant: Publication, random: Random, most: int) -> Publication:
    value = random.choice([1.5, None, True, 7, [], {"a": 1}, "", "x\n", "x\x00", "x" * 5000, "é" * 600, "a.deleted"])
    attributes = _cloud_event(random, data={"resourceType": "Media", "id": "xm1", "status": "completed"})
    attributes[random.choice([*attributes, "subject", "data_base64"])] = value
    return meant.but("odd CloudEvents", attributes, properties={})


def odd_cloud_events_in_headers(meant: Publication, random: Random, most: int) -> Publication:
    value = random.choice([NotText(b"\xff"), 1.5, None, True, [], {"a": 1}, "", "x\n", "x\x00", "x" * 5000, "a.deleted", bytearray(b"\xff")])  # fmt: skip
    attributes = _cloud_event(random)
    attributes[random.choice([*attributes, "subject"])] = value
    headers = {f"ce-{name}": one for name, one in attributes.items()}
    return meant.but("odd CloudEvents in headers", meant.body, properties={"headers": headers})


def odd_routing(meant: Publication, random: Random, most: int) -> Publication:
    key = random.choice(["fhir.Media.delete", "fhir.Encounter.DELETE", "fhir.Media", "fhir.Media." + "x" * 200, NotText(b"fhir.Media.\xff"), "fhir.Encounter.a.b.c", "fhir.Media.\n"])  # fmt: skip
    return meant.but("odd routing", meant.body, routing_key=key)


def enormous(meant: Publication, random: Random, most: int) -> Publication:
    junk = random.choice([b"\x00\xff", b"[1],", b'{"a":', b"x"])
    return meant.but("enormous", (junk * (most // len(junk) + 2))[: most + random.randint(1, 4096)], "too_large")


def thousands_of_entries(meant: Publication, random: Random, most: int) -> Publication:
    """Nearly as many as fit: about types that are not read, about one Media, or about nothing."""
    entry, expected = random.choice([({"resource": {"resourceType": "Observation", "id": "x1"}}, "ignored"), ({"a": 1}, "ignored"),
        ({"resource": {"resourceType": "Media", "id": "xm1", "status": "completed"}}, "stored")])  # fmt: skip
    count = min(most // (len(json.dumps(entry)) + 2) - 20, 150 if expected == "stored" else 10**6)
    return meant.but("thousands of entries", {"resourceType": "Bundle", "type": "history", "entry": [entry] * count}, expected, properties={}, routing_key="fhir.Media.update")  # fmt: skip


def hundreds_of_visits(meant: Publication, random: Random, most: int) -> Publication:
    """More events than one commit takes."""
    foci = [{"eventNumber": number, "focus": {"reference": f"Encounter/xb{number}"}} for number in range(random.randint(60, 120))]  # fmt: skip
    status = {"resourceType": "SubscriptionStatus", "type": "event-notification", "subscription": {"reference": f"Subscription/{random.random()}"}, "notificationEvent": foci}  # fmt: skip
    return meant.but("hundreds of visits", {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}, "stored", properties={}, routing_key="fhir.Encounter.update")  # fmt: skip


FREQUENT: tuple[Mutation, ...] = (
    truncated, flipped, spliced, not_utf8, with_control_characters, nested, numbers, duplicate_keys, of_a_wrong_type, of_a_wrong_type, odd_ids, odd_versions,
    of_another_server, no_object, not_json, not_read, nothing_notified, odd_properties, odd_headers, odd_cloud_events, odd_cloud_events_in_headers, odd_routing,
)  # fmt: skip
RARE: tuple[Mutation, ...] = (enormous, thousands_of_entries, hundreds_of_visits)
