"""How a run of the reconciler ends for its visit."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import BadAudio, BadConfiguration, LostLease, NeedsPerson, NotYet, Retryable
from service.workflow.outcomes import LONGEST_BACKOFF, MOST_ATTEMPTS, Settlement, settlement
from service.workflow.reconcile import Ending
from service.workflow.visit import Visit

PHI = "Mrs. Hale"


def visit(waiting_for: str | None = None, waited: float = 0.0, attempts: int = 0) -> Visit:
    return Visit("v", "Encounter/e1", 1, 1, attempts, waiting_for, waited)


def settled(outcome: Any, **known: Any) -> Settlement:
    found = settlement(visit(**known), outcome)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "detail"),
    [
        (Ending("done", None), "done", None, None),
        (Ending("done", "no_recording"), "done", "no_recording", None),
        (Ending("cancelled", "encounter_cancelled"), "cancelled", "encounter_cancelled", None),
        (NeedsPerson("note_edited", "retract it"), "parked", "note_edited", "retract it"),
        (NeedsPerson("note_edited"), "parked", "note_edited", None),
        (BadConfiguration("AMBIENT_X: wrong"), "parked", "configuration", "AMBIENT_X: wrong"),
    ],
)
def test_an_end_is_an_end(outcome: Any, state: str, reason: str | None, detail: str | None) -> None:
    assert settled(outcome, attempts=3) == Settlement(state, reason, detail, None, 0)


def test_a_lost_lease_is_settled_by_whoever_holds_it() -> None:
    assert settlement(visit(), LostLease("v")) is None


def test_a_wait_is_looked_at_again() -> None:
    assert settled(NotYet("transcript_processing", after=5)) == Settlement(
        "waiting", "transcript_processing", None, 5, 0, "transcript_processing"
    )


@pytest.mark.parametrize(
    ("reason", "waited", "at_most", "state"),
    [
        ("not_in_ehr", 901, 900.0, "parked"),
        ("not_in_ehr", 900, 900.0, "parked"),
        ("not_in_ehr", 899, 900.0, "waiting"),
        ("another", 901, 900.0, "waiting"),
        (None, 901, 900.0, "waiting"),
        ("not_in_ehr", 10**9, None, "waiting"),
        ("not_in_ehr", 0, 0.0, "parked"),
    ],
)
def test_a_wait_for_one_reason_ends(reason: str | None, waited: float, at_most: float | None, state: str) -> None:
    found = settled(
        NotYet("not_in_ehr", after=15, detail="Encounter/e1", at_most=at_most), waiting_for=reason, waited=waited
    )
    assert (found.state, found.reason) == (state, "not_in_ehr")
    assert (found.next_in is None) == (state == "parked")
    assert "Encounter/e1" in (found.detail or "")


@pytest.mark.parametrize(
    ("attempts", "after", "least"),
    [(0, None, 1), (1, None, 2), (5, None, 32), (9, None, LONGEST_BACKOFF), (0, 7.0, 7), (9, 0.0, LONGEST_BACKOFF), (0, 86400.0, LONGEST_BACKOFF), (0, float("inf"), LONGEST_BACKOFF)],
)  # fmt: skip
def test_a_failure_that_may_pass_is_tried_again_later_and_later(
    attempts: int, after: float | None, least: float
) -> None:
    found = settled(Retryable("ehr_unavailable", "503", after=after), attempts=attempts)
    assert (found.state, found.reason, found.detail, found.attempts) == (
        "waiting",
        "ehr_unavailable",
        "503",
        attempts + 1,
    )
    assert found.next_in is not None
    assert least <= found.next_in <= least * 1.25


def test_what_was_tried_often_enough_needs_a_person() -> None:
    failure = Retryable("ehr_unavailable", "503", after=1.0)
    assert settled(failure, attempts=MOST_ATTEMPTS - 1).state == "waiting"
    given_up = settled(failure, attempts=MOST_ATTEMPTS)
    assert (given_up.state, given_up.reason, given_up.next_in) == ("parked", "ehr_unavailable", None)


def test_a_failure_in_between_does_not_make_a_wait_begin_again() -> None:
    assert settled(Retryable("ehr_unavailable"), waiting_for="not_in_ehr", waited=5).waiting_for == "not_in_ehr"


def test_the_last_look_comes_when_the_wait_ends() -> None:
    wait = NotYet("not_in_ehr", after=60, at_most=900.0)
    assert settled(wait, waiting_for="not_in_ehr", waited=890).next_in == 10
    assert settled(wait, waiting_for="another", waited=890).next_in == 60


@pytest.mark.parametrize(
    "bug", [ValueError(PHI), KeyError(PHI), AssertionError(PHI), RecursionError(PHI), TimeoutError(PHI)]
)
def test_anything_else_is_a_bug_with_its_place_and_without_its_words(bug: Exception) -> None:
    try:
        raise bug
    except type(bug) as error:
        found = settled(error)
    assert (found.state, found.reason, found.next_in) == ("parked", "unexpected_error", None)
    assert found.detail
    assert type(bug).__name__ in found.detail
    assert "test_outcomes.py" in found.detail
    assert PHI not in found.detail


def test_audio_that_nobody_turned_into_an_outcome_is_a_bug_too() -> None:
    assert settled(BadAudio("undecodable")).state == "parked"
