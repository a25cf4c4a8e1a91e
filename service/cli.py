"""The commands. Each reads the settings, says in one line what is wrong with them, and imports what it needs only then."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service import __version__
from service.errors import AmbientFhirError, BadConfiguration
from service.settings import Settings, read_settings

if TYPE_CHECKING:
    from service.main import House, Role

app = typer.Typer(
    name="ambient-fhir", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="FHIR events in, ambient documentation, DocumentReference out. Settings come from AMBIENT_… variables (docs/settings.md).",
)  # fmt: skip
visits_app = typer.Typer(no_args_is_help=True, help="Visits: what each one waits for, and taking it up again.")
letters_app = typer.Typer(no_args_is_help=True, help="Deliveries that could not be taken in: look, replay, discard.")
app.add_typer(visits_app, name="visits")
app.add_typer(letters_app, name="dead-letters")

_WIDE = 240
"""Columns of a table that no terminal reads: ids and reasons must come whole."""

Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="most rows shown")]


def main() -> None:
    """Exit code 2 for wrong settings or arguments, 1 for anything else that went wrong; a line, never a traceback."""
    try:
        app()
    except BadConfiguration as wrong:
        _fail(str(wrong), 2)
    except AmbientFhirError as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        from service.telemetry import describe, frames

        _fail(f"{describe(error)} at {frames(error)[-1]}; `ambient-fhir doctor` looks at every counterpart", 1)


@app.callback(invoke_without_command=True)
def _about(version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def serve() -> None:
    """API and worker in one process."""
    _serve("serve")


@app.command()
def api() -> None:
    """The HTTP API alone, with its recognisers; needs a real broker and PostgreSQL."""
    _serve("api")


@app.command()
def worker() -> None:
    """Consumer and runners alone; serves only probes and metrics."""
    _serve("worker")


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    from service.main import migrated

    _run(migrated(_settings()))
    typer.echo("the schema is up to date")


@app.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="only ask the running service whether it is alive")] = False,
) -> None:
    """Check broker, database, engine, EHR and authentication; a line each, exit 1 on any failure."""
    from service.doctor import examine, is_alive

    settings = _settings()
    findings = [_run(is_alive(settings))] if quick else _run(examine(settings))
    for finding in findings:
        typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.subject:<14} {finding.words}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def demo(
    audio: Annotated[
        list[Path] | None,
        typer.Option(help="a recording of a consultation; repeat for several. Default: the bundled one"),
    ] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="template key; repeat for several documents. Default: corti-soap")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="seconds to wait for the note")] = 3600,
) -> None:
    """Run the main job on embedded defaults: events in, a note in the sandbox EHR out."""
    from service.demo.run import run_demo

    raise typer.Exit(_run(run_demo(audio or [], template or [], timeout)))


@app.command("export-openapi")
def export_openapi(
    output: Annotated[Path | None, typer.Option(help="file to write; default: standard output")] = None,
) -> None:
    """Write the OpenAPI description of the HTTP surface."""

    async def describe(house: House) -> dict[str, Any]:
        return house.app.openapi()

    text = json.dumps(_run(_in_scratch_house(describe)), indent=2, sort_keys=True) + "\n"
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)


@app.command("hash-secret")
def hash_secret() -> None:
    """Hash a client's secret for AMBIENT_API__CLIENTS: asked for without echo, or read from standard input."""
    from service.client_secrets import ScryptHash

    if sys.stdin.isatty():
        secret = str(typer.prompt("secret", hide_input=True, confirmation_prompt=True, err=True))
    else:
        secret = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not secret:
        _fail("no secret was given", 2)
    typer.echo(str(ScryptHash.of(secret)))


@visits_app.command("list")
def list_visits(
    state: Annotated[Literal["waiting", "working", "done", "parked", "cancelled"] | None, typer.Option(help="only visits in this state")] = None,
    limit: Limit = 100, as_json: Json = False,
) -> None:  # fmt: skip
    """Newest change first."""
    rows = _run(_with_records(lambda desk: desk.visits.list_visits(state, limit, None)))
    _show_rows(rows, ("key", "state", "reason", "detail", "nextAt", "updatedAt"), as_json)


