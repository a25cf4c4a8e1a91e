"""A strict FHIR R4 server: what is not valid is refused, and every rule of the HTTP chapter (§3.1.0) is kept."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import unquote

from service.fhir.elements import element, string
from tests.ehrs.chart import refuse_stranger
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.searching import is_found
from tests.ehrs.wire import Asked, Json, Refused, Told
from tests.independent import problems


class StrictR4(EmulatedEhr):
    """Notes are judged by `tests/independent.py`; their Patient and Encounter must be in the chart. Conditional creates do
    not wait for the search's index."""

    interactions: ClassVar = ("read", "search-type", "create", "update")
    creates_conditionally: ClassVar = True

    def __init__(self, index_lag: float = 0.0) -> None:
        super().__init__(index_lag)
        problems({"resourceType": "DocumentReference"})  # loads for seconds, when nobody waits for an answer yet

    def create(self, asked: Asked) -> Told:
        note = asked.resource("DocumentReference")
        self._refuse_invalid(note)
        matches = self._matches(asked.headers.get("if-none-exist"))
        if len(matches) > 1:
            raise Refused(412, "multiple-matches")
        if matches:
            return self._written(200, asked, matches[0])
        return self._written(201, asked, self.keep(note))

    def update(self, asked: Asked, ident: str) -> Told:
        note = asked.resource("DocumentReference")
        if note.get("id") != ident:
            raise Refused(400, "invalid", "DocumentReference.id")
        self._refuse_invalid(note)
        known = self.notes[ident].versions[-1]["meta"]["versionId"]
        if asked.headers.get("if-match", f'W/"{known}"') != f'W/"{known}"':
            raise Refused(412, "conflict")
        return self._written(200, asked, self.keep_version(ident, note))

    def _written(self, status: int, asked: Asked, note: Json) -> Told:
        version = note["meta"]["versionId"]
        where = f"{self.base_url}/DocumentReference/{note['id']}/_history/{version}"
        minimal = "return=minimal" in asked.headers.get("prefer", "")
        return Told(status, None if minimal else note, {"Location": where, "ETag": f'W/"{version}"'})

    def _matches(self, condition: str | None) -> list[Json]:
        """Of `identifier=system|value` alone. Raises Refused 412 for a condition that selects by nothing that is known."""
        if condition is None:
            return []
        name, _, value = unquote(condition).partition("=")
        if name != "identifier" or not value:
            raise Refused(412, "not-supported")
        every = [held.versions[-1] for held in self.notes.values()]
        return [note for note in every if is_found(note, "identifier", value)]

    def _refuse_invalid(self, note: Json) -> None:
        for problem in problems(note):
            raise Refused(422, "invalid", problem.partition(":")[0])
        refuse_stranger(string(note, "subject", "reference"), "Patient", "DocumentReference.subject")
        encounter = element(note, "context", "encounter", 0, "reference")
        if encounter is not None:
            refuse_stranger(encounter, "Encounter", "DocumentReference.context.encounter")
