"""Authorization at the EHR that fails or changes while a visit is under way: real sockets, tokens that are checked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import Response
from joserfc.jwk import ECKey, RSAKey

from service.doctor import _ehr, _ehr_clock
from service.errors import BadConfiguration
from service.opening import Opening
from tests.guarded_ehr import GuardedEhr, connected, guarded_ehr
from tests.journey.hospital import Hospital

OLD, NEW = ECKey.generate_key("P-384", {"kid": "old"}), RSAKey.generate_key(2048, {"kid": "new"})


def write(file: Path, *keys: Any) -> Path:
    file.write_text(json.dumps({"keys": [{**key.as_dict(private=True), "kid": key.kid} for key in keys]}))
    return file


NOTES = "/sandbox/fhir/R4/DocumentReference"


class Site:
    """An EHR, and a house that files in it. By `skew` seconds the EHR's clock is ahead of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key_file = write(folder / "keys.json", OLD)
        self.skew = 0.0
        for part in ("ehr", "house"):
            (folder / part).mkdir()

    @asynccontextmanager
    async def opened(self, **parts: Any) -> AsyncIterator[tuple[GuardedEhr, Hospital]]:
        async with (
            guarded_ehr(self.folder / "ehr", lambda: time.time() + self.skew) as ehr,
            connected(self.folder / "house", ehr, self.key_file, **parts) as hospital,
        ):
            yield ehr, hospital


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def file_a_note(hospital: Hospital, encounter: str = "e1", media: str = "m1") -> dict[str, Any]:
    await hospital.tell(await hospital.admit(encounter), await hospital.record(media, encounter=encounter))
    await hospital.until("done", f"Encounter/{encounter}")
    (note,) = await hospital.notes(encounter)
    return note


async def test_a_note_is_filed_in_an_ehr_that_takes_signed_assertions_alone(site: Site) -> None:
    """The EHR fetches our keys as nobody, from a house that lets nobody else in without a token."""
    async with site.opened(api={"clients": {"recorder": "s3cret"}}) as (ehr, hospital):
        async with hospital.http() as http:
            assert (await http.get("/visits")).status_code == 401
        note = await file_a_note(hospital)
        assert note["subject"] == {"reference": "Patient/p1"}
        assert ("POST", NOTES, 201) in ehr.heard
        assert 401 not in ehr.statuses()
        assert ehr.server.requests == 1
        assert ehr.server.refusals == []


async def test_case_35_a_token_that_is_revoked_mid_run_costs_one_refusal_and_no_second_note(site: Site) -> None:
    async with site.opened() as (ehr, hospital):

        def revoke(method: str, path: str) -> Response | None:
            if (method, path) == ("POST", NOTES) and not refused:
                refused.append(path)
                ehr.server.revoke()
            return None

        refused: list[str] = []
        ehr.before = revoke
        await file_a_note(hospital)
        assert [status for method, path, status in ehr.heard if (method, path) == ("POST", NOTES)] == [401, 201]
        assert ehr.server.requests == 2


async def test_case_35_an_ehr_that_takes_no_token_any_more_is_a_persons(site: Site) -> None:
    async with site.opened() as (ehr, hospital):
        encounter, media = await hospital.admit(), await hospital.record()
        ehr.before = lambda method, path: Response(status_code=401)
        await hospital.tell(encounter, media)
        shown = await hospital.until("parked", reason="ehr_refused")
        assert "the EHR does not take our credentials" in shown["detail"]
        assert ehr.server.requests <= 4  # each of two events may make it due: one renewal for each, and no storm
        ehr.before = lambda method, path: None
        async with hospital.http() as http:
            assert (await http.post("/visits/Encounter/e1/retry")).is_success
        await hospital.until("done")


async def test_case_35_tokens_that_end_within_a_second_are_renewed_as_notes_are_filed(site: Site) -> None:
    async with site.opened() as (ehr, hospital):
        ehr.server.lifetime = 1
        for n in range(3):
            await file_a_note(hospital, f"e{n}", f"m{n}")
            await asyncio.sleep(0.5)
        assert ehr.server.requests >= 3
        assert ehr.server.refusals == []


