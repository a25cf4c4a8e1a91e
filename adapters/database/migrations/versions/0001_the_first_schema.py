"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "ambient_interactions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("assigned_user", sa.String(length=36), nullable=False),
        sa.Column("patient_identifier", sa.Text(), nullable=False),
        sa.Column("encounter_status", sa.Text(), nullable=False),
        sa.Column("encounter", JSON, nullable=False),
        sa.Column("patient", JSON, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ambient_interactions")),
    )
    op.create_index(
        op.f("ix_ambient_interactions_tenant_created_at"),
        "ambient_interactions",
        ["tenant", "created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ambient_interactions_tenant_patient_identifier"),
        "ambient_interactions",
        ["tenant", "patient_identifier"],
        unique=False,
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.Column("transport", sa.String(length=16), nullable=False),
        sa.Column("routing_key", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index("ix_dead_letters_state", "dead_letters", ["state", "received_at"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("transport", sa.String(length=16), nullable=False),
        sa.Column("routing_key", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_table(
        "sandbox_resources",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sandbox_resources")),
        sa.UniqueConstraint("type", "id", name=op.f("uq_sandbox_resources_type_id")),
    )
    op.create_table(
        "signing_keys",
        sa.Column("purpose", sa.String(length=36), nullable=False),
        sa.Column("jwk", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "visits",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("ehr", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("next_at", INSTANT, nullable=True),
        sa.Column("waiting_for", sa.String(length=64), nullable=True),
        sa.Column("waiting_since", INSTANT, nullable=True),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        sa.UniqueConstraint("ehr", "key", name=op.f("uq_visits_ehr_key")),
    )
    op.create_index("ix_visits_due", "visits", ["next_at"], unique=False)
    op.create_index("ix_visits_state", "visits", ["state", "updated_at"], unique=False)
    op.create_table(
        "ambient_documents",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("interaction_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("sections", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["ambient_interactions.id"],
            name=op.f("fk_ambient_documents_interaction_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ambient_documents")),
    )
    op.create_index(op.f("ix_ambient_documents_interaction_id"), "ambient_documents", ["interaction_id"], unique=False)
    op.create_table(
        "ambient_recordings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("interaction_id", sa.String(length=36), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["ambient_interactions.id"],
            name=op.f("fk_ambient_recordings_interaction_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ambient_recordings")),
    )
    op.create_index(
        op.f("ix_ambient_recordings_interaction_id"), "ambient_recordings", ["interaction_id"], unique=False
    )
    op.create_table(
        "ambient_transcripts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("interaction_id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("multichannel", sa.Boolean(), nullable=False),
        sa.Column("participants", JSON, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("segments", JSON, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["ambient_interactions.id"],
            name=op.f("fk_ambient_transcripts_interaction_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ambient_transcripts")),
    )
    op.create_index(
        op.f("ix_ambient_transcripts_interaction_id"), "ambient_transcripts", ["interaction_id"], unique=False
    )
    op.create_index(
        op.f("ix_ambient_transcripts_status_created_at"), "ambient_transcripts", ["status", "created_at"], unique=False
    )
    op.create_table(
        "events",
        sa.Column("source", sa.String(length=512), nullable=False),
        sa.Column("event_id", sa.String(length=512), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("visit_id", sa.String(length=36), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_events_delivery_id")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("fk_events_visit_id")),
        sa.PrimaryKeyConstraint("source", "event_id", "sha256", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_delivery_id"), "events", ["delivery_id"], unique=False)
    op.create_index(op.f("ix_events_visit_id"), "events", ["visit_id"], unique=False)
    op.create_table(
        "facts",
        sa.Column("ehr", sa.String(length=512), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("visit_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("last_updated", sa.String(length=64), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("resource", JSON, nullable=True),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("fk_facts_visit_id")),
        sa.PrimaryKeyConstraint("ehr", "resource_type", "resource_id", name=op.f("pk_facts")),
    )
    op.create_index(op.f("ix_facts_visit_id"), "facts", ["visit_id"], unique=False)
    op.create_table(
        "sandbox_tokens",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["sandbox_resources.number"], name=op.f("fk_sandbox_tokens_number")),
        sa.PrimaryKeyConstraint("digest", "number", name=op.f("pk_sandbox_tokens")),
    )
    op.create_index(op.f("ix_sandbox_tokens_number"), "sandbox_tokens", ["number"], unique=False)
    op.create_table(
        "sandbox_versions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", INSTANT, nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("blob", sa.String(length=200), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["number"], ["sandbox_resources.number"], name=op.f("fk_sandbox_versions_number")),
        sa.PrimaryKeyConstraint("number", "version", name=op.f("pk_sandbox_versions")),
    )
    op.create_table(
        "steps",
        sa.Column("visit_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("fk_steps_visit_id")),
        sa.PrimaryKeyConstraint("visit_id", "name", name=op.f("pk_steps")),
    )
