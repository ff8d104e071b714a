"""A route of the Kubernetes Gateway API: two Services share one rule's traffic by weights.

Written by JSON Patch, which tests the names of the rule and of both backends, for the lists of a route are atomic. A
raise tests besides that the route's generation and the number of the last write are as they were read; a way back tests
names alone, takes their places from the last reading, and always changes the number. What is written is in effect when
every gateway that the route names says Accepted and ResolvedRefs of this generation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube import marks
from engine.kube.cluster import MANAGER, Cluster
from engine.kube.errors import KubeConflict, KubeError
from engine.kube.examination import examine_cluster, put_back
from engine.kube.marks import Marks, Operation, as_read, changed_by, marks_of, unmark
from engine.kube.owners import gitops, mover
from engine.kube.pair import Pair, Reading
from engine.kube.permissions import Permission, permissions
from engine.kube.resources import DEPLOYMENTS, GRPCROUTES, HTTPROUTES, PODS, REPLICASETS, SCALERS, SERVICES
from engine.kube.routes import Layout, compared_with, layout_of, pending_of, retries_of, tests_of, weight_of
from engine.routers import Ending, Router, RouterConflict, RouterError, Write
from engine.routers.gateway_api_script import command, script
from engine.routers.kube_config import GatewayApiConfig
from engine.routers.kube_script import kubectl

Object = Mapping[str, Any]

CLAIMED = "claimed"  # the number on a route before its first write


class GatewayApiRouter(Router):
    """One rule of one route."""

    Config = GatewayApiConfig

    def __init__(self, config: GatewayApiConfig) -> None:
        self._config = config
        self._kind = GRPCROUTES if config.kind == "GRPCRoute" else HTTPROUTES
        self._cluster = Cluster(config.kubeconfig, config.context)
        self._pair = Pair(
            self._cluster,
            config.namespace,
            {"stable": config.stable, "canary": config.canary},
            {"stable": config.stable_workload, "canary": config.canary_workload},
        )
        rule = f" rule {config.rule}" if config.rule else ""
        where = f" in context {config.context}" if config.context else ""
        self.target = f"{config.kind} {config.namespace}/{config.route}{rule}{where}"
        self._layout: Layout | None = None
        self._copied = False
        self._stable_workload = ""

    async def observe(self) -> Observation:
        """The route as it is now; what runs, seconds old at most. Raises RouterError."""
        route = await self._read()
        layout = self._place(route)
        owner = mover(route) or await self._services_owner()
        if owner:
            raise RouterError(f"{self.target} is moved by {owner}: end its rollout or take the route out of its hands")
        reading = await self._pair.read()
        if "stable" in reading.sides:
            self._copied = reading.copied
            kind = (await self._pair.side("stable")).kind
            self._stable_workload = f"{kind.title}/{reading.sides['stable'].name}"
        return _observation(route, layout, reading)

    async def shift(self, write: Write) -> str:
        """Write the weight; a way back also gives stable its own template again after a copy.

        Raises RouterConflict for a raise of a route that was changed since it was read, RouterError.
        """
        if write.weight:
            return await self._raise(write)
        told = await asyncio.gather(self._back(write), self._restore(write.release), return_exceptions=True)
        for each in told:
            if isinstance(each, BaseException):
                raise each
        return str(told[0])

    async def claim(self, release: str, engine: str) -> None:
        """Mark the route. Raises RouterConflict when it is another controller's or another engine's, RouterError."""
        route = await self._read()
        self._place(route)
        found = marks_of(route)
        if owner := mover(route) or await self._services_owner():
            raise RouterConflict(f"{self.target} is moved by {owner}")
        if found.release and found.engine != engine:
            free = f"{kubectl(self._config)} annotate {self._named} {marks.RELEASE}- {marks.ENGINE}-"
            by = f"release {found.release} of another engine ({found.engine or 'unnamed'})"
            raise RouterConflict(f"{self.target} is held by {by}: end it there, or if that engine is gone: {free}")
        if (found.release, found.engine) != (release, engine):
            await self._mark(route, await self._claimed(release, engine, found))

    async def scale(self, weight: int) -> str:
        """Size both sides for this weight; nothing where the plan says `scale: none`. Raises RouterError."""
        if self._config.scale == "none":
            return ""
        full = _full(marks_of(await self._read()), await self._pair.read())
        if full is None:
            raise RouterError("stable's size is not known: nothing can be scaled to a share of it")
        return await self._pair.scale(weight, full)

    async def finish(self, write: Write) -> str:
        """A copy: stable gets the canary's template, is ready, then has the traffic. Raises RouterError."""
        reading = await self._pair.read()
        if not reading.copied:
            await self._pair.copy()
            self._copied = True
            return "stable gets the canary's template"
        stable = reading.sides["stable"]
        if not stable.settled or stable.ready < stable.wanted:
            return f"stable gets ready with the new version: {stable.ready} of {stable.wanted} replicas"
        route = await self._read()
        layout = self._place(route)
        if weight_of(route, layout) == 0:
            return "stable has the new version and all of the traffic"
        if compared_with(*_compared(route)) != write.generation:
            raise RouterConflict("the route was changed since it was read")
        await self._patch([*tests_of(write.generation, layout), *_operations(layout, write, 0)])
        return "all traffic goes to stable, which has the new version"

    async def let_go(self, ending: Ending) -> str:
        """Give back minimums and marks; the canary goes when the ending says so, or when stable is its copy."""
        reading = await self._pair.read()
        done = [await self._pair.give_back()]
        if ending.canary_to_zero or (reading.copied and ending.outcome == "promoted"):
            done.append(await self._pair.shrink_canary())
        route = await self._read()
        if marks_of(route).release in ("", ending.release) and (operations := unmark(route)):
            await self._patch([*as_read(route, marks.RELEASE, marks.ENGINE), *operations])
            done.append("the route's marks taken off")
        return ", ".join(filter(None, done))

    async def rehearse(self, write: Write) -> str:
        """The way back's write as a server-side dry run. Raises RouterError."""
        layout = self._layout or self._place(await self._read())
        await self._patch([*layout.tests(), *_operations(layout, write, 0)], dry_run=True)
        return "the way back's write as a server-side dry run"

    async def examine(self) -> list[Finding]:
        """Cluster, credentials, permissions, the route, both sides, and who else looks after them. Never raises."""
        findings = await examine_cluster(self._cluster, self._permissions())
        if findings[0].grade == "bad":
            return findings  # not reached: everything else would only say so again
        try:
            seen = await self.observe()
            route = await self._read()
        except RouterError as error:
            return [*findings, Finding("bad", "route", str(error))]
        return [*findings, *self._of_the_route(route, seen), *self._of_the_sides(seen)]

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
        given = self._config.addresses.model_dump(exclude_none=True)
        return inside | {side: str(url) for side, url in given.items()}

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that gives stable everything."""
        places = self._layout or Layout(
            0, self._config.rule or "", 0, 1, self._config.stable, self._config.canary, True
        )
        return command(self._config, self._kind.title, places, release)

    def rollback_script(self, release: str) -> str:
        """The same with kubectl and awk, wherever the backends stand, verified at the gateways."""
        return script(self._config, self._kind.title, self._stable_workload, release)

    async def close(self) -> None:
        """Stop watching and let go of connections."""
        await self._pair.close()
        await self._cluster.close()

    @property
    def _named(self) -> str:
        return f"{self._kind.title}/{self._config.route}"

    async def _read(self) -> Object:
        return await self._cluster.get(self._kind, self._config.namespace, self._config.route)

    async def _patch(self, operations: list[Operation], *, dry_run: bool = False) -> Object:
        config = self._config
        return await self._cluster.patch(self._kind, config.namespace, config.route, operations, dry_run=dry_run)

    def _place(self, route: Object) -> Layout:
        self._layout = layout_of(route, self._config.rule, self._config.stable, self._config.canary)
        return self._layout

    async def _services_owner(self) -> str:
        """Services that can't be read are the doctor's to tell; they don't hide where the traffic goes."""
        with suppress(KubeError):
            return await self._pair.owner()
        return ""

    async def _raise(self, write: Write) -> str:
        layout = self._layout or self._place(await self._read())
        tests = [] if write.generation is None else tests_of(write.generation, layout)
        try:
            written = await self._patch([*layout.tests(), *tests, *_operations(layout, write, write.weight)])
        except KubeConflict:
            route = await self._read()
            if marks_of(route).intent == write.number and weight_of(route, self._place(route)) == write.weight:
                return "written already"  # the answer to an earlier attempt was lost
            raise
        return f"generation {written['metadata']['generation']}"

    async def _back(self, write: Write) -> str:
        """Names where they were last seen; only when they have moved is the route read first."""
        layout = self._layout or self._place(await self._read())
        try:
            written = await self._patch([*layout.tests(), *_operations(layout, write, 0)])
        except KubeConflict:
            layout = self._place(await self._read())
            written = await self._patch([*layout.tests(), *_operations(layout, write, 0)])
        return f"generation {written['metadata']['generation']}"

    async def _restore(self, release: str) -> None:
        if self._copied:
            await self._pair.restore(release)

    async def _claimed(self, release: str, engine: str, found: Marks) -> dict[str, str]:
        stable = (await self._pair.read()).sides.get("stable")
        full = {marks.FULL: str(stable.wanted)} if stable and stable.wanted else {}
        number = {} if found.intent else {marks.INTENT: CLAIMED}
        return {marks.RELEASE: release, marks.ENGINE: engine, marks.BY: MANAGER, **full, **number}

    async def _mark(self, route: Object, values: Mapping[str, str]) -> None:
        layout = self._place(route)
        await self._patch([*as_read(route, marks.RELEASE, marks.ENGINE), *layout.marked(values)])

    def _permissions(self) -> list[Permission]:
        space, scales = self._config.namespace, self._config.scale == "proportional"
        wanted = permissions("get patch", self._kind, space, "it reads and writes the weights")
        wanted += permissions("list watch", SERVICES, space, "it finds what runs behind each side")
        wanted += permissions("get list watch", DEPLOYMENTS, space, "it reads versions and replicas")
        wanted += permissions(
            "list watch", REPLICASETS, space, "it tells the current template's replicas from older ones"
        )
        wanted += permissions("list watch", PODS, space, "it watches the canary's restarts")
        if scales:
            wanted += permissions("patch", DEPLOYMENTS, space, "it sizes both sides", "scale")
            wanted += permissions("list watch patch", SCALERS, space, "it holds autoscalers' minimums")
        return wanted

    def _of_the_route(self, route: Object, seen: Observation) -> list[Finding]:
        layout = self._place(route)
        found = [Finding("ok", "route", f"{self.target}: {seen.weight:g}% on the canary, in effect")]
        if seen.pending:
            found = [Finding("bad", "route", seen.pending, "look at the route's status and at its gateway")]
        held = marks_of(route)
        if held.release:
            found.append(Finding("ok", "mark", f"release {held.release} of engine {held.engine or 'unnamed'} has it"))
        if retries := retries_of(route, layout):
            found.append(
                Finding("warn", "retries", retries, "judge by the errors of the canary itself, not the gateway's")
            )
        keeper = gitops(route, self._kind, [layout.jq()], layout.pointers())
        return [*found, *([put_back(keeper, self.target)] if keeper else [])]

    def _of_the_sides(self, seen: Observation) -> list[Finding]:
        if seen.remark:
            return [Finding("warn", "workloads", seen.remark, "deploy it before the release starts")]
        sides = (("stable", seen.stable, seen.stable_ready), ("canary", seen.canary, seen.canary_ready))
        return [
            Finding("ok" if ready else "warn", side, f"version {version}, {ready} replicas ready")
            for side, version, ready in sides
        ]


