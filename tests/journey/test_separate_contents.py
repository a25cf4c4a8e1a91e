"""Contents that are Binaries of their own: the note points to those of the draft that it is made from, and to no earlier one."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import httpx
import pytest

from tests.journey.edge_cases.drafts import open_house_with_drafts, saying, written
from tests.journey.edge_cases.ehr_at_the_wire import again, answer_for_the_ehr
from tests.journey.hospital import Hospital, Json

FIRST, SECOND = saying(("Plan", "The first draft.")), saying(("Plan", "The second draft."))


class Refusing:
    """No DocumentReference is created until told otherwise; counts the Binaries that are."""

    def __init__(self, hospital: Hospital) -> None:
        self.refuses, self.binaries = True, 0
        answer_for_the_ehr(hospital, self)

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        self.binaries += request.url.path.endswith("/Binary")
        return httpx.Response(422) if self.refuses and request.url.path.endswith("/DocumentReference") else None


async def refused(hospital: Hospital) -> Refusing:
    """A visit whose contents are in the EHR, and whose note is not."""
    wire = Refusing(hospital)
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("parked", reason="ehr_refused")
    return wire


async def filed(hospital: Hospital) -> tuple[Json, bytes]:
    """The attachment of the note, and the content that it points to."""
    await again(hospital)
    await hospital.until("done")
    (note,) = await hospital.notes()
    attachment = note["content"][0]["attachment"]
    return attachment, base64.b64decode((await hospital.house.ehr.read(attachment["url"]))["data"])


async def test_a_note_of_another_draft_has_contents_of_its_own(tmp_path: Path) -> None:
    profile = written(tmp_path, "inline: false")
    async with open_house_with_drafts(tmp_path, FIRST, SECOND, profile=profile) as hospital:
        wire = await refused(hospital)
        ambient, visit = hospital.house.ambient, (await hospital.visit())["id"]
        interaction = await ambient.find_interaction(identifier=visit, patient="Patient/p1")
        assert interaction
        for document in await ambient.list_documents(interaction):
            await ambient.delete_document(interaction, document)
        await again(hospital)
        await hospital.until("parked", reason="document_gone")
        wire.refuses = False
        attachment, content = await filed(hospital)
    assert b"The second draft." in content
    assert attachment["size"] == len(content)
    assert attachment["hash"] == base64.b64encode(hashlib.sha1(content).digest()).decode()
    assert wire.binaries == 2


@pytest.mark.parametrize("kind", ["text/plain", "application/pdf"])
async def test_the_same_draft_keeps_its_contents_when_the_note_is_sent_again(kind: str, tmp_path: Path) -> None:
    profile = written(tmp_path, "inline: false", f"contents: ['{kind}']")
    async with open_house_with_drafts(tmp_path, FIRST, profile=profile) as hospital:
        wire = await refused(hospital)
        wire.refuses = False
        attachment, content = await filed(hospital)
    assert attachment["hash"] == base64.b64encode(hashlib.sha1(content).digest()).decode()
    assert wire.binaries == 1
