"""What all tables share: one MetaData, instants in UTC, and the database's own clock in both dialects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, MetaData, ScalarSelect, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Instant(TypeDecorator[datetime]):
    """A moment in UTC: `timestamptz` in PostgreSQL, sortable text in SQLite. Takes and gives aware datetimes."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class clock(FunctionElement[datetime]):  # noqa: N801 - reads as SQL
    """The database's clock, `seconds` from now: leases and due times never depend on a pod's clock."""

    type = Instant()
    inherit_cache = True
    name = "clock"

    def __init__(self, seconds: Any = 0) -> None:
        from sqlalchemy import Float, bindparam

        super().__init__(
            bindparam(None, float(seconds), type_=Float(), unique=True) if isinstance(seconds, int | float) else seconds
        )


@compiles(clock, "postgresql")
def _postgresql_clock(element: clock, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(clock, "sqlite")
def _sqlite_clock(element: clock, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', CAST({seconds} AS TEXT) || ' seconds')"


def now(seconds: Any = 0) -> ScalarSelect[datetime]:
    """`clock`, for comparisons in WHERE: PostgreSQL reads its clock once for a subquery, and can then use an index; bare,
    it would ask it again for each row of the table."""
    return select(clock(seconds)).scalar_subquery()


def values_of(item: Any) -> dict[str, Any]:
    """The fields of a dataclass with slots, for a table whose columns have their names."""
    return {name: getattr(item, name) for name in item.__slots__}


def seconds_since(connection: AsyncConnection, instant: Any) -> Any:
    """Seconds between an instant column and the database's clock."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", clock() - instant)
    return (func.julianday("now") - func.julianday(instant)) * 86400.0
