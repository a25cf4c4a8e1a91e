"""Renders the chart with a real helm, and reads what came out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.unpack_helm import ROOT, unpack_helm

CHART = ROOT / "helm"
PROFILES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
MAJORS = ("4", "3")
KUBERNETES = ("1.29", "1.33", "1.37")

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    code: int
    output: str
    error: str


def profile(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"


def helm(major: str, *arguments: str) -> Outcome:
    home = ROOT / ".cache" / "helm" / "home"
    folders = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(
        [unpack_helm(major), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": os.devnull, **folders},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def template(major: str, values: str, *sets: str, kubernetes: str = "1.33", chart: Path = CHART) -> Outcome:
    """`helm template` of a profile of ci/ with some values set on top, as `key=value`."""
    on_top = [part for one in sets for part in ("--set", one)]
    return helm(major, "template", "amb", str(chart), "--kube-version", kubernetes, "-f", str(profile(values)), *on_top)


@cache
def rendered(major: str, values: str, *sets: str) -> str:
    outcome = template(major, values, *sets)
    assert outcome.code == 0, outcome.error
    return outcome.output


def manifests(values: str, *sets: str, major: str = "4") -> list[Manifest]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [found for found in yaml.load_all(rendered(major, values, *sets), Loader=loader) if found]


def only(found: list[Manifest], kind: str, suffix: str = "") -> Manifest:
    matching = [m for m in found if m["kind"] == kind and m["metadata"]["name"].endswith(suffix)]
    assert len(matching) == 1, f"{len(matching)} of {kind} {suffix}"
    return matching[0]


@dataclass(frozen=True)
class Pod:
    """The pod template of a Deployment or a Job."""

    of: str
    hook: bool
    labels: dict[str, str]
    spec: Manifest
    owner: Manifest = field(repr=False)

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods(found: list[Manifest]) -> Iterator[Pod]:
    for manifest in found:
        if manifest["kind"] in ("Deployment", "Job"):
            pod, metadata = manifest["spec"]["template"], manifest["metadata"]
            hook = "helm.sh/hook" in metadata.get("annotations", {})
            name = f"{manifest['kind']}/{metadata['name']}"
            yield Pod(name, hook, pod["metadata"]["labels"], pod["spec"], manifest)


def environment(pod: Pod, found: list[Manifest], container: int = -1) -> dict[str, str | None]:
    """Variables of one container as the kubelet makes them, None for one that comes from a Secret."""
    own = pod.containers[container]
    settings = {m["metadata"]["name"]: m["data"] for m in found if m["kind"] == "ConfigMap"}
    variables: dict[str, str | None] = {}
    for source in own.get("envFrom", []):
        variables |= settings[source["configMapRef"]["name"]]
    for entry in own["env"]:
        if not entry.get("valueFrom", {}).get("secretKeyRef", {}).get("optional"):
            variables[entry["name"]] = entry.get("value")
    return variables
