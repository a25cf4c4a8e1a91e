"""What the published description says about authentication is what the served house does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.journey.hospital import open_hospital

TOKEN = "/realms/{tenant}/protocol/openid-connect/token"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_hospital(tmp_path, api={"clients": {"recorder": "s1"}, "token_rate": 3}) as hospital:
        transport = httpx.ASGITransport(app=hospital.house.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://house.test") as http:
            yield http


async def described(http: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await http.get("/openapi.json")).json())


async def test_just_what_is_described_as_guarded_is_unauthorized_without_a_token(guarded: httpx.AsyncClient) -> None:
    for path, operations in (await described(guarded))["paths"].items():
        for method, operation in operations.items():
            answered = await guarded.request(method, path.replace("{", "").replace("}", ""))
            assert (answered.status_code == 401) == ("security" in operation), (method, path, answered.status_code)
            if "security" in operation:
                assert {"401", "403", "503"} <= set(operation["responses"]), (method, path)


async def test_every_named_scheme_and_scope_is_defined(guarded: httpx.AsyncClient) -> None:
    document = await described(guarded)
    schemes = document["components"]["securitySchemes"]
    scopes = schemes["clientCredentials"]["flows"]["clientCredentials"]["scopes"]
    ways = [way for path in document["paths"].values() for one in path.values() for way in one.get("security", [])]
    assert {name for way in ways for name in way} == set(schemes)
    assert {scope for way in ways for scope in way.get("clientCredentials", [])} == set(scopes)
    assert document["paths"]["/visits"]["get"]["security"][0] == {"clientCredentials": ["operations"]}


async def test_tenant_name_is_described_just_where_it_is_asked_for(guarded: httpx.AsyncClient) -> None:
    for path, operations in (await described(guarded))["paths"].items():
        for operation in operations.values():
            named = [one for one in operation.get("parameters", []) if one["name"] == "Tenant-Name"]
            assert [one["required"] for one in named] == ([True] if path.startswith("/v2/") else []), path


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "client_credentials", "client_id": "recorder", "client_secret": "s1"}, 200),
        ({"grant_type": "password"}, 400),
        ({"grant_type": "client_credentials", "client_id": "recorder", "client_secret": "wrong"}, 401),
        ({}, 429),
    ],
)
async def test_the_token_endpoint_answers_as_described(
    guarded: httpx.AsyncClient, form: dict[str, str], status: int
) -> None:
    document = await described(guarded)
    if status == 429:
        for _ in range(3):
            await guarded.post(TOKEN.format(tenant="base"))
    answered = await guarded.post(TOKEN.format(tenant="base"), data=form)
    assert answered.status_code == status
    operation = document["paths"][TOKEN]["post"]
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    Draft202012Validator({**document, **schema}).validate(answered.json())
    if status == 200:
        body = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        Draft202012Validator(body).validate({**form, "scope": "openid"})
        assert set(body["properties"]) == {*form, "scope"}
