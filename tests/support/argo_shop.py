"""The shop as a Rollout that the real Argo Rollouts controller owns, and what people do to it by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from engine.routers.argo_steps import wanted_steps
from tests.support.kube_api import Object, until
from tests.support.kube_pods import BEHAVIOUR, Behaviour
from tests.support.kube_shop import APP, CANARY, PORT, STABLE, service
from tests.support.kube_world import Namespace

WEIGHTS = (25, 50, 100)
WEIGHT_NOTE = "nginx.ingress.kubernetes.io/canary-weight"


def template(version: str, behaviour: Behaviour = "") -> Object:
    """The pods of a version."""
    return {
        "metadata": {
            "labels": {"app": APP, "app.kubernetes.io/version": version},
            "annotations": {BEHAVIOUR: behaviour} if behaviour else {},
        },
        "spec": {
            "containers": [
                {"name": "shop", "image": f"registry.example/{APP}:{version}", "ports": [{"containerPort": PORT}]}
            ]
        },
    }


def rollout(version: str = "v1.0.0", *, weights: Sequence[int] = WEIGHTS, routed: bool = True, **canary: Any) -> Object:
    """A Rollout with a stop after each weight; `routed` by an nginx Ingress. `canary` is more of its strategy."""
    steps = yaml.safe_load(wanted_steps(weights, routed=routed))["steps"]
    routing = {"stableService": STABLE, "canaryService": CANARY, "trafficRouting": {"nginx": {"stableIngress": APP}}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": APP},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": APP}},
            "template": template(version),
            "strategy": {"canary": {"steps": steps, **(routing if routed else {}), **canary}},
        },
    }


def ingress() -> Object:
    """The public way in, at stable's Service."""
    backend = {"service": {"name": STABLE, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": APP},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": [path]}}]},
    }


@dataclass
class ArgoShop:
    """A Rollout in a namespace; `open` puts v1.0.0 there and `push` a version beside it."""

    kube: Namespace
    routed: bool = True

    def open(self, **canary: Any) -> None:
        """v1.0.0 serves everything."""
        self.kube.world.run_argo_rollouts()
        routing = (service(STABLE), service(CANARY), ingress()) if self.routed else ()
        self.kube.api.apply(*routing, rollout(routed=self.routed, **canary))
        self.until(lambda status: status["phase"] == "Healthy" and status["readyReplicas"] == 4)

    def push(self, version: str, behaviour: Behaviour = "", *, wait: bool = True) -> None:
        """A pipeline changes the template; `wait` until Argo stands at its first stop with it."""
        before = self.read()["status"]["currentPodHash"]
        change = [{"op": "replace", "path": "/spec/template", "value": template(version, behaviour)}]
        self.kube.api.patch("Rollout", APP, change, style="json", manager="pipeline")
        if wait:
            self.until(lambda status: status["currentPodHash"] != before and status.get("pauseConditions"))

    def read(self) -> Object:
        return self.kube.api.get("Rollout", APP)

    def until(self, holds: Callable[[Object], object], seconds: float = 30) -> None:
        """Until the status is as asked."""
        until(lambda: bool(holds(self.read()["status"])), "the Rollout is as asked", seconds)

    def order(self, *words: str) -> None:
        """`kubectl argo rollouts`: promote, abort, retry rollout."""
        self.kube.kubectl("argo", "rollouts", *words, APP)

    def weight(self) -> float:
        """The canary's share as Argo wrote it to the Ingress, or by the pods that are there."""
        if self.routed:
            found = self.kube.api.get("Ingress", f"{APP}-{CANARY}")
            return float(found["metadata"]["annotations"][WEIGHT_NOTE])
        status = self.read()["status"]
        pods = [pod for pod in self.kube.api.list_of("Pod", f"app={APP}") if pod["status"].get("phase") == "Running"]
        new = [
            pod for pod in pods if pod["metadata"]["labels"]["rollouts-pod-template-hash"] == status["currentPodHash"]
        ]
        return 100 * len(new) / len(pods)

    def controller(self) -> Any:
        """The controller's process."""
        return self.kube.world.run_argo_rollouts()
