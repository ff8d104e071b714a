"""A route of the Kubernetes Gateway API: two Services share one rule's traffic by weights.

What is written is in effect when every gateway that the route names says Accepted and ResolvedRefs of this generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.finding import Finding
from engine.kube.cluster import Cluster
from engine.kube.pair import Pair
from engine.kube.resources import GRPCROUTES, HTTPROUTES
from engine.kube.routes import Layout, layout_of, pending_of, retries_of, weight_of
from engine.routers.gateway_api_script import command, script
from engine.routers.kube_config import GatewayApiConfig
from engine.routers.kube_router import KubeRouter

Object = Mapping[str, Any]


class GatewayApiRouter(KubeRouter[Layout]):
    """One rule of one route."""

    Config = GatewayApiConfig
    word = "route"
    written = ("spec", "rules")

    def __init__(self, config: GatewayApiConfig) -> None:
        self._config = config
        cluster = Cluster(config.kubeconfig, config.context)
        pair = Pair(
            cluster,
            config.namespace,
            {"stable": config.stable, "canary": config.canary},
            {"stable": config.stable_workload, "canary": config.canary_workload},
        )
        kind = GRPCROUTES if config.kind == "GRPCRoute" else HTTPROUTES
        rule = f" rule {config.rule}" if config.rule else ""
        super().__init__(config, kind, config.route, cluster, pair, rule)

    async def addresses(self) -> dict[str, str]:
        """Those of the plan; for the sides else their names inside the cluster. Raises RouterError."""
        route = await self._read()
        layout = self._place(route)
        backends = route["spec"]["rules"][layout.rule]["backendRefs"]
        ports = {"canary": backends[layout.canary].get("port"), "stable": backends[layout.stable].get("port")}
        names = {"canary": self._config.canary, "stable": self._config.stable}
        inside = {
            side: f"http://{name}.{self._config.namespace}.svc:{ports[side] or 80}" for side, name in names.items()
        }
        return inside | self._config.addresses.given()

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that gives stable everything."""
        places = self._layout or Layout(
            0, self._config.rule or "", 0, 1, self._config.stable, self._config.canary, True
        )
        return command(self._config, self._kind.title, places, release)

    def rollback_script(self, release: str) -> str:
        """The same with kubectl and awk, wherever the backends stand, verified at the gateways."""
        return script(self._config, self._kind.title, self._stable_workload, release)

    def _find(self, item: Object) -> Layout:
        return layout_of(item, self._config.rule, self._config.stable, self._config.canary)

    def _weight(self, item: Object, place: Layout) -> float:
        return weight_of(item, place)

    def _pending(self, item: Object) -> str:
        return pending_of(item)

    async def _findings(self, item: Object, place: Layout) -> list[Finding]:
        retries = retries_of(item, place)
        mend = "judge by the errors of the canary itself, not the gateway's"
        return [Finding("warn", "retries", retries, mend)] if retries else []
