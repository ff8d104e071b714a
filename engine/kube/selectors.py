"""A Service whose selector says, by one label, whose pods it sends to; and which pods those are.

Source: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/ . A pod counts when its endpoint is
ready; proxies on the nodes follow within moments, and open connections stay where they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.kube.cluster import Cluster
from engine.kube.marks import Operation, annotations_of, marks_of, pointer
from engine.kube.pair import Pair, Role
from engine.kube.place import Place
from engine.kube.resources import ENDPOINTSLICES, PODS
from engine.kube.watched import Watched
from engine.routers import RouterError

Object = Mapping[str, Any]
SERVICE_LABEL: Final = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Selector(Place):
    """A Service's selector: its one label that is moved with the value of each side, and the labels that stay.

    now: the label's value, None where the Service sends to whichever pods have the other labels
    """

    label: str
    stable: str
    canary: str
    others: Mapping[str, str]
    now: str | None
    annotated: bool

    def tests(self) -> list[Operation]:
        """That the labels that stay are what they were."""
        return [
            {"op": "test", "path": pointer("spec", "selector", name), "value": value}
            for name, value in sorted(self.others.items())
        ]

    def weights(self, canary: int) -> list[Operation]:
        """All on one side by its value of the label; a share of both without the label."""
        where = pointer("spec", "selector", self.label)
        if 0 < canary < 100:
            return [{"op": "remove", "path": where}] if self.now is not None else []
        return [{"op": "add", "path": where, "value": self.canary if canary else self.stable}]

    def unmoved(self, compared: str) -> list[Operation]:
        """The whole selector and the number of the last write; a Service has no generation."""
        written, _, intent = compared.partition(" ")
        selector = dict(pair.split("=", 1) for pair in written.split(","))
        return [{"op": "test", "path": "/spec/selector", "value": selector}, self.unwritten(intent)]

    def jq(self) -> list[str]:
        """The selector."""
        return [".spec.selector"]

    def pointers(self) -> list[str]:
        """The one label."""
        return [pointer("spec", "selector", self.label)]


def selector_of(service: Object, label: str, stable: str, canary: str) -> Selector:
    """A Service's selector. Raises RouterError for one that sends elsewhere, or without one."""
    selector: Mapping[str, str] = service["spec"].get("selector") or {}
    others = {name: value for name, value in selector.items() if name != label}
    if not others:
        raise RouterError(f"the Service needs another label in its selector beside {label}, such as app")
    now = selector.get(label)
    if now not in (None, stable, canary):
        raise RouterError(f"the Service sends to {label}={now}, which is neither {stable} nor {canary}")
    return Selector(label, stable, canary, others, now, annotated=bool(annotations_of(service)))


def compared_with(service: Object) -> str:
    """What a raise is compared with: the selector, and the last number written, which a roll back changes."""
    selector = ",".join(f"{name}={value}" for name, value in sorted((service["spec"].get("selector") or {}).items()))
    return f"{selector} {marks_of(service).intent}".rstrip()


class SelectedPair(Pair):
    """Both sides behind one Service: what its selector finds with either value of the label."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        service: str,
        label: str,
        values: Mapping[Role, str],
        workloads: Mapping[Role, str | None],
    ) -> None:
        super().__init__(cluster, namespace, {"stable": service, "canary": service}, workloads)
        self._label, self._values = label, values

    async def service(self, role: Role) -> dict[str, Any]:
        """The Service as it would be if it sent to this side alone. Raises KubeError."""
        service = await super().service(role)
        selector = {**(service["spec"].get("selector") or {}), self._label: self._values[role]}
        return {**service, "spec": {**service["spec"], "selector": selector}}


class Endpoints:
    """The ready pods that a Service sends to, by their value of the label."""

    def __init__(self, cluster: Cluster, namespace: str, service: str, label: str) -> None:
        self._cluster, self._namespace, self._service, self._label = cluster, namespace, service, label
        self._pods: Watched | None = None

    async def count(self, others: Mapping[str, str]) -> Counter[str]:
        """How many by value, as of now; "" for pods of neither side, or not known yet. Raises KubeError."""
        if self._pods is None:
            chosen = ",".join(f"{name}={value}" for name, value in sorted(others.items()))
            self._pods = Watched(self._cluster, PODS, self._namespace, selector=chosen)
        query = {"labelSelector": f"{SERVICE_LABEL}={self._service}"}
        slices = (await self._cluster.list(ENDPOINTSLICES, self._namespace, query))["items"]
        values = {
            pod["metadata"]["name"]: str((pod["metadata"].get("labels") or {}).get(self._label, ""))
            for pod in await self._pods.objects()
        }
        return Counter(values.get(name, "") for name in ready_pods(slices))

    async def close(self) -> None:
        """Stop watching."""
        if self._pods is not None:
            await self._pods.close()


def ready_pods(slices: Iterable[Object]) -> set[str]:
    """The names of the pods behind ready endpoints; a pod of two address families has two, and counts once."""
    return {
        str(endpoint["targetRef"]["name"])
        for each in slices
        for endpoint in each.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True) and endpoint.get("targetRef", {}).get("kind") == "Pod"
    }
