"""The EHR and the engine as destinations: one that is down, or asks for a pause, is left alone as a whole.

For the clients, around each request:

    with destination.call() as call:         # raises Retryable(parked=name), and nothing is sent
        call.answered(status, retry_after)   # whatever the status; the wish in seconds, or None
        call.unanswered(no_connection=True)  # nothing came back

A call left without either, because it was cancelled, says nothing about the destination.

For the runner: `allowance`, how many calls may be under way now (0 while parked; 1, 2, 4, … on its return; `most` when
open); `free`, how many of those are not; `reopens_in`, the seconds until a parked destination is tried again (0.0 when it is not parked).

All of this is one process's memory: after a restart a failing call teaches it again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import structlog

from service.errors import Retryable
from service.telemetry import DESTINATION_PARKED

log = structlog.get_logger()

Kind = Literal["ehr", "engine"]
IN_A_ROW = 3
"""Failures without an answer in between that park a destination which gave no other sign."""
LONGEST_WISH = 300.0
LONGEST_PAUSE = 60.0
LONGEST_AFTER_AN_ANSWER = 8.0
"""Whoever answers is there: some request may be at fault, and the others must not wait for it."""
_FULL = 1.0


class Destination:
    """`most` is how many calls this process has under way at once. `now` is a monotonic clock in seconds."""

    def __init__(self, name: Kind, most: int = 8, now: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._most = most
        self._now = now
        self.generation = 0
        """How often it was parked so far: calls of an earlier generation have no say."""
        self._failures = 0
        self._parkings = 0  # in a row; 0 is open
        self._doublings = 0  # those of them that were not wished for
        self._reopens_at = float("-inf")
        self._returning = 1
        self._under_way = 0
        DESTINATION_PARKED.labels(name).set(0)

    @property
    def allowance(self) -> int:
        if self.reopens_in > 0:
            return 0
        return self._returning if self._parkings else self._most

    @property
    def free(self) -> int:
        """How many calls more it may be asked for now; while it is open that is the runner's own affair."""
        return max(self.allowance - self._under_way, 0) if self._parkings else self._most

    @property
    def reopens_in(self) -> float:
        return max(self._reopens_at - self._now(), 0.0)

    @contextmanager
    def call(self) -> Iterator[Call]:
        """Raises Retryable while the destination is parked, or while its allowance on its return is in use."""
        if self.free <= 0:
            raise Retryable(f"{self.name}_parked", after=self.reopens_in or _FULL, parked=self.name)
        call = Call(self, self.generation)
        self._under_way += 1
        try:
            yield call
        finally:
            if call.since == self.generation:
                self._under_way -= 1

    def succeeded(self) -> None:
        self._failures = 0
        if not self._parkings:
            return
        self._returning *= 2
        if self._returning >= self._most:
            log.info("destination_back", destination=self.name, attempt=self._parkings)
            DESTINATION_PARKED.labels(self.name).set(0)
            self._parkings = self._doublings = 0

    def failed(self, reason: str, *, at_once: bool, wish: float | None = None, longest: float = LONGEST_PAUSE) -> None:
        """The first call after a pause decides alone. Once it has succeeded, failures count as ever: some requests fail
        however well the destination is."""
        self._failures += 1
        first = self._parkings > 0 and self._returning == 1
        if at_once or first or self._failures >= IN_A_ROW:
            self._park(reason, wish, longest)

    def _park(self, reason: str, wish: float | None, longest: float) -> None:
        """For as long as it wishes; else ever longer, and for each process another time."""
        if wish is None:
            seconds = min(2.0 ** min(self._doublings, 10), longest) * random.uniform(1.0, 1.25)  # noqa: S311
            self._doublings += 1
        else:
            seconds = min(max(wish, 1.0), LONGEST_WISH)
        self._parkings += 1
        self.generation += 1
        self._reopens_at = self._now() + seconds
        self._failures, self._under_way, self._returning = 0, 0, 1
        DESTINATION_PARKED.labels(self.name).set(1)
        log.warning(
            "destination_parked",
            destination=self.name,
            reason=reason,
            seconds=round(seconds, 1),
            attempt=self._parkings,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `destination`. How it ends says nothing any more once the destination was parked after it began."""

    destination: Destination
    since: int

    def answered(self, status: int, retry_after: float | None = None) -> None:
        """A refusal of this one request (4xx) is an answer like any other; 501 says what never will be."""
        if self.since != self.destination.generation:
            return
        asked_to_wait = status in (429, 503) and retry_after is not None
        if status == 429 or (status >= 500 and status != 501):
            wish = retry_after if asked_to_wait else None
            self.destination.failed(
                f"status {status}", at_once=asked_to_wait, wish=wish, longest=LONGEST_AFTER_AN_ANSWER
            )
        else:
            self.destination.succeeded()

    def unanswered(self, *, no_connection: bool) -> None:
        """`no_connection`: there was none to be had; else it was lost, or nothing came over it in time."""
        if self.since == self.destination.generation:
            self.destination.failed("no connection" if no_connection else "no answer", at_once=no_connection)
