"""The pods of a cluster as endpoints of metrics: by their labels, or by the Service that selects them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.resources import PODS, SERVICES
from engine.kube.watched import Watched
from engine.sources.config import PodsConfig
from engine.sources.scrape_targets import Target, Targets, TargetsError


class Pods(Targets):
    """Watched, so that a look asks the API server for nothing."""

    name = "pods"

    def __init__(self, config: PodsConfig) -> None:
        self._config = config
        self._cluster = Cluster(config.kubeconfig, config.context)
        self._service: Watched | None = None
        if config.service:
            self._service = Watched(self._cluster, SERVICES, config.namespace, name=config.service)
        self._pods: Watched | None = None
        self._selector = ""

    async def find(self) -> list[Target]:
        """Pods that run. Raises TargetsError."""
        try:
            selector = self._config.selector or await self._selected()
            if self._pods is None or selector != self._selector:
                await self._watch(selector)
            assert self._pods is not None
            pods = await self._pods.objects()
        except KubeError as error:
            raise TargetsError(f"pods can't be listed: {error}") from error
        return [target for pod in pods if (target := self._target(pod)) is not None]

    async def close(self) -> None:
        """Stop watching."""
        for watched in (self._pods, self._service):
            if watched is not None:
                await watched.close()
        await self._cluster.close()

    async def _watch(self, selector: str) -> None:
        if self._pods is not None:
            await self._pods.close()
        self._pods = Watched(self._cluster, PODS, self._config.namespace, selector=selector)
        self._selector = selector

    async def _selected(self) -> str:
        """The Service's selector. Raises TargetsError, KubeError."""
        assert self._service is not None
        found = await self._service.objects()
        labels = found[0].get("spec", {}).get("selector") if found else None
        if not labels:
            why = "selects no pods" if found else "is not there"
            raise TargetsError(f"service {self._config.service} in namespace {self._config.namespace} {why}")
        return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))

    def _target(self, pod: Mapping[str, Any]) -> Target | None:
        """None for a pod that has ended or has no address yet, and for one without that port."""
        status, name = pod.get("status", {}), str(pod["metadata"]["name"])
        host, port = status.get("podIP", ""), self._port(pod)
        if status.get("phase") != "Running" or not host or port is None:
            return None
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        leaving = "deletionTimestamp" in pod["metadata"]
        return Target(name, f"http://{place}{self._config.path}", expected=_ready(status) and not leaving)

    def _port(self, pod: Mapping[str, Any]) -> int | None:
        if isinstance(self._config.port, int):
            return self._config.port
        ports = (port for box in pod.get("spec", {}).get("containers", ()) for port in box.get("ports", ()))
        return next((int(port["containerPort"]) for port in ports if port.get("name") == self._config.port), None)


def _ready(status: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions", ()))
