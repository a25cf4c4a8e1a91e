"""Where audio comes from, how much of it, whether it is the right one, and what becomes of a visit that has none to hear."""

from __future__ import annotations

import base64
import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.journey.edge_cases.audio_store import Store, audio_store, leads_to, sound
from tests.journey.edge_cases.ehr_at_the_wire import again, every_note
from tests.journey.hospital import COUGH, Hospital, Json, audio, open_hospital

SOUND = audio(*COUGH)
SHORT = {"incomplete_wait": 0.05}
MIB = 1024 * 1024


def listed(*stores: Store, **more: Any) -> Json:
    """Settings of the EHR with which audio may come from these hosts."""
    return {"audio_hosts": [f"127.0.0.1:{store.port}" for store in stores], "audio_private": True, **more}


async def recorded(hospital: Hospital, content: Json, **more: Any) -> Json:
    """A visit with one Media whose content is this; returns the Media."""
    media = await hospital.record(content=content, **more)
    await hospital.tell(await hospital.admit(), media)
    return media


async def recordings_of(hospital: Hospital) -> list[str]:
    steps = (await hospital.visit())["steps"]
    interaction = next(step["result"]["id"] for step in steps if step["name"] == "interaction")
    return await hospital.house.ambient.list_recordings(interaction)


# --- 18: a signed URL whose time is over ------------------------------------------------------------------------------

