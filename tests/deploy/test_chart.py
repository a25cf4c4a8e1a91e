"""What the chart renders: valid for both helm majors and three Kubernetes versions, safe, and whole in itself."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings, read_settings
from service.unsafe_settings import refuse_unsafe
from tests.deploy.chart import (
    CHART,
    KUBERNETES,
    MAJORS,
    PROFILES,
    Manifest,
    Pod,
    environment,
    helm,
    manifests,
    only,
    pods,
    profile,
    rendered,
    template,
)
from tests.deploy.pod_rules import breaches_of_restricted, broken_references
from tests.deploy.unpack_helm import ROOT

pytestmark = pytest.mark.deploy

BOTH = pytest.mark.parametrize("major", MAJORS)
EACH = pytest.mark.parametrize("values", PROFILES)

EXTERNAL = {"Secret/ambient-fhir", "Secret/image-pull", "PersistentVolumeClaim/ambient-fhir-audio"}


def pod_of(found: list[Manifest], role: str) -> Pod:
    return next(pod for pod in pods(found) if pod.of.endswith(f"-{role}"))


def test_the_profiles_are_the_ones_the_readme_names() -> None:
    assert PROFILES == ["default", "development", "production"]


@BOTH
@EACH
def test_lint_is_strict_and_quiet(major: str, values: str) -> None:
    outcome = helm(major, "lint", "--strict", str(CHART), "-f", str(profile(values)))
    assert outcome.code == 0, outcome.output + outcome.error


@EACH
def test_both_helm_majors_render_the_same_objects(values: str) -> None:
    def by_name(major: str) -> list[Manifest]:
        return sorted(manifests(values, major=major), key=lambda m: (m["kind"], m["metadata"]["name"]))

    assert by_name("3") == by_name("4")


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@EACH
def test_every_object_fits_the_strict_schema_of_kubernetes(values: str, kubernetes: str) -> None:
    for manifest in manifests(values):
        kubernetes_validate.validate(manifest, kubernetes, strict=True)


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_the_strict_schema_refuses_a_misspelt_field_and_an_unknown_kind(kubernetes: str) -> None:
    deployment = copy.deepcopy(only(manifests("default"), "Deployment", "-api"))
    deployment["spec"]["replica"] = deployment["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, kubernetes, strict=True)
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate({"apiVersion": "v1", "kind": "Deploymint"}, kubernetes, strict=True)


@BOTH
def test_an_older_kubernetes_is_refused(major: str) -> None:
    outcome = template(major, "default", kubernetes="1.28")
    assert outcome.code != 0
    assert "incompatible with Kubernetes" in outcome.error


def test_rendered_yaml_repeats_no_key() -> None:
    everything = "".join(rendered(major, values) for major in MAJORS for values in PROFILES)
    rules = "{rules: {key-duplicates: enable}}"
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "-d", rules, "-"],
        input=everything,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_plain_yaml_is_clean() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "helm"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@EACH
def test_every_pod_meets_the_restricted_standard(values: str) -> None:
    assert list(breaches_of_restricted(manifests(values))) == []


@EACH
def test_objects_refer_to_what_is_there(values: str) -> None:
    assert list(broken_references(manifests(values), EXTERNAL)) == []


def _api(change: Callable[[Manifest], object]) -> Callable[[list[Manifest]], object]:
    return lambda found: change(only(found, "Deployment", "-api")["spec"]["template"]["spec"])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda found: only(found, "Service")["spec"]["ports"][0].update(targetPort="web"), "no container port web"),
        (lambda found: only(found, "Service")["spec"]["selector"].update(a="b"), "chooses 0 Deployments"),
        (
            lambda found: only(found, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].clear(),
            "chooses 2 Deployments",
        ),
        (lambda found: found.remove(only(found, "ConfigMap")), "ConfigMap/amb-ambient-fhir is not there"),
        (lambda found: found.remove(only(found, "ServiceAccount")), "ServiceAccount/amb-ambient-fhir is not there"),
        (
            lambda found: only(found, "Deployment", "-worker")["spec"]["selector"]["matchLabels"].update(a="b"),
            "selector does not match",
        ),
        (
            lambda found: only(found, "Job")["spec"]["template"]["spec"].update(serviceAccountName="amb-ambient-fhir"),
            "ServiceAccount/amb-ambient-fhir is not there",
        ),
        (_api(lambda spec: spec["volumes"].pop()), "volume blobs is not there"),
        (_api(lambda spec: spec["containers"][0]["livenessProbe"]["httpGet"].update(port="web")), "unknown port web"),
        (_api(lambda spec: spec["containers"][0]["env"].append({"name": "AMBIENT_HTTP__HOST"})), "HOST twice"),
    ],
)
def test_a_broken_reference_is_found(spoil: Callable[[list[Manifest]], object], expected: str) -> None:
    found = copy.deepcopy(manifests("default"))
    spoil(found)
    assert expected in "\n".join(broken_references(found, EXTERNAL))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("podSecurityContext.runAsNonRoot=false", "runAsNonRoot"),
        ("podSecurityContext.runAsUser=null", "runAsUser"),
        ("podSecurityContext.seccompProfile=null", "seccompProfile"),
        ("containerSecurityContext.allowPrivilegeEscalation=true", "allowPrivilegeEscalation"),
        ("containerSecurityContext.readOnlyRootFilesystem=false", "readOnlyRootFilesystem"),
        ("containerSecurityContext.capabilities=null", "capabilities"),
    ],
)
def test_a_weaker_security_context_is_found(value: str, expected: str) -> None:
    found = "\n".join(breaches_of_restricted(manifests("default", value)))
    for pod in ("api", "worker", "migrate"):
        assert f"-{pod}/{pod}: {expected}" in found


@pytest.mark.parametrize(("values", "roles"), [("default", ["api", "worker"]), ("development", ["serve"])])
def test_one_deployment_for_each_role(values: str, roles: list[str]) -> None:
    found = [pod for pod in pods(manifests(values)) if pod.owner["kind"] == "Deployment"]
    assert sorted(pod.containers[-1]["args"][0] for pod in found) == roles
    assert len({container["image"] for pod in found for container in pod.containers}) == 1


@pytest.mark.parametrize("role", ["api", "worker"])
def test_probes_ask_the_ops_port(role: str) -> None:
    container = pod_of(manifests("default"), role).containers[-1]
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert asked["startup"] == asked["liveness"] == {"path": "/livez", "port": "ops"}
    assert asked["readiness"] == {"path": "/readyz", "port": "ops"}
    assert {"name": "ops", "containerPort": 9000} in container["ports"]
    assert ("http" in {port["name"] for port in container["ports"]}) == (role == "api")


def test_both_roles_mount_the_shared_audio() -> None:
    found = manifests("default")
    for role in ("api", "worker"):
        pod = pod_of(found, role)
        assert {"name": "blobs", "mountPath": "/var/lib/ambient/blobs"} in pod.containers[-1]["volumeMounts"]
        assert environment(pod, found)["AMBIENT_BLOBS__URL"] == "file:/var/lib/ambient/blobs"


def test_a_changed_setting_restarts_the_pods_and_nothing_else_does() -> None:
    def checksum(*sets: str) -> str:
        template = only(manifests("default", *sets), "Deployment", "-worker")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum() != checksum("notes.maxWait=12h")
    assert checksum() == checksum("service.port=8080")


@pytest.mark.parametrize(("replicas", "budgets"), [(1, 0), (2, 1)])
def test_a_disruption_budget_only_where_it_blocks_no_drain(replicas: int, budgets: int) -> None:
    found = manifests("default", f"api.replicas={replicas}")
    assert [m["kind"] for m in found].count("PodDisruptionBudget") == budgets


def test_the_migration_needs_the_existing_secret_alone() -> None:
    job = only(manifests("default"), "Job", "-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert "envFrom" not in container
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]
    secret = next(entry for entry in container["env"] if entry["name"] == "AMBIENT_DATABASE__URL")
    assert secret["valueFrom"] == {"secretKeyRef": {"name": "ambient-fhir", "key": "AMBIENT_DATABASE__URL"}}


def known_variables(section: type = Settings, above: str = "AMBIENT_") -> set[str]:
    names: set[str] = set()
    for name, field in section.model_fields.items():  # type: ignore[attr-defined]
        inner = field.annotation
        if isinstance(inner, type) and hasattr(inner, "model_fields"):
            names |= known_variables(inner, f"{above}{name.upper()}__")
        else:
            names.add(f"{above}{name.upper()}")
    return names


@EACH
def test_every_variable_is_one_that_the_service_reads(values: str) -> None:
    known = known_variables()
    assert "AMBIENT_EHR__AUTH__CLIENT_SECRET" in known
    found = manifests(values)
    for pod in pods(found):
        for number in range(len(pod.containers)):
            ours = {name for name in environment(pod, found, number) if name.startswith("AMBIENT_")}
            assert ours - known == set(), pod.of


SECRETS = {
    "AMBIENT_BROKER__URL": "amqp://broker.example/",
    "AMBIENT_DATABASE__URL": "postgresql+asyncpg://database.example/ambient",
    "AMBIENT_API__CLIENTS": '{"a-client": "a-secret"}',
}


def settings_of(pod: Pod, found: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the service reads in the last container of this pod."""
    with monkeypatch.context() as patch:
        for name, value in environment(pod, found).items():
            patch.setenv(name, SECRETS.get(name, "a-secret") if value is None else value)
        return read_settings()


