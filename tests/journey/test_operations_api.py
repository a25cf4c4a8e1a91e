"""The operations API of a whole house: visits and dead letters, listed, shown, retried, replayed, discarded."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from service.events.delivery import Delivery
from tests.journey.hospital import Hospital, Json

MEDIA = {"resourceType": "Media", "id": "m9", "status": "in-progress", "encounter": {"reference": "Encounter/e9"}}
PATIENT = {"resourceType": "Patient", "id": "p1"}

BAD_VALUES = [
    "/visits?limit=0",
    "/visits?limit=501",
    "/visits?limit=x",
    "/visits?limit=99999999999999999999",
    "/visits?state=odd",
    "/visits?before=yesterday",
    "/visits?before=2026-01-01T00:00:00",
    "/visits?before=2026-01-01T00:00:00Z&beforeId=a%00b",
    "/visits/a%00b",
    "/visits/" + "x" * 300,
    "/dead-letters?state=odd",
    "/dead-letters?limit=-1",
    "/dead-letters?before=1e400",
    "/dead-letters/a%00b",
]


async def test_a_bad_value_is_a_bad_request(http: httpx.AsyncClient) -> None:
    for path in BAD_VALUES:
        assert (await http.get(path)).status_code == 400, path


ABSENT = [
    ("GET", "/visits/unknown", 404),
    ("GET", "/visits/Encounter/unknown", 404),
    ("POST", "/visits/Encounter/unknown/retry", 404),
    ("POST", "/visits/Encounter/unknown/discard", 404),
    ("GET", "/dead-letters/unknown", 404),
    ("POST", "/dead-letters/unknown/replay", 404),
    ("POST", "/dead-letters/unknown/discard", 409),
    ("POST", "/dead-letters/unknown/replay?dryRun=odd", 400),
    ("GET", "/nowhere", 404),
    ("PUT", "/visits", 405),
]


async def test_what_is_not_there(http: httpx.AsyncClient) -> None:
    for method, path, status in ABSENT:
        assert (await http.request(method, path)).status_code == status, path


async def test_visits_are_listed_shown_and_retried(hospital: Hospital, http: httpx.AsyncClient) -> None:
    await hospital.tell(MEDIA)
    visit = await hospital.until("waiting", "Encounter/e9", reason="not_in_ehr")
    listed = (await http.get("/visits", params={"state": "waiting", "before": "2999-01-01T00:00:00+02:00"})).json()[
        "visits"
    ]
    assert [row["key"] for row in listed] == ["Encounter/e9"]
    assert (await http.get("/visits", params={"before": "2000-01-01T00:00:00Z"})).json() == {"visits": []}
    for name in (visit["id"], "Encounter/e9"):
        assert (await http.get(f"/visits/{name}")).json()["key"] == "Encounter/e9"
        assert (await http.post(f"/visits/{name}/retry")).status_code == 202


async def test_a_page_begins_after_the_last_row_of_the_one_before(hospital: Hospital, http: httpx.AsyncClient) -> None:
    letters = {await bury(hospital, b"%d" % number) for number in range(3)}
    first = (await http.get("/dead-letters", params={"limit": 2})).json()["deadLetters"]
    place = {"before": first[-1]["receivedAt"], "beforeId": first[-1]["id"]}
    rest = (await http.get("/dead-letters", params=place)).json()["deadLetters"]
    assert {row["id"] for row in first + rest} == letters
    assert len(first + rest) == 3


async def test_a_visit_is_discarded_and_news_opens_it_again(hospital: Hospital, http: httpx.AsyncClient) -> None:
    await hospital.tell(MEDIA)
    await hospital.until("waiting", "Encounter/e9", reason="not_in_ehr")
    assert (await http.post("/visits/Encounter/e9/discard")).json() == {"discarded": "Encounter/e9"}
    shown = (await http.get("/visits/Encounter/e9")).json()
    assert (shown["state"], shown["reason"], shown["nextAt"]) == ("cancelled", "discarded", None)
    again = await http.post("/visits/Encounter/e9/discard")
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "Encounter/e9 is cancelled already: nothing is left to discard",
    )
    await hospital.tell({**MEDIA, "status": "completed"})
    await hospital.until("waiting", "Encounter/e9", reason="not_in_ehr")


async def test_a_discarded_visit_keeps_its_notes(hospital: Hospital, http: httpx.AsyncClient) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("done")
    await hospital.tell(await hospital.record("m2", content={"url": "https://evil.test/a"}))
    await hospital.until("parked")
    assert (await http.post("/visits/Encounter/e1/discard")).status_code == 200
    assert [note["status"] for note in await hospital.notes()] == ["current"]


async def test_a_parameter_that_is_not_known_changes_nothing(hospital: Hospital, http: httpx.AsyncClient) -> None:
    await hospital.tell(MEDIA)
    await hospital.until("waiting", "Encounter/e9", reason="not_in_ehr")
    letter = await bury(hospital, json.dumps(MEDIA).encode())
    shown = ["/visits/Encounter/e9", f"/dead-letters/{letter}"]
    before = [(await http.get(path)).json() for path in shown]
    verbs = {"retry": "dryRun=true&why=x", "discard": "dryRun=true"}, {"replay": "dryRun=1&x", "discard": "dryRun=true"}
    for path, its in zip(shown, verbs, strict=True):
        for verb, query in itertools.product(its, ("dry_run=true", "dryrun=true", "=true", "")):
            refused = await http.post(f"{path}/{verb}?{query or its[verb]}")
            assert (refused.status_code, refused.json()["type"]) == (400, "A0013"), refused.url
            assert {"no such parameter"} == {
                word for one in refused.json()["validationErrors"] for word in one.values()
            }
    assert [(await http.get(path)).json() for path in shown] == before


async def bury(hospital: Hospital, body: bytes) -> str:
    """A dead letter with this body, whatever it is."""
    from adapters.database.database import Database
    from adapters.database.inbox import SqlInbox

    async with Database.connect(hospital.house.settings.database) as database:
        return await SqlInbox(database).store_dead(
            Delivery(body, content_type="application/fhir+json"), "not_fhir", "Media.status is missing"
        )


@pytest.mark.parametrize(
    ("body", "verdict"), [(MEDIA, "would_be_stored"), ({}, "rejected"), (PATIENT, "ignored")]
)  # fmt: skip
async def test_a_dry_run_says_what_a_replay_would_do_and_does_nothing(
    hospital: Hospital, http: httpx.AsyncClient, body: Json, verdict: str
) -> None:
    letter = await bury(hospital, json.dumps(body).encode())
    answer = await http.post(f"/dead-letters/{letter}/replay", params={"dryRun": True})
    assert answer.json()["verdict"] == verdict
    assert (await http.get(f"/dead-letters/{letter}")).json()["state"] == "open"
    assert await hospital.house.visits.show_visit("Encounter/e9") is None


async def test_a_replayed_letter_is_taken_in_once(
    hospital: Hospital, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = await bury(hospital, json.dumps(MEDIA).encode())
    assert (await http.post(f"/dead-letters/{letter}/replay")).json() == {
        "verdict": "replayed",
        "reason": "",
        "events": ["Media/m9"],
    }
    await hospital.until("waiting", "Encounter/e9", reason="not_in_ehr")

    async def never(*_: Any, **__: Any) -> None:
        raise AssertionError("published again")

    monkeypatch.setattr(hospital.house.broker, "publish", never)
    assert (await http.post(f"/dead-letters/{letter}/replay")).json()["verdict"] == "not_open"
    assert (await http.get("/dead-letters")).json() == {"deadLetters": []}
    assert (await http.post(f"/dead-letters/{letter}/discard")).status_code == 409


async def test_a_letter_is_shown_with_its_body_and_discarded(hospital: Hospital, http: httpx.AsyncClient) -> None:
    letter = await bury(hospital, b"\xff")
    assert (await http.get(f"/dead-letters/{letter}")).json()["bodyBase64"] == "/w=="
    assert (await http.post(f"/dead-letters/{letter}/discard")).json() == {"discarded": letter}
    assert (await http.get("/dead-letters", params={"state": "discarded"})).json()["deadLetters"][0]["id"] == letter
