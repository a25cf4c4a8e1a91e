"""When a destination is left alone, for how long, and how it is let in again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from prometheus_client import REGISTRY

from service.errors import Retryable
from service.workflow.destinations import Call, Destination

Fail = Callable[["Ehr"], None]


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Ehr:
    """A destination for eight calls at once, and its clock."""

    def __init__(self, most: int = 8) -> None:
        self.clock = Clock()
        self.destination = Destination("ehr", most, self.clock)

    def answers(self, *statuses: int, retry_after: float | None = None) -> None:
        for status in statuses:
            with self.destination.call() as call:
                call.answered(status, retry_after)

    def is_silent(self, times: int = 1) -> None:
        for _ in range(times):
            with self.destination.call() as call:
                call.unanswered(no_connection=False)

    def is_not_there(self) -> None:
        with self.destination.call() as call:
            call.unanswered(no_connection=True)

    @property
    def is_open(self) -> bool:
        return self.destination.allowance == 8

    def refusal(self) -> Retryable:
        with pytest.raises(Retryable) as refused, self.destination.call():
            raise AssertionError("a call was let through")
        return refused.value

    def wait_until_it_reopens(self) -> None:
        self.clock.seconds += self.destination.reopens_in


@pytest.fixture
def ehr() -> Ehr:
    return Ehr()


def test_a_destination_without_connection_is_left_alone_at_once(ehr: Ehr) -> None:
    ehr.is_not_there()
    refused = ehr.refusal()
    assert (refused.reason, refused.parked) == ("ehr_parked", "ehr")
    assert refused.after == ehr.destination.reopens_in
    assert 1 <= ehr.destination.reopens_in <= 1.25
    assert ehr.destination.allowance == 0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("wish", "pause"), [(7, 7), (0, 1), (0.2, 1), (3600, 300)])
def test_a_destination_that_asks_for_a_pause_gets_it_within_bounds(
    ehr: Ehr, status: int, wish: float, pause: float
) -> None:
    ehr.answers(status, retry_after=wish)
    assert ehr.destination.reopens_in == pause


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520, 527])
def test_three_failures_in_a_row_park_a_destination(ehr: Ehr, status: int) -> None:
    ehr.answers(status, status, 404, status, status)
    assert ehr.is_open
    ehr.answers(status)
    assert ehr.destination.allowance == 0


def test_three_calls_without_answer_park_a_destination(ehr: Ehr) -> None:
    ehr.is_silent(2)
    ehr.answers(200)
    ehr.is_silent(2)
    assert ehr.is_open
    ehr.is_silent()
    assert ehr.destination.allowance == 0


@pytest.mark.parametrize("status", [200, 201, 304, 400, 401, 404, 408, 409, 412, 422, 425, 501])
def test_a_refusal_of_one_request_says_nothing_against_the_destination(ehr: Ehr, status: int) -> None:
    ehr.answers(*[status] * 9, retry_after=5)
    assert ehr.is_open


def test_the_wish_of_a_failure_that_is_no_plea_for_a_pause_counts_for_nothing(ehr: Ehr) -> None:
    ehr.answers(500, 500, retry_after=100)
    assert ehr.is_open
    ehr.answers(500, retry_after=100)
    assert ehr.destination.reopens_in <= 1.25


def test_pauses_double_up_to_a_minute_and_begin_anew_after_the_return(ehr: Ehr) -> None:
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        ehr.is_not_there()
        assert pause <= ehr.destination.reopens_in <= 1.25 * pause
        ehr.wait_until_it_reopens()
    ehr.answers(200, 200, 200)
    assert ehr.is_open
    ehr.is_not_there()
    assert ehr.destination.reopens_in <= 1.25


def test_what_answers_at_all_is_not_left_alone_for_long(ehr: Ehr) -> None:
    ehr.answers(500, 500, 500)
    for pause in (1, 2, 4, 8, 8):
        assert pause <= ehr.destination.reopens_in <= 1.25 * pause
        ehr.wait_until_it_reopens()
        ehr.answers(500)


def test_pauses_that_were_asked_for_make_the_others_no_longer(ehr: Ehr) -> None:
    for _ in range(6):
        ehr.answers(503, retry_after=2)
        ehr.wait_until_it_reopens()
    ehr.is_not_there()
    assert ehr.destination.reopens_in <= 1.25


def test_on_its_return_calls_are_let_in_one_by_one_then_twice_as_many_with_each_success(ehr: Ehr) -> None:
    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    for allowance in (1, 2, 4):
        assert ehr.destination.allowance == allowance
        with ExitStack() as under_way:
            first, *_ = [under_way.enter_context(ehr.destination.call()) for _ in range(allowance)]
            assert ehr.refusal().after == 1
            first.answered(200)
    with ExitStack() as under_way:
        for _ in range(20):  # open: the runner's own bound is the only one
            under_way.enter_context(ehr.destination.call())


def test_with_one_call_at_a_time_the_first_success_is_the_return() -> None:
    ehr = Ehr(most=1)
    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    ehr.answers(200)
    with ehr.destination.call(), ehr.destination.call():
        assert ehr.destination.allowance == 1


PLAIN_FAILURES = [Ehr.is_silent, lambda ehr: ehr.answers(500), lambda ehr: ehr.answers(503)]
CLEAR_SIGNS = [
    Ehr.is_not_there,
    lambda ehr: ehr.answers(503, retry_after=2),
    lambda ehr: ehr.answers(429, retry_after=2),
]


@pytest.mark.parametrize("fail", PLAIN_FAILURES + CLEAR_SIGNS)
def test_a_first_call_that_fails_on_the_return_parks_it_again_for_twice_the_time(ehr: Ehr, fail: Fail) -> None:
    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    fail(ehr)
    assert 2 <= ehr.destination.reopens_in <= 2.5
    ehr.wait_until_it_reopens()
    assert ehr.destination.allowance == 1


@pytest.mark.parametrize("fail", PLAIN_FAILURES)
def test_after_a_first_success_on_the_return_it_takes_three_failures_in_a_row(ehr: Ehr, fail: Fail) -> None:
    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    ehr.answers(200)
    fail(ehr)
    fail(ehr)
    assert ehr.destination.allowance == 2
    ehr.answers(404)
    fail(ehr)
    fail(ehr)
    assert ehr.destination.allowance == 4
    fail(ehr)
    assert 2 <= ehr.destination.reopens_in <= 2.5


def test_a_success_of_an_earlier_return_does_not_count(ehr: Ehr) -> None:
    for pause in (1, 2):
        ehr.is_not_there()
        assert ehr.destination.reopens_in >= pause
        ehr.wait_until_it_reopens()
        ehr.answers(200)
    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    ehr.answers(500)
    assert ehr.destination.allowance == 0


@pytest.mark.parametrize("fail", CLEAR_SIGNS)
def test_a_clear_sign_parks_it_again_at_once_even_after_a_success_on_the_return(ehr: Ehr, fail: Fail) -> None:
    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    ehr.answers(200)
    fail(ehr)
    assert 2 <= ehr.destination.reopens_in <= 2.5


def test_one_request_that_it_cannot_bear_does_not_keep_a_healthy_destination_away(ehr: Ehr) -> None:
    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    ehr.answers(200, 500, 200, 500, 200)
    assert ehr.is_open


@pytest.mark.parametrize(
    "end",
    [lambda call: call.answered(200), lambda call: call.answered(503, 100), lambda call: call.unanswered(no_connection=True)],
)  # fmt: skip
def test_calls_from_before_it_was_parked_say_nothing_any_more(ehr: Ehr, end: Callable[[Call], None]) -> None:
    with ehr.destination.call() as slow:
        ehr.is_not_there()
        reopens_in = ehr.destination.reopens_in
        end(slow)
        assert ehr.destination.reopens_in == reopens_in
        ehr.wait_until_it_reopens()
        with ehr.destination.call() as probe:
            end(slow)
            assert ehr.destination.allowance == 1
            probe.answered(200)
            assert ehr.destination.allowance == 2
    with ehr.destination.call(), ehr.destination.call():
        ehr.refusal()


async def test_a_cancelled_call_is_no_failure_and_leaves_its_place_to_another(ehr: Ehr) -> None:
    async def hang() -> None:
        with ehr.destination.call():
            await asyncio.sleep(60)

    ehr.is_not_there()
    ehr.wait_until_it_reopens()
    for _ in range(5):
        probe = asyncio.create_task(hang())
        await asyncio.sleep(0)
        ehr.refusal()
        probe.cancel()
        await asyncio.wait([probe])
        assert ehr.destination.allowance == 1
    ehr.answers(200, 200, 200)
    assert ehr.is_open


def test_a_parked_destination_shows_until_it_is_wholly_back(ehr: Ehr) -> None:
    def parked() -> float | None:
        return REGISTRY.get_sample_value("ambient_destination_parked", {"destination": "ehr"})

    assert parked() == 0
    ehr.is_not_there()
    assert parked() == 1
    ehr.wait_until_it_reopens()
    ehr.answers(200, 200)
    assert parked() == 1
    ehr.answers(200)
    assert parked() == 0
