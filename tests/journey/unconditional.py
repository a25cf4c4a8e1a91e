"""An EHR without conditional create, made of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import NeedsPerson, Retryable
from service.fhir.capability_statement import Capabilities
from service.workflow.ports import AnswerLost, Filed
from tests.journey.hospital import Hospital, Json

SAYS = Capabilities(
    {
        "rest": [
            {
                "resource": [
                    {"type": "DocumentReference", "conditionalCreate": False, "interaction": [{"code": "update"}]}
                ]
            }
        ]
    }
)


class Unconditional:
    """The sandbox without If-None-Exist and without identifiers. `fates` decide what becomes of the next creates:
    `lost` (done, and not answered), `never` (not done, and not answered), `late` (done when the test says so)."""

    def __init__(self, ehr: Any) -> None:
        self._ehr = ehr
        self.fates: list[str] = []
        self.sent: list[Mapping[str, Any]] = []
        self.says = SAYS

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ehr, name)

    async def capabilities(self, *, afresh: bool = False) -> Capabilities:
        return self.says

    async def create_once(self, *_: Any) -> Filed:
        raise AssertionError("this EHR has no conditional create")

    async def find(self, *_: Any) -> list[Json]:
        raise NeedsPerson("ehr_refused", "400 for DocumentReference")

    async def search(self, kind: str, parameters: Mapping[str, str]) -> list[Json]:
        assert parameters.keys() == {"patient", "encounter", "date"}
        found: list[Json] = await self._ehr.search(kind, {k: v for k, v in parameters.items() if k != "date"})
        return [note for note in found if note["date"] >= parameters["date"].removeprefix("ge")]

    async def create(self, resource: Mapping[str, Any]) -> Filed:
        self.sent.append(resource)
        fate = self.fates.pop(0) if self.fates else "well"
        if fate == "refused":
            raise Retryable("ehr_unreachable", "ConnectError")
        if fate in ("never", "late"):
            raise AnswerLost("ReadTimeout")
        filed: Filed = await self._ehr.create(resource)
        if fate == "lost":
            raise AnswerLost("ReadTimeout")
        return filed

    async def arrive(self) -> None:
        """What was late."""
        await self._ehr.create(self.sent[-1])


def ehr_of(hospital: Hospital) -> Unconditional:
    return hospital.house.ehr  # type: ignore[return-value]


async def told(hospital: Hospital, *fates: str) -> Json:
    """The Media of a visit whose notes meet these fates."""
    ehr_of(hospital).fates = list(fates)
    media = await hospital.record()
    await hospital.tell(await hospital.admit(), media)
    return media


async def again(hospital: Hospital) -> None:
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()