def test_values_arrive_in_the_settings_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    found = manifests("production", "engine.tenant=clinic", "notes.afterMaxWait=draft", "worker.lease=2m")
    for role in ("api", "worker"):
        settings = settings_of(pod_of(found, role), found, monkeypatch)
        assert settings.notes.templates == ["corti-soap", "corti-patient-summary"]
        assert (settings.notes.max_wait, settings.notes.after_max_wait) == (86400, "draft")
        assert (settings.ehr.base_url, settings.ehr.audio_hosts) == (
            "https://ehr.example/fhir/R4",
            ["audio.ehr.example"],
        )
        assert (settings.ehr.auth.method, settings.ehr.auth.client_id) == ("client_secret", "ambient-fhir")
        assert settings.ehr.auth.scope is not None
        assert settings.ehr.auth.token_url == "https://ehr.example/oauth2/token"
        assert (settings.engine.tenant, settings.worker.lease, settings.worker.concurrency) == ("clinic", 120, 16)
        assert (settings.broker.declare, settings.broker.prefetch, settings.database.pool) == (False, 16, 16)
        assert settings.http.public_url == "https://ambient.hospital.example"
        assert (settings.log.format, settings.log.level) == ("json", "info")


@EACH
def test_each_role_starts_with_its_environment(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = manifests(values)
    for pod in (pod for pod in pods(found) if pod.owner["kind"] == "Deployment"):
        settings = settings_of(pod, found, monkeypatch)
        role = pod.containers[-1]["args"][0]
        refuse_unsafe(settings, role)
        assert settings.ops.port == 9000
        assert settings.http.host == ("127.0.0.1" if role == "worker" else "0.0.0.0")
        assert settings.engine.recognisers == {"serve": 1, "worker": 0}.get(role, 2 if values == "production" else 1)


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        (["ehr.auth.method=bearer"], "AMBIENT_EHR__AUTH__TOKEN"),
        (["ehr.auth.method=basic", "ehr.auth.username=a"], "AMBIENT_EHR__AUTH__PASSWORD"),
        (["api.eventsSignature=true"], "AMBIENT_API__EVENTS_SECRET"),
        (
            ["engine.url=https://engine.example/v2", "engine.clientId=a", "engine.tokenUrl=https://engine.example/t"],
            "AMBIENT_ENGINE__CLIENT_SECRET",
        ),
    ],
)
def test_the_chosen_authentication_takes_its_secret_from_the_existing_one(sets: list[str], name: str) -> None:
    assert name not in rendered("4", "default")
    found = manifests("default", *sets)
    for role in ("api", "worker"):
        entry = next(entry for entry in pod_of(found, role).containers[-1]["env"] if entry["name"] == name)
        assert entry["valueFrom"] == {"secretKeyRef": {"name": "ambient-fhir", "key": name}}


@pytest.mark.parametrize(
    ("sets", "image"),
    [
        ([], "ambient-fhir:0.1.0"),
        (["image.tag=0.2.0"], "ambient-fhir:0.2.0"),
        (["image.tag=0.2.0", f"image.digest=sha256:{'a' * 64}"], f"ambient-fhir@sha256:{'a' * 64}"),
    ],
)
def test_the_digest_wins_over_the_tag(sets: list[str], image: str) -> None:
    assert {container["image"] for pod in pods(manifests("default", *sets)) for container in pod.containers} == {image}


def test_a_long_release_name_keeps_names_valid() -> None:
    for manifest in manifests("default", f"fullnameOverride={'a' * 54}"):
        assert len(manifest["metadata"]["name"]) <= 63


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert f'version = "{chart["appVersion"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
