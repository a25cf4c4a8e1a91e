"""What was sent to the EHR, noted before it was sent, and what was seen there

Safe beside v0.1.0, which writes none of it: what it sent is looked for as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.add_column("steps", sa.Column("write", sa.String(length=16), nullable=True))
    op.add_column("steps", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("steps", sa.Column("sent", json, nullable=True))
    op.create_table(
        "observed_ehrs",
        sa.Column("ehr", sa.String(length=512), nullable=False),
        sa.Column("keeps_identifier", sa.Boolean(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("ehr", name="pk_observed_ehrs"),
    )
