"""Inbox, then ack: what a delivery says is stored in one short commit, and its visits wake up. Nothing slow happens here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery, Taken
from service.events.event import Event
from service.events.reading import read_events
from service.telemetry import (
    EVENTS_CONFLICTING,
    EVENTS_DUPLICATE,
    EVENTS_IGNORED,
    EVENTS_RECEIVED,
    EVENTS_REJECTED,
    EVENTS_STORED,
)
from service.workflow.ports import Inbox

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Intake:
    """`max_message` in bytes; `wake` tells the runners of this process that something is due; `audio_documents`: a
    DocumentReference may be a recording."""

    inbox: Inbox
    ehr_base: str
    ehr_name: str
    max_message: int
    wake: asyncio.Event
    audio_documents: bool = False

    async def take_in(self, delivery: Delivery) -> Taken:
        """Stores the delivery's events; or, when they cannot be understood, the delivery itself as a dead letter.

        Returning means that everything is committed and the delivery may be acknowledged; any exception means that
        it must come again.
        """
        try:
            events = self._read(delivery)
        except Ignored as ignored:
            EVENTS_IGNORED.labels(ignored.reason).inc()
            return Taken("ignored", ignored.reason)
        except Rejected as rejected:
            return await self.bury(delivery, rejected)
        return await self._store(delivery, events)

    def _read(self, delivery: Delivery) -> list[Event]:
        if len(delivery.body) > self.max_message:
            raise Rejected("too_large", f"{len(delivery.body)} bytes, at most {self.max_message} are read")
        return read_events(delivery, self.ehr_base, audio_documents=self.audio_documents)

    async def _store(self, delivery: Delivery, events: list[Event]) -> Taken:
        for event in events:
            EVENTS_RECEIVED.labels(event.type).inc()
        stored = await self.inbox.store(delivery, events, self.ehr_name)
        EVENTS_STORED.inc(stored.stored)
        EVENTS_DUPLICATE.inc(stored.duplicates)
        if stored.conflicts:
            EVENTS_CONFLICTING.inc(stored.conflicts)
            log.warning("event_id_reused", count=stored.conflicts)
        if stored.woken:
            self.wake.set()
        log.info(
            "delivery_stored",
            events=stored.stored,
            count=len(stored.woken),
            resource_type=events[0].type,
            resource_id=events[0].resource_id,
        )
        return Taken("stored")

    async def bury(self, delivery: Delivery, rejected: Rejected) -> Taken:
        """Keeps a delivery that cannot be taken in as a dead letter."""
        letter = await self.inbox.store_dead(delivery, rejected.reason, rejected.detail)
        EVENTS_REJECTED.labels(rejected.reason).inc()
        log.warning(
            "delivery_dead", delivery=letter, reason=rejected.reason, detail=rejected.detail, size=len(delivery.body)
        )
        return Taken("dead", rejected.reason)
