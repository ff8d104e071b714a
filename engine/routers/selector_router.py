"""What the routers of a Service's selector have in common: stable's pods alone, the canary's alone, or both.

The Service carries the marks. A write is one patch of its selector; it is in effect when the Service's endpoints are
ready pods of the wanted side and no others.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.pair import Reading, Role
from engine.kube.permissions import Permission, permissions
from engine.kube.resources import ENDPOINTSLICES, SERVICES
from engine.kube.selectors import Endpoints, SelectedPair, Selector, compared_with, selector_of
from engine.routers.kube_router import KubeRouter, inside
from engine.routers.selector_config import SelectorConfig
from engine.routers.selector_script import command, script

Object = Mapping[str, Any]


class SelectorRouter(KubeRouter[Selector]):
    """One Service."""

    word = "Service"
    written = ("spec", "selector")

    def __init__(self, config: SelectorConfig) -> None:
        self._config = config
        cluster = Cluster(config.kubeconfig, config.context)
        values: dict[Role, str] = {"stable": config.stable, "canary": config.canary}
        workloads: dict[Role, str | None] = {"stable": config.stable_workload, "canary": config.canary_workload}
        pair = SelectedPair(cluster, config.namespace, config.service, config.label, values, workloads)
        super().__init__(config, SERVICES, config.service, cluster, pair)
        self._endpoints = Endpoints(cluster, config.namespace, config.service, config.label)

    async def claim(self, release: str, engine: str) -> None:
        """Mark the Service, and point the preview's at the canary. Raises RouterConflict, RouterError."""
        await super().claim(release, engine)
        if self._config.preview and await self._preview_value() != self._config.canary:
            body = {"spec": {"selector": {self._config.label: self._config.canary}}}
            await self._cluster.patch(SERVICES, self._config.namespace, self._config.preview, body, how="merge-patch")

    async def addresses(self) -> dict[str, str]:
        """Those of the plan; else the Service's and the preview's names inside the cluster. Raises RouterError."""
        named = {"public": self._config.service} | ({"canary": self._config.preview} if self._config.preview else {})
        found = {side: inside(await self._service(name)) for side, name in named.items()}
        return found | self._config.addresses.given()

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that sends everything to stable."""
        return command(self._config, release)

    def rollback_script(self, release: str) -> str:
        """The same with stable at its size first, verified by the Service's endpoints."""
        return script(self._config, self._stable_workload, release)

    async def close(self) -> None:
        """Stop watching and let go of connections."""
        await self._endpoints.close()
        await super().close()

    @abstractmethod
    def _in_effect(self, shown: Observation, place: Selector, ready: Counter[str]) -> Observation:
        """The observation with what the ready endpoints make of it, counted by the label's value."""

    async def _shown(self, item: Object, place: Selector, reading: Reading) -> Observation:
        ready = await self._endpoints.count(place.others)
        shown = self._in_effect(await super()._shown(item, place, reading), place, ready)
        return replace(shown, finished=shown.finished and not shown.pending)

    def _find(self, item: Object) -> Selector:
        return selector_of(item, self._config.label, self._config.stable, self._config.canary)

    def _pending(self, _item: Object) -> str:
        return ""  # a Service has no status for it: its endpoints tell

    def _compared(self, item: Object) -> str:
        return compared_with(item)

    def _permissions(self) -> list[Permission]:
        why = "it sees which pods the Service sends to"
        return [*super()._permissions(), *permissions("list", ENDPOINTSLICES, self._config.namespace, why)]

    async def _findings(self, _item: Object, _place: Selector) -> list[Finding]:
        if not self._config.preview:
            return []
        try:
            value = await self._preview_value()
        except KubeError as error:
            return [Finding("bad", "preview", str(error))]
        points = f"{self._config.preview} sends to {self._config.label}={value or 'anything'}"
        if value == self._config.canary:
            return [Finding("ok", "preview", points)]
        return [Finding("ok", "preview", f"{points}; the release points it at {self._config.canary} when it begins")]

    async def _preview_value(self) -> str:
        preview = await self._service(str(self._config.preview))
        return str((preview["spec"].get("selector") or {}).get(self._config.label, ""))

    async def _service(self, name: str) -> Object:
        return await self._cluster.get(SERVICES, self._config.namespace, name)


def all_on(side: str, ready: Counter[str], label: str) -> str:
    """Why not all traffic goes to the pods of one value yet; empty when it does."""
    if astray := {value: count for value, count in ready.items() if value != side}:
        named = (
            f"{count} of {label}={value}" if value else f"{count} of neither side" for value, count in astray.items()
        )
        return f"the Service still sends to ready pods that it should not: {', '.join(named)}"
    return "" if ready[side] else f"no pod of {label}={side} is ready behind the Service"
