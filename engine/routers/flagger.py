"""A Canary that Flagger owns: laneshift judges, and answers the gates at which Flagger asks whether to go on.

Flagger moves the traffic. What laneshift approves stands in the Canary's annotations: one thing, for one revision, and
spent by the gate that uses it (`flagger_reading.answer`), so that it outlives the engine and is never left open. A roll
back is asked for in two ways, for Flagger takes either at its next look: by its rollback gate, and as failed checks in
the Canary's status, which needs no way from Flagger to the engine. Nothing makes it look sooner than its interval.

After the promotion there is no way back by Flagger: the old version runs nowhere any more, and an old template would be
a new canary. That is refused, with the commands that bring it back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.cluster import MANAGER, Cluster
from engine.kube.errors import KubeConflict, KubeError
from engine.kube.examination import examine_cluster
from engine.kube.marks import (
    BY,
    ENGINE,
    INTENT,
    RELEASE,
    WEIGHT,
    Operation,
    annotate,
    annotations_of,
    as_read,
    marks_of,
    unmark,
)
from engine.kube.resources import CANARIES, HTTPROUTES
from engine.kube.side import Side
from engine.kube.workloads import Vitals, Workload
from engine.routers import Ending, Router, RouterConflict, RouterError, Write
from engine.routers.flagger_doctor import findings_of, permissions_for, problem_of, restoring
from engine.routers.flagger_reading import (
    ANALYSED,
    CHECKSUM,
    OPEN,
    PROMOTION,
    REVISION,
    ROLLBACK,
    Answer,
    Canary,
    Gate,
    answer,
    approve,
    hand_of,
    pending_of,
)
from engine.routers.flagger_script import manual, script
from engine.routers.kube_script import kubectl
from engine.routers.owner_config import FlaggerConfig

Sides = tuple[Workload | None, Workload | None, Vitals | None]
PASSING: Final = 3


class FlaggerRouter(Router):
    """Gates and marks of one Canary. `weights` are the plan's, when they are known."""

    Config = FlaggerConfig

    def __init__(self, config: FlaggerConfig, weights: tuple[int, ...] = ()) -> None:
        from engine.routers.flagger_gates import Gatekeeper, server_on  # a web server that no other router needs

        self._config, self._weights = config, weights
        self._cluster = Cluster(config.kubeconfig, config.context)
        self._keeper = Gatekeeper(config.namespace, config.canary, config.gates.token, self._decide)
        self._gates = server_on(config.gates.listen)
        self._sides: tuple[Side, Side] | None = None
        self._last: Canary | None = None
        where = f" in context {config.context}" if config.context else ""
        self.target = f"Canary {config.namespace}/{config.canary}{where}"

    # --- reading

    async def observe(self) -> Observation:
        """What Flagger has in effect now; the gates are answered from the first call on. Raises RouterError."""
        self._gates.keep(self._keeper)
        canary = await self._read()
        self._check(canary)
        return _observation(canary, await self._running(canary), self._asked_s())

    async def addresses(self) -> dict[str, str]:
        """Those of the plan; for the sides else the Services that Flagger makes, by their names in the cluster."""
        canary = self._last or await self._read()
        service = canary.item["spec"].get("service") or {}
        name, port = service.get("name") or canary.target, service.get("port", 80)
        sides = {"canary": f"{name}-canary", "stable": f"{name}-primary"}
        inside = {side: f"http://{each}.{self._config.namespace}.svc:{port}" for side, each in sides.items()}
        given = self._config.addresses.model_dump(exclude_none=True)
        return inside | {side: str(url) for side, url in given.items()}

    # --- writing

    async def shift(self, write: Write) -> str:
        """Approve Flagger's next step, or have it roll back. Raises RouterConflict, RouterError."""
        if not write.weight:
            return await self._go_back(write)
        canary = await self._read()
        self._check(canary)
        if write.generation is not None and write.generation != _generation(canary):
            raise RouterConflict(f"{self.target} has changed since it was read: {_where(canary)}")
        if canary.step == write.weight:
            raise RouterConflict(f"Flagger is at {write.weight}% already")
        if canary.next_weight != write.weight:
            raise RouterConflict(f"Flagger can't go on to {write.weight}%: {_where(canary)}")
        await self._patch(approve(canary, str(write.weight), _marks(write)))
        return f"approved {write.weight}% for Flagger's next look, within {canary.interval_s:g} s"

    async def finish(self, write: Write) -> str:
        """Approve the promotion. Raises RouterConflict, RouterError."""
        canary = await self._read()
        self._check(canary)
        if canary.promoted:
            return f"Flagger has begun to promote, or has done it: {canary.phase}"
        if not canary.at_last:
            raise RouterConflict(f"Flagger is not at its last weight: {_where(canary)}")
        if canary.opened != (PROMOTION, canary.revision):
            await self._patch(approve(canary, PROMOTION, _marks(write)))
        return f"approved the promotion for Flagger's next look, within {canary.interval_s:g} s"

    async def _go_back(self, write: Write) -> str:
        canary = self._last or await self._read()
        asked = {**_marks(write), OPEN: f"{ROLLBACK} of {canary.revision}"}
        marked = self._cluster.patch(CANARIES, *self._name, {"metadata": {"annotations": asked}}, how="merge-patch")
        told = await asyncio.gather(self._fail(canary), marked, return_exceptions=True)
        for each in told:
            if isinstance(each, BaseException):
                raise each
        return str(told[0])

    async def _fail(self, canary: Canary) -> str:
        """Say in the status that checks have failed: at its next look Flagger rolls back."""
        for _ in range(PASSING):
            if canary.promoted:
                raise RouterError(restoring(self._config, canary))
            if canary.phase not in ANALYSED:
                return "nothing is under way"
            failed = {"op": "add", "path": "/status/failedChecks", "value": canary.threshold}
            try:
                await self._patch_status([_test("phase", canary), _test("lastAppliedSpec", canary), failed])
                return f"told Flagger to roll back at its next look, within {canary.interval_s:g} s"
            except KubeConflict:
                canary = await self._read()
        raise RouterError(f"{self.target} changes faster than the way back could be written")

    async def _decide(self, gate: Gate, checksum: str) -> Answer:
        """Raises RouterError, which closes the gate."""
        given = answer(await self._read(), gate, checksum)
        if given.spends:
            await self._patch(list(given.spends))
        return given

    # --- a release's hold on it

    async def claim(self, release: str, engine: str) -> None:
        """Mark the Canary; from then on Flagger may take up a new revision. Raises RouterConflict, RouterError."""
        canary = await self._read()
        self._check(canary)
        found = marks_of(canary.item)
        if found.release and found.engine != engine:
            free = f"{kubectl(self._config)} annotate canary/{self._config.canary} {RELEASE}- {ENGINE}-"
            by = f"release {found.release} of another engine ({found.engine or 'unnamed'})"
            raise RouterConflict(f"{self.target} is held by {by}: end it there, or if that engine is gone: {free}")
        if (found.release, found.engine) == (release, engine):
            return
        mine = annotate({RELEASE: release, ENGINE: engine}, first=not annotations_of(canary.item))
        taken = [*as_read(canary.item, RELEASE, ENGINE), *unmark(canary.item, OPEN, CHECKSUM, REVISION), *mine]
        await self._patch(taken)

    async def let_go(self, ending: Ending) -> str:
        """Take the marks off: from then on every gate is closed, until the next release."""
        canary = await self._read()
        operations = unmark(canary.item, OPEN, CHECKSUM, REVISION)
        if marks_of(canary.item).release not in ("", ending.release) or not operations:
            return ""
        await self._patch([*as_read(canary.item, RELEASE, ENGINE), *operations])
        return f"took laneshift's marks off {self.target}"

    async def rehearse(self, write: Write) -> str:
        """The way back's writes as a dry run of the API server. Raises RouterError when there is none."""
        canary = await self._read()
        if canary.promoted:
            raise RouterError(restoring(self._config, canary))
        await self._patch(annotate(_marks(write), first=not annotations_of(canary.item)), dry_run=True)
        failed = {"op": "add", "path": "/status/failedChecks", "value": canary.threshold}
        await self._patch_status([failed], dry_run=True)
        return "failed checks in the Canary's status, as a server-side dry run"

    async def examine(self) -> list[Finding]:
        """Cluster, permissions, the Canary, its gates and how soon Flagger rolls back. Never raises."""
        findings = await examine_cluster(self._cluster, permissions_for(self._config.namespace))
        if findings[0].grade == "bad":
            return findings
        try:
            self._gates.keep(self._keeper)
            canary = await self._read()
            await self._running(canary)
        except RouterError as error:
            return [*findings, Finding("bad", "target", str(error))]
        return [*findings, *findings_of(canary, self._config, self._weights, self._asked_s())]

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that has Flagger roll back at its next look."""
        return manual(self._config, release)

    def rollback_script(self, release: str) -> str:
        """The same, and what Flagger made of it."""
        return script(self._config, release)

    async def close(self) -> None:
        """Close the gates, stop watching and let go of connections."""
        await self._gates.leave(self._keeper)
        for side in self._sides or ():
            await side.close()
        await self._cluster.close()

    # --- parts

    @property
    def _name(self) -> tuple[str, str]:
        return self._config.namespace, self._config.canary

    def _asked_s(self) -> float | None:
        asked = self._keeper.asked_at
        return None if asked is None else time.monotonic() - asked

    async def _read(self) -> Canary:
        try:
            item = await self._cluster.get(CANARIES, *self._name)
        except KubeError as error:
            raise await self._told(error) from None
        self._last = Canary(item, await self._routed(item))
        return self._last

    async def _told(self, error: KubeError) -> KubeError:
        """For a Canary that is not there, with those that are."""
        if error.status != 404:
            return error
        there = await self._cluster.list(CANARIES, self._config.namespace)
        names = ", ".join(each["metadata"]["name"] for each in there["items"]) or "none"
        return KubeError(f"there is no {self.target}; there is {names}", error.status)

    async def _routed(self, item: Mapping[str, Any]) -> float | None:
        """The canary's weight on the HTTPRoute that Flagger makes; None where it uses something else."""
        name = str((item["spec"].get("service") or {}).get("name") or item["spec"]["targetRef"]["name"])
        try:
            route = await self._cluster.get(HTTPROUTES, self._config.namespace, name)
        except KubeError as error:
            if error.status in (403, 404):
                return None
            raise
        backends = [each for rule in route["spec"].get("rules") or () for each in rule.get("backendRefs") or ()]
        shares = {str(each.get("name")): int(each.get("weight", 1)) for each in backends}
        both = shares.get(f"{name}-canary", 0) + shares.get(f"{name}-primary", 0)
        return round(100 * shares.get(f"{name}-canary", 0) / both, 6) if both else None

    async def _running(self, canary: Canary) -> Sides:
        """What runs as target and as primary, seconds old at most; None for what is not there."""
        if self._sides is None:
            namespace = self._config.namespace
            self._sides = (
                Side(self._cluster, namespace, canary.target),
                Side(self._cluster, namespace, canary.primary),
            )
        target, primary = [await _workload(side) for side in self._sides]
        live = self._sides[1] if canary.phase == "Succeeded" else self._sides[0]
        workload = primary if canary.phase == "Succeeded" else target
        return target, primary, await live.vitals(workload) if workload and workload.wanted else None

    def _check(self, canary: Canary) -> None:
        """Raises RouterError for a Canary that would not ask before each weight."""
        problem = problem_of(canary, self._weights)
        if problem:
            raise RouterError(f"{self.target} can't be released stage by stage: {problem}")

    async def _patch(self, operations: list[Operation], *, dry_run: bool = False) -> None:
        await self._cluster.patch(CANARIES, *self._name, operations, dry_run=dry_run)

    async def _patch_status(self, operations: list[Operation], *, dry_run: bool = False) -> None:
        await self._cluster.patch(CANARIES, *self._name, operations, subresource="status", dry_run=dry_run)


