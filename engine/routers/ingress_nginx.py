"""ingress-nginx: a second Ingress of the same rules gets a share of their traffic by its canary annotations.

The controller says nowhere that it has a change: what is written counts as in effect, and the share of the requests
that the source counts is the proof. ingress-nginx is retired since March 2026; the Gateway API comes after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.finding import Finding
from engine.kube.cluster import Cluster
from engine.kube.marks import annotations_of
from engine.kube.nginx_ingresses import (
    CANARY,
    TOTAL,
    WEIGHT,
    CanaryIngress,
    canary_of,
    compared_with,
    detours_of,
    routes_of,
    services_of,
    stays_of,
    weight_of,
)
from engine.kube.pair import ROLES, Pair
from engine.kube.permissions import Permission, permissions
from engine.kube.resources import INGRESSES
from engine.routers.ingress_nginx_config import IngressNginxConfig
from engine.routers.ingress_nginx_script import command, script
from engine.routers.kube_router import KubeRouter, inside

Object = Mapping[str, Any]

MOVE: Final = "ingress2gateway print --providers=ingress-nginx"


class IngressNginxRouter(KubeRouter[CanaryIngress]):
    """One canary Ingress."""

    Config = IngressNginxConfig
    word = "Ingress"
    written = ("metadata", "annotations", WEIGHT)

    def __init__(self, config: IngressNginxConfig) -> None:
        self._config = config
        cluster = Cluster(config.kubeconfig, config.context)
        pair = Pair(
            cluster,
            config.namespace,
            {"stable": config.stable, "canary": config.canary},
            {"stable": config.stable_workload, "canary": config.canary_workload},
        )
        super().__init__(config, INGRESSES, config.canary_ingress, cluster, pair)

    async def addresses(self) -> dict[str, str]:
        """Those of the plan; for the sides else their names inside the cluster. Raises RouterError."""
        found = {str(role): inside(await self._pair.service(role)) for role in ROLES}
        return found | self._config.addresses.given()

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that gives stable everything."""
        place = self._layout or CanaryIngress(self._config.canary, (), 100, has_canary=True, annotated=True)
        return command(self._config, self._named, str(place.weights(0)[0]["value"]), release)

    def rollback_script(self, release: str) -> str:
        """The same, whichever side the canary Ingress has by now."""
        return script(self._config, self._named, self._stable_workload, release)

    def _find(self, item: Object) -> CanaryIngress:
        return canary_of(item, self._config.stable, self._config.canary)

    def _weight(self, item: Object, place: CanaryIngress) -> float:
        return weight_of(item, place)

    def _pending(self, _item: Object) -> str:
        return ""  # nothing tells

    def _compared(self, item: Object) -> str:
        return compared_with(item)

    def _permissions(self) -> list[Permission]:
        why = "it looks for other canaries of the same rules"
        return [*super()._permissions(), *permissions("list", INGRESSES, self._config.namespace, why)]

    async def _findings(self, item: Object, place: CanaryIngress) -> list[Finding]:
        main = await self._cluster.get(INGRESSES, self._config.namespace, self._config.ingress)
        all_of_them = (await self._cluster.list(INGRESSES, self._config.namespace))["items"]
        return [
            *(Finding("warn", "ingress-nginx", said, MOVE) for said in self._config.unwise),
            *self._of_the_main(main, item, place),
            *_rivals(item, all_of_them),
            *(Finding("warn", "rules", said, f"kubectl describe {self._named}") for said in detours_of(item)),
            *_coarse(place),
        ]

    def _of_the_main(self, main: Object, item: Object, place: CanaryIngress) -> Iterator[Finding]:
        other = self._config.stable if place.has_canary else self._config.canary
        name = self._config.ingress
        if services_of(main) != {other}:
            has = ", ".join(sorted(services_of(main))) or "nothing"
            yield Finding("bad", "ingress", f"{name} sends to {has}, not to {other} alone", "correct its backends")
        if astray := routes_of(item) - routes_of(main):
            named = ", ".join(f"{host}{path}" for host, path in sorted(astray))
            yield Finding("bad", "ingress", f"{name} does not have {named}", "give both the same hosts and paths")
        if said := stays_of(main):
            yield Finding("warn", "affinity", said, "take the affinity off while a release runs")


def _rivals(item: Object, all_of_them: list[dict[str, Any]]) -> Iterator[Finding]:
    name = item["metadata"]["name"]
    for each in all_of_them:
        rival = each["metadata"]["name"]
        if rival != name and annotations_of(each).get(CANARY) == "true" and routes_of(each) & routes_of(item):
            said = f"{rival} is a canary of the same host and path: the controller takes one of them"
            yield Finding("bad", "ingress", said, f"kubectl delete ingress {rival}")


def _coarse(place: CanaryIngress) -> Iterator[Finding]:
    if place.total % 100:
        said = f"{TOTAL} is {place.total}: only weights that are whole parts of it can be written"
        yield Finding("warn", "weights", said, f'kubectl annotate --overwrite ingress ... {TOTAL}="100"')
