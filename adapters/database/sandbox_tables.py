"""Tables of the sandbox EHR: a row per resource, a row per version, and what a resource can be found by."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from adapters.database.schema import Instant, metadata

_Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only in an INTEGER key

sandbox_resources = Table(
    "sandbox_resources",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("type", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
    UniqueConstraint("type", "id"),
)

# `body` is text, not a JSON column: a server gives back the order of elements that it was given.
sandbox_versions = Table(
    "sandbox_versions",
    metadata,
    Column("number", _Number, ForeignKey("sandbox_resources.number"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("last_updated", Instant, nullable=False),
    Column("body", Text),
    Column("blob", String(200)),
    Column("size", BigInteger),
)

# `digest` is SHA-256 over type, parameter and value: values of any length fit the index, and none is readable in it.
sandbox_tokens = Table(
    "sandbox_tokens",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("number", _Number, ForeignKey("sandbox_resources.number"), primary_key=True, index=True),
)
