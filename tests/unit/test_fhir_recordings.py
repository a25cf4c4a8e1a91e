"""What a DocumentReference tells of a recording, and what must not be passed over in silence."""

from __future__ import annotations

from typing import Any

import pytest

from service.fhir.codes import AI_ASSERTED, NOTE_SYSTEM
from service.fhir.modifiers import not_understood
from service.fhir.recordings import as_media, is_audio_document
from service.fhir.security_labels import is_restricted

Json = dict[str, Any]


def document(**more: Any) -> Json:
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "meta": {"versionId": "1"},
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "date": "2026-01-05T09:30:00Z",
        "content": [{"attachment": {"contentType": "audio/mp4", "url": "Binary/b1", "creation": "2026-01-05T09:00:00Z"}}],
        "context": {"encounter": [{"reference": "Encounter/e1"}]},
        **more,
    }  # fmt: skip


def test_an_audio_document_is_told_as_its_media() -> None:
    assert as_media(document()) == {
        "resourceType": "DocumentReference",
        "id": "d1",
        "meta": {"versionId": "1"},
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "createdDateTime": "2026-01-05T09:00:00Z",
        "content": document()["content"][0]["attachment"],
    }


@pytest.mark.parametrize(
    ("status", "doc_status", "told"),
    [
        ("current", None, "completed"),
        ("current", "final", "completed"),
        ("current", "amended", "completed"),
        ("current", "preliminary", "in-progress"),
        ("current", "partial", "in-progress"),
        ("current", "entered-in-error", "entered-in-error"),
        ("superseded", "final", "entered-in-error"),
        ("entered-in-error", "preliminary", "entered-in-error"),
        ("brand-new", None, "unknown"),
    ],
)
def test_its_status_in_the_words_of_a_media(status: str, doc_status: str | None, told: str) -> None:
    assert as_media(document(status=status, docStatus=doc_status))["status"] == told


def content(*types: str) -> list[Json]:
    return [{"attachment": {"contentType": kind, "url": f"Binary/{n}"}} for n, kind in enumerate(types)]


def test_of_several_formats_the_first_that_is_sound_is_taken() -> None:
    told = as_media(document(content=content("application/pdf", "VIDEO/mp4", "audio/ogg")))
    assert told["content"]["url"] == "Binary/1"


NO_RECORDING = {
    "a text": document(content=content("text/plain")),
    "no content": document(content=None),
    "an attachment of no type": document(content=[{"attachment": {"url": "Binary/b1"}}]),
    "our own note": document(identifier=[{"system": NOTE_SYSTEM, "value": "x"}]),
    "what a machine wrote": document(meta={"security": [AI_ASSERTED]}),
}


@pytest.mark.parametrize("what", NO_RECORDING)
def test_what_is_no_recording_is_told_as_one_that_was_not_done(what: str) -> None:
    assert not is_audio_document(NO_RECORDING[what])
    told = as_media(NO_RECORDING[what])
    assert (told["status"], told.get("encounter"), told.get("content")) == ("not-done", None, None)


@pytest.mark.parametrize(
    ("context", "encounter"),
    [
        ({"encounter": [{"reference": "EpisodeOfCare/x"}, {"reference": "Encounter/e1"}]}, {"reference": "Encounter/e1"}),
        ([{"reference": "Appointment/x"}, {"reference": "Encounter/e1"}], {"reference": "Encounter/e1"}),
        ({"encounter": [{"reference": "Encounter/e1"}, {"reference": "Encounter/e2"}]}, None),
        ({"encounter": []}, None),
        (None, None),
    ],
)  # fmt: skip
def test_only_one_encounter_is_its_encounter(context: object, encounter: object) -> None:
    assert as_media(document(context=context)).get("encounter") == encounter


MODIFIED: list[tuple[Json, str | None]] = [
    ({"modifierExtension": [{"url": "urn:x"}]}, "modifierExtension"),
    ({"implicitRules": "urn:x"}, "implicitRules"),
    ({"participant": [{}, {"modifierExtension": [{"url": "urn:x"}]}]}, "participant[1].modifierExtension"),
    ({"extension": [{"url": "urn:x"}], "modifierExtension": [], "participant": [{}]}, None),
    ({"contained": [{"modifierExtension": [{"url": "urn:x"}]}]}, None),
    ({}, None),
]


@pytest.mark.parametrize(("resource", "path"), MODIFIED)
def test_what_may_turn_a_meaning_round_is_named_by_its_path(resource: Json, path: str | None) -> None:
    assert not_understood(resource) == path


def test_a_modifier_of_a_document_s_parts_is_not_lost() -> None:
    modifier = [{"url": "urn:x"}]
    for part in ({"content": [{**document()["content"][0], "modifierExtension": modifier}]}, {"context": {"modifierExtension": modifier}}):  # fmt: skip
        assert not_understood(as_media(document(**part))) == "modifierExtension"
    assert not_understood(as_media(document(implicitRules="urn:x"))) == "implicitRules"


R = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


@pytest.mark.parametrize("more", [{}, {"content": [], "status": "current"}])
def test_its_security_labels_are_those_of_the_media(more: Json) -> None:
    told = as_media(document(meta={"versionId": "1", "security": [{"code": "N"}]}, securityLabel=[{"coding": [R, {"code": "V"}]}], **more))  # fmt: skip
    assert told["meta"] == {"versionId": "1", "security": [{"code": "N"}, R, {"code": "V"}]}


@pytest.mark.parametrize(
    "label",
    [[{"coding": [R]}], {"coding": [R]}, [{"coding": R}], [{"text": "restricted"}], [{"coding": []}], [None], "R"],
)
@pytest.mark.parametrize("meta", [{}, None, {"security": {"code": "N"}}])
def test_a_security_label_in_whatever_form_restricts_it(label: Any, meta: Any) -> None:
    assert is_restricted(as_media(document(meta=meta, securityLabel=label)), ["R"])


@pytest.mark.parametrize("label", [None, [], [{"coding": [{**R, "code": "N"}]}]])
def test_a_recording_with_another_label_or_none_is_not_restricted(label: Any) -> None:
    assert not is_restricted(as_media(document(securityLabel=label)), ["R"])
