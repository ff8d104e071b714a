"""One side of a release on Kubernetes, kept warm: the workload behind a Service, its ReplicaSets and its pods."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.resources import DEPLOYMENTS, PODS, REPLICASETS, STATEFULSETS, Resource
from engine.kube.watched import Watched
from engine.kube.workloads import Vitals, Workload, deployment, selected, selector_of, statefulset, vitals

Object = Mapping[str, Any]

WORKLOADS: Final[tuple[Resource, ...]] = (DEPLOYMENTS, STATEFULSETS)


class Side:
    """The workload of one side, of a given name or found as what a Service's selector finds. Methods raise KubeError.

    `kind` is Deployment unless only a StatefulSet of that name is there.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, kind: Resource = DEPLOYMENTS) -> None:
        self._cluster, self._namespace = cluster, namespace
        self.name, self.kind = name, kind
        self._item = Watched(cluster, kind, namespace, name=name)
        self._parts: dict[Resource, Watched] = {}

    async def item(self) -> Object:
        """The Deployment or StatefulSet itself, seconds old at most."""
        items = await self._item.objects()
        if not items:
            what = self.kind.words(self._namespace, self.name)
            raise KubeError(f"there is no {what}: deploy it, or say its right name in the plan", 404)
        return items[0]

    async def read(self) -> Workload:
        """What runs of it."""
        item = await self.item()
        if self.kind is STATEFULSETS:
            return statefulset(item)
        return deployment(item, await self._owned(REPLICASETS, item))

    async def vitals(self, workload: Workload) -> Vitals:
        """How the pods of its current build fare."""
        return vitals(workload, await self._owned(PODS, await self.item()))

    async def close(self) -> None:
        """Stop watching."""
        await asyncio.gather(self._item.close(), *(part.close() for part in self._parts.values()))

    async def _owned(self, kind: Resource, item: Object) -> list[dict[str, Any]]:
        if kind not in self._parts:  # a Deployment's selector can't be changed
            self._parts[kind] = Watched(self._cluster, kind, self._namespace, selector=selector_of(item))
        return await self._parts[kind].objects()


async def side_of(cluster: Cluster, namespace: str, service: Object, name: str = "") -> Side:
    """The side behind a Service: `name` when it is given, else the one workload that its selector finds.

    Raises KubeError when there is none, or more than one, with their names.
    """
    selector = service.get("spec", {}).get("selector") or {}
    found: list[str] = []
    for kind in WORKLOADS:  # the second is asked for only where the first has none: it needs no permission before
        items = (await cluster.list(kind, namespace))["items"]
        ours = [item for item in items if (item["metadata"]["name"] == name if name else selected(item, selector))]
        found = [str(item["metadata"]["name"]) for item in ours]
        if len(found) == 1:
            return Side(cluster, namespace, found[0], kind)
        if found:
            break
    what = f"workload {name}" if name else f"workload behind service {service['metadata']['name']}"
    said = f"there are {', '.join(found)}" if found else "there is none"
    raise KubeError(f"which {what} in namespace {namespace}? {said}: name it in the plan", 0 if found else 404)
