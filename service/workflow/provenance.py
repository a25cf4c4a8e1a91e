"""Transparency: what drafted a note and from what, told to the EHR as a Provenance by a Device, once for each note.

Where the EHR takes none it is kept in the step's result, and shown by the operations API. A note never waits for it for long and
is never parked or taken back for it. Nothing is told when a note is withdrawn: its status says so, and this stays true.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from service.errors import NeedsPerson, Retryable
from service.fhir.device import Scribe, device, device_token
from service.fhir.elements import string
from service.fhir.provenance import Origin, is_about, provenance
from service.fhir.references import ForeignBase, referenced
from service.telemetry import PROVENANCE_KEPT
from service.workflow.chart import Chart
from service.workflow.media import Recordings
from service.workflow.work import Result, Work

log = structlog.get_logger()

PATIENCE = 8
"""Attempts, over some four minutes, after which the EHR's Provenance is given up: never the visit."""
_MOST_FOUND = 200


def provenance_step(key: str) -> str:
    return f"provenance:{key}"


async def ensure_provenance(work: Work, chart: Chart, recordings: Recordings, key: str) -> None:
    """For the note that was filed under `key`. Its result is `{"reference"}` in the EHR, or `{"kept"}`, the resource.

    Raises Retryable while the EHR may still take it.
    """
    step, filed = provenance_step(key), work.results.get(f"filed:{key}")
    if filed is None or step in work.results:
        return
    telling = _Telling(work, step, _origin(work, chart, recordings, key, filed))
    await work.once(step, telling.tell, telling.look)


class _Undecided(Exception):
    """It may have been carried out, and the EHR cannot tell."""


@dataclass(slots=True)
class _Telling:
    """A Provenance has no identifier in R4. `in_doubt`: an earlier one may stand in the EHR, which cannot be searched for it;
    then rather none than two."""

    work: Work
    step: str
    origin: Origin
    in_doubt: bool = False

    async def tell(self) -> Result:
        try:
            if await _takes_provenance(self.work):
                return await self._send()
        except (NeedsPerson, Retryable, _Undecided) as failure:
            self._give_up(failure)
        scribe = self.work.ambient.scribe
        return {"kept": provenance(self.origin, scribe, scribe.devices.get(self.work.ehr.name))}

    async def look(self) -> Result | None:
        """By its target and its agent."""
        try:
            own = await self._standing()
        except (NeedsPerson, Retryable, _Undecided) as failure:
            self._refuse_passing(failure)
            self.in_doubt = True
            return None
        return {"reference": f"Provenance/{own}"} if own else None

    async def _standing(self) -> str | None:
        """The id of one that an earlier run told of. Raises _Undecided where the search cannot be relied upon."""
        ehr, scribe, note = self.work.ehr, self.work.ambient.scribe, self.origin.note
        if (await ehr.capabilities()).searches_by("target", "Provenance") is False:
            raise _Undecided
        found = await ehr.search("Provenance", {"target": note})
        own = next((one for one in found if is_about(one, note, scribe, ehr.base_url)), None)
        if own is None and len(found) >= _MOST_FOUND:
            raise _Undecided
        return string(own, "id")

    async def _send(self) -> Result:
        if self.in_doubt:
            raise _Undecided
        resource = provenance(self.origin, self.work.ambient.scribe, await _device(self.work))
        return {"reference": (await self.work.send(lambda: self.work.ehr.create(resource))).reference}

    def _give_up(self, failure: NeedsPerson | Retryable | _Undecided) -> None:
        """The Device is asked for anew after a refusal: it may be gone."""
        self._refuse_passing(failure)
        if isinstance(failure, NeedsPerson):
            self.work.ambient.scribe.devices.pop(self.work.ehr.name, None)
        why = _WHY[type(failure)]
        PROVENANCE_KEPT.labels(why).inc()
        log.warning("provenance_kept", reason=why, reference=self.origin.note, detail=str(failure))

    def _refuse_passing(self, failure: NeedsPerson | Retryable | _Undecided) -> None:
        """Raises a failure that may pass."""
        known = self.work.visit.steps.get(self.step)
        if isinstance(failure, Retryable) and (failure.parked or known is None or known.attempts < PATIENCE):
            raise failure


_WHY = {NeedsPerson: "refused", Retryable: "failing", _Undecided: "undecided"}


async def _device(work: Work) -> str | None:
    """As which Device the EHR knows the scribe; None where it takes none. Asked for once in each process."""
    scribe, name = work.ambient.scribe, work.ehr.name
    if name not in scribe.devices:
        scribe.devices[name] = await _create_device(work, scribe) if await _takes_device(work) else None
    return scribe.devices[name]


async def _create_device(work: Work, scribe: Scribe) -> str | None:
    """Conditional, so that it needs no intent: twice is once."""

    async def create() -> Result:
        try:
            filed = await work.send(lambda: work.ehr.create_once(device(scribe), device_token(scribe)))
        except NeedsPerson as refused:
            log.warning("device_refused", detail=str(refused))
            return {"reference": None}
        return {"reference": filed.reference}

    return (await work.once(f"device:{scribe.name}", create, only_looks=True)).get("reference")


async def _takes_provenance(work: Work) -> bool:
    """What the profile says; else what the EHR says of itself, whose silence is a no."""
    told = work.addressee.profile.writing.provenance
    return told if told is not None else bool((await work.ehr.capabilities()).can("create", "Provenance"))


async def _takes_device(work: Work) -> bool:
    """Likewise; and conditionally, for every process asks for it."""
    told, said = work.addressee.profile.writing.device, await work.ehr.capabilities()
    takes = told if told is not None else said.can("create", "Device")
    return bool(takes) and said.creates_conditionally("Device") is not False


def _origin(work: Work, chart: Chart, recordings: Recordings, key: str, filed: Result) -> Origin:
    return Origin(
        note=str(filed["reference"]),
        version=filed.get("version"),
        template=key.partition("~")[0].rpartition(":")[0],
        media=[media.reference for media in recordings.available],
        encounter=chart.encounter,
        practitioner=string(chart.practitioner, "reference"),
        organization=_organization(work),
        recorded=datetime.now(UTC),
    )


def _organization(work: Work) -> str | None:
    """On whose behalf the scribe works: the one in the settings, else who provides the Encounter."""
    if work.addressee.settings.organization:
        return work.addressee.settings.organization
    encounter = work.visit.encounter
    try:
        provider = referenced(encounter.resource, "serviceProvider", base=work.ehr.base_url) if encounter else None
    except ForeignBase:
        return None
    return str(provider) if provider and provider.type == "Organization" else None
