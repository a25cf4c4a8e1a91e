"""Audio in and out."""

from __future__ import annotations

import base64
import os
from typing import Any

import httpx
import pytest

SOUND = os.urandom(10_001)
FHIR = {"Content-Type": "application/fhir+json"}


async def stored_sound(ehr: httpx.AsyncClient) -> str:
    answer = await ehr.post("/Binary", content=SOUND, headers={"Content-Type": "audio/webm;codecs=opus"})
    assert answer.status_code == 201
    return f"/Binary/{answer.json()['id']}"


@pytest.mark.parametrize("accept", ["*/*", "audio/*", "audio/webm, application/fhir+json;q=0.5"])
async def test_content_comes_back_as_it_was_sent(ehr: httpx.AsyncClient, accept: str) -> None:
    answer = await ehr.get(await stored_sound(ehr), headers={"Accept": accept})
    assert answer.content == SOUND
    assert answer.headers["content-type"] == "audio/webm;codecs=opus"
    assert answer.headers["content-length"] == str(len(SOUND))
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_fhir_json_carries_the_content_in_base64(ehr: httpx.AsyncClient) -> None:
    answer = await ehr.get(await stored_sound(ehr), headers={"Accept": "application/fhir+json"})
    assert answer.headers["content-type"] == "application/fhir+json"
    body = answer.json()
    assert body["resourceType"] == "Binary"
    assert body["contentType"] == "audio/webm;codecs=opus"
    assert base64.b64decode(body["data"], validate=True) == SOUND


async def test_base64_sent_as_fhir_json_is_served_as_bytes(ehr: httpx.AsyncClient) -> None:
    body = {"resourceType": "Binary", "id": "b1", "contentType": "audio/wav", "data": base64.b64encode(SOUND).decode()}
    assert (await ehr.put("/Binary/b1", json=body, headers=FHIR)).status_code == 201
    assert (await ehr.get("/Binary/b1")).content == SOUND


async def test_a_replaced_content_can_still_be_read_as_its_version(ehr: httpx.AsyncClient) -> None:
    await ehr.put("/Binary/b1", content=b"one", headers={"Content-Type": "audio/wav"})
    await ehr.put("/Binary/b1", content=b"two", headers={"Content-Type": "audio/wav"})
    assert (await ehr.get("/Binary/b1")).content == b"two"
    assert (await ehr.get("/Binary/b1/_history/1")).content == b"one"


async def test_deleting_leaves_no_content_of_any_version(ehr: httpx.AsyncClient, blobs: Any) -> None:
    await ehr.put("/Binary/b1", content=b"one", headers={"Content-Type": "audio/wav"})
    await ehr.put("/Binary/b1", content=b"two", headers={"Content-Type": "audio/wav"})
    await ehr.delete("/Binary/b1")
    assert list(blobs.folder.iterdir()) == []
    assert (await ehr.get("/Binary/b1")).status_code == 410
    assert (await ehr.get("/Binary/b1/_history/1")).status_code == 410


async def test_content_that_no_resource_holds_is_not_kept(ehr: httpx.AsyncClient, blobs: Any) -> None:
    headers = {"Content-Type": "audio/wav"}
    await ehr.put("/Binary/b1", content=b"one", headers=headers)
    stale = await ehr.put("/Binary/b1", content=b"two", headers=headers | {"If-Match": 'W/"9"'})
    same = await ehr.post("/Binary", content=b"three", headers=headers | {"If-None-Exist": "_id=b1"})
    assert (stale.status_code, same.status_code) == (412, 200)
    assert len(list(blobs.folder.iterdir())) == 1


async def test_empty_content_and_unknown_types_are_content_too(ehr: httpx.AsyncClient) -> None:
    created = await ehr.post("/Binary", content=b"")
    answer = await ehr.get(f"/Binary/{created.json()['id']}")
    assert (answer.content, answer.headers["content-type"]) == (b"", "application/octet-stream")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Binary", "contentType": "audio/wav", "data": "!!!"}, 422),
        ({"resourceType": "Binary", "contentType": "audio/wav", "data": "aGVs bG8="}, 422),
        ({"resourceType": "Binary", "contentType": "nonsense", "data": "aGVsbG8="}, 422),
        ({"resourceType": "Binary", "data": "aGVsbG8="}, 400),
    ],
)
async def test_a_binary_that_cannot_be_content_is_refused(
    ehr: httpx.AsyncClient, blobs: Any, body: dict[str, str], status: int
) -> None:
    assert (await ehr.post("/Binary", json=body, headers=FHIR)).status_code == status
    assert list(blobs.folder.iterdir()) == []


async def test_too_much_content_is_refused_and_not_kept(ehr: httpx.AsyncClient, blobs: Any) -> None:
    answer = await ehr.post("/Binary", content=b"x" * 100_001, headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 413
    body = {"resourceType": "Binary", "contentType": "audio/wav", "data": "AAAA" * 40_000}
    assert (await ehr.post("/Binary", json=body, headers=FHIR)).status_code == 413
    assert list(blobs.folder.iterdir()) == []