async def _workload(side: Side) -> Workload | None:
    try:
        return await side.read()
    except KubeError as error:
        if error.status == 404:
            return None
        raise


def _observation(canary: Canary, sides: Sides, asked_s: float | None) -> Observation:
    target, primary, vitals = sides
    marks, moved = marks_of(canary.item), canary.phase == "Succeeded" and canary.promoted
    serving = primary if moved else target
    seen = Observation(
        weight=canary.weight,
        stable=primary.version if primary else "",
        stable_build=primary.build if primary else "",
        stable_ready=primary.ready if primary else 0,
        stable_workload=canary.primary,
        full=primary.wanted if primary else None,
        generation=_generation(canary),
        mark=marks.intent,
        by=marks.by,
        marked_release=marks.release,
        engine=marks.engine,
        hand=hand_of(canary),
        pending=pending_of(canary, asked_s),
        finished=moved and primary is not None and primary.settled,
        vitals=vitals.numbers() if vitals else {},
        remark=_remark(canary),
    )
    if target is None or serving is None or not canary.under_way:
        return seen
    return replace(
        seen,
        canary=target.version,
        canary_build=target.build,
        canary_workload=serving.name,
        canary_ready=serving.ready,
        canary_asked=serving.wanted,
    )


def _remark(canary: Canary) -> str:
    if canary.promoted:
        return "Flagger promotes, or has promoted: it can't roll that back"
    if canary.phase == "Failed":
        return "Flagger has failed this revision: change an annotation of its pod template to have it tried again"
    return ""


def _generation(canary: Canary) -> str:
    """Changes with what Flagger does, with every revision, and with every mark."""
    parts = (canary.phase, canary.step, canary.revision, marks_of(canary.item).intent)
    return "/".join(map(str, parts))


def _marks(write: Write) -> dict[str, str]:
    return {RELEASE: write.release, ENGINE: write.engine, INTENT: write.number, WEIGHT: str(write.weight), BY: MANAGER}


def _where(canary: Canary) -> str:
    after = f", and {canary.next_weight}% is next" if canary.next_weight else ""
    return f"it is {canary.phase or 'not initialized'} at {canary.step}%{after}"


def _test(name: str, canary: Canary) -> Operation:
    return {"op": "test", "path": f"/status/{name}", "value": canary.status.get(name)}
