"""The shop on Kubernetes: two Deployments, their Services, the route between them, an autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.kube_api import Object, until
from tests.support.kube_pods import BEHAVIOUR, READY_AFTER, Behaviour
from tests.support.kube_world import Namespace

APP = "checkout"
STABLE, CANARY = "checkout-stable", "checkout-canary"
PORT = 8080


def deployment(
    name: str,
    *,
    version: str = "v1.0.0",
    replicas: int = 2,
    track: str = "",
    behaviour: Behaviour = "",
    ready_after: str = "",
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """Pods with the labels app (of both sides), track (`stable` or `canary`, the name's end) and the version, and its
    image `registry.example/checkout:VERSION`. `behaviour` and `ready_after` (Go's duration) are those of kube_pods."""
    selector = {"app": APP, "track": track or name.rpartition("-")[2]}
    played = {BEHAVIOUR: behaviour, READY_AFTER: ready_after}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": selector, "annotations": dict(annotations or {})},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {
                    "labels": {**selector, "app.kubernetes.io/version": version},
                    "annotations": {key: value for key, value in played.items() if value},
                },
                "spec": {
                    "containers": [
                        {
                            "name": "shop",
                            "image": f"registry.example/{APP}:{version}",
                            "ports": [{"containerPort": PORT}],
                            "resources": {"requests": {"cpu": "100m"}},
                        }
                    ]
                },
            },
        },
    }


def service(name: str, **selector: str) -> Object:
    """A Service of the pods of app checkout that have these labels as well."""
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    spec = {"selector": {"app": APP, **selector}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def route(
    name: str = APP,
    *,
    stable: int = 100,
    canary: int = 0,
    kind: str = "HTTPRoute",
    rule: str = "main",
    parents: tuple[str, ...] = ("edge",),
) -> Object:
    """A route with one named rule over both Services; `kind` may be GRPCRoute."""
    backends = [{"name": side, "port": 80, "weight": weight} for side, weight in ((STABLE, stable), (CANARY, canary))]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": parent} for parent in parents],
            "rules": [{"name": rule, "backendRefs": backends}],
        },
    }


def autoscaler(name: str, least: int, most: int, kind: str = "Deployment") -> Object:
    """An HPA of the workload of this name. No metric is served here: it only keeps the size between its bounds."""
    target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }


def open_shop(
    kube: Namespace,
    *,
    stable: str = "v1.0.0",
    canary: str = "v1.1.0",
    stable_replicas: int = 2,
    canary_replicas: int = 2,
    wait: bool = True,
) -> None:
    """Both Deployments at these versions, their Services and the HTTPRoute with all traffic on stable.

    Needs gateway-api installed; `wait` until all pods are ready, which needs `run_workloads`.
    """
    kube.api.apply(
        deployment(STABLE, version=stable, replicas=stable_replicas),
        deployment(CANARY, version=canary, replicas=canary_replicas),
        service(STABLE, track="stable"),
        service(CANARY, track="canary"),
        route(),
    )
    if wait:
        until_ready(kube, STABLE, stable_replicas)
        until_ready(kube, CANARY, canary_replicas)


def until_ready(kube: Namespace, name: str, replicas: int) -> None:
    """Until this Deployment has so many ready pods of its current template, and no others."""
    until(lambda: _is_whole(kube.api.get("Deployment", name), replicas), f"{name} has {replicas} ready pods")


def weights(kube: Namespace, name: str = APP, kind: str = "HTTPRoute") -> dict[str, int]:
    """The weight of each Service in the route's first rule."""
    found: Any = kube.api.get(kind, name)["spec"]["rules"][0]["backendRefs"]
    return {one["name"]: one.get("weight", 1) for one in found}


def set_weights(kube: Namespace, stable: int, canary: int, name: str = APP, kind: str = "HTTPRoute") -> None:
    """Somebody changes the route past laneshift, as kubectl edit would."""
    change = [
        {"op": "replace", "path": f"/spec/rules/0/backendRefs/{number}/weight", "value": weight}
        for number, weight in enumerate((stable, canary))
    ]
    kube.api.patch(kind, name, change, style="json", manager="kubectl-edit")


def _is_whole(found: Object, replicas: int) -> bool:
    status = found.get("status", {})
    counted = [status.get(one, 0) for one in ("replicas", "updatedReplicas", "readyReplicas")]
    return bool(status["observedGeneration"] == found["metadata"]["generation"] and counted == [replicas] * 3)