OVER = {
    "as S3 says it": (403, {}, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
    "as others do": (400, {"Content-Type": "application/xml"}, b"<Error><Code>ExpiredToken</Code></Error>"),
    "as Medplum does": (410, {}, b""),
}


@pytest.mark.parametrize("over", OVER.values(), ids=OVER)
async def test_case_18_an_expired_url_is_read_afresh_from_the_ehr(
    tmp_path: Path, over: tuple[int, dict[str, str], bytes]
) -> None:
    async with audio_store(lambda path: sound(SOUND) if path.endswith("=new") else over) as store:
        async with open_hospital(tmp_path, ehr=listed(store)) as hospital:
            media = await hospital.record(content={"url": store.url("a?X-Amz-Signature=new")})
            told = {**media, "content": {"url": store.url("a?X-Amz-Signature=old")}}
            await hospital.tell(await hospital.admit(), told)
            await hospital.until("done")
            assert len(await hospital.notes()) == 1
        assert store.asked == ["a?X-Amz-Signature=old", "a?X-Amz-Signature=new"]


async def test_case_18_a_url_that_stays_expired_is_waited_for_and_then_parked(tmp_path: Path) -> None:
    async with audio_store(lambda _: (403, {}, b"")) as store:
        async with open_hospital(tmp_path, ehr=listed(store), notes=SHORT) as hospital:
            await recorded(hospital, {"url": store.url("a?sig=x")})
            visit = await hospital.until("parked", reason="audio_url_expired")
            assert "Media/m1" in visit["detail"]
        assert 2 <= len(store.asked) <= 6


async def test_case_18_where_the_ehr_names_another_recording_by_now_that_one_is_taken_once(tmp_path: Path) -> None:
    async def meanwhile() -> AsyncIterator[bytes]:
        await hospital.put({**media, "content": {"url": store.url("other")}})
        yield b"<Error><Code>ExpiredToken</Code></Error>"

    async with (
        audio_store(lambda path: sound(SOUND) if path == "other" else (400, {}, meanwhile())) as store,
        open_hospital(tmp_path, ehr=listed(store)) as hospital,
    ):
        media = await recorded(hospital, {"url": store.url("a?sig=x")})
        await hospital.until("done")
        assert store.asked == ["a?sig=x", "other"]
        assert len(await every_note(hospital)) == len(await recordings_of(hospital)) == 1


# --- 19: audio that is not there yet ----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [(404, {}, b""), (200, {"Content-Type": "audio/ogg"}, b"")])
async def test_case_19_audio_that_is_not_there_yet_is_waited_for(
    tmp_path: Path, answer: tuple[int, dict[str, str], bytes]
) -> None:
    there: list[bool] = []
    async with (
        audio_store(lambda _: sound(SOUND) if there else answer) as store,
        open_hospital(tmp_path, ehr=listed(store)) as hospital,
    ):
        await recorded(hospital, {"url": store.url("a")})
        await hospital.until("waiting", reason="audio_not_there")
        there.append(True)
        await again(hospital)
        await hospital.until("done")


async def test_case_19_audio_that_is_still_being_uploaded_is_waited_for(tmp_path: Path) -> None:
    so_far = [SOUND[: len(SOUND) // 2]]
    async with (
        audio_store(lambda _: sound(so_far[-1])) as store,
        open_hospital(tmp_path, ehr=listed(store)) as hospital,
    ):
        await recorded(hospital, {"url": store.url("a"), "size": len(SOUND)})
        await hospital.until("waiting", reason="audio_incomplete")
        assert await recordings_of(hospital) == []
        so_far.append(SOUND)
        await again(hospital)
        await hospital.until("done")
        assert len(await recordings_of(hospital)) == 1


async def test_case_19_audio_that_never_comes_is_parked(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes=SHORT) as hospital:
        await recorded(hospital, {"url": "Binary/never"})
        await hospital.until("parked", reason="audio_not_there")


# --- 20: huge audio ---------------------------------------------------------------------------------------------------


async def noise(mebibytes: int) -> AsyncIterator[bytes]:
    piece = b"OggS" * (MIB // 16)
    for _ in range(4 * mebibytes):
        yield piece


async def noise_in_a_binary(mebibytes: int) -> AsyncIterator[bytes]:
    piece = base64.b64encode(b"OggS" * (MIB // 16 * 3))
    yield b'{"resourceType":"Binary","contentType":"audio/wav","data":"'
    for _ in range(mebibytes * 4 // 3):
        yield piece
    yield b'"}'


async def test_case_20_a_stream_without_an_end_in_sight_is_cut_off_at_the_cap(tmp_path: Path) -> None:
    async with (
        audio_store(lambda _: (200, {"Content-Type": "audio/wav"}, noise(60))) as store,
        open_hospital(tmp_path, ehr=listed(store, audio_max=MIB)) as hospital,
    ):
        await recorded(hospital, {"url": store.url("a")})
        await hospital.until("parked", reason="audio_too_large")
        assert await recordings_of(hospital) == []
        assert await every_note(hospital) == []


@pytest.mark.parametrize("body", [noise, noise_in_a_binary])
async def test_case_20_memory_stays_small_however_much_comes(tmp_path: Path, body: Any) -> None:
    async with (
        audio_store(lambda _: (200, {"Content-Type": "application/octet-stream"}, body(60))) as store,
        open_hospital(tmp_path, ehr=listed(store)) as hospital,
    ):
        taken = 0
        tracemalloc.start()
        try:
            async with hospital.house.ehr.open_audio({"url": store.url("a")}) as opened:
                async for chunk in opened.chunks:
                    taken += len(chunk)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert taken == 60 * MIB
    assert peak < 8 * MIB


# --- 22: content types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"contentType": "application/octet-stream"},
        {"contentType": "audio/webm;codecs=opus"},
        {"contentType": "AUDIO/X-WAV"},
        {"contentType": "video/mp4"},
        {"contentType": "application/json"},
        {"contentType": "sound"},
    ],
)
async def test_case_22_a_wrong_or_missing_content_type_stops_nothing(tmp_path: Path, content: Json) -> None:
    async with (
        audio_store(lambda _: sound(SOUND, "text/html")) as store,
        open_hospital(tmp_path, ehr=listed(store)) as hospital,
    ):
        await recorded(hospital, {**content, "url": store.url("a")})
        await hospital.until("done")


async def test_case_22_video_is_taken(hospital: Hospital) -> None:
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/media-type", "code": "video"}]}
    await recorded(hospital, {"contentType": "video/webm", "url": "Binary/b-m1"}, type=kind)
    await hospital.until("done")


# --- 23: size and hash ------------------------------------------------------------------------------------------------


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


RIGHT = {
    "SHA-1": b64(hashlib.sha1(SOUND).digest()),
    "SHA-256": b64(hashlib.sha256(SOUND).digest()),
    "hexadecimal": hashlib.sha1(SOUND).hexdigest(),
    "hexadecimal in base64": b64(hashlib.sha256(SOUND).hexdigest().encode()),
    "unreadable": b64(hashlib.md5(SOUND).digest()),
}
WRONG = {
    "SHA-1": {"hash": b64(hashlib.sha1(b"other").digest())},
    "SHA-256": {"hash": b64(hashlib.sha256(b"other").digest())},
    "hexadecimal": {"hash": hashlib.sha1(b"other").hexdigest()},
    "size": {"size": len(SOUND) + 1},
}


@pytest.mark.parametrize("form", RIGHT)
async def test_case_23_a_hash_may_come_in_several_forms(hospital: Hospital, form: str) -> None:
    content = {"contentType": "audio/ogg", "url": "Binary/b-m1", "size": len(SOUND), "hash": RIGHT[form]}
    await recorded(hospital, content)
    await hospital.until("done")


@pytest.mark.parametrize("wrong", WRONG)
async def test_case_23_audio_that_is_not_the_described_one_is_forgotten_and_parked(tmp_path: Path, wrong: str) -> None:
    async with open_hospital(tmp_path, notes=SHORT) as hospital:
        await recorded(hospital, {"contentType": "audio/ogg", "url": "Binary/b-m1", **WRONG[wrong]})
        visit = await hospital.until("parked", reason="audio_incomplete")
        assert f"content.{'size' if wrong == 'size' else 'hash'}" in visit["detail"]
        assert await recordings_of(hospital) == []
        assert not [step for step in visit["steps"] if step["name"].startswith("transcript:")]
        assert await every_note(hospital) == []


# --- 24: audio in which there is nothing to hear ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "reason"), [((), "no_speech"), ((("patient", " "), ("doctor", "")), "no_speech")], ids=["silent", "2 s"]
)
async def test_case_24_silence_becomes_no_note(hospital: Hospital, turns: Any, reason: str) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record(turns=turns))
    await hospital.until("parked", reason=reason)
    assert await every_note(hospital) == []


async def test_case_24_corrupt_audio_becomes_no_note(hospital: Hospital) -> None:
    await hospital.put({"resourceType": "Binary", "id": "bad", "contentType": "audio/ogg", "data": b64(b"no audio")})
    await recorded(hospital, {"contentType": "audio/ogg", "url": "Binary/bad"})
    visit = await hospital.until("parked", reason="recording_refused")
    assert "audio" in visit["detail"]
    assert await every_note(hospital) == []


async def test_case_24_speech_in_another_language_becomes_no_empty_note(hospital: Hospital) -> None:
    spoken = (("doctor", "Was führt Sie zu mir?"), ("patient", "Ich habe seit zehn Tagen Husten."))
    await hospital.tell(await hospital.admit(), await hospital.record(turns=spoken))
    await hospital.until("done")
    (note,) = await every_note(hospital)
    assert "Husten" in base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


# --- 25: the duration of the Media ------------------------------------------------------------------------------------


@pytest.mark.parametrize("duration", [3000, 0, 0.001, 10**9])
async def test_case_25_a_wrong_duration_cuts_nothing(hospital: Hospital, duration: float) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record(duration=duration))
    await hospital.until("done")
    (note,) = await every_note(hospital)
    assert "amoxicillin" in base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


# --- 55: addresses that must not be asked -----------------------------------------------------------------------------


@pytest.mark.parametrize("private", [True, False])
async def test_case_55_a_host_that_is_not_listed_is_never_asked(tmp_path: Path, private: bool) -> None:
    async with audio_store(lambda _: sound(SOUND)) as inside:
        async with open_hospital(tmp_path, ehr={"audio_private": private}) as hospital:
            await recorded(hospital, {"url": inside.url("latest/meta-data/iam")})
            await hospital.until("parked", reason="audio_host_not_allowed")
        assert inside.asked == []


async def test_case_55_a_listed_name_that_turns_out_to_be_private_is_never_asked(tmp_path: Path) -> None:
    async with audio_store(lambda _: sound(SOUND)) as inside:
        async with open_hospital(tmp_path, ehr={"audio_hosts": [f"localhost:{inside.port}"]}) as hospital:
            await recorded(hospital, {"url": inside.url("a", "localhost")})
            await hospital.until("parked", reason="audio_address_not_public")
        assert inside.asked == []


async def test_case_55_an_address_that_the_operator_listed_is_asked(tmp_path: Path) -> None:
    async with audio_store(lambda _: sound(SOUND)) as inside:
        async with open_hospital(tmp_path, ehr={"audio_hosts": [f"127.0.0.1:{inside.port}"]}) as hospital:
            await recorded(hospital, {"url": inside.url("a")})
            await hospital.until("done")
        assert len(inside.asked) == 1


async def test_case_55_a_redirect_into_the_house_is_not_followed(tmp_path: Path) -> None:
    async with audio_store(lambda _: sound(SOUND)) as inside, audio_store(lambda _: leads_to(inside.url("a"))) as store:
        async with open_hospital(tmp_path, ehr=listed(store)) as hospital:
            await recorded(hospital, {"url": store.url("a")})
            await hospital.until("parked", reason="audio_host_not_allowed")
        assert (len(store.asked), inside.asked) == (1, [])


async def test_case_55_a_redirect_to_another_listed_host_is_followed_and_no_token_goes_along(tmp_path: Path) -> None:
    async with audio_store(lambda _: sound(SOUND)) as second, audio_store(lambda _: leads_to(second.url("a"))) as first:
        auth = {"method": "bearer", "token": "secret-token"}
        async with open_hospital(tmp_path, ehr=listed(first, second, auth=auth)) as hospital:
            await recorded(hospital, {"url": first.url("a")})
            await hospital.until("done")
        heads = json.dumps(first.heads + second.heads).lower()
        assert "get /a" in heads
        assert "authorization" not in heads
        assert "secret-token" not in heads
