"""What is said about another server's resource is never taken as ours, which may have the same id."""

from __future__ import annotations

import pytest

from service.errors import Rejected
from tests.unit.test_events_shapes import BASE, MEDIA, Json, bundle, full, hapi, parameters, read

ELSEWHERE = "https://other.test/fhir"
HERE = {"fullUrl": f"{BASE}/Media/m1", "request": {"method": "PUT", "url": "Media/m1"}}
FOREIGN = {
    "the fullUrl of a resource": {**HERE, "fullUrl": f"{ELSEWHERE}/Media/m1", "resource": MEDIA},
    "the url of a resource": {**HERE, "request": {"url": f"{ELSEWHERE}/Media/m1"}, "resource": MEDIA},
    "the fullUrl alone": {**HERE, "fullUrl": f"{ELSEWHERE}/Media/m1"},
    "the url alone": {**HERE, "request": {"method": "DELETE", "url": f"{ELSEWHERE}/Media/m1"}},
    "a very long one": {**HERE, "fullUrl": f"{ELSEWHERE}/{'x' * 5000}/Media/m1", "resource": MEDIA},
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("announced", [True, False])
def test_an_entry_of_another_server_is_refused_whatever_it_holds(name: str, announced: bool) -> None:
    status_entry = [parameters(("3", "Media/m1"))] if announced else []
    entries = [{"resource": one} for one in status_entry] + [FOREIGN[name]]
    with pytest.raises(Rejected, match="foreign_base"):
        read({"resourceType": "Bundle", "type": "history", "entry": entries})


@pytest.mark.parametrize(
    "body",
    [
        bundle(parameters(("3", "Media/m1"), subscription=f"{ELSEWHERE}/Subscription/s1"), full(MEDIA)),
        {"resourceType": "Bundle", "type": "history", "entry": [
            {"fullUrl": f"{ELSEWHERE}/Parameters/1", "resource": parameters(("3", "Media/m1"))}]},
        {"resourceType": "Bundle", "type": "history", "entry": [
            {"request": {"method": "GET", "url": f"{ELSEWHERE}/Subscription/s1/$status"}, "resource": parameters(("3", "Media/m1"))}]},
        hapi(pointer=f"{ELSEWHERE}/Media/m1/_history/2"),
        hapi(pointer=f"{ELSEWHERE}/Media/m1/_history/2", payload=None),
        {"payload": {**hapi()["payload"], "resourceId": f"{ELSEWHERE}/Media/m1"}},
    ],
)  # fmt: skip
def test_what_another_server_tells_is_refused(body: Json) -> None:
    with pytest.raises(Rejected, match="foreign_base"):
        read(body)


@pytest.mark.parametrize("own", ["http://ehr.test/fhir/R4", "https://EHR.test/fhir/R4", "https://ehr.test:443/fhir/R4"])
def test_our_own_base_is_known_in_other_spellings(own: str) -> None:
    entry = {"fullUrl": f"{own}/Media/m1", "resource": MEDIA, "request": {"method": "PUT", "url": f"{own}/Media/m1"}}
    (event,) = read(bundle(parameters(("3", "Media/m1"), subscription=f"{own}/Subscription/s1"), entry))
    assert event.resource == MEDIA


def test_included_resources_of_another_server_say_nothing() -> None:
    included = {"fullUrl": f"{ELSEWHERE}/Practitioner/x", "resource": {"resourceType": "Practitioner", "id": "x"}}
    (event,) = read(bundle(parameters(("3", "Media/m1")), full(MEDIA), included))
    assert event.reference == "Media/m1"
