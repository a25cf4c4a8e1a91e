"""A pooler in transaction mode, such as PgBouncer, between us and PostgreSQL: noticed without being told.

Each transaction may then be on another server connection, where a statement that was prepared by name is unknown, or is
somebody else's. asyncpg without its caches prepares unnamed statements and sends each again with its execution, which
is right in a transaction and outside of one, and leaves nothing behind on the server.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

from service.errors import Retryable

_WITHOUT_NAMES = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
"""asyncpg's own cache, and that of SQLAlchemy's dialect."""


async def is_pooled(connection: Any) -> bool:
    """Whether the server process behind an asyncpg connection is another one than the connection was told at its start.

    A simple query, which needs no prepared statement; its answer is the number of rows.
    """
    answer = await connection.execute(f"SELECT WHERE pg_backend_pid() = {connection.get_server_pid()}")
    return bool(answer != "SELECT 1")


def heed_pooler(engine: Engine) -> None:
    """The first connection of the engine finds out; without a pooler nothing is different."""
    pooled: bool | None = None

    def connect(dialect: Any, _: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        nonlocal pooled
        if pooled is None:
            connection = dialect.connect(*arguments, **options)
            pooled = _look(connection)
            if not pooled:
                return connection
            connection.close()
        if pooled:
            options.update(_WITHOUT_NAMES)
        return None

    event.listen(engine, "do_connect", connect)


def _look(connection: Any) -> bool:
    try:
        return bool(connection.run_async(is_pooled))
    except Exception as error:
        connection.terminate()
        raise Retryable("database_unavailable", type(error).__name__) from error
