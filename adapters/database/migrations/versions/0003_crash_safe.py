"""What a visit waits on, when its remote traces are swept, and the canaries of the queue

Safe beside v0.1.0, which writes none of it: what it settles waits on no destination and is not swept.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.add_column("visits", sa.Column("waiting_on", sa.String(length=16), nullable=True))
    op.add_column("visits", sa.Column("sweep_at", instant, nullable=True))
    unswept = sa.text("sweep_at IS NOT NULL")
    op.create_index("ix_visits_unswept", "visits", ["sweep_at"], postgresql_where=unswept, sqlite_where=unswept)
    op.create_table(
        "canaries",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("taken_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_canaries"),
    )
