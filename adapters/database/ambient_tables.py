"""What the ambient API remembers, and the key that signs its access tokens."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from adapters.database.schema import Instant, Json, metadata


def _interaction() -> Column[str]:
    return Column(
        "interaction_id",
        ForeignKey("ambient_interactions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    )


interactions = Table(
    "ambient_interactions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("assigned_user", String(36), nullable=False),
    Column("patient_identifier", Text, nullable=False),
    Column("encounter_identifier", Text),  # empty where v0.1.0 wrote the row
    Column("encounter_status", Text, nullable=False),
    Column("encounter", Json, nullable=False),
    Column("patient", Json, nullable=False),
    Column("ended_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "tenant", "patient_identifier"),
    Index(None, "tenant", "created_at"),
    Index("uq_ambient_interactions_encounter_identifier", "tenant", "encounter_identifier", unique=True),
)

recordings = Table(
    "ambient_recordings",
    metadata,
    Column("id", String(36), primary_key=True),
    _interaction(),
    Column("content_type", Text),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("channels", Integer, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
)

uploads = Table(
    "ambient_uploads",
    metadata,
    Column("recording_id", String(36), primary_key=True),
    Column("begun_at", Instant, nullable=False),
    Column("given_up", Boolean, nullable=False),
)

transcripts = Table(
    "ambient_transcripts",
    metadata,
    Column("id", String(36), primary_key=True),
    _interaction(),
    Column("recording_id", String(36), nullable=False),
    Column("language", Text, nullable=False),
    Column("multichannel", Boolean, nullable=False),
    Column("participants", Json),
    Column("options", Json),
    Column("created_at", Instant, nullable=False),
    Column("status", Text, nullable=False),
    Column("progress", Float, nullable=False),
    Column("reason", Text),
    Column("segments", Json, nullable=False),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Index(None, "status", "created_at"),
)

documents = Table(
    "ambient_documents",
    metadata,
    Column("id", String(36), primary_key=True),
    _interaction(),
    Column("name", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("sections", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

facts = Table(
    "ambient_facts",
    metadata,
    Column("id", String(36), primary_key=True),
    _interaction(),
    Column("text", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("discarded", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("purpose", String(36), primary_key=True),
    Column("jwk", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
)
