"""What a storm left behind: every visit, its notes in the EHR, and what the ambient API holds of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.faults.ambient_stub import PARTS
from tests.faults.site import Site

Json = dict[str, Any]
_STEP_OF = {
    "interactions": "interaction",
    "recordings": "recording",
    "transcripts": "transcript",
    "documents": "document",
}


@dataclass(frozen=True, slots=True)
class Remains:
    """`visits` by id, with `steps` (name to row); `notes` of the EHR by Encounter; `census` of the ambient API."""

    visits: dict[str, Json]
    notes: dict[str, list[Json]]
    census: Json

    @classmethod
    async def of(cls, site: Site) -> Remains:
        visits = {row["id"]: {**row, "steps": {}} for row in await site.rows("SELECT * FROM visits")}
        for step in await site.rows("SELECT * FROM steps ORDER BY started_at"):
            step["result"] = json.loads(step["result"] or "{}")
            visits[step["visit_id"]]["steps"][step["name"]] = step
        notes: dict[str, list[Json]] = {}
        for note in (await site.ehr.get("/_notes")).json():
            notes.setdefault(note["encounter"], []).append(note)
        return cls(visits, notes, (await site.engine.get("/_census")).json())

    def orphans(self) -> dict[str, list[str]]:
        """By kind, what the ambient API holds and no step knows, each as `visit: id`."""
        found: dict[str, list[str]] = {}
        for kind, visit, ident in self._held():
            if ident not in self._known(visit, kind):
                found.setdefault(kind, []).append(f"{visit}: {ident}")
        return found

    def vanished(self) -> list[str]:
        """What a step of a visit's last word knows and the ambient API holds no longer, as `visit: kind id`."""
        held = {(kind, visit, ident) for kind, visit, ident in self._held()}
        return [
            f"{visit}: {kind} {ident}"
            for visit in self.visits
            for kind in _STEP_OF
            for ident in self._known(visit, kind)
            if (kind, visit, ident) not in held
        ]

    def _held(self) -> Iterable[tuple[str, str, str]]:
        for visit, interactions in self.census["encounters"].items():
            for one in interactions:
                yield "interactions", visit, one["id"]
                yield from ((kind, visit, ident) for kind in PARTS for ident in one[kind])

    def _known(self, visit: str, kind: str) -> set[str]:
        steps = self.visits.get(visit, {"steps": {}})["steps"]
        return {
            row["result"]["id"]
            for name, row in steps.items()
            if name.split(":")[0] == _STEP_OF[kind] and row["finished_at"]
        }


def unsettled(visits: Iterable[Json]) -> list[str]:
    """Visits that have not ended."""
    return [v["id"] for v in visits if v["state"] != "done" or v["next_at"] is not None or v["owner"] is not None]


def wrongs(remains: Remains, recordings: dict[str, int]) -> dict[str, list[str]]:
    """Encounters by what is wrong with them: `lost`, `doubled`, `wrong_chart`, `wrong_words`, `stuck`. Empty is right.

    `recordings`: how many each Encounter's id has. A note is of all its visit's recordings, once, and in order; one that
    was filed when only one of two was known is superseded by the one that replaces it.
    """
    found: dict[str, list[str]] = {}
    keyed = {visit["key"]: visit for visit in remains.visits.values()}
    for name, count in recordings.items():
        key = f"Encounter/{name}"
        for wrong in _wrongs_of(name, count, keyed.get(key), remains.notes.get(key, [])):
            found.setdefault(wrong, []).append(key)
    strangers = remains.notes.keys() - {f"Encounter/{name}" for name in recordings}
    return {**found, **({"stranger": sorted(strangers)} if strangers else {})}


def _wrongs_of(name: str, count: int, visit: Json | None, notes: list[Json]) -> Iterable[str]:
    current = [note for note in notes if note["status"] == "current"]
    if not current:
        yield "lost"
    superseded = [note for note in notes if note["status"] == "superseded"]
    if len(current) > 1 or len(superseded) > count - 1 or len(current) + len(superseded) != len(notes):
        yield "doubled"
    if any(note["patient"] != f"Patient/p-{name}" for note in notes):
        yield "wrong_chart"
    said = " ".join(f"this is recording {name}-{number} ." for number in range(1, count + 1))
    if any(said not in note["text"] or note["text"].count("this is recording") != count for note in current):
        yield "wrong_words"
    if visit is None or unsettled([visit]):
        yield "stuck"


def explained(site: Site, remains: Remains, keys: Iterable[str], most: int = 3, lines: int = 60) -> str:
    """All that is known about the first of these visits: row, steps, notes, what the engine has, and what workers said."""
    told = []
    for visit in [visit for visit in remains.visits.values() if visit["key"] in set(keys)][:most]:
        row = {name: value for name, value in visit.items() if name != "steps"}
        told += [f"--- {visit['key']}", f"row {row}"]
        told += [f"step {name}: {_brief(step)}" for name, step in visit["steps"].items()]
        told += [f"note {note}" for note in remains.notes.get(visit["key"], [])]
        told += [f"engine {one}" for one in remains.census["encounters"].get(visit["id"], [])]
        told += logged(site, visit["id"])[-lines:]
    return "\n".join(told)


def _brief(step: Json) -> str:
    moments = (
        f"{step['started_at']:%H:%M:%S.%f} .. {step['finished_at'] and step['finished_at'].strftime('%H:%M:%S.%f')}"
    )
    return f"attempts {step['attempts']} fence {step['fence']} {moments} {step['result']}"


def logged(site: Site, what: str) -> list[str]:
    """Every worker's log lines that hold this text, in the order of time."""
    logs = {log.stem: log.read_text(errors="replace").splitlines() for log in site.folder.glob("worker-*.log")}
    found = [(_timestamp(line), f"{name} {line}") for name, lines in logs.items() for line in lines if what in line]
    return [line for _, line in sorted(found)]


def events_logged(site: Site) -> Counter[str]:
    """How often each event was logged as a warning or an error, with its reason; lines that are no events as `unstructured`."""
    counted: Counter[str] = Counter()
    for log in site.folder.glob("worker-*.log"):
        for line in log.read_text(errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                counted["unstructured"] += 1
                continue
            if said["level"] in ("warning", "error", "critical"):
                counted[" ".join(filter(None, [said["event"], said.get("reason")]))] += 1
    return counted


def _timestamp(line: str) -> str:
    try:
        return str(json.loads(line)["timestamp"])
    except (ValueError, KeyError):
        return ""