@visits_app.command("show")
def show_visit(visit: Annotated[str, typer.Argument(help="the visit's id, or Encounter/<id>")]) -> None:
    """Facts, steps with their timings and results, events."""
    _show_one(_run(_with_records(lambda desk: desk.visits.show_visit(visit))), "visit", visit)


@visits_app.command("retry")
def retry_visit(visit: Annotated[str, typer.Argument(help="the visit's id, or Encounter/<id>")]) -> None:
    """Make a visit due now; a running worker takes it up."""
    if not _run(_with_records(lambda desk: desk.visits.retry_visit(visit))):
        _fail(f"no visit {visit}", 1)
    typer.echo(f"{visit} is due now")


@letters_app.command("list")
def list_letters(
    state: Annotated[Literal["open", "replayed", "discarded"], typer.Option(help="only letters in this state")] = "open",
    limit: Limit = 100, as_json: Json = False,
) -> None:  # fmt: skip
    """Newest first."""
    rows = _run(_with_records(lambda desk: desk.letters.list_letters(state, limit, None)))
    _show_rows(rows, ("id", "reason", "detail", "size", "receivedAt", "state"), as_json)


@letters_app.command("show")
def show_letter(letter: Annotated[str, typer.Argument(help="the dead letter's id")]) -> None:
    """The whole delivery, with its body: may hold patient data."""
    _show_one(_run(_with_records(lambda desk: desk.letters.show_letter(letter))), "dead letter", letter)


@letters_app.command("replay")
def replay_letter(
    letter: Annotated[str, typer.Argument(help="the dead letter's id")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would happen")] = False,
) -> None:
    """Publish a dead letter again, if it can be read now."""
    from service.api.replay import replay, would_replay
    from service.main import open_broker, open_records
    from service.settings import ehr_base

    async def go() -> Any:
        settings = _settings()
        base, limit = ehr_base(settings), int(settings.broker.max_message)
        async with open_records(settings) as desk:
            if dry_run:
                return await would_replay(letter, desk.letters, base, limit)
            async with open_broker(settings) as broker:
                return await replay(letter, desk.letters, broker, base, limit)

    try:
        done = _run(go())
    except KeyError:
        _fail(f"no dead letter {letter}", 1)
    typer.echo(" ".join([done.verdict, done.reason, *done.events]).strip())
    raise typer.Exit(0 if done.verdict in ("replayed", "would_be_stored") else 1)


@letters_app.command("discard")
def discard_letter(letter: Annotated[str, typer.Argument(help="the dead letter's id")]) -> None:
    """Close a dead letter; its body stays stored."""
    if not _run(_with_records(lambda desk: desk.letters.settle_letter(letter, "discarded"))):
        _fail(f"no open dead letter {letter}", 1)
    typer.echo(f"{letter} is discarded")


def _settings() -> Settings:
    from service.telemetry import configure_logging

    settings = read_settings()
    configure_logging(settings.log)
    return settings


def _serve(role: Role) -> None:
    gc.disable()
    from service.roles import run_until_stopped

    _run(run_until_stopped(_settings(), role))


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(work)


async def _with_records(ask: Any) -> Any:
    from service.main import open_records

    async with open_records(_settings()) as desk:
        return await ask(desk)


async def _in_scratch_house(ask: Any) -> Any:
    """A house that knows and touches nothing of the user's: for what only needs its shape."""
    import tempfile

    from service.main import open_house

    for name in [name for name in os.environ if name.upper().startswith("AMBIENT_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(
            database={"url": f"sqlite+aiosqlite:///{folder}/x.db"}, blobs={"url": f"file:{folder}"}
        )
        async with open_house(settings) as house:
            return await ask(house)


def _show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
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


def _show_one(row: dict[str, Any] | None, what: str, name: str) -> None:
    if row is None:
        _fail(f"no {what} {name}", 1)
    typer.echo(json.dumps(row, indent=2))


def _fail(words: str, code: int) -> Any:
    typer.echo(f"ambient-fhir: {words}", err=True)
    sys.exit(code)