def _operations(layout: Layout, write: Write, weight: int) -> list[Operation]:
    values = {
        marks.RELEASE: write.release,
        marks.ENGINE: write.engine,
        marks.INTENT: write.number,
        marks.BY: MANAGER,
        marks.WEIGHT: str(write.weight),
    }
    return [*layout.weights(weight), *layout.marked(values)]


def _compared(route: Object) -> tuple[str, str]:
    return str(route["metadata"]["generation"]), marks_of(route).intent


def _full(found: Marks, reading: Reading) -> int | None:
    """Replicas that carry all of the traffic: what stable had when the release began, or has by now if that is more."""
    stable = reading.sides.get("stable")
    return max(found.full or 0, stable.wanted if stable else 0) or None


def _observation(route: Object, layout: Layout, reading: Reading) -> Observation:
    found, share, pending = marks_of(route), weight_of(route, layout), pending_of(route)
    canary, stable = reading.sides.get("canary"), reading.sides.get("stable")
    if reading.restored and stable and not stable.settled:
        back = f"stable goes back to its own template: {stable.ready} of {stable.wanted} replicas"
        pending = "; ".join(filter(None, (pending, back)))
    manager, at = changed_by(route, "spec", "rules")
    waiting = f"the canary's pods: {reading.vitals.waiting}" if reading.vitals and reading.vitals.waiting else ""
    return Observation(
        weight=100.0 if reading.copied else share,
        canary=canary.version if canary else "",
        stable=stable.version if stable else "",
        canary_ready=canary.ready if canary else None,
        stable_ready=stable.ready if stable else None,
        generation=compared_with(*_compared(route)),
        mark=found.intent,
        by=found.by,
        marked_release=found.release,
        engine=found.engine,
        pending=pending,
        hand=f"{manager} at {at}" if manager else "",
        canary_build=canary.build if canary else "",
        stable_build=stable.build if stable else "",
        canary_workload=canary.name if canary else "",
        stable_workload=stable.name if stable else "",
        canary_asked=canary.wanted if canary else None,
        full=_full(found, reading),
        finished=reading.copied and share == 0 and not pending and stable is not None and stable.settled,
        vitals=reading.vitals.numbers() if reading.vitals else {},
        remark="; ".join(filter(None, (*reading.remarks, waiting))),
    )
