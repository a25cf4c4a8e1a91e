"""On which terms a delivery is taken in, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from service.events.delivery import Delivery
from service.events.event import Event
from service.events.reading import read_events
from service.settings import Settings, ehr_base


@dataclass(frozen=True, slots=True)
class Terms:
    """The EHR's base URL, bytes at most, and whether a DocumentReference may be a recording."""

    ehr_base: str
    max_message: int
    audio_documents: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        return cls(ehr_base(settings), int(settings.broker.max_message), settings.notes.audio_documents)

    def read(self, delivery: Delivery) -> list[Event]:
        """Raises Rejected, Ignored."""
        return read_events(delivery, self.ehr_base, audio_documents=self.audio_documents)
