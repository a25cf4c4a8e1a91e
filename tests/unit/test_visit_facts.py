"""Which word on a resource is the latest, whether a recording changed, and which Media are recordings."""

from __future__ import annotations

from typing import Any

import pytest

from service.workflow.media import sort_media
from service.workflow.visit import Fact, Visit, content_key, is_newer, is_older, meaning, visit_id

SOME = {"status": "completed"}


def fact(
    version: str | None = None,
    updated: str | None = None,
    *,
    deleted: bool = False,
    resource: Any = SOME,
    ident: str = "m1",
) -> Fact:
    return Fact("Media", ident, version, updated, deleted, resource)


@pytest.mark.parametrize(
    ("candidate", "known", "newer"),
    [
        (fact("10"), fact("9"), True),
        (fact("9"), fact("10"), False),
        (fact("2", "2026-01-01T00:00:00Z"), fact("1", "2026-01-02T00:00:00Z"), True),
        (fact("2"), fact("2"), False),
        (fact("2"), fact("2", resource=None), True),
        (fact("2", resource=None), fact("2"), False),
        (fact("2", deleted=True, resource=None), fact("2"), True),
        (fact("2"), fact("2", deleted=True, resource=None), False),
        (fact("2"), fact("2", deleted=True), False),
        (fact("3"), fact("2", deleted=True), True),
        (fact("9", deleted=True), fact("10"), False),
        (fact("a1b2", resource=None), fact("a1b2"), False),
        (fact("a1b2"), fact("a1b2", deleted=True, resource=None), False),
        (fact("a", "2026-01-01T10:00:00+02:00"), fact("b", "2026-01-01T09:00:00Z"), False),
        (fact("a", "2026-01-01T09:00:00Z"), fact("b", "2026-01-01T10:00:00+02:00"), True),
        (fact(None, "2026-01-01T09:00:00.5Z"), fact(None, "2026-01-01T09:00:00Z"), True),
        (fact(None, "2026-01-01T09:00:00Z"), fact(None, "2026-01-01T09:00:00.000Z"), True),
        (fact(None, "2026-01-01T09:00:00Z"), fact(None, "2026-01-01T09:00:00Z", deleted=True), False),
        (fact(None, "2026-01-01T09:00:00Z", deleted=True), fact(None, "2026-01-01T09:00:00Z"), True),
        (fact(None, "yesterday"), fact(None, "2026-01-01T09:00:00Z"), True),
        (fact(), fact("9", "2026-01-01T09:00:00Z"), True),
        (fact("9"), fact(), True),
        (fact("9" * 5000), fact("1"), True),
        (fact("\u0669"), fact("1", "2026-01-01T09:00:00Z"), True),
    ],
)
def test_which_of_two_facts_is_newer(candidate: Fact, known: Fact, newer: bool) -> None:
    assert is_newer(candidate, known) is newer


def media(**content: Any) -> Fact:
    return fact(resource={"content": content})


@pytest.mark.parametrize(
    "other",
    [{"url": "Binary/2"}, {"url": "Binary/1", "hash": "x"}, {"url": "Binary/1", "size": 7}, {"data": "QQ=="}, {}],
)
def test_another_recording_has_another_key(other: dict[str, Any]) -> None:
    assert content_key(media(url="Binary/1")) != content_key(media(**other))


def test_nothing_else_changes_the_key() -> None:
    changed = fact(
        "9",
        "2026-01-01T09:00:00Z",
        resource={"status": "stopped", "content": {"url": "Binary/1", "title": "x", "contentType": "audio/ogg"}},
    )
    assert content_key(changed) == content_key(media(url="Binary/1"))
    assert content_key(fact(ident="m2", resource={"content": {"url": "Binary/1"}})) != content_key(
        media(url="Binary/1")
    )


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Date=1&X-Amz-Signature={}",
        "Expires={}&Signature={}&Key-Pair-Id=K",
        "se={}&sig={}",
        "X-Goog-Expires=1&X-Goog-Signature={}",
        "x-amz-date={}&x-amz-signature={}",
        "token=jwt{}&expires={}",
        "Token={}",
        "access_token={}",
        "signature={}&EXPIRES={}",
        "OSSAccessKeyId={}&Expires={}&Signature={}&security-token={}",
        "x-oss-date={}&x-oss-expires=9&x-oss-credential={}&x-oss-signature={}&x-oss-signature-version=OSS4-HMAC-SHA256",
        "q-sign-algorithm=sha1&q-ak=a&q-sign-time={}&q-key-time={}&q-signature={}&x-cos-security-token={}",
        "AccessKeyId={}&Expires={}&Signature={}&x-obs-security-token={}",
        "sv={}&spr=https&sr=b&sp={}&st={}&se={}&skoid={}&sktid={}&skt={}&ske={}&sks=b&skv={}&sdd=1&sig={}",
        "Policy={}&Signature={}&Key-Pair-Id={}&Hash-Algorithm=SHA256",
    ],
)
def test_a_url_signed_anew_is_the_same_recording(query: str) -> None:
    urls = [f"https://store.test/b1?object=7&{query.replace('{}', sign)}" for sign in ("first", "second")]
    assert content_key(media(url=urls[0])) == content_key(media(url=urls[1]))
    assert content_key(media(url=urls[0])) != content_key(media(url=urls[0].replace("object=7", "object=8")))


