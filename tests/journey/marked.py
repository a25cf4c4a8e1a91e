"""A visit in which everything that is a patient's is marked, and a watch over every place where a mark may come out.

The ids of Encounter, Media and DocumentReference are an operator's, and are logged; the id of a Patient is the patient's, and is
shown by the operations API alone, in a visit's steps.
"""

from __future__ import annotations

import io
import json
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from service.settings import Log
from service.telemetry import configure_logging
from tests.journey.hospital import Hospital, Json

MARK = "Zebrafish"
PATIENT = f"{MARK}-p1"
TURNS = [
    ("doctor", f"Good morning, {MARK}."),
    ("patient", f"My {MARK} hurts for ten days."),
    ("doctor", f"I will start you on {MARK}, 500 milligrams."),
]

OUTCOME: Json = {
    "resourceType": "OperationOutcome",
    "text": {"status": "generated", "div": f"<div>{MARK}</div>"},
    "issue": [
        {
            "severity": "error", "code": word, "diagnostics": f"{MARK} has a cough", "location": [f"/f:{MARK}"], "expression": [path],
            "details": {"coding": [{"system": MARK, "code": MARK, "display": MARK}], "text": f"not {MARK}"},
        }
        for word, path in [
            ("invalid", "Patient.name.where(family='Zebrafish')"), (MARK.lower(), MARK), (MARK, f"Patient.{MARK.lower()}"),
            (f"about-{MARK.lower()}", f"DocumentReference.content[0].{MARK.lower()}.attachment"), ("value", f"{MARK}.status"),
        ]
    ],
}  # fmt: skip
"""What servers put into their refusals."""
PAGE = f"<html><title>{MARK}</title><body>Error for patient {MARK}</body></html>".encode()
HEADERS = {"Warning": f'199 - "{MARK}"', "X-Patient": MARK, "Set-Cookie": f"patient={MARK}"}


LETTERS = [
    f"{MARK} is not JSON".encode(),
    f'{{"resourceType": "Media", "id": "{MARK}!", "status": "{MARK}"}}'.encode(),
    f'{{"resourceType": "Media", "id": "m1", "status": "completed", "encounter": {{"reference": "https://{MARK}.test/Encounter/1"}}}}'.encode(),
    f'{{"resourceType": "{MARK}", "id": "{MARK}"}}'.encode(),
    f'{{"specversion": "1.0", "type": "{MARK}", "source": "{MARK}", "data": {{"name": "{MARK}"}}}}'.encode(),
    f'["{MARK}"]'.encode(),
    b"\xff" + MARK.encode(),
]  # fmt: skip
"""Deliveries that cannot be taken in, but for the one whose type is not read."""


def patient(**more: Any) -> Json:
    return {
        "resourceType": "Patient", "id": PATIENT, "active": True, "birthDate": "1959-03-07", "name": [{"family": MARK, "given": [MARK]}],
        "identifier": [{"system": "urn:mrn", "value": f"MRN-{MARK}"}], "telecom": [{"system": "email", "value": f"{MARK}@x.test"}],
        "address": [{"line": [f"1 {MARK} Street"], "city": MARK, "postalCode": MARK}], **more,
    }  # fmt: skip


async def marked_visit(hospital: Hospital, **media: Any) -> tuple[Json, Json]:
    """Encounter and Media as the EHR holds them."""
    encounter = await hospital.admit(
        patient=PATIENT,
        subject={"reference": f"Patient/{PATIENT}", "display": MARK},
        reasonCode=[{"text": f"cough of {MARK}", "coding": [{"code": "49727002", "display": MARK}]}],
        participant=[{"individual": {"reference": "Practitioner/d7", "display": MARK}}],
        identifier=[{"value": f"VISIT-{MARK}"}],
        text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{MARK}</div>'},
    )
    await hospital.put(patient())
    named = {"note": [{"text": MARK}], "operator": {"display": MARK}, "reasonCode": [{"text": MARK}]}
    return encounter, await hospital.record(patient=PATIENT, turns=TURNS, **{**named, **media})


@dataclass(frozen=True, slots=True)
class Watch:
    """`logged` is everything that was logged, at the finest level, as production writes it."""

    logged: io.StringIO
    folder: Path
    terminal: pytest.CaptureFixture[str]

    def saw_nothing(self, *shown: Any, least: int = 3) -> None:
        """`shown`: rows of the operations API, where ids of Patients may stand. Asserts that the watch was awake, too."""
        assert self.logged.getvalue().count("\n") >= least, self.logged.getvalue()
        told = json.dumps(shown).replace(f"Patient/{PATIENT}", "")
        printed = self.terminal.readouterr()
        metrics = generate_latest().decode()
        for where, text in {
            "log": self.logged.getvalue(), "stdout": printed.out, "stderr": printed.err, "operations": told, "metrics": metrics,
            "files": "\n".join(map(str, self._left_behind())),
        }.items():  # fmt: skip
            found = [line for line in text.splitlines() if re.search(MARK, line, re.IGNORECASE)]
            assert found == [], f"{where}: {found[:3]}"

    def _left_behind(self) -> Iterator[Path | bytes]:
        """Every file's path, and what is in those that are neither a database, nor audio at rest, nor a setting."""
        for file in self.folder.rglob("*"):
            yield file.relative_to(self.folder)
            if file.is_file() and "blobs" not in file.parts and ".db" not in file.name and file.suffix != ".yaml":
                yield file.read_bytes()
        assert not list((self.folder / "tmp").iterdir()), "temporary files are left"


@contextmanager
def watching(folder: Path, terminal: pytest.CaptureFixture[str]) -> Iterator[Watch]:
    """Temporary files go into a folder of their own meanwhile."""
    (folder / "tmp").mkdir()
    root, was = logging.getLogger(), tempfile.tempdir
    handlers, level = root.handlers[:], root.level
    configure_logging(Log(format="json", level="debug"))
    lines = io.StringIO()
    root.handlers[0].setStream(lines)  # type: ignore[attr-defined]
    tempfile.tempdir = str(folder / "tmp")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield Watch(lines, folder, terminal)
    finally:
        tempfile.tempdir = was
        root.handlers[:] = handlers
        root.setLevel(level)
