"""What the commands share: the settings, an event loop, and how rows and failures are printed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from service.settings import Settings, read_settings

if TYPE_CHECKING:
    from service.main import Desk

_WIDE = 240
"""Columns of a table that no terminal reads: ids and reasons must come whole."""

Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="most rows shown")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would happen")]


def current_settings() -> Settings:
    """Logging goes as they say from here on. Raises BadConfiguration."""
    from service.telemetry import configure_logging, hear_what_nobody_catches

    settings = read_settings()
    configure_logging(settings.log)
    hear_what_nobody_catches()
    return settings


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(work)


def at_the_desk(ask: Callable[[Desk], Awaitable[Any]]) -> Any:
    """What `ask` answers, with the records open and nothing else."""

    async def go() -> Any:
        from service.main import open_records

        async with open_records(current_settings()) as desk:
            return await ask(desk)

    return run(go())


def show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(str(row[column]) if row[column] is not None else "" for column in columns))
    wide = Console(markup=False, width=None if sys.stdout.isatty() else _WIDE)
    wide.print(table if rows else "none")


def show_one(row: dict[str, Any] | None, what: str, name: str) -> None:
    if row is None:
        fail(f"no {what} {name}", 1)
    typer.echo(json.dumps(row, indent=2))


def fail(words: str, code: int) -> NoReturn:
    typer.echo(f"ambient-fhir: {words}", err=True)
    sys.exit(code)
