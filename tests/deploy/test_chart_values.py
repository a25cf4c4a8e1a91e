"""What the chart accepts: a closed and described schema, and guards that say what to set instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, MAJORS, helm, profile, template
from tests.deploy.write_parameters import parameters, readme

pytestmark = pytest.mark.deploy

BOTH = pytest.mark.parametrize("major", MAJORS)
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def nodes(schema: dict[str, Any], path: str = "values") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def test_the_schema_is_closed() -> None:
    for path, node in nodes(SCHEMA):
        if node["type"] == "object":
            assert node.get("additionalProperties") in (False, {"type": "string"}), path
            assert (node["additionalProperties"] is False) == ("properties" in node), path


def test_the_schema_describes_every_key() -> None:
    for path, node in nodes(SCHEMA):
        if not path.endswith("[]"):
            assert node.get("description", "").endswith("."), path


def test_every_value_is_in_the_schema_and_the_readme_is_up_to_date() -> None:
    assert len(list(parameters(VALUES, SCHEMA))) > 60
    assert (CHART / "README.md").read_text(encoding="utf-8") == readme(), (
        "run python tests/deploy/write_parameters.py and keep the result"
    )


def test_every_key_of_the_schema_has_a_default_or_is_optional() -> None:
    optional = {
        "values.global",
        "values.podSecurityContext.supplementalGroups",
        "values.podSecurityContext.seccompProfile.localhostProfile",
    }
    named = {f"values.{name}" for name, _, _ in parameters(VALUES, SCHEMA)}
    for path, node in nodes(SCHEMA):
        is_leaf = not node.get("properties") and "[]" not in path and not path.endswith("limits.cpu")
        assert not is_leaf or path in named | optional, path


@BOTH
@pytest.mark.parametrize(
    "value",
    [
        "replicaCount=2",
        "api.replica=2",
        "api.replicas=two",
        "api.replicas=0",
        "api.resources.limits.gpu=1",
        "api.resources.limits.memory=1000000",
        "worker.lease=soon",
        "image.tag=latest",
        "image.digest=sha256:abc",
        "ehr.baseUrl=ehr.example",
        "ehr.auth.method=magic",
        "extraSettings.LOG_LEVEL=debug",
        "extraEnv[0].value=x",
        "podSecurityContext.runAsUser=0",
    ],
)
def test_the_schema_refuses(major: str, value: str) -> None:
    outcome = template(major, "default", value)
    assert outcome.code != 0
    assert "schema" in outcome.error, outcome.error


GUARDS = [
    ("default", ["existingSecret="], "existingSecret is missing: create a Secret with the keys AMBIENT_BROKER__URL"),
    ("default", ["ehr.baseUrl="], "ehr.baseUrl is missing: set it to the FHIR R4 base URL"),
    ("default", ["ehr.baseUrl=sandbox"], "toy EHR: set ehr.baseUrl to the EHR's FHIR R4 base URL, or development=true"),
    ("default", ["blobs.existingClaim="], "create a ReadWriteMany PersistentVolumeClaim and set blobs.existingClaim"),
    ("development", ["existingSecret="], "existingSecret is missing"),
    ("default", ["ehr.auth.method=basic"], "needs ehr.auth.username"),
    ("default", ["ehr.auth.method=client_secret"], "needs ehr.auth.clientId and ehr.auth.tokenUrl"),
    ("default", ["engine.url=https://engine.example/v2", "engine.clientId=a"], "engine.clientId needs engine.tokenUrl"),
    ("default", ["engine.clientId=a", "engine.tokenUrl=https://engine.example/t"], "but engine.url is embedded"),
    ("default", ["api.recognisers=0"], "nothing transcribes"),
    ("development", ["api.recognisers=0", "worker.recognisers=1"], "nothing transcribes"),
    ("default", ["api.recognisers=4"], "api.recognisers=4: set at least 1700Mi"),
    ("default", ["worker.recognisers=3"], "worker.recognisers=3: set at least 1350Mi"),
    ("default", ["extraSettings.AMBIENT_BROKER__URL=amqp://x"], "extraSettings.AMBIENT_BROKER__URL would put a secret"),
    (
        "default",
        ["extraEnv[0].name=AMBIENT_EHR__AUTH__TOKEN", "extraEnv[0].value=x"],
        "AMBIENT_EHR__AUTH__TOKEN would put a secret into the Deployment",
    ),
]


@pytest.mark.parametrize(("values", "sets", "advice"), GUARDS)
def test_a_guard_says_what_to_do(values: str, sets: list[str], advice: str) -> None:
    outcome = template("4", values, *sets)
    assert outcome.code != 0
    assert advice in outcome.error, outcome.error


@pytest.mark.parametrize(
    ("values", "sets"),
    [
        ("default", ["api.recognisers=4", "api.resources.limits.memory=2Gi"]),
        ("default", ["api.recognisers=0", "engine.url=https://engine.example/v2", "api.resources.limits.memory=300Mi"]),
        ("default", ["api.recognisers=0", "worker.recognisers=1"]),
        ("default", ["ehr.auth.method=basic", "ehr.auth.username=a"]),
        ("development", ["ehr.baseUrl=https://ehr.example/fhir/R4", "blobs.existingClaim=audio"]),
        ("default", ["migration.enabled=false", "serviceAccount.create=false", "podDisruptionBudget.enabled=false"]),
        ("default", ["podSecurityContext.runAsUser=null", "podSecurityContext.fsGroup=null"]),
    ],
)
def test_what_makes_sense_is_accepted(values: str, sets: list[str]) -> None:
    assert template("4", values, *sets).code == 0


@BOTH
def test_without_any_value_all_that_is_missing_is_told_at_once(major: str) -> None:
    outcome = helm(major, "template", "amb", str(CHART))
    assert outcome.code != 0
    for name in ("existingSecret", "ehr.baseUrl", "blobs.existingClaim"):
        assert f"- {name} is missing" in outcome.error


@pytest.mark.parametrize("values", ["production", "development"])
def test_the_notes_name_every_key_that_the_secret_needs(values: str) -> None:
    outcome = helm("4", "install", "amb", str(CHART), "--dry-run=client", "--hide-secret", "-f", str(profile(values)))
    assert outcome.code == 0, outcome.error
    notes = outcome.output.partition("NOTES:")[2]
    needed = ["AMBIENT_API__CLIENTS"]
    if values == "production":
        needed += ["AMBIENT_BROKER__URL", "AMBIENT_DATABASE__URL", "AMBIENT_API__EVENTS_SECRET"]
        needed += ["AMBIENT_EHR__AUTH__CLIENT_SECRET"]
    assert [name for name in needed if name not in notes] == []
    assert ("DEVELOPMENT" in notes) == (values == "development")
