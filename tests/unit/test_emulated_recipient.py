"""What the emulated document recipient of IHE MHD takes, and what an EHR in bad weather does (`tests/ehrs`)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.ehrs.epic import Epic
from tests.ehrs.flaky import Flaky, evenly
from tests.ehrs.mhd import MhdRecipient
from tests.ehrs.serving import serving
from tests.ehrs.wire import BASE, FHIR_JSON, Json
from tests.unit.test_emulated_ehrs import IDENTIFIER, NOTE, TEXT, client_of, create, found, refused

# --- MHD -------------------------------------------------------------------------------------------------------------------

MHD_NOTE: Json = {
    **{name: value for name, value in NOTE.items() if name != "docStatus"},
    "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:6f0e3f0e-3a5d-4b5e-9a2f-0a54a0f1c2d3"},
    "content": [{"attachment": {"contentType": "text/plain", "url": "urn:uuid:b"}}],
}
SUBMISSION: Json = {
    "resourceType": "List", "status": "current", "mode": "working", "date": "2026-01-05T09:40:00Z",
    "code": {"coding": [{"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset"}]},
    "extension": [{"url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId", "valueIdentifier": {"value": "urn:oid:1.2.3"}}],
    "entry": [{"item": {"reference": "urn:uuid:d"}}],
}  # fmt: skip


def published(note: Json = MHD_NOTE, submission: Json = SUBMISSION, kind: str = "transaction") -> Json:
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": TEXT}
    entries = [("l", submission), ("d", note), ("b", binary)]
    return {"resourceType": "Bundle", "type": kind, "entry": [
        {"fullUrl": f"urn:uuid:{name}", "resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for name, one in entries
    ]}  # fmt: skip


async def test_mhd_takes_a_transaction_and_says_where_each_of_it_is() -> None:
    async with client_of(ehr := MhdRecipient()) as http:
        answer = await http.post("", json=published())
    assert (answer.status_code, answer.json()["type"]) == (200, "transaction-response")
    told = [entry["response"] for entry in answer.json()["entry"]]
    assert [one["location"] for one in told] == ["List/l1/_history/1", "DocumentReference/n1/_history/1", "Binary/b1/_history/1"]  # fmt: skip
    assert {one["status"] for one in told} == {"201 Created"}
    assert ehr.text_of("n1") == "A note."
    assert ehr.submissions[0]["entry"] == [{"item": {"reference": "DocumentReference/n1"}}]
    for identifier in (MHD_NOTE["masterIdentifier"], IDENTIFIER):
        (note,) = await found(ehr, {"identifier": f"{identifier['system']}|{identifier['value']}"})
        assert note["content"][0]["attachment"]["url"] == "Binary/b1"


async def test_mhd_takes_no_plain_create() -> None:
    assert refused(await create(MhdRecipient(), MHD_NOTE), 405)


@pytest.mark.parametrize(
    "bundle",
    [
        published({**MHD_NOTE, "docStatus": "preliminary"}),
        published({**MHD_NOTE, "modifierExtension": []}),
        published({name: value for name, value in MHD_NOTE.items() if name != "masterIdentifier"}),
        published({**MHD_NOTE, "content": NOTE["content"]}),
        published({**MHD_NOTE, "content": [{"attachment": {"contentType": "text/plain", "url": "urn:uuid:x"}}]}),
        published(submission={**SUBMISSION, "entry": []}),
        published(submission={**SUBMISSION, "code": {"text": "submissionset"}}),
        published(submission={**SUBMISSION, "extension": []}),
        published(submission={name: value for name, value in SUBMISSION.items() if name != "date"}),
        published(kind="batch"),
        {**published(), "entry": published()["entry"][:2]},
        {**published(), "entry": published()["entry"][1:]},
    ],
)
async def test_mhd_refuses_the_whole_transaction(bundle: Json) -> None:
    async with client_of(ehr := MhdRecipient()) as http:
        assert (await http.post("", json=bundle)).status_code in (400, 422)
    assert (ehr.notes, ehr.binaries, ehr.submissions) == ({}, {}, [])


# --- bad weather -----------------------------------------------------------------------------------------------------------


async def post(http: httpx.AsyncClient) -> httpx.Response | type[Exception]:
    """The answer, or how it was lost. httpx waits for each byte anew."""
    try:
        async with asyncio.timeout(0.25):
            return await http.post("DocumentReference", json=NOTE)
    except (TimeoutError, httpx.TimeoutException):
        return TimeoutError
    except httpx.TransportError:
        return httpx.TransportError


@pytest.mark.parametrize(
    ("kind", "seen", "is_done"),
    [("busy", (429, 503), False), ("html", (502, 503), False), ("done_html", (502, 503), True), ("done_dribble", TimeoutError, True),
     ("done_cut", httpx.TransportError, True), ("done_hang", TimeoutError, True), ("done_fail", (500, 502, 503, 504), True),
     ("close", httpx.TransportError, False), ("fail", (500, 503), False)],
)  # fmt: skip
async def test_what_a_flaky_ehr_does(kind: str, seen: Any, is_done: bool) -> None:
    flaky = Flaky(ehr := Epic(), reads={}, writes={kind: 1.0}, hang=0.6)
    async with serving(flaky) as url, httpx.AsyncClient(base_url=f"{url}{BASE}/", timeout=0.1) as http:
        http.headers["Content-Type"] = FHIR_JSON
        answer = await post(http)
        if isinstance(answer, httpx.Response):
            assert answer.status_code in seen
            assert ("Retry-After" in answer.headers) is (kind == "busy") or kind == "fail"
            assert (b"<html>" in answer.content) is (kind in ("html", "done_html"))
        else:
            assert issubclass(answer, seen)
        assert (await http.get("metadata")).status_code == 200
        flaky.heal()
        await http.post("DocumentReference", json=NOTE)
    assert len(ehr.notes) == 1 + is_done
    assert flaky.stats()["faults"] == {kind: 1}


def test_faults_are_shared_out_evenly() -> None:
    assert set(evenly(0.22).values()) == {0.02}