def test_short_names_are_a_signature_only_beside_one() -> None:
    """Azure's `sp`, `sr`, `sv` are anybody's names without its `sig`."""
    for name in ("sv", "sr", "sp", "sdd", "si"):
        assert content_key(media(url=f"https://s.test/a?{name}=1")) != content_key(
            media(url=f"https://s.test/a?{name}=2")
        )


@pytest.mark.parametrize("name", ["versionId", "object", "id", "x-oss-process", "mytoken", "generation"])
def test_what_names_the_recording_is_no_signature(name: str) -> None:
    urls = [f"https://s.test/a?{name}={value}&sig=s&token=t" for value in (1, 2)]
    assert content_key(media(url=urls[0])) != content_key(media(url=urls[1]))


HASH = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="  # SHA-1 of nothing


def test_beside_a_hash_the_query_says_nothing() -> None:
    one, other = (media(url=f"https://s.test/a?ticket={n}&at={n}#t", hash=HASH, size=0) for n in (1, 2))
    assert content_key(one) == content_key(other)
    assert meaning(one) == meaning(other)
    elsewhere = media(url="https://s.test/b?ticket=1&at=1#t", hash=HASH, size=0)
    assert content_key(one) != content_key(elsewhere)
    assert content_key(one) != content_key(media(url="https://s.test/a?ticket=1&at=1#t", hash="0" * 40, size=0))


@pytest.mark.parametrize("unreadable", ["", "x", "d41d8cd98f00b204e9800998ecf8427e", 7, None])
def test_beside_a_hash_that_nobody_can_read_it_does(unreadable: Any) -> None:
    one, other = (media(url=f"https://s.test/a?ticket={n}", hash=unreadable, size=5) for n in (1, 2))
    assert content_key(one) != content_key(other)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"url": "Binary/1"}, "6596691dd0674aa3"),
        ({"url": "Binary/1", "size": 5, "hash": HASH}, "263003c393afd8ee"),
        ({"data": "QUFB"}, "e7400b737dbe8c88"),
        ({"url": "https://s.test/a?object=7&X-Amz-Date=1&X-Amz-Signature=2"}, "50c89e998b38d4f4"),
        ({"url": "https://s.test/a?X-Amz-Date=1&X-Amz-Signature=2", "hash": HASH}, "e5d98046b4c42e5f"),
        ({"url": "https://s.test/a?se=1&sig=2#t"}, "f9de74d2052b8927"),
        ({"url": "https://s.test/a?object=7"}, "41ef92ffe78778b2"),
    ],
)
def test_keys_of_visits_under_way_stay_as_they_are(content: dict[str, Any], key: str) -> None:
    """They are part of the names of steps that were taken by an earlier version."""
    assert content_key(media(**content)) == key


def group(status: Any, content: Any, **more: Any) -> str:
    sorted_ = sort_media((fact(resource={"status": status, "content": content, **more}),))
    names = [name for name in ("available", "without_content", "in_progress") if getattr(sorted_, name)]
    assert sorted_.any == bool(names)
    assert len(sorted_.all) == len(names)
    return "".join(names)


@pytest.mark.parametrize("content", [{"url": "Binary/1"}, {"data": "QQ=="}, {"url": "Binary/1", "size": 5}])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("completed", "available"), ("stopped", "available"), ("preparation", "in_progress"), ("in-progress", "in_progress"),
        ("on-hold", "in_progress"), ("unknown", "in_progress"), (None, "in_progress"), ("recorded", "in_progress"), ("not-done", ""),
        ("entered-in-error", ""),
    ],
)  # fmt: skip
def test_what_each_status_of_a_media_with_content_means(
    status: str | None, expected: str, content: dict[str, Any]
) -> None:
    assert group(status, content) == expected


