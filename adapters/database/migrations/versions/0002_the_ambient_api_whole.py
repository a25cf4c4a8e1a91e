"""Facts, uploads under way, options of a transcript, and one interaction for each encounter identifier

Safe beside v0.1.0, which writes none of it: its interactions have no `encounter_identifier`, so none of them is refused.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

LONGEST_IDENTIFIER = 255
INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("ambient_transcripts", sa.Column("options", JSON, nullable=True))
    op.add_column("ambient_interactions", sa.Column("encounter_identifier", sa.Text(), nullable=True))
    _keep_the_oldest_of_each_identifier()
    op.create_index(
        "uq_ambient_interactions_encounter_identifier",
        "ambient_interactions",
        ["tenant", "encounter_identifier"],
        unique=True,
    )
    op.create_table(
        "ambient_facts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("interaction_id", sa.String(length=36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("discarded", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["ambient_interactions.id"],
            name=op.f("fk_ambient_facts_interaction_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ambient_facts")),
    )
    op.create_index(op.f("ix_ambient_facts_interaction_id"), "ambient_facts", ["interaction_id"], unique=False)
    op.create_table(
        "ambient_uploads",
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("begun_at", INSTANT, nullable=False),
        sa.Column("given_up", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_ambient_uploads")),
    )


def _keep_the_oldest_of_each_identifier() -> None:
    """v0.1.0 refused no duplicate, and took identifiers of any length."""
    interactions = sa.table(
        "ambient_interactions",
        *(sa.column(name) for name in ("id", "tenant", "encounter_identifier", "created_at")),
        sa.column("encounter", JSON),
    )
    other = interactions.alias()
    identifier, others = (one.c.encounter["identifier"].as_string() for one in (interactions, other))
    same_age = sa.and_(other.c.created_at == interactions.c.created_at, other.c.id < interactions.c.id)
    older = sa.or_(other.c.created_at < interactions.c.created_at, same_age)
    one_before = sa.exists().where(other.c.tenant == interactions.c.tenant, others == identifier, older)
    op.execute(
        interactions.update()
        .where(sa.func.length(identifier) <= LONGEST_IDENTIFIER, ~one_before)
        .values(encounter_identifier=identifier)
    )


def downgrade() -> None:
    op.drop_table("ambient_uploads")
    op.drop_table("ambient_facts")
    op.drop_index("uq_ambient_interactions_encounter_identifier", "ambient_interactions")
    op.drop_column("ambient_interactions", "encounter_identifier")
    op.drop_column("ambient_transcripts", "options")
