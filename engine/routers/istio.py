"""A VirtualService of Istio: two Services, or two subsets of one, share the traffic of one HTTP rule by weights.

Istio says in the status whether its proxies have a change, and only where that is switched on (`Reconciled`). Where it
says nothing, what is written counts as in effect: the share of the requests that the source counts is the proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.finding import Finding
from engine.kube.cluster import Cluster
from engine.kube.pair import ROLES, Pair, Role
from engine.kube.permissions import Permission, permissions
from engine.kube.resources import DESTINATIONRULES, VIRTUALSERVICES
from engine.kube.subsets import SubsetPair
from engine.kube.virtual_services import (
    Destination,
    Destinations,
    complaints_of,
    destinations_of,
    pending_of,
    retries_of,
    tells,
    weight_of,
)
from engine.routers.istio_config import IstioConfig
from engine.routers.istio_script import command, script
from engine.routers.kube_router import KubeRouter, inside

Object = Mapping[str, Any]


class IstioRouter(KubeRouter[Destinations]):
    """One rule of one VirtualService."""

    Config = IstioConfig
    word = "VirtualService"
    written = ("spec", "http")

    def __init__(self, config: IstioConfig) -> None:
        self._config = config
        cluster = Cluster(config.kubeconfig, config.context)
        sides: dict[Role, str] = {"stable": config.stable, "canary": config.canary}
        workloads: dict[Role, str | None] = {"stable": config.stable_workload, "canary": config.canary_workload}
        pair = (
            SubsetPair(cluster, config.namespace, config.host, sides, workloads)
            if config.host
            else Pair(cluster, config.namespace, sides, workloads)
        )
        rule = f" rule {config.rule}" if config.rule else ""
        super().__init__(config, VIRTUALSERVICES, config.virtual_service, cluster, pair, rule)

    async def addresses(self) -> dict[str, str]:
        """Those of the plan; a Service of each side is one inside the cluster too. Raises RouterError."""
        found = {}
        if not self._config.host:
            found = {str(role): inside(await self._pair.service(role)) for role in ROLES}
        return found | self._config.addresses.given()

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that gives stable everything."""
        return command(self._config, self._named, self._layout or self._supposed(), release)

    def rollback_script(self, release: str) -> str:
        """The same with kubectl and awk, wherever the destinations stand."""
        stable, canary = self._both()
        return script(self._config, self._named, stable, canary, self._stable_workload, release)

    def _both(self) -> tuple[Destination, Destination]:
        stable, canary, host = self._config.stable, self._config.canary, self._config.host
        return ((host, stable), (host, canary)) if host else ((stable, ""), (canary, ""))

    def _supposed(self) -> Destinations:
        """Where both sides would be in a VirtualService of one rule, before it was read: the names are tested."""
        written = {
            number: {"host": host} | ({"subset": subset} if subset else {})
            for number, (host, subset) in enumerate(self._both())
        }
        return Destinations(0, self._config.rule or "", 0, 1, written, annotated=True)

    def _find(self, item: Object) -> Destinations:
        return destinations_of(item, self._config.rule, *self._both())

    def _weight(self, item: Object, place: Destinations) -> float:
        return weight_of(item, place)

    def _pending(self, item: Object) -> str:
        return pending_of(item)

    def _permissions(self) -> list[Permission]:
        wanted = super()._permissions()
        if self._config.host:
            why = "it finds the pods of each subset"
            wanted += permissions("list watch", DESTINATIONRULES, self._config.namespace, why)
        return wanted

    async def _findings(self, item: Object, place: Destinations) -> list[Finding]:
        found = [
            Finding("bad", "analysis", f"Istio found {each} in it", "istioctl analyze") for each in complaints_of(item)
        ]
        if not tells(item):
            said = "Istio does not say when its proxies have a change: what is written counts as in effect"
            mend = "have the source count both versions' requests: laneshift compares their share with the weight"
            found.append(Finding("ok", "status", said, mend))
        if retries := retries_of(item, place):
            found.append(Finding("warn", "retries", retries, "judge by what the canary's own pods count"))
        return found
