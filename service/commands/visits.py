"""`ambient-fhir visits …`: what each visit waits for, taking it up again, and closing it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from service.commands.terminal import DryRun, Json, Limit, at_the_desk, current_settings, fail, run, show_one, show_rows

if TYPE_CHECKING:
    from service.main import Desk

app = typer.Typer(no_args_is_help=True, help="Visits: what each one waits for, taking it up again, closing it.")

Name = Annotated[str, typer.Argument(metavar="VISIT", help="the visit's id, or Encounter/<id>")]
State = Literal["waiting", "working", "done", "parked", "cancelled"]


@app.command("list")
def list_visits(
    state: Annotated[State | None, typer.Option(help="only visits in this state")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Newest change first."""
    rows = at_the_desk(lambda desk: desk.visits.list_visits(state, limit, None))
    show_rows(rows, ("key", "state", "reason", "detail", "nextAt", "updatedAt"), as_json)


@app.command("show")
def show_visit(visit: Name) -> None:
    """Facts, steps with their timings and results, events."""
    show_one(at_the_desk(lambda desk: desk.visits.show_visit(visit)), "visit", visit)


@app.command("retry")
def retry_visit(visit: Name, dry_run: DryRun = False) -> None:
    """Make a visit due now; a running worker takes it up."""
    if dry_run:
        _tell_what_would_happen(visit)
    if not at_the_desk(lambda desk: desk.visits.retry_visit(visit)):
        fail(f"no visit {visit}", 1)
    typer.echo(f"{visit} is due now")


@app.command("discard")
def discard_visit(visit: Name) -> None:
    """Close a visit that waits or is parked; notes that are filed stay, and a later event opens it again."""
    try:
        at_the_desk(lambda desk: desk.visits.discard_visit(visit))
    except KeyError:
        fail(f"no visit {visit}", 1)
    typer.echo(f"{visit} is discarded; notes that are filed stay as they are")


Step = Annotated[str | None, typer.Option(metavar="STEP", help="which note, where several are in doubt")]


@app.command("resend")
def resend_note(visit: Name, step: Step = None) -> None:
    """Parked as write_unknown, and the note is NOT in the chart: send it again."""
    _decide(visit, lambda desk: desk.visits.resend_note(visit, step), "is sent again")


@app.command("adopt")
def adopt_note(
    visit: Name,
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="DocumentReference/<id> in the EHR")],
    step: Step = None,
) -> None:
    """Parked as write_unknown, and the note IS in the chart: take it for the one that was sent."""
    if not re.fullmatch(r"DocumentReference/[A-Za-z0-9.-]{1,64}", reference):
        fail("name the note as DocumentReference/<id>", 2)
    _decide(visit, lambda desk: desk.visits.adopt_note(visit, reference, step), f"is {reference}, if the EHR agrees")


def _decide(visit: str, ask: Callable[[Desk], Awaitable[str]], what: str) -> None:
    try:
        step = at_the_desk(ask)
    except KeyError:
        fail(f"no visit {visit}", 1)
    typer.echo(f"{step} {what}; {visit} is due now")


@app.command("sweep")
def sweep_visits(
    now: Annotated[bool, typer.Option("--now", help="those, too, whose quarter of an hour is not over")] = False,
) -> None:
    """Delete what the ambient API holds of ended visits and no step knows; workers do so by themselves."""
    from service.main import open_workplace
    from service.workflow.orphans import sweep_all

    async def go() -> dict[str, int]:
        settings = current_settings()
        async with open_workplace(settings) as place:
            return dict(await sweep_all(place.leases, settings.worker, place.work_on, early=now))

    found = run(go())
    typer.echo(", ".join(f"{kind}s: {count}" for kind, count in sorted(found.items())) or "nothing to sweep")


def _tell_what_would_happen(visit: str) -> NoReturn:
    """Exit code 1 where it would be parked again."""
    from service.main import open_records, open_workplace
    from service.workflow.preview import Preview

    async def go() -> Preview | None:
        settings = current_settings()
        async with open_records(settings) as desk, open_workplace(settings) as place:
            known = await desk.visits.find_visit(visit)
            return await place.rehearse(known) if known else None

    would = run(go())
    if would is None:
        fail(f"no visit {visit}", 1)
    typer.echo(str(would))
    raise typer.Exit(1 if would.verdict == "would_park" else 0)
