"""The interaction: one per visit, found again by its `encounter.identifier`."""

from __future__ import annotations

from service.workflow.chart import Chart
from service.workflow.work import Result, Work


async def ensure_interaction(work: Work, chart: Chart) -> str:
    """The interaction's id. The visit's id is its `encounter.identifier`, so that an earlier one can be adopted."""

    async def create() -> Result:
        period = chart.period or {}
        created = await work.send(
            lambda: work.ambient.create_interaction(
                identifier=work.visit.id,
                patient=chart.patient,
                started_at=period.get("start"),
                ended_at=period.get("end"),
                kind=chart.kind,
            )
        )
        return {"id": created, "patient": chart.patient}

    async def look() -> Result | None:
        found = await work.ambient.find_interaction(identifier=work.visit.id, patient=chart.patient)
        return {"id": found, "patient": chart.patient} if found else None

    return str((await work.once("interaction", create, look, intent={"patient": chart.patient}))["id"])
