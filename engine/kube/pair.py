"""Both sides of a release on Kubernetes: two Services, the workloads behind them, their size, and `finish: copy`.

A workload that is not there yet, or can't be told, is a remark and no error: where the traffic goes is known without
it, and a canary may still be on its way. What is held of the cluster is given back by `let_go`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.owners import mover
from engine.kube.resources import SCALERS, SERVICES
from engine.kube.scaling import give_back_minimum, hold_minimum, scale, scaler_of
from engine.kube.side import Side, side_of
from engine.kube.templates import copied, copy_template, forget_template, restore_template, restored
from engine.kube.watched import Watched
from engine.kube.workloads import Vitals, Workload

Object = Mapping[str, Any]
Role = Literal["stable", "canary"]
ROLES: Final[tuple[Role, ...]] = ("stable", "canary")


@dataclass(frozen=True, slots=True)
class Reading:
    """What runs, seconds old at most. `copied`: stable has the canary's template; `restored`: it has its own again,
    and the release that copied has not let go; `remarks`: what could not be read, in words."""

    sides: Mapping[Role, Workload] = field(default_factory=dict)
    vitals: Vitals | None = None
    copied: bool = False
    restored: bool = False
    remarks: tuple[str, ...] = ()


class Pair:
    """Two Services of one namespace; `workloads` are names of what is behind them, found by their selectors if not
    given. Methods raise KubeError."""

    def __init__(
        self, cluster: Cluster, namespace: str, services: Mapping[Role, str], workloads: Mapping[Role, str | None]
    ) -> None:
        self._cluster, self.namespace = cluster, namespace
        self.services, self._workloads = services, workloads
        self._service = {role: Watched(cluster, SERVICES, namespace, name=services[role]) for role in ROLES}
        self._scalers = Watched(cluster, SCALERS, namespace)
        self._sides: dict[Role, Side] = {}

    async def read(self) -> Reading:
        """What runs on both sides; what can't be read is a remark."""
        both = await asyncio.gather(*(self._reading(role) for role in ROLES))
        sides = {role: one[0] for role, one in zip(ROLES, both, strict=True) if one[0] is not None}
        remarks = [one[1] for one in both if one[1]]
        vitals = None
        try:
            if "canary" in sides:
                vitals = await (await self.side("canary")).vitals(sides["canary"])
            stable = await (await self.side("stable")).item() if "stable" in sides else None
        except KubeError as error:
            remarks.append(str(error))
            stable = None
        return Reading(
            sides=sides,
            vitals=vitals,
            copied=stable is not None and copied(stable),
            restored=stable is not None and restored(stable),
            remarks=tuple(remarks),
        )

    async def owner(self) -> str:
        """Another controller that moves the traffic of one of the Services, in words; empty when there is none."""
        for role in ROLES:
            for service in await self._service[role].objects():
                if said := mover(service):
                    return f"service {self.services[role]} belongs to {said}"
        return ""

    async def service(self, role: Role) -> Object:
        """A side's Service, seconds old at most."""
        found = await self._service[role].objects()
        if not found:
            what = SERVICES.words(self.namespace, self.services[role])
            raise KubeError(f"there is no {what}: create it, or say its right name in the plan", 404)
        return found[0]

    async def side(self, role: Role) -> Side:
        """A side's workload; looked for until it is found."""
        if role not in self._sides:
            service = await self.service(role)
            found = await side_of(self._cluster, self.namespace, service, self._workloads.get(role) or "")
            self._sides.setdefault(role, found)
        return self._sides[role]

    async def scale(self, weight: int, full: int) -> str:
        """Bring stable to `full` replicas and the canary to its share of them; never makes anything smaller."""
        share = min(full, max(1, math.ceil(full * weight / 100))) if weight else 0
        done = [await self._grow("stable", full)]
        if weight:
            done.append(await self._grow("canary", share))
        return ", ".join(filter(None, done))

    async def size_canary(self, replicas: int) -> str:
        """Bring the canary to exactly so many, where their number is its weight. Returns what was done."""
        return await self._grow("canary", replicas, exactly=True)

    async def scaler(self, role: Role) -> Object | None:
        """The autoscaler of a side."""
        side = await self.side(role)
        return scaler_of(await self._scalers.objects(), side.kind, side.name)

    async def shrink_canary(self) -> str:
        """Scale the canary to nothing. An autoscaler leaves a workload without replicas alone."""
        side = await self.side("canary")
        if (await side.read()).wanted == 0:
            return ""
        await scale(self._cluster, side.kind, self.namespace, side.name, 0)
        return f"{side.name} scaled to nothing"

    async def give_back(self) -> str:
        """Autoscalers have their own minimum again, and stable's template is simply its own. Returns what was done."""
        scalers = await self._scalers.objects(0)
        done = [
            await give_back_minimum(self._cluster, self.namespace, scaler) for scaler in scalers if self._ours(scaler)
        ]
        if "stable" in self._sides:
            side = self._sides["stable"]
            await forget_template(self._cluster, side.kind, self.namespace, await self._fresh("stable"))
        return ", ".join(filter(None, done))

    async def copy(self) -> None:
        """Give stable the canary's template."""
        side = await self.side("stable")
        canary, stable = await asyncio.gather(self._fresh("canary"), self._fresh("stable"))
        if not copied(stable):
            await copy_template(self._cluster, side.kind, self.namespace, canary, stable)

    async def restore(self, release: str) -> bool:
        """Give stable its own template again. Was it another's?"""
        side = await self.side("stable")
        stable = await self._fresh("stable")
        if copied(stable):
            await restore_template(self._cluster, side.kind, self.namespace, stable, release)
        return copied(stable)

    async def close(self) -> None:
        """Stop watching."""
        watches = [*self._service.values(), self._scalers]
        await asyncio.gather(*(each.close() for each in watches), *(side.close() for side in self._sides.values()))

    async def _reading(self, role: Role) -> tuple[Workload | None, str]:
        try:
            return await (await self.side(role)).read(), ""
        except KubeError as error:
            if error.status == 404:
                await self._forget(role)
            return None, f"{role}: {error}"

    async def _forget(self, role: Role) -> None:
        side = self._sides.pop(role, None)
        if side is not None:
            await side.close()

    async def _fresh(self, role: Role) -> Object:
        side = await self.side(role)
        return await self._cluster.get(side.kind, self.namespace, side.name)

    async def _grow(self, role: Role, replicas: int, *, exactly: bool = False) -> str:
        side = await self.side(role)
        wanted = (await side.read()).wanted
        scaler = await self.scaler(role)
        done = []
        if scaler is not None and await hold_minimum(self._cluster, self.namespace, scaler, replicas):
            done.append(f"the autoscaler of {side.name} held at {replicas} or more")
        if wanted < replicas or (exactly and wanted != replicas):
            await scale(self._cluster, side.kind, self.namespace, side.name, replicas)
            done.append(f"{side.name} scaled from {wanted} to {replicas}")
        return ", ".join(done)

    def _ours(self, scaler: Object) -> bool:
        return any(scaler_of([scaler], side.kind, side.name) for side in self._sides.values())
