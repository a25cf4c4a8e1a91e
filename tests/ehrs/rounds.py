"""Visits by the hundred against one emulated EHR that fails all the while, in one house; and the account of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.ehrs.chart import visit_name, visit_of
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.flaky import Flaky, Rates, evenly
from tests.ehrs.house import open_house_at
from tests.ehrs.wire import Json
from tests.journey.hospital import Hospital

TIMEOUT, LEASE, HANG, SEARCH_LAG = 0.5, 3.0, 0.9, 1.4
INDEX_LAG = 2.6
"""Longer than whatever arrives late (`HANG`) takes until a search finds it (`SEARCH_LAG`)."""
READS, WRITES = 0.05, 0.5
"""Shares of the requests that meet a fault."""
_PATIENCE = 60.0
_LONGEST_WAIT = 3.0
_DECISIONS = 3
"""A note that is sent again may be held again, where the machine is so busy that leases end."""


@dataclass
class Account:
    """`adopted`: notes that were found after a lost answer. `held`: how often a visit needed a person, who found
    `adopted_by_a_person` notes in the EHR and had the others sent again. `wrong` is empty when no harm was done."""

    ehr: str
    visits: int
    requests: int = 0
    creates: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    filed: int = 0
    adopted: int = 0
    held: int = 0
    adopted_by_a_person: int = 0
    duplicates: int = 0
    lost: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def figures(self) -> Json:
        return asdict(self)

    def __str__(self) -> str:
        return json.dumps(self.figures())


async def run_visits(
    ehr: EmulatedEhr, profile: str, visits: int, folder: Path, *, writes: Rates | None = None, hang: float = HANG
) -> Account:
    """Files one note for each visit while the EHR fails; then, the EHR being well again and nothing under way any more, a
    person decides about those that are held."""
    account = Account(type(ehr).__name__, visits)
    flaky = Flaky(ehr, evenly(READS), writes or evenly(WRITES), hang)
    began = time.monotonic()
    settings = {"timeout": TIMEOUT, "index_lag": INDEX_LAG}
    ehr.index_lag = SEARCH_LAG
    async with open_house_at(ehr, profile, folder, through=flaky, lease=LEASE, **settings) as hospital:
        await _tell_of(hospital, visits)
        await _until_rest(hospital, visits)
        flaky.heal()
        await asyncio.sleep(hang)
        for _ in range(_DECISIONS):
            await _decide_held(hospital, ehr, account)
            await _until_rest(hospital, visits)
        account.wrong = [_told(row) for row in await rows(hospital) if row["state"] != "done"]
    account.seconds = round(time.monotonic() - began, 1)
    _count(account, ehr, flaky)
    return account


async def rows(hospital: Hospital) -> list[Json]:
    return await hospital.house.visits.list_visits(None, 10_000, None)


async def _tell_of(hospital: Hospital, visits: int) -> None:
    for number in range(1, visits + 1):
        for resource in visit_of(visit_name(number)):
            await hospital.house.broker.publish(
                json.dumps(resource).encode(), routing_key=f"fhir.{resource['resourceType']}.update",
                content_type="application/fhir+json", message_id="", headers={},
            )  # fmt: skip


async def _until_rest(hospital: Hospital, visits: int) -> None:
    """Until every visit has ended or needs a person, or none has come to rest for a minute. Whoever waits for long after
    many failures is made due: nobody waits for the longest pauses here."""
    least, give_up = visits, time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        known = await rows(hospital)
        going_on = visits - sum(row["state"] in ("done", "parked") and row["nextAt"] is None for row in known)
        if not going_on:
            return
        if going_on < least:
            least, give_up = going_on, time.monotonic() + _PATIENCE
        soon = datetime.now(UTC) + timedelta(seconds=_LONGEST_WAIT)
        for row in known:
            if row["state"] == "waiting" and datetime.fromisoformat(row["nextAt"]) > soon:
                await hospital.house.visits.retry_visit(row["id"])
        await asyncio.sleep(0.25)


async def _decide_held(hospital: Hospital, ehr: EmulatedEhr, account: Account) -> None:
    """As an operator would who looks into each chart."""
    parked = [row for row in await rows(hospital) if row["state"] == "parked"]
    for row in (row for row in parked if row["reason"] == "write_unknown"):
        account.held += 1
        there = ehr.standing().get(row["key"], [])
        if there:
            account.adopted_by_a_person += 1
            await hospital.house.visits.adopt_note(row["key"], f"DocumentReference/{there[0]}", None)
        else:
            await hospital.house.visits.resend_note(row["key"], None)
    hospital.house.wake.set()


def _count(account: Account, ehr: EmulatedEhr, flaky: Flaky) -> None:
    standing = Counter({encounter: len(idents) for encounter, idents in ehr.standing().items()})
    expected = [f"Encounter/{visit_name(number)}" for number in range(1, account.visits + 1)]
    stats = flaky.stats()
    account.requests, account.faults = stats["requests"], dict(sorted(stats["faults"].items()))
    account.creates = sum(ehr.asked[one] for one in ("POST", "POST DocumentReference"))
    account.filed = sum(standing[encounter] == 1 for encounter in expected)
    account.adopted = account.filed - flaky.written - account.adopted_by_a_person
    account.duplicates = sum(standing[encounter] - 1 for encounter in expected if standing[encounter] > 1)
    account.lost = sum(not standing[encounter] for encounter in expected)
    account.wrong += [f"{encounter} is nobody's" for encounter in standing.keys() - set(expected)]
    account.wrong += [f"{ident} says something else" for ident in ehr.notes if not _is_right(ehr, ident)]


def _is_right(ehr: EmulatedEhr, ident: str) -> bool:
    """What was said in the recording of its Encounter, in the chart of its patient."""
    note = ehr.notes[ident].versions[-1]
    name = note["context"]["encounter"][0]["reference"].partition("/")[2]
    said = f"this is recording {name}-1 ."
    return note["subject"]["reference"] == f"Patient/p-{name}" and said in ehr.text_of(ident)


def _told(row: Json) -> str:
    return f"{row['key']} {row['state']} {row['reason']} {row['detail']}"
