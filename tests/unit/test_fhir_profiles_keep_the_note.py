"""What no profile may decide: whose note it is, what it says, who vouches for it. Refused in its YAML, and again in each note."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.errors import BadConfiguration
from service.fhir.document_reference import FIRST_LINE, prepare
from service.fhir.element_paths import ELEMENTS
from service.fhir.note import Note
from service.fhir.profile import Profile, load_profile
from tests.unit.test_fhir_document_reference import NOTE

NOT_TO_BE_SAID = [
    "subject", "identifier", "masterIdentifier", "status", "docStatus", "date", "author", "authenticator", "relatesTo", "description",
    "text", "meta", "meta.security", "content", "content.attachment", "content.attachment.data", "content.attachment.url",
    "content.attachment.size", "content.attachment.hash", "content.attachment.contentType", "content.attachment.creation",
    "context", "context.encounter", "context.related", "context.sourcePatientInfo",
]  # fmt: skip
NEVER_LEFT_OUT = [
    "subject", "status", "type", "content", "content.attachment", "content.attachment.data", "content.attachment.url",
    "content.attachment.contentType",
]  # fmt: skip
PERIOD = ["context.period", "context.period.start", "context.period.end"]
REPLACING = replace(NOTE, replaces="DocumentReference/n0")


def loaded(folder: Path, text: str) -> Profile:
    file = folder / "mine.yaml"
    file.write_text(f"name: mine\n{text}\n", encoding="utf-8")
    return load_profile(str(file))


@pytest.mark.parametrize("path", [*NOT_TO_BE_SAID, *PERIOD])
def test_what_is_the_notes_own_cannot_be_forced(path: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=rf"forced\.{path}: not a profile's to say: [\w`]"):
        loaded(tmp_path, f"forced: {{{path}: x}}")


@pytest.mark.parametrize("path", NOT_TO_BE_SAID)
def test_what_is_the_notes_own_has_no_fallback(path: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=rf"fallbacks\.{path}: not a profile's to say"):
        loaded(tmp_path, f"fallbacks: {{{path}: custodian}}")


@pytest.mark.parametrize("path", sorted(ELEMENTS - {*NOT_TO_BE_SAID, *PERIOD}))
def test_all_else_may_be_forced(path: str, tmp_path: Path) -> None:
    assert path in loaded(tmp_path, f"forced: {{{path}: x}}").forced


@pytest.mark.parametrize("path", NEVER_LEFT_OUT)
def test_what_makes_it_a_note_cannot_be_forbidden(path: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=rf"forbidden: {path}: \w"):
        loaded(tmp_path, f"forbidden: [{path}]")


@pytest.mark.parametrize(
    ("once", "search"), [("true", "false"), ("false", "true"), ("false", "null"), ("null", "false")]
)
def test_the_identifier_is_not_left_out_where_notes_are_found_by_it(once: str, search: str, tmp_path: Path) -> None:
    writing = f"writing: {{conditional_create: {once}, identifier_search: {search}}}"
    with pytest.raises(
        BadConfiguration, match=r"`writing\.conditional_create` and `writing\.identifier_search` must be false"
    ):
        loaded(tmp_path, f"{writing}\nforbidden: [identifier]")


def test_the_identifier_is_left_out_where_it_is_of_no_use(tmp_path: Path) -> None:
    mine = loaded(tmp_path, "writing: {conditional_create: false, identifier_search: false}\nforbidden: [identifier]")
    assert "identifier" not in prepare(NOTE, mine).resource


def test_what_a_profile_extends_is_judged_with_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\nforced: {subject: {reference: Patient/p2}}\n")
    with pytest.raises(BadConfiguration, match=r"forced\.subject"):
        loaded(tmp_path, "extends: base.yaml")


def test_an_authenticator_cannot_be_required(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="authenticator is required but nobody has verified a draft"):
        loaded(tmp_path, "required: [authenticator]")


OTHER = {"reference": "Practitioner/other"}
CHANGED: list[tuple[str, Any]] = [
    ("subject", {"reference": "Patient/p2"}),
    ("subject", {"reference": "Patient/p1", "identifier": {"system": "urn:s", "value": "p2"}}),
    ("status", "superseded"),
    ("identifier", [{"system": "urn:x", "value": "same"}]),
    ("masterIdentifier", {"system": "urn:x", "value": "same"}),
    ("authenticator", OTHER),
    ("author", [OTHER]),
    ("relatesTo", [{"code": "replaces", "target": {"reference": "DocumentReference/other"}}]),
    ("text", {"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Signed.</div>'}),
    ("context.encounter", [{"reference": "Encounter/e2"}]),
    ("context.sourcePatientInfo", {"reference": "Patient/p2"}),
    ("content.attachment.data", "U2lnbmVkIG5vdGU="),
    ("content.attachment.url", "https://ehr.test/Binary/other"),
    ("content.attachment.contentType", "text/html"),
    ("content", [{"attachment": {"contentType": "text/plain", "title": "x"}}]),
]


@pytest.mark.parametrize("required", [(), ("masterIdentifier", "text", "context.sourcePatientInfo")])
@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(("path", "value"), CHANGED)
def test_a_note_that_became_another_is_not_sent(path: str, value: Any, inline: bool, required: tuple[str, ...]) -> None:
    holed = Profile(name="mine", inline=inline).model_copy(update={"forced": {path: value}, "required": required})
    with pytest.raises(ValueError, match=rf"not this note any more: {path.partition('.attachment')[0]}$") as refused:
        prepare(REPLACING, holed)
    assert "other" not in str(refused.value)


@pytest.mark.parametrize("path", ["subject", "status", "identifier"])
def test_nor_is_one_that_lacks_what_makes_it_this_note(path: str) -> None:
    with pytest.raises(ValueError, match="not"):
        prepare(NOTE, Profile(name="mine").model_copy(update={"forced": {path: None}}))


@pytest.mark.parametrize("path", ["content.attachment.data", "content.attachment", "content", "subject", "status"])
def test_nor_one_of_which_a_part_was_left_out(path: str) -> None:
    with pytest.raises(ValueError, match=f"not this note any more: {path.partition('.')[0]}"):
        prepare(NOTE, Profile(name="mine").model_copy(update={"forbidden": (path,)}))


def test_what_a_profile_may_leave_out_makes_no_other_note() -> None:
    mine = Profile(name="mine", forbidden=("author", "relatesTo", "context", "content.attachment.hash"))
    assert not prepare(REPLACING, mine).resource.keys() & {"author", "relatesTo", "context"}


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain; charset=utf-8", "application/xhtml+xml", "application/pdf"]
)
@pytest.mark.parametrize("note", [NOTE, replace(NOTE, sections=[]), replace(NOTE, language="ar", title="")])
def test_every_content_says_first_that_a_machine_drafted_it(kind: Any, inline: bool, note: Note) -> None:
    prepared = prepare(note, Profile(name="mine", contents=(kind,), inline=inline, required=("text",)))
    source = prepared.resource["content"][0]["attachment"] if inline else prepared.binaries[0][1]
    raw = base64.b64decode(source["data"])
    first, plain = f"<p>{FIRST_LINE}</p>", kind.startswith("text/plain")
    if kind == "application/pdf":
        from pypdf import PdfReader

        assert PdfReader(io.BytesIO(raw)).pages[0].extract_text().startswith(FIRST_LINE)
    else:
        assert raw.decode().startswith(FIRST_LINE) if plain else f"<body>{first}" in raw.decode()
    assert f">{first}" in prepared.resource["text"]["div"]
