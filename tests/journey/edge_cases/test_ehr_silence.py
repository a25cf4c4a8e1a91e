"""The EHR did not answer when the note was sent: it is looked for, and never sent twice where that cannot be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.epic import Epic
from tests.ehrs.every import EVERY
from tests.ehrs.flaky import Flaky
from tests.ehrs.house import again, open_house_at, tell_of
from tests.ehrs.mhd import MhdRecipient
from tests.ehrs.oracle_health import OracleHealth
from tests.ehrs.scripted import Scripted
from tests.ehrs.wire import Told
from tests.faults.asgi import Receive, Scope, Send
from tests.journey.edge_cases.test_ehr_answers import HTML, KEY, NAME, PAGE, filed, result_of, until_done_again
from tests.journey.test_orphans import sweep


@pytest.mark.parametrize(
    ("kind", "profile", "fault"),
    [*((*one, "done_hang") for one in EVERY), *((Epic, "epic", fault) for fault in ("done_dribble", "done_cut", "done_html"))],
)  # fmt: skip
async def test_case_29_a_note_whose_answer_was_lost_after_it_was_filed_is_found_and_not_sent_again(
    kind: type[EmulatedEhr], profile: str, fault: str, tmp_path: Path
) -> None:
    flaky = Flaky(ehr := kind(), reads={}, writes={fault: 1.0}, hang=0.5)
    async with open_house_at(ehr, profile, tmp_path, through=flaky, timeout=0.2) as hospital:
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        flaky.heal()
        await until_done_again(hospital)
        assert (await result_of(hospital))["reference"] == "DocumentReference/n1"
    assert filed(ehr, NAME)
    assert ehr.asked["POST DocumentReference"] + ehr.asked["POST"] == 1


@pytest.mark.parametrize(("kind", "profile"), [(Epic, "epic"), (OracleHealth, "oracle-health"), (MhdRecipient, "ihe-mhd")])  # fmt: skip
async def test_case_29_a_note_that_is_not_found_is_held_until_a_person_has_it_sent_again(
    kind: type[EmulatedEhr], profile: str, tmp_path: Path
) -> None:
    flaky = Flaky(ehr := kind(), reads={}, writes={"close": 1.0}, hang=0.5)
    async with open_house_at(ehr, profile, tmp_path, through=flaky) as hospital:
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        flaky.heal()
        await again(hospital, KEY)
        held = await hospital.until("parked", KEY, reason="write_unknown")
        assert KEY in held["detail"]
        assert filed(ehr)
        async with hospital.http() as http:
            assert (await http.post(f"/visits/{held['id']}/resend")).status_code == 202
        await hospital.until("done", KEY)
    assert filed(ehr, NAME)


async def test_case_29_a_note_that_a_person_finds_is_adopted(tmp_path: Path) -> None:
    """It is not found by looking, for the EHR wrote something of its own above it."""
    scripted = Scripted(ehr := Epic())
    async with open_house_at(ehr, "epic", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 504, done=True)
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        ehr.notes["n1"].versions[0]["content"][0]["attachment"]["data"] = "QW5vdGhlciBub3RlLg=="
        await again(hospital, KEY)
        held = await hospital.until("parked", KEY, reason="write_unknown")
        await hospital.house.visits.adopt_note(held["id"], "DocumentReference/n1", None)
        hospital.house.wake.set()
        await hospital.until("done", KEY)
        assert (await result_of(hospital))["reference"] == "DocumentReference/n1"
    assert scripted.posted() == 1


async def test_case_29_a_note_that_is_not_found_is_sent_again_where_a_second_one_is_better_than_none(
    tmp_path: Path,
) -> None:
    flaky = Flaky(ehr := Epic(), reads={}, writes={"close": 1.0}, hang=0.5)
    async with open_house_at(ehr, "epic", tmp_path, through=flaky, unknown_writes="resend") as hospital:
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        flaky.heal()
        await until_done_again(hospital)
    assert filed(ehr, NAME)


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_case_29_a_note_is_neither_sent_again_nor_held_before_the_search_can_know_it(
    status: int, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := Epic(index_lag=0.6))
    async with open_house_at(ehr, "epic", tmp_path, through=scripted, index_lag=1.0) as hospital:
        scripted.will_answer("POST", "DocumentReference", status, done=True)
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        await again(hospital, KEY)
        await hospital.until("waiting", KEY, reason="write_unknown")
        await hospital.until("done", KEY)
    assert filed(ehr, NAME)
    assert scripted.posted() == 1


class SearchesFail:
    """The next search after a note was created is answered 502."""

    def __init__(self, app: Scripted, ehr: EmulatedEhr) -> None:
        self._app, self._ehr, self.failed = app, ehr, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        searched = scope["method"] == "GET" and scope["path"].endswith("/DocumentReference")
        if searched and self._ehr.notes and not self.failed:
            self.failed = True
            await Told(502, HTML, PAGE).send(send)
        else:
            await self._app(scope, receive, send)


@pytest.mark.parametrize(("kind", "profile"), EVERY)
async def test_case_29_a_note_that_was_filed_is_not_sent_again_when_the_look_after_it_fails(
    kind: type[EmulatedEhr], profile: str, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := kind(index_lag=60))
    failing = SearchesFail(scripted, ehr)
    async with open_house_at(ehr, profile, tmp_path, through=failing, index_lag=60) as hospital:
        base = "" if kind is MhdRecipient else "DocumentReference"
        scripted.will_answer("POST", base, 429, headers={"Retry-After": "1"})
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="ehr_unavailable")
        await hospital.until("done", KEY)
        assert (await result_of(hospital))["reference"] == "DocumentReference/n1"
    assert failing.failed
    assert filed(ehr, NAME)


@pytest.mark.parametrize(("kind", "profile"), EVERY)
async def test_case_29_a_note_that_arrives_after_it_was_sent_again_is_noticed(
    kind: type[EmulatedEhr], profile: str, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := kind())
    async with open_house_at(ehr, profile, tmp_path, through=scripted, unknown_writes="resend") as hospital:
        scripted.will_answer("POST", "" if kind is MhdRecipient else "DocumentReference", 504)
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        await until_done_again(hospital)
        ehr.keep(ehr.notes["n1"].versions[0])
        await sweep(hospital)
        hospital.house.wake.set()
        await hospital.until("parked", KEY, reason="several_matches")
