"""What a hospital publishes in a storm: the events of many visits, repeated, out of order and late, until confirmed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import httpx
import orjson

from adapters.rabbitmq.broker import RabbitBroker
from service.settings import read_settings
from service.workflow.ports import PublishFailed
from tests.faults.ehr import visit_name

Json = dict[str, Any]
_TWO_RECORDINGS = 0.15
_SEVERAL = 0.3
_OVERTAKEN = 0.2
_LATE = 0.1


class Feeder:
    """Publishes past the links to `broker_url`. A visit is in the EHR before its first event.

    `counts`: `deliveries` asked for, `repeated` among them, `confirmed`, and `unconfirmed` publishes that were done again.
    `recordings` says how many Media each Encounter's id has.
    """

    def __init__(self, ehr: httpx.AsyncClient, broker_url: str, seed: int) -> None:
        self._ehr = ehr
        self._settings = read_settings(broker={"url": broker_url}).broker
        self._chance = random.Random(seed)
        self._at_once = asyncio.Semaphore(8)
        self.counts: Counter[str] = Counter()
        self.recordings: dict[str, int] = {}

    async def run(self, visits: int, seconds: float) -> None:
        """Visits begin at a steady rate for so long; returns when the last event is confirmed."""
        async with RabbitBroker.connect(self._settings) as broker, asyncio.TaskGroup() as group:
            for number in range(visits):
                group.create_task(self._visit(broker, number, number * seconds / visits))

    async def _visit(self, broker: RabbitBroker, number: int, begins: float) -> None:
        """The Encounter is in progress, its recordings come, it is finished; seldom told in that order and once each.

        A second recording is announced before the end of the visit, so that nearly all notes are of both.
        """
        await asyncio.sleep(begins)
        name, media = visit_name(number), 2 if self._is(_TWO_RECORDINGS) else 1
        self.recordings[name] = media
        held = await self._post("/_load", {"first": number, "visits": 1, "media": media})
        async with asyncio.TaskGroup() as group:
            began = held.pop(f"Encounter/{name}")
            group.create_task(self._told(broker, began, self._between(5, 15) if self._is(_OVERTAKEN) else 0))
            late = self._between(5, 20) if media == 1 and self._is(_LATE) else self._between(0, 3)
            recorded = [group.create_task(self._told(broker, one, late)) for one in held.values()]
            await asyncio.sleep(self._between(1, 6))
            if media > 1:
                await asyncio.wait(recorded)
            finished = await self._post("/_finish", [name])
            group.create_task(self._told(broker, finished[f"Encounter/{name}"], self._between(0, 2)))

    async def _told(self, broker: RabbitBroker, resource: Json, after: float) -> None:
        """Returns when it is published, which a repetition may be again later."""
        times = self._chance.randint(2, 4) if self._is(_SEVERAL) else 1
        self.counts["repeated"] += times - 1
        await asyncio.sleep(after)
        await self._publish(broker, resource)
        for _ in range(times - 1):
            await asyncio.sleep(self._between(0, 5))
            await self._publish(broker, resource)

    async def _publish(self, broker: RabbitBroker, resource: Json) -> None:
        kind, version = resource["resourceType"], resource["meta"]["versionId"]
        self.counts["deliveries"] += 1
        while True:
            try:
                async with self._at_once:
                    await broker.publish(
                        orjson.dumps(resource), routing_key=f"fhir.{kind}.update", content_type="application/fhir+json",
                        message_id=f"{kind}/{resource['id']}/{version}", headers={},
                    )  # fmt: skip
            except PublishFailed:
                self.counts["unconfirmed"] += 1
                await asyncio.sleep(1.0)
            else:
                self.counts["confirmed"] += 1
                return

    async def _post(self, path: str, body: Any) -> Json:
        answered = await self._ehr.post(path, json=body)
        answered.raise_for_status()
        told: Json = answered.json()
        return told

    def _is(self, share: float) -> bool:
        return self._chance.random() < share

    def _between(self, least: float, most: float) -> float:
        return self._chance.uniform(least, most)
