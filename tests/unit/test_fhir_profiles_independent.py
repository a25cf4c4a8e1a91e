"""Everything that is sent, judged by validators and rules that share no code with what builds it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.fhir.codes import DOCUMENT_TYPES
from service.fhir.document_reference import Prepared, ProfileUnmet, prepare
from service.fhir.note import Note
from service.fhir.profile import load_profile
from service.fhir.provide_bundle import provide_bundle
from tests import destinations, independent, us_core
from tests.profiles import BUNDLED, profile_of_a_hospital
from tests.unit.test_fhir_document_reference import NOTE

CONTENTS = ["text/plain; charset=utf-8", "application/xhtml+xml", "application/pdf"]
Json = dict[str, Any]
Change = Callable[[Json], Any]

SPARSE = replace(NOTE, encounter=None, period=None, media=[], authors=[], sections=[], title="")
RICH = replace(
    NOTE,
    replaces="DocumentReference/n0",
    custodian="Organization/o1",
    language="ar-EG",
    title="مراجعة\n",
    sections=[("الشكوى", "سعال منذ عشرة أيام"), ("Plan", "e\u0301 \r\n\x00")],
    period={"start": "2026-03-29T01:30:00+01:00", "end": "2026-03-29T03:05:00+02:00"},
    labels=[{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}],
)


NEEDS_MORE = {"epic": "context.encounter is required", "oracle-health": "context.period.end is required"}


@pytest.mark.parametrize("template", [*DOCUMENT_TYPES, "one-of-my-own"])
@pytest.mark.parametrize("name", BUNDLED)
def test_every_profile_and_template_is_valid_r4(name: str, template: str, tmp_path: Path) -> None:
    profile = profile_of_a_hospital(name, tmp_path)
    if profile.types and template not in profile.types and "default" not in profile.types:
        with pytest.raises(ProfileUnmet, match="type is required by profile our-isik"):
            prepare(replace(NOTE, template=template), profile)
        return
    note = prepare(replace(NOTE, template=template), profile).resource
    assert independent.problems(note) == []
    assert list(destinations.CHECKS.get(name, lambda _: [])(note)) == []
    assert name != "us-core" or us_core.problems(note) == []


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("name", BUNDLED)
def test_every_profile_is_valid_with_every_content_type(name: str, inline: bool, tmp_path: Path) -> None:
    lax = {"contents": tuple(CONTENTS), "inline": inline, "required": (), "forbidden": ()}
    prepared = prepare(RICH, profile_of_a_hospital(name, tmp_path).model_copy(update=lax))
    assert independent.problems(prepared.resource) == []
    assert [independent.problems(binary) for _, binary in prepared.binaries] == [[]] * (0 if inline else 3)


@pytest.mark.parametrize("note", [SPARSE, RICH], ids=["sparse", "rich"])
@pytest.mark.parametrize("name", BUNDLED)
def test_a_note_with_hardly_anything_or_with_everything_is_valid_or_refused(
    name: str, note: Note, tmp_path: Path
) -> None:
    profile = profile_of_a_hospital(name, tmp_path)
    if note is SPARSE and name in NEEDS_MORE:
        with pytest.raises(ProfileUnmet, match=NEEDS_MORE[name]):
            prepare(note, profile)
        return
    resource = prepare(note, profile).resource
    assert independent.problems(resource) == []
    assert list(destinations.CHECKS.get(name, lambda _: [])(resource)) == []
    assert name != "us-core" or us_core.problems(resource) == []


def test_ihe_mhd_is_sent_as_one_transaction_with_its_submission_set_and_document() -> None:
    bundle = provided()
    assert independent.problems(bundle) == []
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert (bundle["type"], kinds) == ("transaction", ["List", "DocumentReference", "Binary"])
    submission, document, binary = bundle["entry"]
    assert submission["resource"]["entry"] == [{"item": {"reference": document["fullUrl"]}}]
    assert document["resource"]["content"][0]["attachment"]["url"] == binary["fullUrl"]
    assert {identifier["use"] for identifier in submission["resource"]["identifier"]} == {"official", "usual"}
    assert submission["resource"]["extension"][0]["valueIdentifier"]["value"].startswith("urn:oid:2.25.")
    assert provided() == bundle


@pytest.mark.parametrize(("can", "conditions"), [(None, 2), (True, 2), (False, 0)])
def test_the_transaction_is_conditional_unless_the_destination_cannot(can: bool | None, conditions: int) -> None:
    requests = [entry["request"] for entry in provided(conditional_create=can)["entry"]]
    assert [request["method"] for request in requests] == ["POST"] * 3
    given = [request["ifNoneExist"] for request in requests if "ifNoneExist" in request]
    assert len(given) == conditions
    assert not given or given[1] == f"identifier=urn%3Aambient-fhir%3Anote%7C{NOTE.identifier}"


def provided(**writing: Any) -> Json:
    profile = load_profile("ihe-mhd")
    profile = profile.model_copy(update={"writing": profile.writing.model_copy(update=writing)})
    return provide_bundle(mhd(), NOTE, profile)


def mhd() -> Prepared:
    return prepare(NOTE, load_profile("ihe-mhd"))


def set_at(*path: str | int, to: Any) -> Change:
    def change(resource: Json) -> None:
        here: Any = resource
        for part in path[:-1]:
            here = here[part]
        here[path[-1]] = to

    return change


def without(*path: str | int) -> Change:
    def change(resource: Json) -> None:
        here: Any = resource
        for part in path[:-1]:
            here = here[part]
        del here[path[-1]]

    return change


ATTACHMENT = ("content", 0, "attachment")
NOT_R4 = [
    without("content"), without("status"), without(*ATTACHMENT), set_at("status", to="done"), set_at("docStatus", to="draft"),
    set_at("colour", to="x"), set_at("subject", "reference", to="Location/1"), set_at("author", to=[{"reference": "Media/1"}]),
    set_at(*ATTACHMENT, "data", to="!!!"), set_at("date", to="2026-01-05"), set_at("date", to="2026-01-05T10:00:00"),
    set_at("context", "period", "start", to="2027-01-01T00:00:00Z"), set_at("description", to=""), set_at("author", to=[]),
    set_at(*ATTACHMENT, "size", to="12"), set_at("relatesTo", to=[{"code": "replaces"}]), set_at(*ATTACHMENT, "language", to=" x"),
    set_at("masterIdentifier", to=[{"value": "1"}]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(NOT_R4)))
def test_the_independent_validator_finds_what_is_not_r4(number: int) -> None:
    note = copy.deepcopy(prepare(NOTE, load_profile("us-core")).resource)
    NOT_R4[number](note)
    assert independent.problems(note) != []


NOT_US_CORE = [
    without("type"), set_at("type", "coding", 0, "code", to="8302-2"), set_at("type", "coding", 0, "system", to="http://snomed.info/sct"),
    without("category"), set_at("category", 0, "coding", 0, "code", to="imaging"), without("subject"),
    set_at("subject", "reference", to="Group/1"), set_at("content", to=[]), without(*ATTACHMENT, "data"),
    without(*ATTACHMENT, "contentType"), set_at("context", "encounter", to=[{"reference": f"Encounter/{n}"} for n in "12"]),
    set_at("context", "encounter", to=[{"reference": "EpisodeOfCare/1"}]), set_at("date", to="2026-01-05T10:00:00"),
    set_at("author", to=[{"reference": "CareTeam/1"}]), set_at("content", 0, "format", to={"code": "x"}), set_at("status", to="final"),
    set_at("identifier", to=[{"system": "urn:x"}]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(NOT_US_CORE)))
def test_the_rules_of_us_core_find_each_bad_example(number: int) -> None:
    note = copy.deepcopy(prepare(NOTE, load_profile("us-core")).resource)
    assert us_core.problems(note) == []
    NOT_US_CORE[number](note)
    assert len(us_core.problems(note)) == 1


NOT_TAKEN: dict[str, list[Change]] = {
    "ihe-mhd": [
        set_at("docStatus", to="preliminary"), without("masterIdentifier"), set_at(*ATTACHMENT, "data", to="eA=="),
        without(*ATTACHMENT, "url"), set_at("category", to=[{}, {}]), set_at("content", to=[]),
    ],
    "isik": [
        set_at("custodian", to={"reference": "Organization/1"}), without("type", "coding", 0, "display"), without("securityLabel"),
        without("context", "facilityType"), without("content", 0, "format"), without("description"),
        set_at("masterIdentifier", "value", to="urn:uuid:0"),
    ],
    "epic": [
        set_at(*ATTACHMENT, "contentType", to="application/pdf"), without("context", "encounter"), without("docStatus"),
        set_at("relatesTo", to=[{"code": "replaces", "target": {}}]),
    ],
    "oracle-health": [
        set_at("docStatus", to="preliminary"), without("context", "period", "end"), set_at("context", "period", "start", to="2026"),
        set_at("author", to=[{"type": "Device"}]), set_at(*ATTACHMENT, "contentType", to="text/plain"),
        set_at("type", "coding", to=[{"system": "http://loinc.org"}, {"system": "https://fhir.cerner.com/t/codeSet/72"}]),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, changes in NOT_TAKEN.items() for n in range(len(changes))]
)
def test_the_rules_of_a_destination_find_each_bad_example(name: str, number: int, tmp_path: Path) -> None:
    note = copy.deepcopy(prepare(NOTE, profile_of_a_hospital(name, tmp_path)).resource)
    assert list(destinations.CHECKS[name](note)) == []
    NOT_TAKEN[name][number](note)
    assert list(destinations.CHECKS[name](note)) != []