async def test_case_35_a_key_is_rotated_while_notes_are_filed(site: Site) -> None:
    """By the runbook's steps, with an EHR that keeps our keys for as long as it may."""
    async with site.opened() as (ehr, hospital):
        await file_a_note(hospital)
        write(site.key_file, OLD, NEW)
        ehr.server.revoke()
        await file_a_note(hospital, "e2", "m2")
        ehr.server.forget_keys()  # an hour later
        write(site.key_file, NEW, OLD)
        ehr.server.revoke()
        await file_a_note(hospital, "e3", "m3")
        signed = [(proof["header"]["kid"], proof["header"]["alg"]) for proof in ehr.server.assertions]
        assert signed == [("old", "ES384"), ("old", "ES384"), ("new", "RS384")]
        assert ehr.server.refusals == []


async def test_case_35_a_key_that_signs_before_the_ehr_knows_it_makes_visits_wait(site: Site) -> None:
    async with site.opened() as (ehr, hospital):
        encounter, media = await hospital.admit(), await hospital.record()
        write(site.key_file, NEW)
        ehr.server.revoke()
        await hospital.tell(encounter, media)
        shown = await hospital.until("waiting", reason="ehr_credentials_refused")
        assert "new ids and keys may take an hour" in shown["detail"]
        assert ehr.server.refusals == ["invalid_client: kid"]


@pytest.mark.parametrize("skew", [-25, 200])
async def test_case_35_the_ehrs_clock_is_off_by_less_than_an_assertions_slack(site: Site, skew: float) -> None:
    site.skew = skew
    async with site.opened() as (ehr, hospital):
        await file_a_note(hospital)
        assert ehr.server.refusals == []


async def test_case_35_the_ehrs_clock_is_off_by_more(site: Site) -> None:
    async with site.opened() as (ehr, hospital):
        encounter, media = await hospital.admit(), await hospital.record()
        site.skew = 600
        await hospital.tell(encounter, media)
        shown = await hospital.until("waiting", reason="ehr_credentials_refused")
        assert "a clock that is wrong by minutes" in shown["detail"]
        assert ehr.server.refusals == ["invalid_client: expired"]


async def test_case_35_a_correction_stands_although_its_clock_was_behind(hospital: Hospital) -> None:
    """By its `lastUpdated` the correction is years older than what it corrects, which comes again, late."""
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    wrong = await hospital.put({**media, "status": "entered-in-error"})
    behind = {**wrong, "meta": {**wrong["meta"], "lastUpdated": "2020-01-01T00:00:00Z"}}
    await hospital.tell(behind)
    await hospital.until("cancelled", reason="recordings_withdrawn")
    await hospital.tell({**media, "language": "en"})  # other bytes, or it would be a duplicate
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert [note["status"] for note in await hospital.notes()] == ["entered-in-error"]


@pytest.mark.parametrize("year", ["1970", "2099"])
async def test_case_35_a_visit_whose_times_are_off_gets_its_note_now(hospital: Hospital, year: str) -> None:
    """When a visit is due is our database's clock alone."""
    times = {"start": f"{year}-01-05T09:00:00Z", "end": f"{year}-01-05T09:30:00Z"}
    encounter = await hospital.admit(period=times)
    media = await hospital.record(createdDateTime=times["start"])
    for resource in (encounter, media):
        headers = {"ce-specversion": "1.0", "ce-id": resource["id"], "ce-source": "/ehr", "ce-time": times["start"]}
        headers |= {"ce-type": f"org.hl7.fhir.{resource['resourceType']}.update"}
        await hospital.publish(json.dumps(resource).encode(), **headers)
    await hospital.until("done")
    assert len(await hospital.notes()) == 1


async def test_the_doctor_says_what_is_not_granted(site: Site) -> None:
    async with site.opened() as (ehr, hospital):
        settings = hospital.house.settings
        async with Opening.of(settings, "worker") as opening:
            assert "answers, FHIR 4.0.1" in await _ehr(opening)
            assert "the EHR's clock is" in await _ehr_clock(opening)
        ehr.server.allowed = {"system/Media.rs", "system/Encounter.rs", "system/Patient.r"}
        async with Opening.of(settings, "worker") as opening:
            with pytest.raises(BadConfiguration, match=r"does not grant system/DocumentReference\.crus"):
                await _ehr(opening)
