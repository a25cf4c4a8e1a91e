"""A note's contents: whatever a writer comes up with arrives whole, in every content type, inline or apart."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.fhir.document_reference import FIRST_LINE, NoteTooLarge, Prepared, note_text, prepare
from service.fhir.note_pdf import _shown
from service.fhir.profile import Profile, load_profile
from service.sandbox.validation import validate
from tests.unit.test_fhir_document_reference import NOTE

PLAIN, PAGE, PDF = "text/plain; charset=utf-8", "application/xhtml+xml", "application/pdf"
FORBIDDEN = [*map(chr, range(32)), *map(chr, range(0xD800, 0xE000)), "\ufffe", "\uffff"]
FORBIDDEN = [character for character in FORBIDDEN if character not in "\t\n\r"]
XHTML = "{http://www.w3.org/1999/xhtml}"
PIECES = ["\r\n", "\x00", "\u202e", "e\u0301", "👩🏽‍⚕️", " ", "\ud83d"]
ANYTHING = st.lists(st.characters(codec=None) | st.sampled_from(PIECES)).map("".join)
SHOWN = st.text(
    st.sampled_from([chr(point) for point in _shown() if re.fullmatch(r"[ !-~À-ſΑ-ωА-я]", chr(point))]), min_size=1
)
UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u2060\ufeff\ufe0f"
MARKS = [
    "{nb}", "**b**", "__u__", "~~s~~", "--i--", "--", "[a](b)", "<b>", "\\", "(", "%", "a\u202ab\u202cc",
    *(f"a{character}b" for character in UNSEEN),
]  # fmt: skip


def profile(**parts: Any) -> Profile:
    return Profile(name="mine", **parts)


def content(prepared: Prepared, number: int = 0) -> bytes:
    return base64.b64decode(prepared.resource["content"][number]["attachment"]["data"], validate=True)


def page_of(prepared: Prepared) -> ElementTree.Element:
    return ElementTree.fromstring(content(prepared))


def words_of(element: ElementTree.Element) -> str:
    """The text as it was before it became XHTML: `<br/>` is a line feed, all else stands for itself."""
    return (element.text or "") + "".join("\n" + (line.tail or "") for line in element)


def allowed(text: str) -> str:
    return "".join(character for character in text if character not in FORBIDDEN)


@given(heading=ANYTHING, text=ANYTHING, title=ANYTHING)
@settings(max_examples=150)
def test_plain_text_holds_every_character_that_fhir_allows(heading: str, text: str, title: str) -> None:
    prepared = prepare(replace(NOTE, sections=[(heading, text), ("Plan", "Rest.")], title=title), profile())
    read = content(prepared).decode()
    said = allowed(text) if allowed(text).strip() else "Nothing recorded."
    assert read == f"{FIRST_LINE}\n\n{allowed(heading)}\n{said}\n\nPlan\nRest.\n"
    assert read == prepared.text
    validate("DocumentReference", prepared.resource)


@given(heading=ANYTHING, text=ANYTHING, title=ANYTHING)
@settings(max_examples=150)
def test_xhtml_holds_every_character_that_fhir_allows(heading: str, text: str, title: str) -> None:
    note = replace(NOTE, sections=[(heading, text), ("Plan", "Rest.")], title=title)
    page = page_of(prepare(note, profile(contents=[PAGE])))
    said = allowed(text) if allowed(text).strip() else "Nothing recorded."
    assert [words_of(one) for one in page.iter(f"{XHTML}h2")] == [allowed(heading), "Plan"]
    assert [words_of(one) for one in page.iter(f"{XHTML}p")] == [FIRST_LINE, said, "Rest."]


@given(lines=st.lists(SHOWN, min_size=1, max_size=5))
@settings(max_examples=4, deadline=None)
def test_a_pdf_holds_every_character_that_its_font_has(lines: list[str]) -> None:
    text = "\n".join(lines)
    raw = content(prepare(replace(NOTE, sections=[("Heading", text)]), profile(contents=[PDF])))
    assert "".join(text.split()) in "".join(words_of_pdf(raw).split())


@given(pieces=st.lists(SHOWN | st.sampled_from(MARKS), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_a_pdf_takes_no_mark_for_an_instruction_and_keeps_what_is_not_seen(pieces: list[str]) -> None:
    text = " ".join(pieces)
    raw = content(prepare(replace(NOTE, sections=[("Heading", text)]), profile(contents=[PDF])))
    assert "".join(text.split()) in "".join(words_of_pdf(raw).split())


def test_a_pdf_has_every_mark_in_letters_that_are_set_either_way() -> None:
    lines = [f"x{mark}y" for mark in MARKS]
    for script in ("latin", "שלום"):
        raw = content(prepare(replace(NOTE, sections=[("Plan", "\n".join([*lines, script]))]), profile(contents=[PDF])))
        assert set(lines) <= set(words_of_pdf(raw).split("\n"))


@pytest.mark.parametrize("line_break", ["\u2028", "\u2029", "\r\n", "\r"])
def test_a_pdf_breaks_lines_where_the_note_does(line_break: str) -> None:
    note = replace(NOTE, sections=[("Plan", f"dose 5{line_break}1 daily")])
    assert "dose 5\n1 daily" in words_of_pdf(content(prepare(note, profile(contents=[PDF]))))


@given(heading=ANYTHING, text=ANYTHING, title=ANYTHING)
def test_what_was_removed_is_counted(heading: str, text: str, title: str) -> None:
    prepared = prepare(replace(NOTE, sections=[(heading, text)], title=title), profile())
    assert prepared.removed == sum(character in FORBIDDEN for character in heading + text + title)


@pytest.mark.parametrize(
    "character", ["\x7f", "\x80", "\u200f", "\u2028", "\ufeff", "\ufffd", "\U0010ffff", "\t", "\n", "\r"]
)
def test_what_fhir_does_not_forbid_stays(character: str) -> None:
    prepared = prepare(replace(NOTE, sections=[("Plan", f"a{character}b")]), profile(contents=[PLAIN, PAGE]))
    assert f"a{character}b" in content(prepared).decode()
    page = ElementTree.fromstring(content(prepared, 1))
    assert f"a{character}b" in [words_of(one) for one in page.iter(f"{XHTML}p")]
    assert prepared.removed == 0


def test_nothing_is_normalised_trimmed_or_put_in_capitals() -> None:
    text = "  \r\nMaß e\u0301 \ufb01 ÅÅ\n\n  "
    assert f"\n\ngrößte straße\n{text}\n" in note_text(replace(NOTE, sections=[("größte straße", text)]))


def test_a_note_of_a_megabyte_is_whole_and_quick() -> None:
    text = "Blutdruck 120/80, שלום, 👍. " * 30_000
    began = time.monotonic()
    prepared = prepare(replace(NOTE, sections=[("Verlauf", text)]), profile(contents=[PLAIN, PAGE]))
    assert text in content(prepared).decode()
    assert words_of(list(page_of_content(prepared, 1).iter(f"{XHTML}p"))[1]) == text
    assert time.monotonic() - began < 5


def page_of_content(prepared: Prepared, number: int) -> ElementTree.Element:
    return ElementTree.fromstring(content(prepared, number))


def test_xhtml_names_its_language_and_leaves_the_direction_to_the_text() -> None:
    page = page_of(prepare(replace(NOTE, language="he", sections=[("סיכום", "שלום")]), profile(contents=[PAGE])))
    assert page.get("{http://www.w3.org/XML/1998/namespace}lang") == "he"
    assert {one.get("dir") for tag in ("h2", "p") for one in page.iter(XHTML + tag) if words_of(one) != FIRST_LINE} == {
        "auto"
    }
    assert {one.tag.removeprefix(XHTML) for one in page.iter()} <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "p",
        "h2",
        "br",
    }


def test_markup_in_a_note_is_text() -> None:
    text = "<script>alert(1)</script> & <p style='x'> ]]> &amp;"
    page = page_of(prepare(replace(NOTE, sections=[("<b>", text)], title="</title>"), profile(contents=[PAGE])))
    assert words_of(list(page.iter(f"{XHTML}p"))[1]) == text
    assert not list(page.iter(f"{XHTML}script"))


def test_the_same_note_is_the_same_pdf_to_the_byte_whenever_it_is_written() -> None:
    pdf, later = profile(contents=[PDF]), replace(NOTE, written_at=NOTE.written_at + timedelta(days=1))
    assert content(prepare(NOTE, pdf)) == content(prepare(later, pdf))
    assert content(prepare(NOTE, pdf)).startswith(b"%PDF-")


def test_a_pdf_says_nothing_of_the_patient_outside_its_page() -> None:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content(prepare(NOTE, profile(contents=[PDF])))))
    assert reader.metadata == {"/Title": "SOAP note"}


def test_a_pdf_shows_other_scripts_and_emoji_that_the_font_has() -> None:
    text = "Größe µg\tЖ Ελ\r\nשלום\n😀"
    shown = words_of_pdf(content(prepare(replace(NOTE, sections=[("Plan", text)]), profile(contents=[PDF]))))
    for part in ("Größe µg", "Ж Ελ", "שלום", "😀"):
        assert part in shown


@pytest.mark.parametrize("character", ["漢", "🧬", "\U000e0041", "ठ"])
def test_a_pdf_is_refused_rather_than_lose_a_character(character: str) -> None:
    with pytest.raises(ValueError, match="lacks a character") as refused:
        prepare(replace(NOTE, sections=[("Plan", f"a{character}")]), profile(contents=[PDF]))
    assert character not in str(refused.value)


def words_of_pdf(raw: bytes) -> str:
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(raw)).pages)


def test_several_contents_are_the_same_note_in_several_types() -> None:
    prepared = prepare(NOTE, profile(contents=[PLAIN, PAGE, PDF]))
    attachments = [one["attachment"] for one in prepared.resource["content"]]
    assert [attachment["contentType"] for attachment in attachments] == [PLAIN, PAGE, PDF]
    for number, attachment in enumerate(attachments):
        raw = content(prepared, number)
        assert attachment["size"] == len(raw)
        assert attachment["hash"] == base64.b64encode(hashlib.sha1(raw).digest()).decode()
        assert (attachment["title"], attachment["language"]) == ("SOAP note", "en")
        assert attachment["creation"] == "2026-01-05T09:00:00.123Z"


def test_separate_contents_are_binaries_under_urns_that_never_change() -> None:
    apart = profile(contents=[PLAIN, PAGE], inline=False)
    prepared = prepare(NOTE, apart)
    urls = [one["attachment"]["url"] for one in prepared.resource["content"]]
    assert urls == [urn for urn, _ in prepared.binaries]
    assert len(set(urls)) == 2
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", url) for url in urls)
    assert all("data" not in one["attachment"] for one in prepared.resource["content"])
    assert prepare(NOTE, apart).binaries == prepared.binaries
    assert base64.b64decode(prepared.binaries[0][1]["data"]).decode() == prepared.text
    for _, binary in prepared.binaries:
        validate("Binary", binary)


def test_a_note_larger_than_the_destination_takes_names_size_and_limit() -> None:
    note = replace(NOTE, sections=[("Plan", "x" * 200)])
    with pytest.raises(NoteTooLarge, match=r"257 bytes, `largest` of profile mine is 100$") as refused:
        prepare(note, profile(largest=100))
    assert (refused.value.size, refused.value.largest) == (257, 100)
    assert prepare(note, profile(largest=257)).resource


def test_five_megabytes_are_the_limit_unless_said_otherwise() -> None:
    assert load_profile("us-core").largest == 5_000_000
