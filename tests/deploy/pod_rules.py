"""Rules over rendered manifests that no schema knows. Each yields one line for each breach."""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.chart import Manifest, Pod, pods

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def breaches_of_restricted(found: list[Manifest]) -> Iterator[str]:
    """Pod Security Standard `restricted`, and beyond it: numeric ids, a read-only root, no token, memory bounds."""
    for pod in pods(found):
        yield from (f"{pod.of}: {breach}" for breach in _pod_breaches(pod))
        for container in pod.containers:
            yield from (f"{pod.of}/{container['name']}: {breach}" for breach in _container_breaches(pod, container))


def _pod_breaches(pod: Pod) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(name))
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"
    if pod.spec.get("enableServiceLinks") is not False:
        yield "enableServiceLinks"
    for volume in pod.spec.get("volumes", []):
        if not set(volume) - {"name"} <= _VOLUMES:
            yield f"volume {volume['name']}"
        if volume["name"] == "tmp" and not volume["emptyDir"].get("sizeLimit"):
            yield "tmp without sizeLimit"


def _container_breaches(pod: Pod, container: Manifest) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**pod.spec.get("securityContext", {}), **own}
    expected = {
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "privileged": not own.get("privileged"),
        "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
        "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
        "runAsNonRoot": both.get("runAsNonRoot") is True,
        "runAsUser": isinstance(both.get("runAsUser"), int) and both["runAsUser"] > 0,
        "runAsGroup": isinstance(both.get("runAsGroup"), int) and both["runAsGroup"] > 0,
        "seccompProfile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
        "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
    }
    yield from (name for name, met in expected.items() if not met)
    resources = container.get("resources", {})
    yield from (f"memory {kind}" for kind in ("requests", "limits") if not resources.get(kind, {}).get("memory"))


def broken_references(found: list[Manifest], external: set[str]) -> Iterator[str]:
    """Names in one object that another object, or the outside (`external`: `Kind/name`), does not have."""
    there = {f"{m['kind']}/{m['metadata']['name']}" for m in found} | external | {"ServiceAccount/default"}
    for pod in pods(found):
        reachable = external | {"ServiceAccount/default"} if pod.hook else there
        yield from (f"{pod.of}: {name} is not there" for name in sorted(_named(pod) - reachable))
        yield from _broken_inside(pod)
        selector = pod.owner["spec"].get("selector", {}).get("matchLabels", {})
        if pod.owner["kind"] == "Deployment" and (not selector or not selector.items() <= pod.labels.items()):
            yield f"{pod.of}: selector does not match its own pods"
    yield from _broken_selectors(found)


def _named(pod: Pod) -> set[str]:
    """Objects that must be there before the pod can start, as `Kind/name`."""
    names = {f"ServiceAccount/{pod.spec.get('serviceAccountName', 'default')}"}
    names |= {f"Secret/{secret['name']}" for secret in pod.spec.get("imagePullSecrets", [])}
    for container in pod.containers:
        names |= {f"ConfigMap/{source['configMapRef']['name']}" for source in container.get("envFrom", [])}
        for entry in container.get("env", []):
            origin = entry.get("valueFrom", {})
            names |= {f"Secret/{origin['secretKeyRef']['name']}"} if "secretKeyRef" in origin else set()
            names |= {f"ConfigMap/{origin['configMapKeyRef']['name']}"} if "configMapKeyRef" in origin else set()
    for volume in pod.spec.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            names.add(f"PersistentVolumeClaim/{volume['persistentVolumeClaim']['claimName']}")
    return names


def _broken_inside(pod: Pod) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod.spec.get("volumes", [])}
    mounted = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
    yield from (f"{pod.of}: volume {name} is not there, or not mounted" for name in sorted(volumes ^ mounted))
    for container in pod.containers:
        ports = {port["name"] for port in container.get("ports", [])}
        probes = [container[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in container]
        yield from (
            f"{pod.of}: probe of unknown port {probe['httpGet']['port']}"
            for probe in probes
            if probe["httpGet"]["port"] not in ports
        )
        names = [entry["name"] for entry in container.get("env", [])]
        yield from (f"{pod.of}: {name} twice" for name in sorted({n for n in names if names.count(n) > 1}))


def _broken_selectors(found: list[Manifest]) -> Iterator[str]:
    """A Service or a PodDisruptionBudget must choose the pods of exactly one Deployment, by a port that they name."""
    deployed = [pod for pod in pods(found) if pod.owner["kind"] == "Deployment"]
    for manifest in found:
        kind, spec = manifest["kind"], manifest.get("spec", {})
        if kind not in ("Service", "PodDisruptionBudget"):
            continue
        selector = spec["selector"] if kind == "Service" else spec["selector"]["matchLabels"]
        chosen = [pod for pod in deployed if selector.items() <= pod.labels.items()]
        if len(chosen) != 1:
            yield f"{kind}: chooses {len(chosen)} Deployments"
            continue
        ports = {port["name"] for container in chosen[0].containers for port in container.get("ports", [])}
        for port in spec.get("ports", []):
            if port["targetPort"] not in ports:
                yield f"{kind}: no container port {port['targetPort']}"
