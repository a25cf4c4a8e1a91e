"""URLs that change though the recording does not, and recordings that change though the URL does not."""

from __future__ import annotations

import base64
import hashlib
import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.journey.edge_cases.audio_store import audio_store, sound
from tests.journey.edge_cases.ehr_at_the_wire import again, answer_for_the_ehr, every_note
from tests.journey.hospital import COUGH, Hospital, Json, audio, open_hospital

SOUND = audio(*COUGH)
OTHER = audio(("patient", "I take insulin."), ("doctor", "I will start you on warfarin, 5 milligrams."))
HASH = base64.b64encode(hashlib.sha1(SOUND).digest()).decode()


def binary(content: bytes) -> Json:
    data = base64.b64encode(content).decode()
    return {"resourceType": "Binary", "id": "b1", "contentType": "audio/ogg", "data": data}


async def said(hospital: Hospital) -> str:
    (note,) = await every_note(hospital)
    return base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


@pytest.mark.parametrize(
    ("query", "described"),
    [("token=jwt{}&expires={}", {}), ("ticket={}&at={}", {"hash": HASH}), ("ticket={}", {"hash": HASH, "size": len(SOUND)})],
)  # fmt: skip
async def test_case_18_a_url_that_is_signed_anew_at_every_read_is_no_news(
    tmp_path: Path, query: str, described: Json
) -> None:
    reads = itertools.count()

    async with (
        audio_store(lambda _: sound(SOUND)) as store,
        open_hospital(tmp_path, ehr={"audio_hosts": [f"127.0.0.1:{store.port}"]}) as hospital,
    ):
        media = await hospital.record(content={"contentType": "audio/ogg", "url": store.url("a"), **described})
        encounter, plain = await hospital.admit(), hospital.house.ehr

        class Signing:
            def __getattr__(self, name: str) -> Any:
                return getattr(plain, name)

            async def read(self, reference: str) -> Json:
                resource = await plain.read(reference)
                if reference != "Media/m1":
                    return resource
                url = store.url(f"a?{query.replace('{}', str(next(reads)))}")
                return {**resource, "content": {**resource["content"], "url": url}}

        hospital.house.ehr = Signing()
        await hospital.tell(encounter, {**media, "content": {**media["content"], "url": store.url("a?" + query)}})
        await hospital.until("done")
        assert len(await every_note(hospital)) == len(store.asked) == 1
        assert next(reads) > 1


async def test_case_18_a_url_that_names_a_version_leads_to_that_one(hospital: Hospital) -> None:
    for content in (SOUND, OTHER):
        await hospital.put(binary(content))
    await hospital.tell(await hospital.admit(), await hospital.record(content={"url": "Binary/b1/_history/1"}))
    await hospital.until("done")
    assert "amoxicillin" in await said(hospital)
    assert "warfarin" not in await said(hospital)


async def test_case_19_a_version_that_is_not_there_is_waited_for_and_no_other_taken(tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.put(binary(OTHER))
        await hospital.tell(await hospital.admit(), await hospital.record(content={"url": "Binary/b1/_history/2"}))
        await hospital.until("waiting", reason="audio_not_there")
        await hospital.put(binary(SOUND))
        await again(hospital)
        await hospital.until("done")
        assert "warfarin" not in await said(hospital)


async def test_case_19_a_version_that_the_ehr_does_not_serve_is_parked(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response | None:
        if "/Binary/b1" not in request.url.path:
            return None
        asked.append(request.url.path.partition("/Binary/")[2])
        return httpx.Response(404 if "_history" in request.url.path else 200, content=SOUND)

    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.05}) as hospital:
        answer_for_the_ehr(hospital, answer)
        await hospital.tell(await hospital.admit(), await hospital.record(content={"url": "Binary/b1/_history/1"}))
        await hospital.until("parked", reason="audio_not_there")
        assert set(asked) == {"b1/_history/1"}
        assert await every_note(hospital) == []
