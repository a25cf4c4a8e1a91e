"""Whether audio is what the Attachment says: its size in bytes, and its hash in the forms that are sent."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.workflow.measured import Measured

SOUND = b"sound"
SHA1, SHA256 = hashlib.sha1(SOUND), hashlib.sha256(SOUND)
FORMS = (SHA1.digest(), SHA256.digest(), SHA1.hexdigest().encode(), SHA256.hexdigest().encode())


async def measured(sound: bytes = SOUND) -> Measured:
    async def source() -> AsyncIterator[bytes]:
        yield sound[:2]
        yield sound[2:]

    measured = Measured(source())
    assert b"".join([chunk async for chunk in measured.chunks()]) == sound
    assert measured.whole
    return measured


def forms() -> list[str]:
    return [
        *(base64.b64encode(form).decode() for form in FORMS),
        base64.b64encode(SHA1.digest()).decode().rstrip("="),
        *(form.decode() for form in FORMS[2:]),
        SHA1.hexdigest().upper(),
    ]


@pytest.mark.parametrize("form", forms())
async def test_a_hash_is_understood_in_any_of_these_forms(form: str) -> None:
    assert (await measured()).differs({"hash": form}) is None
    assert (await measured(b"other")).differs({"hash": form}) == "content.hash"
    assert (await measured()).knows_hash({"hash": form})


@pytest.mark.parametrize(
    "form", ["md5:1B2M2Y8AsgTpgAmY7PhCfg==", base64.b64encode(hashlib.md5(SOUND).digest()).decode(), "café", "sound", "W/1"]
)  # fmt: skip
async def test_a_hash_in_another_form_says_nothing(form: str) -> None:
    assert (await measured()).differs({"hash": form}) is None
    assert not (await measured()).knows_hash({"hash": form})


@pytest.mark.parametrize(
    "content", [{}, {"hash": None}, {"hash": 7}, {"hash": ""}, {"size": None}, {"size": True}, {"size": "?"}]
)
async def test_what_is_not_said_does_not_differ(content: dict[str, Any]) -> None:
    assert (await measured()).differs(content) is None
    assert (await measured()).knows_hash(content)


@pytest.mark.parametrize("size", [4, "4", 6, 2**31])
async def test_another_size_differs(size: Any) -> None:
    assert (await measured()).differs({"size": size}) == "content.size"


@pytest.mark.parametrize("size", [5, "5"])
async def test_the_size_is_in_bytes_before_base64(size: Any) -> None:
    assert (await measured()).differs({"size": size}) is None
