"""A document recipient of IHE MHD (Minimal metadata): notes arrive as ITI-65 transactions and in no other way.

What is not valid (`tests/independent.py`) is refused. A transaction is one SubmissionSet (a List) with its DocumentReferences and their Binaries, all of it or nothing. The
attachment names a Binary of the transaction; data inline, `docStatus` and modifier extensions are refused, and ITI-105
(a plain create) is not supported.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, ClassVar

from service.fhir.elements import element, mapping, mappings, string
from tests.ehrs.chart import refuse_stranger
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.notes import now
from tests.ehrs.wire import Asked, Json, Refused, Told
from tests.independent import problems

_SUBMISSION_SET = ("https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "submissionset")
_CREATED = ("Binary", "DocumentReference", "List")
_AT = "DocumentReference."


class MhdRecipient(EmulatedEhr):
    gives_data: ClassVar = False
    system_interactions: ClassVar = ("transaction",)

    def __init__(self, index_lag: float = 0.0) -> None:
        super().__init__(index_lag)
        self.submissions: list[Json] = []
        problems({"resourceType": "Bundle"})  # loads for seconds, when nobody waits for an answer yet

    def transact(self, asked: Asked) -> Told:
        bundle = asked.resource("Bundle")
        entries = list(mappings(bundle, "entry"))
        _refuse_bundle(bundle, entries)
        notes, binaries = _of(entries, "DocumentReference"), _of(entries, "Binary")
        _refuse_submission(_of(entries, "List"), notes)
        for one in notes:
            _refuse_note(one["resource"], {binary.get("fullUrl"): binary["resource"] for binary in binaries})
        return Told(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": self._written(entries)})

    def _written(self, entries: list[Json]) -> list[Json]:
        """Responses in the order of the entries, which are stored so that each refers to what is there."""
        places: dict[str, str] = {}
        for one in (one for kind in _CREATED for one in _of(entries, kind)):
            places[str(one.get("fullUrl"))] = self._stored(_kind(one), one["resource"], places)
        told = {"status": "201 Created", "etag": 'W/"1"', "lastModified": now()}
        return [{"response": {**told, "location": f"{places[str(one.get('fullUrl'))]}/_history/1"}} for one in entries]

    def _stored(self, kind: str, resource: Json, places: dict[str, str]) -> str:
        resource = _resolved(resource, places)
        if kind == "Binary":
            ident = f"b{len(self.binaries) + 1}"
            self.binaries[ident] = (resource["contentType"], base64.b64decode(resource["data"]))
            return f"Binary/{ident}"
        if kind == "List":
            self.submissions.append(resource)
            return f"List/l{len(self.submissions)}"
        return f"DocumentReference/{self.keep(resource)['id']}"


def _kind(entry: Json) -> str:
    return str(element(entry, "resource", "resourceType"))


def _of(entries: list[Json], kind: str) -> list[Json]:
    return [one for one in entries if _kind(one) == kind]


def _resolved(node: Any, places: dict[str, str]) -> Any:
    """With the `urn:uuid:` of this transaction's entries replaced by where they are (FHIR R4 §3.1.0.11.2)."""
    if isinstance(node, dict):
        return {name: _resolved(value, places) for name, value in node.items()}
    if isinstance(node, list):
        return [_resolved(item, places) for item in node]
    return places.get(node, node) if isinstance(node, str) else node


def _refuse_bundle(bundle: Json, entries: list[Json]) -> None:
    """Raises Refused unless it is a valid transaction that creates what it holds, and nothing else is in it."""
    if bundle.get("type") != "transaction" or any(_kind(one) not in _CREATED for one in entries):
        raise Refused(400, "invalid", "Bundle")
    for one in entries:
        if (element(one, "request", "method"), element(one, "request", "url")) != ("POST", _kind(one)):
            raise Refused(400, "invalid", "Bundle.entry.request")
    for resource in (bundle, *(one["resource"] for one in entries)):
        for problem in problems(resource):
            raise Refused(400, "invalid", problem.partition(":")[0])


def _refuse_submission(lists: list[Json], notes: list[Json]) -> None:
    """Raises Refused unless there is one SubmissionSet, which names every document and its source."""
    if len(lists) != 1 or not notes:
        raise Refused(400, "required", "Bundle.entry")
    submission = lists[0]["resource"]
    codes = [(one.get("system"), one.get("code")) for one in mappings(submission, "code", "coding")]
    if _SUBMISSION_SET not in codes or (submission.get("status"), submission.get("mode")) != ("current", "working"):
        raise Refused(400, "value", "List.code")
    if not submission.get("date"):
        raise Refused(400, "required", "List.date")
    if not any(str(one.get("url")).endswith("/ihe-sourceId") for one in mappings(submission, "extension")):
        raise Refused(400, "required", "List.extension")
    named = {string(one, "item", "reference") for one in mappings(submission, "entry")}
    if named != {one.get("fullUrl") for one in notes}:
        raise Refused(400, "value", "List.entry")


def _refuse_note(note: Json, binaries: dict[str | None, Json]) -> None:
    for forbidden in ("docStatus", "modifierExtension"):
        if forbidden in note:
            raise Refused(400, "structure", _AT + forbidden)
    if not string(note, "masterIdentifier", "value") or not string(note, "masterIdentifier", "system"):
        raise Refused(400, "required", f"{_AT}masterIdentifier")
    if note.get("status") != "current":
        raise Refused(400, "value", f"{_AT}status")
    if "subject" in note:
        refuse_stranger(string(note, "subject", "reference"), "Patient", f"{_AT}subject", 400)
    if len(note.get("content", [])) != 1:
        raise Refused(400, "structure", f"{_AT}content")
    attachment = mapping(note, "content", 0, "attachment") or {}
    if "data" in attachment or not attachment.get("contentType"):
        raise Refused(400, "structure", f"{_AT}content.attachment")
    binary = binaries.get(attachment.get("url"))
    if binary is None or not binary.get("contentType") or not _is_base64(binary.get("data")):
        raise Refused(400, "not-found", f"{_AT}content.attachment.url")


def _is_base64(data: object) -> bool:
    try:
        return bool(base64.b64decode(str(data), validate=True))
    except binascii.Error:
        return False
