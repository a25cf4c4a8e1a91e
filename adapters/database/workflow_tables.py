"""Deliveries and their events, visits with their facts and steps, the queue's canaries, and dead letters."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from adapters.database.schema import Instant, Json, clock, metadata

_TO_SWEEP = text("sweep_at IS NOT NULL")

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("received_at", Instant, nullable=False, default=clock()),
    Column("transport", String(16), nullable=False),
    Column("routing_key", Text),
    Column("content_type", Text),
    Column("sha256", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("source", String(512), primary_key=True),
    Column("event_id", String(512), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("delivery_id", String(36), ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("visit_id", String(36), ForeignKey("visits.id"), nullable=False, index=True),
    Column("resource_type", String(64), nullable=False),
    Column("resource_id", String(64), nullable=False),
    Column("version", String(64)),
    Column("operation", String(16), nullable=False),
    Column("received_at", Instant, nullable=False, default=clock()),
)

visits = Table(
    "visits",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("ehr", Text, nullable=False),
    Column("key", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64)),
    Column("detail", Text),
    Column("next_at", Instant),
    Column("waiting_for", String(64)),
    Column("waiting_since", Instant),
    Column("waiting_on", String(16)),
    Column("sweep_at", Instant),
    Column("owner", String(64)),
    Column("lease_until", Instant),
    Column("fence", Integer, nullable=False, default=0),
    Column("revision", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Instant, nullable=False, default=clock()),
    Column("updated_at", Instant, nullable=False, default=clock()),
    UniqueConstraint("ehr", "key"),
    Index("ix_visits_due", "next_at"),
    Index("ix_visits_unswept", "sweep_at", postgresql_where=_TO_SWEEP, sqlite_where=_TO_SWEEP),
    Index("ix_visits_state", "state", "updated_at"),
)

facts = Table(
    "facts",
    metadata,
    Column("ehr", String(512), primary_key=True),
    Column("resource_type", String(64), primary_key=True),
    Column("resource_id", String(64), primary_key=True),
    Column("visit_id", String(36), ForeignKey("visits.id"), nullable=False, index=True),
    Column("version", String(64)),
    Column("last_updated", String(64)),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("resource", Json),
)

steps = Table(
    "steps",
    metadata,
    Column("visit_id", String(36), ForeignKey("visits.id"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("result", Json),
    Column("write", String(16)),
    Column("sent_at", Instant),
    Column("sent", Json),
)

observed_ehrs = Table(
    "observed_ehrs",
    metadata,
    Column("ehr", String(512), primary_key=True),
    Column("keeps_identifier", Boolean, nullable=False),
    Column("observed_at", Instant, nullable=False, default=clock()),
)

canaries = Table(
    "canaries",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("taken_at", Instant, nullable=False, default=clock()),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("received_at", Instant, nullable=False, default=clock()),
    Column("reason", String(64), nullable=False),
    Column("detail", Text),
    Column("state", String(16), nullable=False, default="open"),
    Column("settled_at", Instant),
    Column("transport", String(16), nullable=False),
    Column("routing_key", Text),
    Column("content_type", Text),
    Column("message_id", Text),
    Column("headers", Json, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_dead_letters_state", "state", "received_at"),
)
