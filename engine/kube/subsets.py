"""Two subsets of one Service, as an Istio DestinationRule has them: what runs behind each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.pair import Pair, Role
from engine.kube.resources import DESTINATIONRULES
from engine.kube.virtual_services import subset_labels
from engine.kube.watched import Watched


class SubsetPair(Pair):
    """Both sides of one Service, each with its subset's labels besides; a subset that nobody defines is not there."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        host: str,
        subsets: Mapping[Role, str],
        workloads: Mapping[Role, str | None],
    ) -> None:
        super().__init__(cluster, namespace, {"stable": host, "canary": host}, workloads)
        self._host, self._subsets = host, subsets
        self._rules = Watched(cluster, DESTINATIONRULES, namespace)

    async def service(self, role: Role) -> dict[str, Any]:
        """The Service, with a selector that finds this side's pods alone. Raises KubeError."""
        service, subset = await super().service(role), self._subsets[role]
        labels = subset_labels(await self._rules.objects(), self._host, subset, self.namespace)
        if labels is None:
            said = f"no DestinationRule of namespace {self.namespace} has subset {subset} of host {self._host}"
            raise KubeError(f"{said}: Istio answers its requests with 503; define it first", 404)
        selector = {**(service["spec"].get("selector") or {}), **labels}
        return {**service, "spec": {**service["spec"], "selector": selector}}

    async def close(self) -> None:
        """Stop watching."""
        await self._rules.close()
        await super().close()
