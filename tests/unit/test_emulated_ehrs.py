"""What the emulated EHRs of `tests/ehrs` take, refuse, keep and tell, as a plain HTTP client sees it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.ehrs.chart import PRACTITIONER, visit_name
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.epic import Epic
from tests.ehrs.mhd import MhdRecipient
from tests.ehrs.oracle_health import OracleHealth
from tests.ehrs.strict_r4 import StrictR4
from tests.ehrs.wire import FHIR_JSON, Json

VISIT = visit_name(1)
TEXT = base64.b64encode(b"A note.").decode()
IDENTIFIER = {"system": "urn:ambient-fhir:note", "value": "n-1"}
CONDITION = {"If-None-Exist": "identifier=urn%3Aambient-fhir%3Anote%7Cn-1"}
BY_IDENTIFIER = {"identifier": "urn:ambient-fhir:note|n-1"}
AIAST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
NOTE: Json = {
    "resourceType": "DocumentReference", "meta": {"security": [AIAST]}, "identifier": [IDENTIFIER], "status": "current", "docStatus": "final",
    "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]}, "subject": {"reference": f"Patient/p-{VISIT}"},
    "date": "2026-01-05T09:40:00Z", "author": [{"reference": f"Practitioner/{PRACTITIONER}"}], "description": "AI-drafted",
    "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": TEXT}}],
    "context": {"encounter": [{"reference": f"Encounter/{VISIT}"}], "period": {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:20:00Z"}},
}  # fmt: skip
OF_VISIT = {
    "patient": f"Patient/p-{VISIT}",
    "encounter": VISIT,
    "type": "http://loinc.org|11506-3",
    "date": "ge2026-01-05",
}


@asynccontextmanager
async def client_of(ehr: EmulatedEhr) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
    transport = httpx.ASGITransport(ehr)
    async with httpx.AsyncClient(transport=transport, base_url=ehr.base_url + "/", headers=headers) as http:
        yield http


async def create(ehr: EmulatedEhr, note: Json = NOTE, headers: Mapping[str, str] | None = None) -> httpx.Response:
    async with client_of(ehr) as http:
        return await http.post("DocumentReference", json=note, headers=headers)


async def found(ehr: EmulatedEhr, query: Mapping[str, str], **headers: str) -> list[Json]:
    async with client_of(ehr) as http:
        answer = await http.get("DocumentReference", params=dict(query), headers=headers)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


async def read(ehr: EmulatedEhr, path: str) -> httpx.Response:
    async with client_of(ehr) as http:
        return await http.get(path)


def without(*path: str | int) -> Json:
    """The note without the element at the path."""
    import copy

    note: Any = copy.deepcopy(NOTE)
    here = note
    for part in path[:-1]:
        here = here[part]
    del here[path[-1]]
    return note  # type: ignore[no-any-return]


def refused(answer: httpx.Response, status: int, expression: str | None = None, vendor: str | None = None) -> bool:
    issue = answer.json()["issue"][0]
    coded = issue.get("details", {}).get("coding", [{}])[0].get("code")
    said = answer.status_code, issue["severity"], issue.get("expression", [None])[0], coded
    return said == (status, "error", f"DocumentReference.{expression}" if expression else None, vendor)


EVERY = [StrictR4, Epic, OracleHealth, MhdRecipient]


@pytest.mark.parametrize("kind", EVERY)
async def test_each_has_the_chart_of_a_visit(kind: type[EmulatedEhr]) -> None:
    for reference in (f"Patient/p-{VISIT}", f"Encounter/{VISIT}", f"Media/{VISIT}-1", f"Practitioner/{PRACTITIONER}"):
        resource = (await read(kind(), reference)).json()
        assert f"{resource['resourceType']}/{resource['id']}" == reference
    assert (await read(kind(), f"Binary/{VISIT}-1")).content.startswith(b"OggS")
    for stranger in ("Patient/p-1", f"Patient/{VISIT}", f"Device/{VISIT}", "DocumentReference/n1", "Nothing"):
        assert (await read(kind(), stranger)).status_code == 404


@pytest.mark.parametrize(("kind", "conditional", "by_identifier", "update"), [(StrictR4, True, True, True), (Epic, False, False, False), (OracleHealth, False, False, True), (MhdRecipient, False, True, False)])  # fmt: skip
async def test_each_says_what_it_can(
    kind: type[EmulatedEhr], conditional: bool, by_identifier: bool, update: bool
) -> None:
    statement = (await read(kind(), "metadata")).json()
    notes = next(one for one in statement["rest"][0]["resource"] if one["type"] == "DocumentReference")
    assert notes["conditionalCreate"] is conditional
    assert ("identifier" in {one["name"] for one in notes["searchParam"]}) is by_identifier
    can = {one["code"] for one in notes["interaction"]}
    assert ("update" in can, "create" in can) == (update, kind is not MhdRecipient)
    assert ({"code": "transaction"} in statement["rest"][0]["interaction"]) is (kind is MhdRecipient)


# --- strict R4 -----------------------------------------------------------------------------------------------------------


async def test_strict_r4_creates_conditionally() -> None:
    ehr = StrictR4(index_lag=60)
    answers = [await create(ehr, headers=CONDITION) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    for answer in answers:
        assert answer.headers["Location"] == f"{ehr.base_url}/DocumentReference/n1/_history/1"
        assert answer.headers["ETag"] == 'W/"1"'
        assert answer.json()["id"] == "n1"
    await create(ehr)
    assert refused(await create(ehr, headers=CONDITION), 412)
    assert len(ehr.notes) == 2


async def test_strict_r4_answers_with_nothing_but_headers_where_that_is_preferred() -> None:
    assert (await create(StrictR4(), headers={"Prefer": "return=minimal"})).content == b""


@pytest.mark.parametrize(
    ("note", "status"),
    [(without("status"), 422), ({**NOTE, "unknown": 1}, 422), (without("content"), 422), ({**NOTE, "status": "draft"}, 422),
     ({**NOTE, "subject": {"reference": "Patient/stranger"}}, 422), ({**NOTE, "author": [{"reference": "Encounter/1"}]}, 422),
     ({**NOTE, "date": "yesterday"}, 422), ({**NOTE, "resourceType": "Observation"}, 400)],
)  # fmt: skip
async def test_strict_r4_refuses_what_is_not_valid(note: Json, status: int) -> None:
    answer = await create(ehr := StrictR4(), note)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert not ehr.notes


async def test_strict_r4_updates_the_version_that_is_named() -> None:
    ehr = StrictR4()
    note = (await create(ehr)).json() | {"status": "entered-in-error"}
    async with client_of(ehr) as http:
        assert refused(await http.put("DocumentReference/n1", json=note, headers={"If-Match": 'W/"7"'}), 412)
        changed = await http.put("DocumentReference/n1", json=note, headers={"If-Match": 'W/"1"'})
    assert (changed.status_code, changed.headers["ETag"], changed.json()["status"]) == (200, 'W/"2"', "entered-in-error")  # fmt: skip


async def test_strict_r4_finds_by_identifier_once_its_index_knows() -> None:
    ehr = StrictR4(index_lag=0.05)
    await create(ehr)
    assert await found(ehr, BY_IDENTIFIER) == []
    await asyncio.sleep(0.06)
    (note,) = await found(ehr, BY_IDENTIFIER)
    assert note["content"] == NOTE["content"]
    assert await found(ehr, {"identifier": "urn:ambient-fhir:note|n-2"}) == []


async def test_a_search_comes_in_pages() -> None:
    ehr = StrictR4()
    for _ in range(5):
        await create(ehr)
    async with client_of(ehr) as http:
        first = (await http.get("DocumentReference", params={**OF_VISIT, "_count": "3"})).json()
        links = {link["relation"]: link["url"] for link in first["link"]}
        second = (await http.get(links["next"])).json()
    assert [entry["resource"]["id"] for entry in first["entry"] + second["entry"]] == ["n1", "n2", "n3", "n4", "n5"]
    assert all(link["relation"] != "next" for link in second["link"])


@pytest.mark.parametrize(
    ("date", "is_found"),
    [("2026-01-05", True), ("2026-01", True), ("2026-01-06", False), ("ge2026-01-05T09:40:00Z", True), ("ge2026-01-05T09:40:01Z", False),
     ("gt2026-01-05", False), ("le2026-01-05", True), ("lt2026-01-05", False), ("lt2026-01-05T10:41:00+01:00", True)],
)  # fmt: skip
async def test_a_search_by_date(date: str, is_found: bool) -> None:
    await create(ehr := StrictR4())
    assert bool(await found(ehr, {"date": date})) is is_found


# --- Epic -----------------------------------------------------------------------------------------------------------------


async def test_epic_takes_no_notice_of_a_condition_and_makes_a_second_note() -> None:
    ehr = Epic()
    answers = [await create(ehr, headers={**CONDITION, "Prefer": "return=minimal"}) for _ in range(2)]
    assert [(a.status_code, a.content, a.headers["Location"]) for a in answers] == [(201, b"", f"DocumentReference/n{n}") for n in (1, 2)]  # fmt: skip
    assert "ETag" not in answers[0].headers
    assert ehr.standing() == {f"Encounter/{VISIT}": ["n1", "n2"]}


async def test_epic_keeps_the_first_attachment_and_neither_identifier_nor_label() -> None:
    content = [*NOTE["content"], {"attachment": {"contentType": "text/plain", "data": "AAAA"}}]
    ehr = Epic()
    await create(ehr, {**NOTE, "content": content})
    (note,) = await found(ehr, OF_VISIT)
    assert "identifier" not in note
    assert "security" not in note["meta"]
    assert "description" not in note
    (attachment,) = [one["attachment"] for one in note["content"]]
    assert "data" not in attachment
    assert (await read(ehr, attachment["url"])).json()["data"] == TEXT
    assert ehr.text_of("n1") == "A note."


async def test_epic_answers_a_search_by_identifier_with_everything() -> None:
    await create(ehr := Epic())
    assert len(await found(ehr, {"identifier": "urn:ambient-fhir:note|another"})) == 1
    async with client_of(ehr) as http:
        answer = await http.get("DocumentReference", params=BY_IDENTIFIER)
        assert "identifier" not in answer.json()["link"][0]["url"]
        strict = await http.get("DocumentReference", params=BY_IDENTIFIER, headers={"Prefer": "handling=strict"})
    assert refused(strict, 400)


async def test_epic_finds_by_patient_encounter_type_and_date() -> None:
    await create(ehr := Epic())
    assert len(await found(ehr, OF_VISIT)) == 1
    for other in ({"patient": "p-visit-000002"}, {"encounter": "visit-000002"}, {"type": "http://loinc.org|34109-9"}, {"date": "ge2026-01-06"}):  # fmt: skip
        assert await found(ehr, OF_VISIT | other) == []


@pytest.mark.parametrize(
    ("note", "expression", "code"),
    [
        (without("context", "encounter"), "context.encounter", "59108"),
        ({**NOTE, "context": {"encounter": [{"reference": "Encounter/9"}]}}, "context.encounter", "59108"),
        (without("subject"), "subject", "59108"),
        (without("type"), "type", "59108"),
        (without("content", 0, "attachment", "data"), "content.attachment", "59108"),
        ({**NOTE, "status": "superseded"}, "status", "59012"),
        ({**NOTE, "docStatus": "amended"}, "docStatus", "59012"),
        (
            {**NOTE, "content": [{"attachment": {"contentType": "text/html", "data": TEXT}}]},
            "content.attachment.contentType",
            "59012",
        ),
    ],
)
async def test_epic_refuses_with_a_code_of_its_own(note: Json, expression: str, code: str) -> None:
    answer = await create(ehr := Epic(), note)
    assert refused(answer, 400, expression, code)
    assert not ehr.notes


async def test_epic_neither_updates_nor_takes_transactions() -> None:
    await create(ehr := Epic())
    async with client_of(ehr) as http:
        assert refused(await http.put("DocumentReference/n1", json=NOTE), 405)
        assert refused(await http.post("", json={"resourceType": "Bundle"}), 405)


# --- Oracle Health -------------------------------------------------------------------------------------------------------


async def test_oracle_answers_with_nothing_but_headers_and_drops_what_it_does_not_know() -> None:
    ehr = OracleHealth()
    answers = [await create(ehr, headers=CONDITION) for _ in range(2)]
    assert [(a.status_code, a.content, a.headers["ETag"]) for a in answers] == [(201, b"", 'W/"1"')] * 2
    assert answers[1].headers["Location"] == f"{ehr.base_url}/DocumentReference/n2"
    note = (await found(ehr, OF_VISIT))[0]
    assert not note.keys() & {"identifier", "description"}
    assert "security" not in note["meta"]
    assert "url" in note["content"][0]["attachment"]


async def test_oracle_knows_no_search_by_identifier() -> None:
    async with client_of(OracleHealth()) as http:
        assert refused(await http.get("DocumentReference", params=BY_IDENTIFIER), 400)


@pytest.mark.parametrize(
    ("note", "expression"),
    [
        ({**NOTE, "docStatus": "preliminary"}, "docStatus"),
        (without("docStatus"), "docStatus"),
        (without("author"), "author"),
        ({**NOTE, "author": [{"reference": "Device/d1"}]}, "author"),
        ({**NOTE, "author": [*NOTE["author"], {"type": "Device", "identifier": {"value": "d"}}]}, "author"),
        (without("context", "period", "end"), "context.period.end"),
        (without("type"), "type"),
        ({**NOTE, "date": "2026-01-05"}, "date"),
        ({**NOTE, "modifierExtension": []}, "modifierExtension"),
        ({**NOTE, "implicitRules": "x"}, "implicitRules"),
        ({**NOTE, "content": NOTE["content"] * 2}, "content"),
        (
            {**NOTE, "content": [{"attachment": {"contentType": "text/plain", "data": TEXT}}]},
            "content.attachment.contentType",
        ),
    ],
)
async def test_oracle_refuses(note: Json, expression: str) -> None:
    answer = await create(ehr := OracleHealth(), note)
    assert refused(answer, 422, expression)
    assert not ehr.notes


async def test_oracle_answers_a_stale_change_with_409() -> None:
    await create(ehr := OracleHealth())
    wrong = {**NOTE, "status": "entered-in-error"}
    async with client_of(ehr) as http:
        assert refused(await http.put("DocumentReference/n1", json=wrong, headers={"If-Match": 'W/"2"'}), 409)
        assert refused(await http.put("DocumentReference/n1", json=wrong), 400)
        assert (await http.put("DocumentReference/n1", json=wrong, headers={"If-Match": 'W/"1"'})).status_code == 200
    assert ehr.standing() == {}
