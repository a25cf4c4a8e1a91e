"""DocumentReferences that hold a recording, where `AMBIENT_NOTES__AUDIO_DOCUMENTS` is on; and those that we wrote ourselves."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.journey.edge_cases.ehr_at_the_wire import answer_for_the_ehr, every_note, showing
from tests.journey.edge_cases.test_inbound import LATER, as_r5, filed, ignored, text_of
from tests.journey.hospital import Hospital, Json, audio, open_hospital


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path, notes={"audio_documents": True}) as hospital:
        yield hospital


async def recorded_document(hospital: Hospital, **more: Any) -> Json:
    """A DocumentReference with audio, and its Binary, in the EHR."""
    data = base64.b64encode(audio(*LATER)).decode()
    await hospital.put({"resourceType": "Binary", "id": "b-document", "contentType": "audio/ogg", "data": data})
    return await hospital.put({
        "resourceType": "DocumentReference", "id": "d1", "status": "current", "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"contentType": "audio/ogg", "url": "Binary/b-document"}}],
        "context": {"encounter": [{"reference": "Encounter/e1"}]}, **more,
    })  # fmt: skip


async def no_note_yet(hospital: Hospital) -> bool:
    return [one["id"] for one in await every_note(hospital) if one["id"] != "d1"] == []


async def test_an_audio_document_is_a_recording_where_that_is_switched_on(listening: Hospital) -> None:
    await listening.tell(await listening.admit(), await recorded_document(listening))
    note = await filed(listening)
    assert "knee" in text_of(note)
    assert note["context"]["related"] == [{"reference": "DocumentReference/d1"}]


async def test_an_audio_document_is_ignored_where_it_is_not(hospital: Hospital) -> None:
    before = ignored()
    document = await recorded_document(hospital)
    await hospital.publish(json.dumps(document).encode(), "fhir.Media.update")
    assert ignored() == before + 1
    assert await hospital.house.visits.show_visit("Encounter/e1") is None


async def test_a_media_and_an_audio_document_of_one_id_are_two_recordings(listening: Hospital) -> None:
    await listening.tell(await listening.admit(), await listening.record("d1"), await recorded_document(listening))
    await asyncio.sleep(0.1)
    note = await filed(listening)
    assert "cough" in text_of(note)
    assert "knee" in text_of(note)


async def test_an_audio_document_that_is_replaced_or_withdrawn_takes_its_note_back(listening: Hospital) -> None:
    document = await recorded_document(listening)
    await listening.tell(await listening.admit(), document)
    await filed(listening)
    await listening.tell(await listening.put({**document, "status": "superseded"}))
    await listening.until("cancelled", reason="recordings_withdrawn")
    assert [note["status"] for note in await listening.notes()] == ["entered-in-error"]


async def test_a_bare_withdrawal_of_an_audio_document_is_read_from_the_ehr(listening: Hospital) -> None:
    document = await recorded_document(listening)
    await listening.tell(await listening.admit(), document)
    await filed(listening)
    withdrawn = await listening.put({**document, "status": "entered-in-error"})
    bare = {name: withdrawn[name] for name in ("resourceType", "id", "meta", "status")}
    await listening.tell(bare)
    await listening.until("cancelled", reason="recordings_withdrawn")


async def test_a_preliminary_audio_document_is_still_going_on(listening: Hospital) -> None:
    document = await recorded_document(listening, docStatus="preliminary")
    await listening.tell(await listening.admit(), document)
    await listening.until("waiting", reason="recording_in_progress")
    await listening.tell(await listening.put({**document, "docStatus": "final"}))
    await filed(listening)


async def test_case_41_our_own_note_s_event_is_ignored(listening: Hospital) -> None:
    await listening.tell(await listening.admit(), await listening.record())
    note = await filed(listening)
    before = ignored()
    await listening.tell(note)
    await listening.tell({**note, "content": [{"attachment": {"contentType": "audio/ogg", "url": "Binary/x"}}]})
    assert ignored() == before + 2
    assert len(await every_note(listening)) == 1


async def test_case_41_a_pointer_to_our_own_note_ends_without_a_recording(listening: Hospital) -> None:
    await listening.tell(await listening.admit(), await listening.record())
    note = await filed(listening)
    status = {"resourceType": "SubscriptionStatus", "type": "event-notification", "subscription": {"reference": "Subscription/s"},
              "notificationEvent": [{"eventNumber": "1", "focus": {"reference": f"DocumentReference/{note['id']}"}}]}  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "subscription-notification", "entry": [{"resource": status}]}
    await listening.publish(json.dumps(bundle).encode(), "fhir.DocumentReference.update")
    await listening.until("done", f"DocumentReference/{note['id']}", "no_recording")
    assert len(await every_note(listening)) == 1
    assert (await listening.visit())["state"] == "done"


async def test_case_07_a_document_of_two_encounters_is_for_a_person(listening: Hospital) -> None:
    await listening.admit()
    await listening.admit("e2")
    both = {"encounter": [{"reference": "Encounter/e1"}, {"reference": "Encounter/e2"}]}
    await listening.tell(await recorded_document(listening, context=both))
    await listening.until("parked", "DocumentReference/d1", "media_without_encounter")
    assert await no_note_yet(listening)


async def test_case_44_an_r5_audio_document_is_a_recording(listening: Hospital) -> None:
    encounter, document = as_r5(await listening.admit(), "completed"), await recorded_document(listening)
    document = {**document, "context": [{"reference": "Encounter/e1"}], "period": {"start": "2026-01-05T09:00:00Z"}}
    answer_for_the_ehr(listening, showing(encounter, document))
    await listening.tell(encounter, document)
    await filed(listening)


async def test_case_26_a_document_whose_own_security_label_restricts_it_leaves_nothing(listening: Hospital) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    document = await recorded_document(listening, securityLabel=[{"coding": [label]}])
    await listening.tell(await listening.admit(), document)
    visit = await listening.until("parked", reason="restricted")
    assert "DocumentReference/d1" in visit["detail"]
    assert visit["steps"] == []
    assert await no_note_yet(listening)
