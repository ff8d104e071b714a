"""What routers move besides routes of the Gateway API: VirtualServices, Services and Ingresses of the shop, each as the
World of a contract."""

from __future__ import annotations

from typing import Any, ClassVar

from engine.kube.nginx_ingresses import CANARY as IS_CANARY
from engine.kube.nginx_ingresses import WEIGHT
from engine.routers import Router
from engine.routers.ingress_nginx import IngressNginxRouter
from engine.routers.ingress_nginx_config import IngressNginxConfig
from engine.routers.istio import IstioRouter
from engine.routers.istio_config import IstioConfig
from engine.routers.replicas import ReplicasRouter, pods_for
from engine.routers.selector_config import ReplicasConfig, SelectorConfig, ServiceSwitchConfig
from engine.routers.service_switch import ServiceSwitchRouter
from tests.support.kube_api import Object, until
from tests.support.kube_shop import APP, CANARY, STABLE, service
from tests.support.kube_targets import KubeTarget, sent_to

PREVIEW = f"{APP}-preview"
_ISTIO = "networking.istio.io/v1"


# --- Istio


def destination(host: str, subset: str = "", **weight: int) -> Object:
    """One route of a rule; `weight` if it has any."""
    return {"destination": {"host": host} | ({"subset": subset} if subset else {}), **weight}


def virtual_service(*routes: Object, before: tuple[Object, ...] = ()) -> Object:
    """A rule `main` with these routes, behind others; by default both subsets', all of it on stable's."""
    both = destination(APP, "stable", weight=100), destination(APP, "canary", weight=0)
    rules = [*before, {"name": "main", "route": list(routes or both)}]
    spec = {"hosts": [APP], "http": rules}
    return {"apiVersion": _ISTIO, "kind": "VirtualService", "metadata": {"name": APP}, "spec": spec}


def destination_rule(*subsets: str) -> Object:
    """Subsets of the shop's Service, by the label `track`."""
    spec = {"host": APP, "subsets": [{"name": subset, "labels": {"track": subset}} for subset in subsets]}
    return {"apiVersion": _ISTIO, "kind": "DestinationRule", "metadata": {"name": APP}, "spec": spec}


HEALTH: Object = {
    "name": "health",
    "match": [{"uri": {"exact": "/healthz"}}],
    "route": [destination(APP, "stable")],
}


class IstioTarget(KubeTarget):
    """Subsets of one Service in the last of the rules of a VirtualService."""

    router_class, config_class = IstioRouter, IstioConfig
    objects: ClassVar = (
        service(APP),
        destination_rule("stable", "canary"),
        virtual_service(before=(HEALTH,)),
    )

    def settings(self) -> dict[str, Any]:
        return {"virtual_service": APP, "rule": "main", "host": APP, "stable": "stable", "canary": "canary"}

    def misnamed(self) -> tuple[Router, str]:
        return self.made(canary="preview"), f"{APP} subset canary"

    def weight(self) -> float:
        weights = [each.get("weight", 0) for each in self._rules()[-1]["route"]]
        return float(100 * weights[1] / sum(weights))

    def set_weight(self, weight: int) -> None:
        change = [
            {"op": "add", "path": f"/spec/http/{len(self._rules()) - 1}/route/{side}/weight", "value": value}
            for side, value in enumerate((100 - weight, weight))
        ]
        self.kube.api.patch("VirtualService", APP, change, style="json", manager="kubectl-edit")

    def tell(self, status: Object) -> None:
        """As Istio where it writes a status."""
        self.kube.api.patch("VirtualService", APP, {"status": status}, subresource="status", manager="istiod")

    def _rules(self) -> list[Object]:
        rules: list[Object] = self.kube.api.get("VirtualService", APP)["spec"]["http"]
        return rules


class HostTarget(IstioTarget):
    """A Service each."""

    def settings(self) -> dict[str, Any]:
        return {"virtual_service": APP, "stable": STABLE, "canary": CANARY}


# --- Services


class SwitchTarget(KubeTarget):
    """A Service that chooses by the label `track`, and a preview's, which still has the wrong side."""

    router_class: type[Router] = ServiceSwitchRouter
    config_class: type[SelectorConfig] = ServiceSwitchConfig
    objects: ClassVar = (service(APP, track="stable"), service(PREVIEW, track="stable"))

    def settings(self) -> dict[str, Any]:
        return {"service": APP, "preview": PREVIEW, "label": "track", "stable": "stable", "canary": "canary"}

    def misnamed(self) -> tuple[Router, str]:
        return self.made(stable="blue"), "track=stable"

    def weight(self) -> float:
        """By the pods that are sent to, as the controllers have it."""
        tracks = sent_to(self.kube)
        return 100 * tracks.count("canary") / len(tracks)

    def set_weight(self, weight: int) -> None:
        self.choose("canary" if weight else "stable")

    def choose(self, track: str | None) -> None:
        """With None the Service sends to both."""
        self.kube.api.patch("Service", APP, {"spec": {"selector": {"track": track}}}, manager="kubectl-edit")


class ReplicasTarget(SwitchTarget):
    """A Service that chooses stable's four pods by the label `track`, or leaves it open."""

    router_class, config_class = ReplicasRouter, ReplicasConfig

    def set_weight(self, weight: int) -> None:
        """The canary's pods, and the selector; waits until it is so."""
        if 0 < weight < 100:
            self.kube.api.scale(CANARY, pods_for(weight, 4))
        self.choose({0: "stable", 100: "canary"}.get(weight))
        until(lambda: self.weight() == weight, f"the Service sends {weight}% to the canary")

    def scaled(self, name: str) -> int:
        """How many replicas are asked for."""
        return int(self.kube.api.get("Deployment", name)["spec"]["replicas"])


# --- ingress-nginx


def ingress(name: str, backend: str, **annotations: str) -> Object:
    """Host shop.example, all of it to one Service."""
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": backend, "port": {"number": 80}}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": [path]}}]},
    }


def canary_ingress(backend: str = CANARY, weight: str = "0", **more: str) -> Object:
    """The one that is marked as a canary."""
    return ingress(CANARY, backend, **{IS_CANARY: "true", WEIGHT: weight, **more})


class NginxTarget(KubeTarget):
    """Two Ingresses of one host."""

    router_class, config_class = IngressNginxRouter, IngressNginxConfig
    objects: ClassVar = (
        service(STABLE, track="stable"),
        service(CANARY, track="canary"),
        ingress(APP, STABLE),
        canary_ingress(),
    )

    def settings(self) -> dict[str, Any]:
        return {"ingress": APP, "canary_ingress": CANARY, "stable": STABLE, "canary": CANARY}

    def misnamed(self) -> tuple[Router, str]:
        return self.made(canary="checkout-preview"), CANARY

    def weight(self) -> float:
        return float(self.kube.api.get("Ingress", CANARY)["metadata"]["annotations"][WEIGHT])

    def set_weight(self, weight: int) -> None:
        note = {"metadata": {"annotations": {WEIGHT: str(weight)}}}
        self.kube.api.patch("Ingress", CANARY, note, manager="kubectl-annotate")
