"""What is in a note and what an EHR takes of it: fallbacks, size limits, odd drafts, time zones, scripts and control characters."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from service.errors import BadConfiguration
from service.settings import Log
from service.telemetry import configure_logging
from tests import destinations, independent
from tests.journey.edge_cases.drafts import as_it_is, called, open_house_with_drafts, saying, written
from tests.journey.edge_cases.ehr_at_the_wire import again, answer_for_the_ehr, every_note
from tests.journey.hospital import Hospital, Json, open_hospital
from tests.profiles import BUNDLED

DOCTOR = {"individual": {"reference": "Practitioner/d1"}}
ENDED = {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:20:00Z"}


async def hold_a_visit(hospital: Hospital, **encounter: Any) -> None:
    await hospital.put({"resourceType": "Practitioner", "id": "d1", "active": True})
    admitted = await hospital.admit(**{"participant": [DOCTOR], "period": ENDED, **encounter})
    await hospital.tell(admitted, await hospital.record())


async def the_note(hospital: Hospital, **encounter: Any) -> Json:
    """Of a visit that ends well."""
    await hold_a_visit(hospital, **encounter)
    await hospital.until("done")
    (note,) = await hospital.notes()
    return note


async def why_parked(hospital: Hospital, reason: str, **encounter: Any) -> str:
    """The detail. Nothing is in the EHR then, and nothing is due."""
    await hold_a_visit(hospital, **encounter)
    visit = await hospital.until("parked", reason=reason)
    assert await every_note(hospital) == []
    return str(visit["detail"])


def text_of(note: Json, content: int = 0) -> str:
    return base64.b64decode(note["content"][content]["attachment"]["data"]).decode()


@pytest.mark.parametrize("name", [name for name in BUNDLED if name != "ihe-mhd"])
async def test_each_bundled_profile_is_filed_as_its_destination_wants_it(name: str, tmp_path: Path) -> None:
    async with open_house_with_drafts(tmp_path, profile=written(tmp_path, extends=name)) as hospital:
        note = await the_note(hospital)
    assert independent.problems(note) == []
    assert list(destinations.CHECKS.get(name, lambda _: [])(note)) == []


# --- 36: docStatus, author or type not accepted -------------------------------------------------------------------------


async def test_case_36_what_the_profile_falls_back_to_is_sent_and_recorded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Log(format="json", level="info"))
    async with open_house_with_drafts(tmp_path, profile=written(tmp_path, extends="oracle-health")) as hospital:
        note = await the_note(hospital)
    assert note["docStatus"] == "final"
    assert note["author"] == [{"reference": "Practitioner/d1"}]
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "note_fell_back" in line]
    assert '"detail": "author"' in line


async def test_case_36_an_encounter_without_an_end_needs_a_person_where_the_destination_needs_one(
    tmp_path: Path,
) -> None:
    async with open_house_with_drafts(tmp_path, profile=written(tmp_path, extends="oracle-health")) as hospital:
        detail = await why_parked(hospital, "profile_unmet", period={"start": "2026-01-05T09:00:00Z"})
    assert detail == "context.period.end is required by profile mine and not known"


async def test_case_36_an_encounter_without_an_end_falls_back_where_the_profile_says_so(tmp_path: Path) -> None:
    mine = written(tmp_path, "fallbacks: {context.period.end: date}", extends="oracle-health")
    async with open_house_with_drafts(tmp_path, profile=mine) as hospital:
        note = await the_note(hospital, period={"start": "2026-01-05T09:00:00Z"})
    assert note["context"]["period"] == {"start": "2026-01-05T09:00:00Z", "end": note["date"]}


async def test_case_36_what_the_ehr_does_not_accept_is_not_sent_in_another_way(hospital: Hospital) -> None:
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        asked.append(request.url.path)
        issue = {"severity": "error", "code": "code-invalid", "expression": ["DocumentReference.docStatus"]}
        return httpx.Response(422, json={"resourceType": "OperationOutcome", "issue": [issue]})

    answer_for_the_ehr(hospital, refuse)
    await hold_a_visit(hospital)
    visit = await hospital.until("parked", reason="ehr_refused")
    assert "code-invalid DocumentReference.docStatus" in visit["detail"]
    assert len(asked) == 1


async def test_case_36_the_hospitals_own_codes_are_sent_for_its_templates(tmp_path: Path) -> None:
    mine = written(tmp_path, "types: {corti-soap: {coding: [{system: 'urn:oid:1.2.3', code: '1000'}]}}", extends="epic")
    async with open_house_with_drafts(tmp_path, profile=mine) as hospital:
        note = await the_note(hospital)
    assert note["type"] == {"coding": [{"system": "urn:oid:1.2.3", "code": "1000"}]}


async def test_case_36_a_profile_that_can_never_be_met_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"context\.facilityType is required but has no value"):
        async with open_hospital(tmp_path, ehr={"profile": "isik"}):
            pass


# --- 38: larger than the limit --------------------------------------------------------------------------------------------


async def test_case_38_a_note_larger_than_the_profile_allows_is_parked_with_the_limit(tmp_path: Path) -> None:
    mine = written(tmp_path, "largest: 2kB")
    async with open_house_with_drafts(tmp_path, saying(("Plan", "x" * 3000)), profile=mine) as hospital:
        detail = await why_parked(hospital, "note_too_large")
    assert detail == "content.attachment has 3057 bytes, `largest` of profile mine is 2000"


async def test_case_38_a_note_of_a_megabyte_is_filed_whole(tmp_path: Path) -> None:
    text = "Blood pressure 120/80. " * 44_000
    async with open_house_with_drafts(tmp_path, saying(("Plan", text))) as hospital:
        assert text_of(await the_note(hospital)).endswith(f"\n\nPlan\n{text}\n")


async def test_case_38_a_note_that_the_ehr_finds_too_large_is_not_sent_again(hospital: Hospital) -> None:
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        asked.append(request.url.path)
        return httpx.Response(413)

    answer_for_the_ehr(hospital, refuse)
    await hold_a_visit(hospital)
    visit = await hospital.until("parked", reason="ehr_refused")
    assert visit["detail"].startswith("413")
    assert len(asked) == 1


# --- 50: another template, other sections ----------------------------------------------------------------------------------


async def test_case_50_a_draft_of_another_template_is_not_filed_and_a_retry_drafts_another(tmp_path: Path) -> None:
    async with open_house_with_drafts(tmp_path, called("corti-patient-summary"), as_it_is) as hospital:
        assert "not a corti-soap" in await why_parked(hospital, "document_not_as_asked")
        await again(hospital)
        await hospital.until("done")
        (note,) = await hospital.notes()
        assert note["type"]["coding"][0]["code"] == "11506-3"


async def test_case_50_a_template_by_an_id_of_the_vendors_own_is_taken(tmp_path: Path) -> None:
    async with open_house_with_drafts(tmp_path, called("9f1c2f6e-4a5b-4d4e-8f67-1f9a1f7f2d10")) as hospital:
        assert await the_note(hospital)


async def test_case_50_sections_stand_in_the_note_under_whatever_names_they_came(tmp_path: Path) -> None:
    sections = [("Beurteilung & Maß", "Husten."), ("", "Ohne Namen."), ("Plan", "")]
    async with open_house_with_drafts(tmp_path, saying(*sections)) as hospital:
        text = text_of(await the_note(hospital))
    assert text.endswith("\n\nBeurteilung & Maß\nHusten.\n\n\nOhne Namen.\n\nPlan\nNothing recorded.\n")


async def test_case_50_a_draft_without_any_section_is_no_note(tmp_path: Path) -> None:
    async with open_house_with_drafts(tmp_path, saying()) as hospital:
        assert "no sections" in await why_parked(hospital, "document_not_as_asked")


# --- 53: time zones -------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as there:
        there.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


async def test_case_53_times_are_instants_wherever_the_machine_is(in_new_york: None, hospital: Hospital) -> None:
    note = await the_note(hospital)
    for written_at in (note["date"], note["content"][0]["attachment"]["creation"]):
        assert written_at.endswith("Z")
        assert abs(datetime.fromisoformat(written_at) - datetime.now(timezone.utc)) < timedelta(minutes=1)  # noqa: UP017


@pytest.mark.parametrize(
    ("period", "sent"),
    [
        # the night in which 02:30 summer time comes before 02:15 winter time
        (period := {"start": "2026-10-25T02:30:00+02:00", "end": "2026-10-25T02:15:00+01:00"}, period),
        (
            {"start": "2026-10-25T02:30:00+01:00", "end": "2026-10-25T02:45:00+02:00"},
            {"start": "2026-10-25T02:30:00+01:00"},
        ),
        ({"start": "2026-03-29T01:59:00+01:00", "end": "2026-03-29"}, {"start": "2026-03-29T01:59:00+01:00"}),
        ({"start": "2026-01-05"}, {"start": "2026-01-05"}),
    ],
)
async def test_case_53_a_period_keeps_its_offsets_and_never_ends_before_it_starts(
    hospital: Hospital, period: Json, sent: Json
) -> None:
    note = await the_note(hospital, period=period)
    assert note["context"]["period"] == sent


# --- 54: right to left, emoji, line breaks, control characters --------------------------------------------------------------

ODD = [
    ("الشكوى", "سعال منذ \u202d10\u202c أيام.\r\nوحرارة."),
    ("סיכום", "  שלום\tעולם  "),
    ("Plan", "👩🏽‍⚕️ e\u0301 \u00e9 \ufb01 \U0001f9ec ½ < & > \u2028 \x7f"),
]


async def test_case_54_every_character_arrives_as_it_was_drafted(tmp_path: Path) -> None:
    mine = written(tmp_path, "contents: ['text/plain; charset=utf-8', 'application/xhtml+xml']")
    async with open_house_with_drafts(tmp_path, saying(*ODD), profile=mine) as hospital:
        note = await the_note(hospital)
    whole = "".join(f"\n\n{heading}\n{text}" for heading, text in ODD)
    assert text_of(note).endswith(whole + "\n")
    page = text_of(note, 1)
    assert "سعال منذ \u202d10\u202c أيام.&#13;<br/>وحرارة." in page
    assert "&lt; &amp; &gt;" in page
    assert independent.problems(note) == []


async def test_case_54_control_characters_that_fhir_forbids_are_left_out_and_counted(tmp_path: Path) -> None:
    before = removed()
    async with open_house_with_drafts(tmp_path, saying(("Pl\x00an", "a\x00b\x1bc\x0bd\x1fe\r\nf\tg"))) as hospital:
        note = await the_note(hospital)
    assert text_of(note).endswith("\n\nPlan\nabcde\r\nf\tg\n")
    assert removed() - before == 5


async def test_case_54_a_note_apart_from_its_reference_is_as_whole(tmp_path: Path) -> None:
    mine = written(tmp_path, "inline: false")
    async with open_house_with_drafts(tmp_path, saying(*ODD), profile=mine) as hospital:
        attachment = (await the_note(hospital))["content"][0]["attachment"]
        binary = await hospital.house.ehr.read(attachment["url"])
    assert base64.b64decode(binary["data"]).decode().endswith(ODD[-1][1] + "\n")
    assert binary["contentType"] == attachment["contentType"]


async def test_case_54_a_pdf_that_could_not_show_a_character_is_not_filed(tmp_path: Path) -> None:
    mine = written(tmp_path, "contents: [application/pdf]")
    async with open_house_with_drafts(tmp_path, saying(("Plan", "漢方")), profile=mine) as hospital:
        detail = await why_parked(hospital, "note_not_valid")
    assert "lacks a character" in detail
    assert "漢" not in detail


def removed() -> float:
    return REGISTRY.get_sample_value("ambient_note_characters_removed_total") or 0.0
