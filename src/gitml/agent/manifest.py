"""Manifests of Kubernetes for an agent: an image by digest, no root, nothing to write but its state and a folder."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitml.ci.yamltext import Yaml, dumped
from gitml.errors import UsageError
from gitml.urls import shown_url

_DIGEST = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
# RFC 1123, label; and the secret that an operator makes.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT, _USER = 8470, 65_532
# A swap holds the models before and after at once, and requests need some too.
_ROOM, _SPARE_MB = 2.0, 300
# MB of a version that nobody measured.
ASSUMED_MB, _MI = 1000, 1 << 20


@dataclass(frozen=True)
class ManifestOrder:
    """``image`` by digest; ``source``: the repository's URL, and what its ``repository`` is called, which ``branch``
    counts and in which ``folder`` gitml.yaml lies; ``secret``: names what holds GITHUB_TOKEN and GITML_SIGNING_KEY.
    ``replicas`` pods of ``processes``; ``memory``: MB of one process, 0 where nobody measured it; ``sizing``: where
    both are from, in words. ``storage``: of each pod's state."""

    environment: str
    image: str
    source: str
    repository: str = ""
    branch: str = "main"
    folder: str = ""
    name: str = ""
    secret: str = "gitml-agent"  # noqa: S105 - a name
    replicas: int = 2
    processes: int = 1
    memory: float = 0.0
    storage: str = "20Gi"
    log: str = ""
    sizing: str = ""


def sized(order: Mapping[str, Any]) -> tuple[int, float]:
    """Processes, and MB of one, from what ``gitml size --json`` printed. Raises UsageError.

    >>> sized({"serving": {"memory": 257.2}, "serving_plan": {"processes": 3}})
    (3, 257.2)
    """
    plan, cost = order.get("serving_plan"), order.get("serving")
    if not isinstance(plan, Mapping) or not isinstance(cost, Mapping):
        raise UsageError("this is no sizing of a server", "gitml size MODEL --target 500/s --json > size.json")
    processes, memory = plan.get("processes"), cost.get("memory")
    if not isinstance(processes, int) or processes < 1 or not isinstance(memory, int | float) or not memory > 0:
        raise UsageError("no number of processes answers in time", "see what `gitml size` says")
    return processes, float(memory)


def manifests(order: ManifestOrder) -> str:
    """A StatefulSet, its Service, and a budget of disruptions, as YAML. Raises UsageError."""
    name = order.name or f"gitml-{order.environment}"
    if not _DIGEST.fullmatch(order.image):
        raise UsageError(f"{order.image!r} names no image by digest", "write NAME@sha256:… of the image that was built")
    for word in (name, order.secret):
        if not _LABEL.fullmatch(word):
            raise UsageError(f"{word!r} is no name in Kubernetes", "lower case letters, digits and -; see --name")
    if "@" in order.source and order.source.startswith(("http://", "https://")):
        raise UsageError(
            f"{shown_url(order.source)} is given with a password or token, which manifests would show",
            f"leave it out, and put it as GITHUB_TOKEN into the secret {order.secret}",
        )
    for word in (order.source, order.repository, order.branch, order.folder, order.storage, order.log):
        if not word.isprintable():
            raise UsageError(f"{word!r} holds characters that cannot be printed")
    labels: dict[str, Yaml] = {"app.kubernetes.io/name": "gitml-agent", "app.kubernetes.io/instance": name}
    parts = [_service(name, labels), _budget(name, labels, order.replicas), _set(name, labels, order)]
    return "---\n".join("\n".join(dumped(part)) + "\n" for part in parts)


def _head(kind: str, version: str, name: str, labels: Mapping[str, Yaml]) -> dict[str, Yaml]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}}


def _service(name: str, labels: Mapping[str, Yaml]) -> dict[str, Yaml]:
    port: Yaml = {"name": "http", "port": 80, "targetPort": "http"}
    return {**_head("Service", "v1", name, labels), "spec": {"selector": labels, "ports": [port]}}


def _budget(name: str, labels: Mapping[str, Yaml], replicas: int) -> dict[str, Yaml]:
    spec: Yaml = {"maxUnavailable": 1 if replicas > 1 else 0, "selector": {"matchLabels": labels}}
    return {**_head("PodDisruptionBudget", "policy/v1", name, labels), "spec": spec}


def _set(name: str, labels: Mapping[str, Yaml], order: ManifestOrder) -> dict[str, Yaml]:
    claim: Yaml = {
        "metadata": {"name": "state"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": order.storage}}},
    }
    spec: dict[str, Yaml] = {
        "serviceName": name,
        "replicas": order.replicas,
        # One after the other: while one fetches and loads, the others answer.
        "podManagementPolicy": "OrderedReady",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": _pod(order)},
        "volumeClaimTemplates": [claim],
    }
    head = _head("StatefulSet", "apps/v1", name, labels)
    if order.sizing:
        head["metadata"] = {"name": name, "labels": labels, "annotations": {"gitml/sizing": order.sizing}}
    return {**head, "spec": spec}


def _pod(order: ManifestOrder) -> dict[str, Yaml]:
    user: Yaml = {
        "runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": user,
        "containers": [_container(order)],
        # What libraries write; the state has a disk of its own.
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
    }


def _container(order: ManifestOrder) -> dict[str, Yaml]:
    words = ["run", order.environment, "--from", order.source, "--state", "/state", "--host", "0.0.0.0"]  # noqa: S104
    words += ["--port", str(_PORT), "--processes", str(order.processes)]
    branch = "" if order.branch == "main" else order.branch
    told = {"--repository": order.repository, "--branch": branch, "--folder": order.folder, "--log": order.log}
    words += [word for option, value in told.items() if value for word in (option, value)]
    room = order.processes * (order.memory or ASSUMED_MB) * _ROOM + _SPARE_MB
    memory = f"{math.ceil(room * 1e6 / _MI)}Mi"
    limits: Yaml = {"memory": memory}
    return {
        "name": "agent",
        "image": order.image,
        "command": ["gitml", "agent"],
        "args": words,
        "env": [{"name": "HOME", "value": "/state"}, {"name": "TMPDIR", "value": "/tmp"}],  # noqa: S108
        "envFrom": [{"secretRef": {"name": order.secret}}],
        "ports": [{"name": "http", "containerPort": _PORT}],
        "readinessProbe": _probe("/v2/health/ready", 3),
        "livenessProbe": _probe("/v2/health/live", 6),
        # The first fetch of large models takes minutes.
        "startupProbe": _probe("/v2/health/ready", 120),
        "resources": {"requests": {"cpu": str(order.processes), "memory": memory}, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "state", "mountPath": "/state"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def _probe(path: str, failures: int) -> dict[str, Yaml]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": 5,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }
