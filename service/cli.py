"""The commands. Each reads the settings, says in one line what is wrong with them, and imports what it needs only then."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import __version__
from service.commands import dead_letters, visits
from service.commands.terminal import current_settings, fail, run
from service.errors import AmbientFhirError, BadConfiguration
from service.settings import read_settings

if TYPE_CHECKING:
    from service.main import House
    from service.opening import Role

app = typer.Typer(
    name="ambient-fhir", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="FHIR events in, ambient documentation, DocumentReference out. Settings come from AMBIENT_… variables (docs/settings.md).",
)  # fmt: skip
app.add_typer(visits.app, name="visits")
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> None:
    """Exit code 2 for wrong settings or arguments, 1 for anything else that went wrong; a line, never a traceback."""
    try:
        app()
    except BadConfiguration as wrong:
        fail(str(wrong), 2)
    except AmbientFhirError as error:
        fail(str(error), 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        from service.telemetry import describe, frames

        fail(f"{describe(error)} at {frames(error)[-1]}; `ambient-fhir doctor` looks at every counterpart", 1)


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

    run(migrated(current_settings()))
    typer.echo("the schema is up to date")


@app.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="only ask the running service whether it is alive")] = False,
) -> None:
    """Check broker, database, engine, EHR and authentication; a line each, exit 1 on any failure."""
    from service.doctor import examine, is_alive

    settings = current_settings()
    findings = [run(is_alive(settings))] if quick else run(examine(settings))
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

    raise typer.Exit(run(run_demo(audio or [], template or [], timeout)))


@app.command("export-openapi")
def export_openapi(
    output: Annotated[Path | None, typer.Option(help="file to write; default: standard output")] = None,
) -> None:
    """Write the OpenAPI description of the HTTP surface."""

    async def describe(house: House) -> dict[str, Any]:
        return house.app.openapi()

    text = json.dumps(run(_in_scratch_house(describe)), indent=2, sort_keys=True) + "\n"
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
        fail("no secret was given", 2)
    typer.echo(str(ScryptHash.of(secret)))


def _serve(role: Role) -> None:
    gc.disable()
    from service.roles import run_until_stopped

    run(run_until_stopped(current_settings(), role))


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
