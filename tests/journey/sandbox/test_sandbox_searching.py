"""Finding resources again."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from service.fhir.capability_statement import Capabilities
from service.fhir.device import Scribe, device

BASE = "http://ehr.test/sandbox/fhir/R4"


async def found(ehr: httpx.AsyncClient, query: str) -> list[str]:
    answer = await ehr.get(f"/DocumentReference?{query}")
    assert answer.status_code == 200
    bundle = answer.json()
    ids = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
    assert bundle["total"] == len(ids)
    return ids


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("identifier=urn:ambient-fhir:note|3f0c", True),
        ("identifier=3f0c", True),
        ("identifier=|3f0c", False),
        ("identifier=urn:ambient-fhir:note|", True),
        ("identifier=urn:other|3f0c", False),
        ("identifier=|unsystematic", True),
        ("identifier=a\\,b\\|c", True),
        ("identifier=nothing,3f0c", True),
        ("identifier=3f0c&identifier=nothing", False),
        ("patient=Patient/p1", True),
        ("patient=p1", True),
        (f"patient={quote(BASE)}/Patient/p1", True),
        ("patient=Practitioner/p1", False),
        ("patient=p2", False),
        ("subject=Patient/p1&status=current&type=http://loinc.org|11506-3", True),
        ("encounter=Encounter/e1", True),
        ("encounter=e1&status=superseded", False),
        ("type=11506-3", True),
        ("type=http://loinc.org|34109-9", False),
        ("category=clinical-note", True),
        ("_id=n1,n2", True),
        ("_id=n2", False),
        ("", True),
    ],
)
async def test_a_note_is_found_by_what_it_says(ehr: httpx.AsyncClient, note: Any, query: str, matches: bool) -> None:
    note["identifier"] += [{"value": "unsystematic"}, {"value": "a,b|c"}]
    note["category"] = [{"coding": [{"code": "clinical-note"}]}]
    await ehr.put("/DocumentReference/n1", json=note | {"id": "n1"})
    assert await found(ehr, query) == (["n1"] if matches else [])


async def test_the_index_follows_an_update(ehr: httpx.AsyncClient, note: Any) -> None:
    await ehr.put("/DocumentReference/n1", json=note | {"id": "n1"})
    await ehr.put("/DocumentReference/n1", json=note | {"id": "n1", "status": "entered-in-error"})
    assert await found(ehr, "status=current") == []
    assert await found(ehr, "status=entered-in-error") == ["n1"]


async def test_a_reference_by_absolute_url_or_to_a_version_is_found_by_its_id(
    ehr: httpx.AsyncClient, note: Any
) -> None:
    note["subject"] = {"reference": f"{BASE}/Patient/p7/_history/3"}
    await ehr.put("/DocumentReference/n1", json=note | {"id": "n1"})
    assert await found(ehr, "patient=p7") == ["n1"]
    assert await found(ehr, "patient=Patient/p7") == ["n1"]


async def test_an_identifier_of_any_length_is_found(ehr: httpx.AsyncClient, note: Any) -> None:
    note["identifier"] = [{"system": "urn:x", "value": "9" * 20_000}]
    await ehr.put("/DocumentReference/n1", json=note | {"id": "n1"})
    assert await found(ehr, "identifier=urn:x|" + "9" * 20_000) == ["n1"]


async def test_pages_follow_next_links_to_the_end_in_the_order_of_creation(ehr: httpx.AsyncClient) -> None:
    names = [f"p{n}" for n in range(7)]
    for name in names:
        await ehr.put(f"/Patient/{name}", json={"resourceType": "Patient", "id": name, "identifier": [{"value": "x"}]})
    url, seen = "/Patient?identifier=x&_count=3", []
    while url:
        bundle = (await ehr.get(url)).json()
        assert bundle["total"] == 7
        seen.append([entry["resource"]["id"] for entry in bundle["entry"]])
        assert all(entry["fullUrl"] == f"{BASE}/Patient/{entry['resource']['id']}" for entry in bundle["entry"])
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert seen == [names[:3], names[3:6], names[6:]]
    assert "entry" not in (await ehr.get("/Patient?_count=0")).json()


async def test_the_self_link_names_the_parameters_that_were_used(ehr: httpx.AsyncClient) -> None:
    lenient = {"Prefer": "handling=lenient"}
    bundle = (await ehr.get("/Patient?identifier=urn:a|1&flavour=x", headers=lenient)).json()
    assert bundle["link"] == [{"relation": "self", "url": f"{BASE}/Patient?identifier=urn%3Aa%7C1"}]


@pytest.mark.parametrize("query", ["flavour=x", "identifier:exact=x", "patient.name=x", "_sort=date", "_count=many"])
async def test_an_unknown_parameter_is_refused_rather_than_overlooked(ehr: httpx.AsyncClient, query: str) -> None:
    answer = await ehr.get(f"/Media?{query}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] in ("not-supported", "value")
    assert "flavour" not in answer.text


async def test_a_search_by_post_keeps_the_parameters_out_of_the_url(ehr: httpx.AsyncClient) -> None:
    await ehr.put("/Patient/p1", json={"resourceType": "Patient", "id": "p1", "identifier": [{"value": "x"}]})
    answer = await ehr.post("/Patient/_search", data={"identifier": "x", "_id": "p1"})
    assert answer.json()["total"] == 1
    assert (await ehr.post("/Patient/_search", json={})).status_code == 415


async def test_a_provenance_is_found_by_what_it_is_about_and_who_and_what_is_in_it(ehr: httpx.AsyncClient) -> None:
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": "DocumentReference/n1/_history/3"}],
        "recorded": "2026-11-22T10:00:00Z",
        "agent": [{"who": {"reference": "Device/d1"}}],
        "entity": [
            {"role": "source", "what": {"reference": "Media/m1"}},
            {"role": "derivation", "what": {"identifier": {"value": "corti-soap"}}},
        ],
    }
    assert (await ehr.post("/Provenance", json=provenance)).status_code == 201
    assert (await ehr.get("/Provenance?target=DocumentReference/n1")).json()["total"] == 1
    assert (await ehr.get("/Provenance?target=n2")).json()["total"] == 0
    assert (await ehr.get("/Provenance?agent=Device/d1&entity=Media/m1")).json()["total"] == 1
    assert (await ehr.get("/Provenance?entity=Media/m2")).json()["total"] == 0


async def test_a_device_is_created_once_and_found_by_its_identifier(ehr: httpx.AsyncClient) -> None:
    scribe = device(Scribe([("software", "1.2.0")]))
    unless = {"If-None-Exist": "identifier=urn%3Aambient-fhir%3Adevice%7Cambient-fhir_1.2.0"}
    answers = [(await ehr.post("/Device", json=scribe, headers=unless)).status_code for _ in range(2)]
    assert answers == [201, 200]
    assert (await ehr.get("/Device?identifier=urn:ambient-fhir:device|ambient-fhir_1.2.0")).json()["total"] == 1


async def test_the_statement_says_that_provenances_and_devices_are_taken(ehr: httpx.AsyncClient) -> None:
    said = Capabilities((await ehr.get("/metadata")).json())
    assert said.can("create", "Provenance")
    assert said.searches_by("target", "Provenance")
    assert said.creates_conditionally("Device")
