"""Create, update, delete, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from adapters.database.database import Database
from adapters.database.sandbox_store import SqlSandboxStore
from service.sandbox.ports import Draft, Token

BASE = "http://ehr.test/sandbox/fhir/R4"
SAME = {"If-None-Exist": "identifier=urn%3Aambient-fhir%3Anote%7C3f0c"}
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Musterfrau"}]}


def issue_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/fhir+json"
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return dict(outcome["issue"][0])


async def test_a_created_resource_is_told_where_it_is_and_reads_back_as_sent(ehr: httpx.AsyncClient, note: Any) -> None:
    created = await ehr.post("/DocumentReference", json=note)
    assert created.status_code == 201
    stored = created.json()
    assert created.headers["location"] == f"{BASE}/DocumentReference/{stored['id']}/_history/1"
    assert created.headers["etag"] == 'W/"1"'
    assert created.headers["last-modified"].endswith("GMT")

    read = await ehr.get(f"/DocumentReference/{stored['id']}")
    body = read.json()
    meta = body.pop("meta")
    assert meta["versionId"] == "1"
    assert meta["lastUpdated"].endswith("Z")
    assert body.pop("id") == stored["id"]
    assert body == note
    assert list(body) == list(note)  # the order of elements, too


async def test_an_id_and_meta_sent_with_a_create_do_not_decide_but_security_labels_stay(
    ehr: httpx.AsyncClient, note: Any
) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
    sent = note | {"id": "mine", "meta": {"versionId": "7", "security": [label]}}
    stored = (await ehr.post("/DocumentReference", json=sent)).json()
    assert stored["id"] != "mine"
    assert stored["meta"]["versionId"] == "1"
    assert stored["meta"]["security"] == [label]


async def test_a_conditional_create_writes_once_and_refuses_when_two_match(ehr: httpx.AsyncClient, note: Any) -> None:
    first = await ehr.post("/DocumentReference", json=note, headers=SAME)
    again = await ehr.post("/DocumentReference", json=note | {"description": "other"}, headers=SAME)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]

    await ehr.post("/DocumentReference", json=note)
    several = await ehr.post("/DocumentReference", json=note, headers=SAME)
    assert several.status_code == 412
    assert issue_of(several)["code"] == "multiple-matches"


async def test_a_hundred_creates_at_once_under_one_condition_leave_one_resource(
    ehr: httpx.AsyncClient, note: Any
) -> None:
    answers = await asyncio.gather(*(ehr.post("/DocumentReference", json=note, headers=SAME) for _ in range(100)))
    assert sorted(answer.status_code for answer in answers) == [200] * 99 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await ehr.get("/DocumentReference")).json()["total"] == 1


async def test_a_deleted_resource_does_not_stand_in_the_way_of_a_conditional_create(
    ehr: httpx.AsyncClient, note: Any
) -> None:
    first = (await ehr.post("/DocumentReference", json=note, headers=SAME)).json()
    await ehr.delete(f"/DocumentReference/{first['id']}")
    assert (await ehr.post("/DocumentReference", json=note, headers=SAME)).status_code == 201


@pytest.mark.parametrize("condition", ["", "?identifier=x", "DocumentReference?identifier=x", "foo=1", "identifier="])
async def test_a_condition_that_cannot_be_checked_is_refused_and_nothing_written(
    ehr: httpx.AsyncClient, note: Any, condition: str
) -> None:
    answer = await ehr.post("/DocumentReference", json=note, headers={"If-None-Exist": condition})
    assert answer.status_code == 400
    assert (await ehr.get("/DocumentReference")).json()["total"] == 0


async def test_an_update_creates_with_the_clients_id_and_then_counts_versions(ehr: httpx.AsyncClient) -> None:
    assert (await ehr.put("/Patient/p1", json=PATIENT)).status_code == 201
    changed = await ehr.put("/Patient/p1", json=PATIENT | {"gender": "female"})
    assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
    assert "gender" not in (await ehr.get("/Patient/p1/_history/1")).json()
    assert (await ehr.get("/Patient/p1/_history/2")).json()["gender"] == "female"
    for version in ("3", "0", "x"):
        assert (await ehr.get(f"/Patient/p1/_history/{version}")).status_code == 404


async def test_a_stale_version_changes_nothing(ehr: httpx.AsyncClient) -> None:
    assert (await ehr.put("/Patient/p1", json=PATIENT, headers={"If-Match": 'W/"1"'})).status_code == 412
    await ehr.put("/Patient/p1", json=PATIENT)
    await ehr.put("/Patient/p1", json=PATIENT, headers={"If-Match": 'W/"1"'})
    stale = await ehr.put("/Patient/p1", json=PATIENT | {"active": False}, headers={"If-Match": 'W/"1"'})
    assert stale.status_code == 412
    assert issue_of(stale)["code"] == "conflict"
    assert (await ehr.delete("/Patient/p1", headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await ehr.put("/Patient/p1", json=PATIENT, headers={"If-Match": "two"})).status_code == 400
    assert "active" not in (await ehr.get("/Patient/p1")).json()


async def test_of_twenty_updates_of_one_version_one_succeeds(ehr: httpx.AsyncClient) -> None:
    await ehr.put("/Patient/p1", json=PATIENT)
    header = {"If-Match": 'W/"1"'}
    answers = await asyncio.gather(*(ehr.put("/Patient/p1", json=PATIENT, headers=header) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19


async def test_what_is_deleted_is_gone_until_it_is_put_again(ehr: httpx.AsyncClient) -> None:
    assert (await ehr.get("/Patient/p1")).status_code == 404
    assert (await ehr.delete("/Patient/p1")).status_code == 204
    await ehr.put("/Patient/p1", json=PATIENT)
    assert (await ehr.delete("/Patient/p1")).status_code == 204
    gone = await ehr.get("/Patient/p1")
    assert gone.status_code == 410
    assert issue_of(gone)["code"] == "deleted"
    assert (await ehr.get("/Patient/p1/_history/2")).status_code == 410
    assert (await ehr.get("/Patient/p1/_history/1")).status_code == 200
    assert (await ehr.get("/Patient?_id=p1")).json()["total"] == 0
    back = await ehr.put("/Patient/p1", json=PATIENT)
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')


async def test_prefer_decides_what_a_write_answers(ehr: httpx.AsyncClient) -> None:
    minimal = await ehr.put("/Patient/p1", json=PATIENT, headers={"Prefer": "respond-async, return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert minimal.headers["location"].endswith("/Patient/p1/_history/1")
    outcome = await ehr.put("/Patient/p1", json=PATIENT, headers={"Prefer": "return=OperationOutcome"})
    assert issue_of(outcome)["severity"] == "information"
    full = await ehr.put("/Patient/p1", json=PATIENT, headers={"Prefer": "return=representation"})
    assert full.json()["resourceType"] == "Patient"


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status", "code"),
    [
        ("POST", "/Patient", b"{", "application/fhir+json", 400, "structure"),
        ("POST", "/Patient", b"[1]", "application/json", 400, "structure"),
        ("POST", "/Patient", b"", "application/json", 400, "structure"),
        ("POST", "/Patient", b'{"resourceType":"Media"}', "application/json", 400, "invalid"),
        ("POST", "/Patient", b'{"id":"x"}', "application/json", 400, "invalid"),
        ("PUT", "/Patient/a", b'{"resourceType":"Patient","id":"b"}', "application/json", 400, "invalid"),
        ("PUT", "/Patient/a", b'{"resourceType":"Patient"}', "application/json", 400, "invalid"),
        ("PUT", "/Patient/a_b", b'{"resourceType":"Patient","id":"a_b"}', "application/json", 400, "value"),
        ("POST", "/Patient", b"<Patient/>", "application/fhir+xml", 415, "not-supported"),
        ("POST", "/Patient", b"{}", "", 415, "not-supported"),
        ("POST", "/Patient", b"x" * 200_001, "application/json", 413, "too-long"),
        ("POST", "/Observation", b"{}", "application/json", 404, "not-supported"),
        ("GET", "/Observation/1", b"", "", 404, "not-supported"),
        ("GET", "/Patient/%00", b"", "", 400, "value"),
        ("GET", "/Patient/1/2/3", b"", "", 404, "not-found"),
        ("PATCH", "/Patient/1", b"[]", "application/json-patch+json", 405, "not-supported"),
        ("PUT", "/Patient", b"{}", "application/json", 405, "not-supported"),
        ("POST", "/", b"{}", "application/json", 404, "not-found"),
    ],
)
async def test_every_refusal_is_an_operation_outcome(
    ehr: httpx.AsyncClient, method: str, path: str, body: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await ehr.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    assert issue_of(answer)["code"] == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}',
        b'{"resourceType":"Patient","name":[{"family":"\\u0000"}]}',
        b'{"resourceType":"Patient","name":[{"family":"\xff"}]}',
        b'{"resourceType":"Patient","multipleBirthInteger":NaN}',
        b'{"resourceType":"Patient","multipleBirthInteger":1e999}',
        b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 5000 + b"}",
        b'{"resourceType":"Patient","extension":' * 300 + b"1" + b"}" * 300,
        b'{"resourceType":"Patient","name":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
        b'{"resourceType":"Patient","contained":[' * 60 + b"]}" * 60,
        b'\xef\xbb\xbf{"resourceType":"Patient"}',
    ],
)
async def test_poisonous_json_is_the_clients_fault(ehr: httpx.AsyncClient, body: bytes) -> None:
    answer = await ehr.post("/Patient", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    issue_of(answer)


async def test_a_body_that_grows_beyond_the_limit_without_saying_so_is_cut_off(ehr: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(300):
            yield b" " * 1000

    answer = await ehr.post("/Patient", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_a_client_that_takes_no_json_is_told(ehr: httpx.AsyncClient) -> None:
    await ehr.put("/Patient/p1", json=PATIENT)
    assert (await ehr.get("/Patient/p1", headers={"Accept": "application/fhir+xml"})).status_code == 406
    assert (await ehr.get("/Patient/p1?_format=xml")).status_code == 406
    assert (await ehr.get("/Patient/p1?_format=application/fhir+json")).status_code == 200


async def test_the_capability_statement_is_valid_and_names_what_is_there(ehr: httpx.AsyncClient) -> None:
    from fhir.resources.R4B.capabilitystatement import CapabilityStatement

    statement = (await ehr.get("/metadata")).json()
    CapabilityStatement.model_validate(statement)
    assert statement["fhirVersion"] == "4.0.1"
    told = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert told["DocumentReference"]["conditionalCreate"] is True
    for name, one in told.items():
        for parameter in one["searchParam"]:
            assert (await ehr.get(f"/{name}?{parameter['name']}=x")).status_code == 200


async def test_the_store_itself_keeps_one_per_condition(database: Database) -> None:
    """What the HTTP surface may not add: the look and the write are one step in the store."""
    from service.sandbox.ports import Criterion

    store = SqlSandboxStore(database)
    token = Token("identifier", "one")
    drafts = [Draft("Media", f"m{n}", frozenset({token}), lambda version, at: "{}") for n in range(50)]
    written = await asyncio.gather(*(store.create(draft, [Criterion(frozenset({token}))]) for draft in drafts))
    assert sum(one.created for one in written) == 1
