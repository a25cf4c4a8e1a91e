"""The main job on a recording: FHIR resources into the sandbox EHR, events onto the queue, a note out of the EHR."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from service.api.serving import listening
from service.demo.progress import Progress, stages
from service.demo.resources import DemoVisit, demo_visit
from service.errors import BadAudio, BadConfiguration
from service.main import House, open_house
from service.settings import Settings, ehr_base, read_settings
from service.telemetry import configure_logging

BUNDLED = Path(__file__).parent / "consult_two_channel.ogg"
Row = Mapping[str, Any]


async def run_demo(recordings: Sequence[Path], templates: Sequence[str], timeout: float) -> int:
    """The exit code: 0 when the EHR really returns every note, 2 when a recording cannot be used, 1 otherwise."""
    settings = _settings(templates)
    port = await asyncio.to_thread(_free_port, settings.http.host, settings.http.port)
    settings = settings.model_copy(update={"http": settings.http.model_copy(update={"port": port})})
    if settings.ehr.base_url != "sandbox":
        raise BadConfiguration("the demo writes to the sandbox EHR alone: unset AMBIENT_EHR__BASE_URL")
    configure_logging(settings.log)
    console = Console(highlight=False, soft_wrap=True)
    files = list(recordings) or [BUNDLED]
    async with open_house(settings) as house:
        try:
            for file in files:
                await _usable(house, file)
        except BadAudio as bad:
            return _refuse(bad)
        async with listening(house.app, settings.http.host, settings.http.port):
            return await _follow(house, console, demo_visit(files), timeout)


def _settings(templates: Sequence[str]) -> Settings:
    """The user's own, quieter, with the templates that were asked for."""
    settings = read_settings()
    changes: dict[str, Any] = {"log": settings.log.model_copy(update={"level": "error"})}
    if templates:
        changes["notes"] = settings.notes.model_copy(update={"templates": list(templates)})
    return settings.model_copy(update=changes)


def _free_port(host: str, wished: int) -> int:
    """The configured port, or another one where something else listens there already."""
    for port in (wished, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wished


async def _usable(house: House, file: Path) -> None:
    """Raises BadAudio with the file's name."""
    if not await asyncio.to_thread(file.is_file):
        raise BadAudio("missing", f"{file} does not exist")
    try:
        await asyncio.to_thread(house.transcriber.probe, file, house.settings.api.audio_longest)
    except BadAudio as bad:
        raise BadAudio(bad.reason, str(file)) from None


async def _follow(house: House, console: Console, demo: DemoVisit, timeout: float) -> int:
    known = await house.visits.show_visit(f"Encounter/{demo.encounter_id}")
    began = time.monotonic()
    for resource in demo.loaded:
        await house.ehr.update(resource, None)
    await _announce(house, demo)
    visit = await _until_settled(house, console, demo.encounter_id, timeout)
    if visit is None or visit["state"] not in ("done", "parked"):
        sys.stderr.write(
            f"ambient-fhir: no note after {timeout:.0f} s; the visit is {visit['state'] if visit else 'unknown'}\n"
        )
        return 1
    if visit["state"] == "parked":
        return _parked(visit)
    if known and known["state"] == "done":
        console.print("\nThis recording was filed before: the same events changed nothing.")
    return await _show(house, console, visit, time.monotonic() - began)


async def _announce(house: House, demo: DemoVisit) -> None:
    """Publishes each resource as the EHR holds it now, as its event system would."""
    for resource in demo.announced:
        kind = resource["resourceType"]
        stored = await house.ehr.read(f"{kind}/{resource['id']}")
        await house.broker.publish(
            json.dumps(stored).encode(),
            routing_key=f"fhir.{kind}.create",
            content_type="application/fhir+json",
            message_id=f"{kind}/{stored['id']}/_history/{stored['meta']['versionId']}",
            headers={},
        )


async def _until_settled(house: House, console: Console, encounter: str, timeout: float) -> Row | None:
    """Shows progress until the visit is done or parked, and everything that arrived has been looked at."""
    deadline = time.monotonic() + timeout
    with Progress(console) as progress:
        while True:
            visit = await house.visits.show_visit(f"Encounter/{encounter}")
            progress.show(visit)
            settled = (
                visit is not None and visit["state"] in ("done", "parked", "cancelled") and visit["nextAt"] is None
            )
            if settled or time.monotonic() > deadline:
                return visit
            await asyncio.sleep(0.2)


async def _show(house: House, console: Console, visit: Row, seconds: float) -> int:
    results = {step["name"]: step["result"] for step in visit["steps"]}
    await _show_transcript(house, console, results)
    base = ehr_base(house.settings)
    for name, result in results.items():
        if name.startswith("filed:") and f"retired:{name.removeprefix('filed:')}" not in results:
            url = f"{base}/{result['reference']}"
            note = await asyncio.to_thread(_fetch, url)
            console.print(f"\n[bold]Note[/] {note['type']['text']}, {note['docStatus']}")
            console.print(base64.b64decode(note["content"][0]["attachment"]["data"]).decode(), markup=False)
            console.print(f"DocumentReference: {url}", markup=False)
    console.print("\n[bold]Seconds per step[/]")
    for stage, _, took in stages(visit):
        if took is not None:
            console.print(f"  {stage:<13} {took:6.1f}")
    console.print(f"  {'this run':<13} {seconds:6.1f}")
    return 0


async def _show_transcript(house: House, console: Console, results: Mapping[str, Any]) -> None:
    console.print("\n[bold]Transcript[/]")
    for name, result in results.items():
        if not name.startswith("transcribed:"):
            continue
        transcript = await house.ambient.get_transcript(results["interaction"]["id"], result["id"])
        for segment in transcript.segments if transcript else ():
            role = segment.get("role") or f"speaker {segment.get('speakerId')}"
            console.print(f"  {segment['start'] / 1000:6.1f} s  {role:<8} {segment['text'].strip()}", markup=False)


def _fetch(url: str) -> dict[str, Any]:
    """Over real HTTP: what a reader of the EHR would get."""
    request = urllib.request.Request(url, headers={"Accept": "application/fhir+json"})  # noqa: S310 - our own sandbox
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    if found.get("resourceType") != "DocumentReference" or found.get("status") != "current":
        raise RuntimeError(f"{url} is not a current DocumentReference")
    return found


def _parked(visit: Row) -> int:
    if visit["reason"] == "no_speech":
        return _refuse(BadAudio("no_speech", "nobody can be heard in the recording"))
    sys.stderr.write(f"ambient-fhir: the visit is parked: {visit['reason']}: {visit['detail']}\n")
    return 1


def _refuse(bad: BadAudio) -> int:
    sys.stderr.write(f"ambient-fhir: the recording cannot be used: {bad}\n")
    return 2