@pytest.mark.parametrize(
    "content", [None, {}, {"url": ""}, {"data": ""}, {"data": 7}, {"url": "Binary/1", "size": 0}, "x"]
)
def test_without_content_a_completed_media_is_awaited_and_a_stopped_one_is_not(content: Any) -> None:
    assert group("completed", content) == "without_content"
    assert group("stopped", content) == ""


@pytest.mark.parametrize("content_type", ["image/png", "IMAGE/JPEG", "application/pdf", "text/plain"])
def test_an_image_is_no_recording(content_type: str) -> None:
    assert group("completed", {"url": "Binary/1", "contentType": content_type}) == ""
    assert group("completed", {"url": "Binary/1"}, type={"coding": [{"code": "image"}]}) == ""
    assert group("completed", {"url": "Binary/1", "contentType": "application/octet-stream"}) == "available"


def test_a_deleted_media_is_no_recording_and_a_pointer_is_awaited() -> None:
    assert not sort_media((fact(deleted=True),)).any
    assert sort_media((fact(resource=None),)).in_progress


def test_recordings_are_in_the_order_in_which_they_were_made() -> None:
    def made(ident: str, **resource: Any) -> Fact:
        return fact(ident=ident, resource=resource)

    visit = Visit("v", "Encounter/e1", 1, 1, 0, None, 0.0, (
        made("c", createdDateTime="2026-01-05T10:30:00+02:00"), made("b", createdPeriod={"start": "2026-01-05T09:00:00Z"}),
        made("a", issued="2026-01-05T09:30:00.000Z"), made("z"), made("y", createdDateTime="soon"),
    ))  # fmt: skip
    assert [m.id for m in visit.media] == ["y", "z", "c", "b", "a"]


def test_a_visit_is_one_encounter_of_one_ehr() -> None:
    assert visit_id("https://ehr.test/", "Encounter/e1") == visit_id("https://ehr.test", "Encounter/e1")
    assert len({visit_id(ehr, key) for ehr in ("a", "b") for key in ("Encounter/e1", "Encounter/e2", "Media/e1")}) == 6


@pytest.mark.parametrize(
    ("reading", "known", "older"),
    [
        (fact("9"), fact("10"), True),
        (fact("10"), fact("9"), False),
        (fact("1"), fact("1"), False),
        (fact("1", "2026-01-01T00:00:00Z"), fact("1", "2026-01-02T00:00:00Z"), False),
        (fact("1", "2026-01-02T00:00:00Z"), fact("41", "2026-01-01T00:00:00Z"), False),
        (fact("1", "2026-01-01T00:00:00Z"), fact("41", "2026-01-01T00:00:00Z"), True),
        (fact("1"), fact("41", "2026-01-01T00:00:00Z"), True),
        (fact("2", "2026-01-01T00:00:00Z"), fact("1", "2026-01-02T00:00:00Z"), False),
        (fact("b", "2026-01-01T00:00:00Z"), fact("a", "2026-01-02T00:00:00Z"), True),
        (fact("a", "2026-01-01T00:00:00Z"), fact("a", "2026-01-02T00:00:00Z"), False),
        (fact(None, "2026-01-01T00:00:00Z"), fact(None, "2026-01-01T00:00:01Z"), True),
        (fact(None, "2026-01-01T00:00:00Z"), fact(None, "2026-01-01T00:00:00.999Z"), False),
        (fact(None, "2026-01-01T01:00:00+01:00"), fact(None, "2026-01-01T00:00:00Z"), False),
        (fact(), fact("7", "2026-01-01T00:00:00Z"), False),
    ],
)
def test_which_reading_is_outdated(reading: Fact, known: Fact, older: bool) -> None:
    assert is_older(reading, known) is older


def test_a_security_label_is_news_and_other_metadata_is_not() -> None:
    plain = fact(resource={**SOME, "meta": {"versionId": "1"}})
    assert meaning(plain) == meaning(fact(resource={**SOME, "meta": {"versionId": "2", "tag": [{"code": "x"}]}}))
    assert meaning(plain) != meaning(fact(resource={**SOME, "meta": {"security": [{"code": "R"}]}}))
