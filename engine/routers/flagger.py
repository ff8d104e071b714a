"""A Canary that Flagger owns: laneshift judges, and answers the gates at which Flagger asks whether to go on.

Flagger moves the traffic. What laneshift approves stands in the Canary's annotations: one thing, for one revision, and
spent by the gate that uses it (`flagger_reading.answer`), so that it outlives the engine and is never left open. A roll
back is asked for in two ways, for Flagger takes either at its next look: by its rollback gate, and as failed checks in
the Canary's status, which needs no way from Flagger to the engine. Nothing makes it look sooner than its interval.

After the promotion there is no way back by Flagger: the old version runs nowhere any more, and an old template would be
a new canary. That is refused, with the commands that bring it back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.errors import KubeConflict, KubeError
from engine.kube.examination import examine_cluster
from engine.kube.marks import Operation, marks_of
from engine.kube.permissions import reading
from engine.kube.resources import CANARIES, HTTPROUTES
from engine.kube.side import Side
from engine.kube.workloads import Vitals, Workload
from engine.routers import RouterConflict, RouterError, Write
from engine.routers.flagger_doctor import NO_GATES, findings_of, permissions_for, problem_of, restoring
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
from engine.routers.flagger_watched import WatchedCanary
from engine.routers.owned import OwnedRouter, marks_for
from engine.routers.owner_config import FlaggerConfig

if TYPE_CHECKING:
    from engine.routers.flagger_gates import Gatekeeper, GateServer

Sides = tuple[Workload | None, Workload | None, Vitals | None]
PASSING: Final = 3


class FlaggerRouter(OwnedRouter):
    """Gates and marks of one Canary. `weights` are the plan's, when they are known."""

    Config = FlaggerConfig
    needs_weights = True  # its steps must be the plan's
    kind = CANARIES
    notes = (OPEN, CHECKSUM, REVISION)
    observe_pause_s = 1.0  # Flagger takes seconds

    def __init__(self, config: FlaggerConfig, weights: tuple[int, ...] = ()) -> None:
        super().__init__(config, config.canary)
        self._config, self._weights = config, weights
        self._keeper: Gatekeeper | None = None
        self._gates: GateServer | None = None
        self._sides: tuple[Side, Side] | None = None
        self._last: Canary | None = None

    # --- reading

    async def observe(self) -> Observation:
        """What Flagger has in effect now; the gates are answered from the first call on. Raises RouterError."""
        if self.foreign:
            return await self._watched()
        self._answer_gates()
        canary = await self._read()
        self._check(canary)
        return _observation(canary, await self._running(canary), self._asked_s())

    async def _watched(self) -> Observation:
        """What Flagger does of itself: no gate is answered, and what it is at is a remark."""
        read = await self._read()
        canary = WatchedCanary(read.item, read.routed)
        seen = _observation(canary, await self._running(canary), None)
        return replace(seen, hand=canary.hand, pending="", finished=canary.done, remark=seen.pending or seen.remark)

    async def addresses(self) -> dict[str, str]:
        """Those of the plan; for the sides else the Services that Flagger makes, by their names in the cluster."""
        canary = self._last or await self._read()
        service = canary.item["spec"].get("service") or {}
        name, port = service.get("name") or canary.target, service.get("port", 80)
        sides = {"canary": f"{name}-canary", "stable": f"{name}-primary"}
        return self._or_given(
            {side: f"http://{each}.{self._config.namespace}.svc:{port}" for side, each in sides.items()}
        )

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
        await self._patch(approve(canary, str(write.weight), marks_for(write)))
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
            await self._patch(approve(canary, PROMOTION, marks_for(write)))
        return f"approved the promotion for Flagger's next look, within {canary.interval_s:g} s"

    async def _go_back(self, write: Write) -> str:
        canary = self._last or await self._read()
        asked = {**marks_for(write), OPEN: f"{ROLLBACK} of {canary.revision}"}
        return await self._back(self._fail(canary), asked)

    async def _fail(self, canary: Canary) -> str:
        """Say in the status that checks have failed: at its next look Flagger rolls back."""
        for _ in range(PASSING):
            if canary.promoted:
                raise RouterError(restoring(self._config, canary))
            if canary.phase not in ANALYSED:
                return "nothing is under way"
            same = [_test("phase", canary), _test("lastAppliedSpec", canary)]
            try:
                await self._patch([*same, _failed(canary)], part="status")
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
        await self._take(canary.item, release, engine)

    async def rehearse(self, write: Write) -> str:
        """The way back's writes as a dry run of the API server. Raises RouterError when there is none."""
        canary = await self._read()
        if canary.promoted:
            raise RouterError(restoring(self._config, canary))
        await self._rehearse(canary.item, write, [_failed(canary)])
        return "failed checks in the Canary's status, as a server-side dry run"

    async def examine(self) -> list[Finding]:
        """Cluster, permissions, the Canary, its gates and how soon Flagger rolls back. Never raises."""
        wanted = permissions_for(self._config.namespace)
        findings = await examine_cluster(self._cluster, reading(wanted) if self.foreign else wanted)
        if findings[0].grade == "bad":
            return findings
        try:
            if not self.foreign:
                self._answer_gates()
            canary = await self._read()
            await self._running(canary)
        except RouterError as error:
            return [*findings, Finding("bad", "target", str(error))]
        if self.foreign:
            said = f"{self.target} is {canary.phase or 'not initialized'}; Flagger moves it"
            return [*findings, Finding("ok", "target", said)]
        return [*findings, *findings_of(canary, self._config, self._weights, self._asked_s())]

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that has Flagger roll back at its next look."""
        return manual(self._config, release)

    def rollback_script(self, release: str) -> str:
        """The same, and what Flagger made of it."""
        return script(self._config, release)

    async def close(self) -> None:
        """Close the gates, stop watching and let go of connections."""
        if self._gates is not None and self._keeper is not None:
            await self._gates.leave(self._keeper)
        for side in self._sides or ():
            await side.close()
        await super().close()

    # --- parts

    def _answer_gates(self) -> None:
        """From now on. Raises RouterError when their address can't be had."""
        gates = self._config.gates
        if gates is None:
            return
        from engine.routers.flagger_gates import Gatekeeper, server_on  # a web server that no other router needs

        self._keeper = self._keeper or Gatekeeper(*self._place, gates.token, self._decide)
        self._gates = server_on(gates.listen)
        self._gates.keep(self._keeper)

    def _asked_s(self) -> float | None:
        asked = self._keeper.asked_at if self._keeper else None
        return None if asked is None else time.monotonic() - asked

    async def _read(self) -> Canary:
        item = await self._item()
        self._last = Canary(item, await self._routed(item))
        return self._last

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
        problem = problem_of(canary, self._weights) if self._config.gates else NO_GATES
        if problem:
            raise RouterError(f"{self.target} can't be released stage by stage: {problem}")


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


def _where(canary: Canary) -> str:
    after = f", and {canary.next_weight}% is next" if canary.next_weight else ""
    return f"it is {canary.phase or 'not initialized'} at {canary.step}%{after}"


def _test(name: str, canary: Canary) -> Operation:
    return {"op": "test", "path": f"/status/{name}", "value": canary.status.get(name)}


def _failed(canary: Canary) -> Operation:
    """So many failed checks that Flagger rolls back."""
    return {"op": "add", "path": "/status/failedChecks", "value": canary.threshold}
