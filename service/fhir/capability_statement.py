"""What an EHR says of itself at `/metadata` (FHIR R4 CapabilityStatement), as far as it says anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.fhir.elements import Json, mappings, string


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`statement` is the CapabilityStatement, or an empty object where the server shows none.

    Each question is answered with None where the statement has no word on it; servers say less than they can, and now
    and then more.
    """

    statement: Json

    @property
    def fhir_version(self) -> str:
        return string(self.statement, "fhirVersion") or "unknown"

    @property
    def takes_transactions(self) -> bool | None:
        rests = list(self._rests())
        codes = {string(i, "code") for rest in rests for i in mappings(rest, "interaction")}
        return "transaction" in codes if rests else None

    def can(self, interaction: str, kind: str) -> bool | None:
        """Such as `create`, `update`, `search-type`. A type that is left out of a statement is not served."""
        rests = list(self._rests())
        if not rests:
            return None
        return any(
            string(i, "code") == interaction for one in self._resources(kind) for i in mappings(one, "interaction")
        )

    def creates_conditionally(self, kind: str) -> bool | None:
        """`conditionalCreate`, which says false where it is left out, but is left out by many that can."""
        said = [
            one["conditionalCreate"] for one in self._resources(kind) if isinstance(one.get("conditionalCreate"), bool)
        ]
        return any(said) if said else None

    def searches_by(self, parameter: str, kind: str) -> bool | None:
        """None for a type of which no search parameter is named at all."""
        named = {string(p, "name") for one in self._resources(kind) for p in mappings(one, "searchParam")}
        return parameter in named if named else None

    def _resources(self, kind: str) -> Iterator[Json]:
        for rest in self._rests():
            yield from (one for one in mappings(rest, "resource") if one.get("type") == kind)

    def _rests(self) -> Iterator[Json]:
        yield from (rest for rest in mappings(self.statement, "rest") if rest.get("mode", "server") == "server")
