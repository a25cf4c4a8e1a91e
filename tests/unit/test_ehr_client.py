"""What the workflow hears for each thing an EHR may answer, and what the EHR is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from adapters.ehr.audio import AudioSource
from adapters.ehr.client import EhrClient
from service.errors import NeedsPerson, Retryable
from service.workflow.ports import Absent, AnswerLost, Changed

BASE = "https://ehr.test/fhir/R4"
NOTE = {"resourceType": "DocumentReference", "status": "current"}
FILED = {**NOTE, "id": "d1", "meta": {"versionId": "1"}}
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [
        {
            "severity": "error",
            "code": "required",
            "expression": ["DocumentReference.subject"],
            "diagnostics": "Mrs. Hale",
        }
    ],
}
Answer = Callable[[httpx.Request], httpx.Response]


def client_of(answer: Answer, timeout: float = 5, **options: Any) -> EhrClient:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), **options)
    return EhrClient(http, BASE + "/", "ehr", timeout, AudioSource(http, http, BASE, frozenset(), 100, timeout))


def answering(status: int, **response: Any) -> EhrClient:
    return client_of(lambda _: httpx.Response(status, **response))


@pytest.mark.parametrize(
    ("status", "response", "filed"),
    [
        (201, {"json": FILED}, ("DocumentReference/d1", "1", True)),
        (201, {"headers": {"Location": "DocumentReference/d1"}}, ("DocumentReference/d1", None, True)),
        (201, {"headers": {"Location": f"{BASE}/DocumentReference/d1/_history/3"}}, ("DocumentReference/d1", "3", True)),
        (201, {"headers": {"Location": "/fhir/R4/DocumentReference/d1/"}}, ("DocumentReference/d1", None, True)),
        (201, {"headers": {"Location": "DocumentReference/d1", "ETag": 'W/"4"'}}, ("DocumentReference/d1", "4", True)),
        (200, {"json": FILED}, ("DocumentReference/d1", "1", False)),
        (200, {"headers": {"Location": f"{BASE}/DocumentReference/d1"}}, ("DocumentReference/d1", None, False)),
        (201, {"json": OUTCOME, "headers": {"Location": "DocumentReference/d1"}}, ("DocumentReference/d1", None, True)),
        (201, {"html": "<html>", "headers": {"Location": "DocumentReference/d1"}}, ("DocumentReference/d1", None, True)),
        (201, {"json": [FILED], "headers": {"Location": "DocumentReference/d1"}}, ("DocumentReference/d1", None, True)),
        (201, {"json": {**FILED, "id": "../x"}, "headers": {"Location": "DocumentReference/d1"}}, ("DocumentReference/d1", None, True)),
    ],
)  # fmt: skip
async def test_where_a_note_was_filed(status: int, response: dict[str, Any], filed: tuple[Any, ...]) -> None:
    found = await answering(status, **response).create_once(NOTE, "s|v")
    assert (found.reference, found.version, found.created) == filed


@pytest.mark.parametrize(
    "response",
    [{}, {"html": "<html>"}, {"json": []}, {"headers": {"Location": "Patient/p1"}}, {"headers": {"Location": "DocumentReference/.."}}, {"json": {"resourceType": "Patient", "id": "p"}}],
)  # fmt: skip
async def test_an_answer_that_does_not_say_what_was_filed_is_a_lost_answer(response: dict[str, Any]) -> None:
    with pytest.raises(AnswerLost):
        await answering(201, **response).create_once(NOTE, "s|v")


@pytest.mark.parametrize(
    ("status", "response", "error", "words"),
    [
        (202, {"headers": {"Location": "DocumentReference/d1"}}, NeedsPerson, "accepted_not_filed"),
        (200, {"json": OUTCOME}, NeedsPerson, "ehr_answered_errors: 200 for DocumentReference: error required"),
        (201, {"json": OUTCOME}, NeedsPerson, "ehr_answered_errors: 201"),
        (301, {"headers": {"Location": "https://evil.test/"}}, NeedsPerson, "ehr_refused: 301"),
        (400, {"json": OUTCOME}, NeedsPerson, "400 for DocumentReference: error required DocumentReference.subject"),
        (401, {}, NeedsPerson, "ehr_refused: 401"),
        (403, {}, NeedsPerson, "ehr_refused: 403"),
        (404, {"json": OUTCOME}, NeedsPerson, "ehr_refused: 404"),
        (409, {}, NeedsPerson, "ehr_refused: 409"),
        (410, {}, NeedsPerson, "ehr_refused: 410"),
        (412, {"json": OUTCOME}, NeedsPerson, "several_matches"),
        (413, {"html": "<html>Mrs. Hale"}, NeedsPerson, "ehr_refused: 413"),
        (422, {"json": [OUTCOME]}, NeedsPerson, "ehr_refused: 422"),
        (408, {}, Retryable, "ehr_unavailable: 408"),
        (429, {}, Retryable, "ehr_unavailable: 429"),
        (500, {"html": "Mrs. Hale"}, Retryable, "ehr_unavailable: 500"),
        (503, {}, Retryable, "ehr_unavailable: 503"),
        (502, {"html": "<html>"}, AnswerLost, "502"),
        (504, {}, AnswerLost, "504"),
        (524, {}, AnswerLost, "524"),
    ],
)
async def test_what_an_answer_to_a_create_means(
    status: int, response: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as failed:
        await answering(status, **response).create_once(NOTE, "s|v")
    assert "Hale" not in str(failed.value)


@pytest.mark.parametrize(
    ("status", "error"), [(404, Absent), (410, Absent), (409, Changed), (412, Changed), (422, NeedsPerson), (202, NeedsPerson), (503, Retryable), (504, AnswerLost)]
)  # fmt: skip
async def test_what_an_answer_to_an_update_means(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await answering(status).update(FILED, "1")


@pytest.mark.parametrize("response", [{}, {"html": "<html>"}, {"json": OUTCOME}, {"json": {**FILED, "id": "other"}}])
async def test_an_update_knows_what_it_wrote(response: dict[str, Any]) -> None:
    assert (await answering(200, **response).update(FILED, "1")).reference == "DocumentReference/d1"


async def test_a_version_that_cannot_be_sent_needs_a_person() -> None:
    for version in ('1"\r\nX: y', "caf\u00e9", "a b"):
        with pytest.raises(NeedsPerson, match="version_unreadable"):
            await answering(200).update(FILED, version)


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, Absent), (410, Absent), (401, NeedsPerson), (403, NeedsPerson), (400, NeedsPerson), (304, NeedsPerson),
     (408, Retryable), (429, Retryable), (500, Retryable), (502, Retryable), (503, Retryable), (504, Retryable)],
)  # fmt: skip
async def test_what_an_answer_to_a_read_means(status: int, error: type[Exception]) -> None:
    with pytest.raises(error) as failed:
        await answering(status, html="Mrs. Hale").read("Patient/p1")
    assert getattr(failed.value, "gone", False) is (status == 410)
    assert "Hale" not in str(failed.value)


@pytest.mark.parametrize(
    "response", [{}, {"html": "<html>"}, {"json": []}, {"content": b"[" * 5000}, {"content": b"\xff"}]
)
async def test_a_read_answered_without_a_resource_is_tried_again(response: dict[str, Any]) -> None:
    with pytest.raises(Retryable, match="ehr_answer_not_fhir"):
        await answering(200, **response).read("Patient/p1")


@pytest.mark.parametrize("other", [{"id": "p2"}, {"resourceType": "Group"}, {"id": None}])
async def test_another_resource_than_the_one_asked_for_is_never_taken(other: dict[str, Any]) -> None:
    with pytest.raises(NeedsPerson, match="ehr_answered_another_resource"):
        await answering(200, json={"resourceType": "Patient", "id": "p1", **other}).read("Patient/p1")


IN_AN_HOUR = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("7", 7, 7), pytest.param(IN_AN_HOUR, 2700, 3600, id="in an hour"), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0), ("soon", None, None), ("-1", None, None), ("", None, None), ("Mon, 99 Foo 99999999999 00:00:00 GMT", None, None)],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
async def test_the_pause_that_the_ehr_wishes(status: int, value: str, least: float | None, most: float | None) -> None:
    with pytest.raises(Retryable) as failed:
        await answering(status, headers={"Retry-After": value}).read("Patient/p1")
    after = failed.value.after
    assert after is None if least is None or most is None else after is not None and least <= after <= most


@pytest.mark.parametrize(
    ("failure", "of_a_write"),
    [
        (httpx.ConnectError, Retryable), (httpx.ConnectTimeout, Retryable), (httpx.PoolTimeout, Retryable), (httpx.ReadTimeout, AnswerLost),
        (httpx.WriteError, AnswerLost), (httpx.RemoteProtocolError, AnswerLost), (httpx.ReadError, AnswerLost), (httpx.DecodingError, AnswerLost),
    ],
)  # fmt: skip
async def test_a_lost_connection(failure: type[httpx.RequestError], of_a_write: type[Exception]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise failure("10.0.0.1")

    with pytest.raises(Retryable, match="ehr_unreachable"):
        await client_of(fail).read("Patient/p1")
    for write in (client_of(fail).create_once(NOTE, "s|v"), client_of(fail).update(FILED, "1")):
        with pytest.raises(of_a_write, match=failure.__name__) as failed:
            await write
        assert "10.0.0.1" not in str(failed.value)


async def test_an_ehr_that_does_not_answer_in_time() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    client = client_of(hang, timeout=0.01)  # type: ignore[arg-type]
    with pytest.raises(Retryable, match="ehr_unreachable: TimeoutError"):
        await client.read("Patient/p1")
    with pytest.raises(AnswerLost):
        await client.create_once(NOTE, "s|v")


class Counting:
    """Answers with each status in turn, then with the last; counts what it was asked."""

    def __init__(self, *statuses: int, **headers: str) -> None:
        self.statuses, self.headers, self.asked = list(statuses), headers, 0

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return httpx.Response(status, headers={name.replace("_", "-"): value for name, value in self.headers.items()})


async def test_while_the_ehr_wants_to_be_left_alone_nothing_is_sent_to_it() -> None:
    client = client_of(ehr := Counting(503, Retry_After="7"))
    with pytest.raises(Retryable, match="ehr_unavailable: 503"):
        await client.create_once(NOTE, "s|v")
    for call in (client.read("Patient/p1"), client.find("Patient", "s|v"), client.create_once(NOTE, "s|v"), client.update(FILED, "1"), client.capabilities(afresh=True)):  # fmt: skip
        with pytest.raises(Retryable, match="ehr_parked") as refused:
            await call
        assert refused.value.parked == "ehr"
        assert refused.value.after == pytest.approx(7, abs=1)
    with pytest.raises(Retryable, match="ehr_parked"):
        async with client.open_audio({"url": "Binary/1"}):
            pass
    assert ehr.asked == 1


async def test_three_failures_of_any_kind_are_enough() -> None:
    client = client_of(ehr := Counting(500, 404, 500, 502, 504))
    for _ in range(5):
        with pytest.raises((Retryable, Absent)):
            await client.read("Patient/p1")
    with pytest.raises(Retryable, match="ehr_parked"):
        await client.read("Patient/p1")
    assert ehr.asked == 5


async def test_refusals_are_answers() -> None:
    client = client_of(ehr := Counting(422))
    for _ in range(9):
        with pytest.raises(NeedsPerson):
            await client.create_once(NOTE, "s|v")
    assert ehr.asked == 9


async def test_a_read_that_is_cut_off_by_us_is_no_failure_of_the_ehr() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    client = client_of(hang)  # type: ignore[arg-type]
    for _ in range(9):
        reading = asyncio.create_task(client.read("Patient/p1"))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_what_a_create_sends() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(201, json=FILED)

    await client_of(answer).create_once(NOTE, "urn:ambient-fhir:note|a+b &c=?")
    request = sent[0]
    assert (request.method, str(request.url)) == ("POST", f"{BASE}/DocumentReference")
    assert request.headers["If-None-Exist"] == "identifier=urn%3Aambient-fhir%3Anote%7Ca%2Bb%20%26c%3D%3F"
    assert request.headers["Prefer"] == "return=minimal"
    assert request.headers["Content-Type"] == "application/fhir+json"
    assert json.loads(request.content) == NOTE


async def test_an_update_is_conditional_where_the_version_is_known() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=FILED)

    client = client_of(answer)
    await client.update(FILED, "7")
    await client.update(FILED, None)
    assert sent[0].headers["If-Match"] == 'W/"7"'
    assert "If-Match" not in sent[1].headers
    assert str(sent[0].url) == f"{BASE}/DocumentReference/d1"


async def test_of_a_search_only_what_really_has_the_identifier_is_taken() -> None:
    ours = {**FILED, "identifier": [{"system": "x", "value": "1"}, {"system": "s", "value": "v"}]}
    others: list[Any] = [
        {**FILED, "identifier": [{"system": "s", "value": "w"}]}, {**FILED, "identifier": [{"value": "v"}]}, {**FILED, "identifier": {"system": "s"}},
        {**FILED, "identifier": [7]}, FILED, {**ours, "resourceType": "Patient"}, {**ours, "id": None}, OUTCOME, None, "x", [],
    ]  # fmt: skip
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(
            200,
            json={"resourceType": "Bundle", "entry": [*({"resource": r} for r in others), {"resource": ours}, 7, {}]},
        )

    assert await client_of(answer).find("DocumentReference", "s|v") == [ours]
    assert asked == [f"{BASE}/DocumentReference?identifier=s%7Cv"]


@pytest.mark.parametrize("bundle", [{}, {"entry": {}}, {"entry": None}, {"resourceType": "OperationOutcome"}])
async def test_a_search_that_finds_nothing(bundle: dict[str, Any]) -> None:
    assert await answering(200, json=bundle).find("DocumentReference", "s|v") == []


async def test_ping_names_the_version() -> None:
    assert (await answering(200, json={"fhirVersion": "4.0.1"}).capabilities()).fhir_version == "4.0.1"
    assert (await answering(200, json={"fhirVersion": 4}).capabilities()).fhir_version == "unknown"


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 507, 520, 529, 598])
async def test_an_unconditional_create_may_have_been_done_behind_a_failure(status: int) -> None:
    with pytest.raises(AnswerLost, match=str(status)):
        await answering(status).create(NOTE)


@pytest.mark.parametrize(("status", "headers"), [(425, {}), (429, {}), (503, {"Retry-After": "1"})])
async def test_who_asks_for_a_later_create_has_not_begun(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(Retryable, match="ehr_unavailable"):
        await answering(status, headers=headers).create(NOTE)
