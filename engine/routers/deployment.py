"""A plain Deployment: its rolling update is watched, and never touched (`laneshift start --observe`).

Kubernetes replaces its pods one after the other, so the weight is the share of ready pods of the newest template. Both
sides are builds: metrics tell them apart by `$build` (the label pod-template-hash) or `$workload` (the ReplicaSet).
"""

from __future__ import annotations

from typing import NoReturn

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.examination import examine_cluster
from engine.kube.permissions import Permission, permissions
from engine.kube.resources import DEPLOYMENTS, PODS, REPLICASETS
from engine.kube.watched import Watched
from engine.kube.workloads import Vitals, Workload, selector_of, version_of, vitals
from engine.routers import Router, RouterError, Write
from engine.routers.deployment_config import DeploymentConfig
from engine.routers.deployment_reading import RollingUpdate, build_of, observation_of, rolling_update
from engine.routers.deployment_script import manual, script


class DeploymentRouter(Router):
    """Reads one Deployment with its ReplicaSets and pods."""

    Config = DeploymentConfig

    def __init__(self, config: DeploymentConfig) -> None:
        self._config = config
        self._cluster = Cluster(config.kubeconfig, config.context)
        self._pods: Watched | None = None
        self._stable = ""
        where = f" in context {config.context}" if config.context else ""
        self.target = f"Deployment {config.namespace}/{config.name}{where}"

    async def observe(self) -> Observation:
        """How far the rolling update is. Raises RouterError."""
        update = await self._read()
        seen = observation_of(update, await self._vitals(update))
        if not update.under_way or not self._stable:
            self._stable = seen.stable_build  # what an update begins from, when it is undone on its way too
        return seen

    async def addresses(self) -> dict[str, str]:
        """Those of the plan: pods of one Service have no address that is a side's own."""
        return self._config.addresses.given()

    async def shift(self, write: Write) -> NoReturn:
        """Never: raises RouterError."""
        raise RouterError(f"{self.target} has no weight that could be {write.weight}%: it is only watched (--observe)")

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that undoes the rolling update."""
        return manual(self._config, release)

    def rollback_script(self, release: str) -> str:
        """The same for the version that was seen to serve before the update, then whether it serves again."""
        return script(self._config, self._stable, release)

    async def examine(self) -> list[Finding]:
        """Cluster, permissions, the Deployment, and that it can only be watched. Never raises."""
        findings = await examine_cluster(self._cluster, permissions_for(self._config.namespace))
        if findings[0].grade == "bad":
            return findings
        try:
            update = await self._read()
            await self._vitals(update)
        except RouterError as error:
            return [*findings, Finding("bad", "target", str(error))]
        return [*findings, *_of_the_update(self.target, update), _only_watched(self.target, foreign=self.foreign)]

    async def close(self) -> None:
        """Stop watching and let go of connections."""
        if self._pods is not None:
            await self._pods.close()
        await self._cluster.close()

    async def _read(self) -> RollingUpdate:
        namespace, name = self._config.namespace, self._config.name
        try:
            item = await self._cluster.get(DEPLOYMENTS, namespace, name)
        except KubeError as error:
            if error.status != 404:
                raise
            there = await self._cluster.list(DEPLOYMENTS, namespace)
            names = ", ".join(each["metadata"]["name"] for each in there["items"]) or "none"
            raise KubeError(f"there is no {self.target}; there is {names}", error.status) from None
        found = await self._cluster.list(REPLICASETS, namespace, {"labelSelector": selector_of(item)})
        return rolling_update(item, found["items"])

    async def _vitals(self, update: RollingUpdate) -> Vitals | None:
        """How the canary's pods fare; None while there is no canary."""
        if self._pods is None:
            self._pods = Watched(self._cluster, PODS, self._config.namespace, selector=selector_of(update.item))
        pods = await self._pods.objects()
        if update.newest is None or not update.under_way:
            return None
        wanted = int(update.newest["spec"].get("replicas", 0))
        ready = int((update.newest.get("status") or {}).get("readyReplicas", 0))
        name, build = str(update.newest["metadata"]["name"]), build_of(update.newest)
        version = version_of(update.newest["spec"]["template"])
        return vitals(Workload(name, version, build, wanted, ready, ready, settled=False), pods)


def permissions_for(namespace: str) -> list[Permission]:
    """What laneshift reads of a Deployment; it writes nothing."""
    return [
        *permissions("get list", DEPLOYMENTS, namespace, "it reads the Deployment"),
        *permissions("list", REPLICASETS, namespace, "it tells the new template's replicas from the old ones"),
        *permissions("list watch", PODS, namespace, "it watches the canary's restarts"),
    ]


def _of_the_update(target: str, update: RollingUpdate) -> list[Finding]:
    said = f"{target}: version {update.workload.version}, {update.workload.all_ready} replicas ready"
    if update.under_way:
        said = f"{target}: a rolling update is under way, {update.weight:g}% of the ready pods are new"
    return [Finding("ok", "target", said)]


def _only_watched(target: str, *, foreign: bool) -> Finding:
    said = f"{target} is only watched, nothing is moved"
    return Finding("ok" if foreign else "warn", "watched", said, "" if foreign else "laneshift start PLAN --observe")
