"""`ambient-fhir dead-letters …`: deliveries that could not be taken in: collect, look, replay, discard."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from service.commands.terminal import (
    DryRun,
    Json,
    Limit,
    at_the_desk,
    current_settings,
    fail,
    run,
    show_one,
    show_rows,
)

app = typer.Typer(no_args_is_help=True, help="Deliveries that could not be taken in: collect, look, replay, discard.")

Name = Annotated[str, typer.Argument(metavar="LETTER", help="the dead letter's id")]
State = Literal["open", "replayed", "discarded"]


@app.command("list")
def list_letters(
    state: Annotated[State, typer.Option(help="only letters in this state")] = "open",
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Newest first."""
    rows = at_the_desk(lambda desk: desk.letters.list_letters(state, limit, None))
    show_rows(rows, ("id", "reason", "detail", "size", "receivedAt", "state"), as_json)


@app.command("show")
def show_letter(letter: Name) -> None:
    """The whole delivery, with its body: may hold patient data."""
    show_one(at_the_desk(lambda desk: desk.letters.show_letter(letter)), "dead letter", letter)


@app.command("collect")
def collect_letters() -> None:
    """Store what RabbitMQ itself put among the dead letters; a worker does so at its start and every hour."""
    from service.main import collect_dead_letters
    from service.workflow.ports import ConsumerDown

    try:
        typer.echo(f"{run(collect_dead_letters(current_settings()))} collected")
    except ConsumerDown as down:
        fail(str(down), 1)


@app.command("replay")
def replay_letter(letter: Name, dry_run: DryRun = False) -> None:
    """Publish a dead letter again, if it can be read now."""
    from service.api.replay import replay, would_replay
    from service.api.terms import Terms
    from service.main import open_broker, open_records

    async def go() -> Any:
        settings = current_settings()
        terms = Terms.of(settings)
        async with open_records(settings) as desk:
            if dry_run:
                return await would_replay(letter, desk.letters, terms)
            async with open_broker(settings) as broker:
                return await replay(letter, desk.letters, broker, terms)

    try:
        done = run(go())
    except KeyError:
        fail(f"no dead letter {letter}", 1)
    typer.echo(" ".join(filter(None, [done.verdict, done.reason, *done.events])))
    raise typer.Exit(0 if done.verdict in ("replayed", "would_be_stored") else 1)


@app.command("discard")
def discard_letter(letter: Name) -> None:
    """Close a dead letter; its body stays stored."""
    if not at_the_desk(lambda desk: desk.letters.settle_letter(letter, "discarded")):
        fail(f"no open dead letter {letter}", 1)
    typer.echo(f"{letter} is discarded")
