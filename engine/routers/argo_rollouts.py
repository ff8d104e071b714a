"""A Rollout that Argo Rollouts owns: laneshift judges, and tells Argo to go on, to abort or to go back.

It never writes a weight. Argo stops after each weight of its steps (`argo_steps`), and a raise lets it go on from there
to the next stop, if it is still where it was read. The way back is an abort while Argo's stable is the version that
served at the start; after the promotion it is that version's template, put back and promoted at once. What Argo does
with an order is read back, for it takes some without doing anything (argo-rollouts#4461, an abort in a full promotion).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeConflict, KubeError
from engine.kube.marks import BY, ENGINE, INTENT, RELEASE, WEIGHT, annotate, annotations_of, marks_of, pointer, unmark
from engine.kube.permissions import granting, missing
from engine.kube.resources import DEPLOYMENTS, PODS, REPLICASETS, ROLLOUTS
from engine.kube.watched import Watched
from engine.kube.workloads import selector_of
from engine.routers import Ending, Router, RouterConflict, RouterError, Write
from engine.routers.argo_doctor import findings_of, permissions_for
from engine.routers.argo_reading import (
    CANARY_BUILD,
    STABLE_BUILD,
    Rollout,
    hand_of,
    own_replicasets,
    pending_of,
    problem_of,
    template_of,
    vitals_of,
)
from engine.routers.argo_script import manual, script
from engine.routers.argo_steps import StepsError, next_stop, wanted_steps
from engine.routers.owner_config import ArgoRolloutsConfig

OWNER: Final = "laneshift"
SEEN_WITHIN_S: Final = 3.0
LOOK_EACH_S: Final = 0.1
PASSING: Final = 3

Operations = list[dict[str, Any]]


class ArgoRolloutsRouter(Router):
    """Orders to Argo's controller through the Rollout's status; the mark is in the Rollout's annotations.

    `weights` are the plan's, when they are known: a Rollout with other steps is refused before a release begins.
    """

    Config = ArgoRolloutsConfig

    def __init__(self, config: ArgoRolloutsConfig, weights: tuple[int, ...] = ()) -> None:
        self._config, self._weights = config, weights
        self._cluster = Cluster(config.kubeconfig, config.context)
        self._pods: Watched | None = None
        self._last: Rollout | None = None
        self.target = f"rollout {config.namespace}/{config.rollout}" + (
            f" of {config.context}" if config.context else ""
        )

    # --- reading

    async def observe(self) -> Observation:
        """What Argo has in effect now. Raises RouterError, for a Rollout that can't be ordered stage by stage too."""
        rollout = await self._read()
        self._check(rollout)
        seen, fare = _observation(rollout), vitals_of(rollout, await self._pods_of(rollout))
        if fare is None:
            return seen
        why = f"{seen.pending} ({fare.waiting})" if seen.pending and fare.waiting else seen.pending
        return replace(seen, vitals=fare.numbers(), pending=why)

    async def addresses(self) -> dict[str, str]:
        """The Services of both sides by their names in the cluster, where the Rollout has them."""
        spec = (self._last or await self._read()).canary_spec
        named = {"canary": spec.get("canaryService"), "stable": spec.get("stableService")}
        return {side: f"http://{name}.{self._config.namespace}.svc" for side, name in named.items() if name}

    # --- writing

    async def shift(self, write: Write) -> str:
        """Let Argo go on to the stop with this weight, or take everything back. Raises RouterConflict, RouterError."""
        return await (self._go_on(write) if write.weight else self._go_back(write))

    async def finish(self, write: Write) -> str:
        """Let Argo go on past its last stop, which makes the canary its stable. Raises RouterConflict, RouterError."""
        rollout = await self._read()
        self._check(rollout)
        if rollout.promoted:
            return f"Argo Rollouts has promoted {rollout.canary}"
        if rollout.stop is None or rollout.stop is not rollout.stops[-1]:
            raise RouterConflict(f"not at its last stop: {pending_of(rollout) or 'Argo Rollouts waits at another'}")
        await self._promote(rollout, write)
        return "told Argo Rollouts to go on past its last stop"

    async def _go_on(self, write: Write) -> str:
        rollout = await self._read()
        self._check(rollout)
        if write.generation is not None and write.generation != _generation(rollout):
            raise RouterConflict(f"{self.target} has changed since it was read: {_where(rollout)}")
        if rollout.aborted:
            await self._patch_status([_same_newest(rollout), _set("abort", value=False)])
            raise RouterError("the Rollout was aborted: told Argo Rollouts to try again, from its first stop")
        if rollout.stop is not None and rollout.stop.weight == write.weight:
            await self._mark(rollout, write)
            return f"Argo Rollouts is at {write.weight}% already"
        after = next_stop(rollout.stops, rollout.index) if rollout.stop else None
        if after is None or after.weight != write.weight:
            raise RouterConflict(f"Argo Rollouts can't go on to {write.weight}%: {_where(rollout)}")
        await self._promote(rollout, write)
        return f"told Argo Rollouts to go on from step {rollout.index + 1} to {write.weight}%"

    async def _promote(self, rollout: Rollout, write: Write) -> None:
        """The mark first: the order tests it, so that it is void when a way back was marked in between."""
        await self._mark(rollout, write)
        marked = _test("metadata", "annotations", INTENT, value=write.number)
        await self._patch_status([marked, *_same_stop(rollout), {"op": "remove", "path": "/status/pauseConditions"}])

    async def _mark(self, rollout: Rollout, write: Write) -> None:
        builds = {CANARY_BUILD: rollout.canary, STABLE_BUILD: rollout.stable}
        before = annotations_of(rollout.item)
        marked = [_test("metadata", "annotations", INTENT, value=before[INTENT])] if INTENT in before else []
        as_read = [*marked, *_same_stop(rollout)] if before else [_same_version(rollout)]
        await self._patch([*as_read, *annotate(_marks(write) | builds, first=not before)])

    async def _go_back(self, write: Write) -> str:
        """From what was read last, so that nothing is read before; what does not hold any more is read anew."""
        rollout = self._last or await self._read()
        marked = self._cluster.patch(
            ROLLOUTS, *self._name, {"metadata": {"annotations": _marks(write)}}, how="merge-patch"
        )
        said, failed = await asyncio.gather(self._back(rollout), marked, return_exceptions=True)
        for each in (said, failed):
            if isinstance(each, BaseException):
                raise each
        return str(said)

    async def _back(self, rollout: Rollout) -> str:
        for _ in range(PASSING):
            try:
                return await (self._undo(rollout) if rollout.promoted else self._abort(rollout))
            except KubeConflict:
                rollout = await self._read()
        raise RouterError(f"{self.target} changes faster than the way back could be written")

    async def _abort(self, rollout: Rollout) -> str:
        """Ends a full promotion too, in which Argo would ignore it. Without effect where nothing is under way."""
        await self._patch_status([_same_trusted(rollout), _set("promoteFull", value=False), _set("abort", value=True)])
        return "told Argo Rollouts to abort"

    async def _undo(self, rollout: Rollout) -> str:
        """After the promotion: the template of before the release again, promoted without its steps."""
        old = rollout.replicaset(rollout.stable)
        if old is None:
            gone = rollout.stable or "that served before the release"
            raise RouterError(f"Argo Rollouts has no ReplicaSet of {gone} any more: deploy that version again")
        if not rollout.undoing:
            await self._put_back(rollout, template_of(old))
            rollout = await self._until_seen(rollout.stable)
        await self._patch_status([_same_newest(rollout), _same_trusted(rollout), _set("promoteFull", value=True)])
        return f"told Argo Rollouts to go back to {rollout.newest}, at once"

    async def _put_back(self, rollout: Rollout, template: Mapping[str, Any]) -> None:
        reference = rollout.item["spec"].get("workloadRef")
        replaced = {"op": "replace", "path": "/spec/template", "value": template}
        if reference:
            await self._cluster.patch(DEPLOYMENTS, self._config.namespace, str(reference["name"]), [replaced])
        else:
            await self._patch([_same_trusted(rollout), replaced])

    async def _until_seen(self, build: str) -> Rollout:
        """Argo forgets an order to promote that comes before it has seen the template."""
        for _ in range(round(SEEN_WITHIN_S / LOOK_EACH_S)):
            rollout = await self._read()
            if rollout.up_to_date and rollout.newest == build:
                return rollout
            await asyncio.sleep(LOOK_EACH_S)
        raise RouterError(f"the template of {build} is back, and Argo Rollouts has not taken it up: does it run?")

    # --- a release's hold on it

    async def claim(self, release: str, engine: str) -> None:
        """Mark the Rollout. One that was aborted is tried again, up to its first stop, so that there is a canary."""
        rollout = await self._read()
        self._check(rollout)
        marks = marks_of(rollout.item)
        if marks.release and marks.engine not in ("", engine):
            raise RouterConflict(
                f"{self.target} is in the hands of release {marks.release} of engine {marks.engine}: end it there, or "
                f"take its marks off: kubectl -n {self._config.namespace} annotate rollout {self._config.rollout} "
                f"{RELEASE}- {ENGINE}- {INTENT}-"
            )
        if marks.release == release and marks.engine == engine:
            return
        mine = annotate({RELEASE: release, ENGINE: engine}, first=not annotations_of(rollout.item))
        await self._patch([_same_version(rollout), *unmark(rollout.item, CANARY_BUILD, STABLE_BUILD), *mine])
        if rollout.aborted:
            await self._patch_status([_same_newest(rollout), _set("abort", value=False)])

    async def let_go(self, ending: Ending) -> str:
        """Take the marks off. The sizes are Argo's affair."""
        rollout = await self._read()
        if marks_of(rollout.item).release != ending.release:
            return ""
        await self._patch(unmark(rollout.item, CANARY_BUILD, STABLE_BUILD))
        return f"took laneshift's marks off {self.target}"

    async def rehearse(self, write: Write) -> str:
        """The way back's write as a dry run of the API server. Raises RouterError when it would not get through."""
        rollout = await self._read()
        if rollout.promoted and rollout.replicaset(rollout.stable) is None:
            raise RouterError(f"Argo Rollouts has no ReplicaSet of {rollout.stable or 'the old version'} any more")
        order = _set("promoteFull", value=True) if rollout.promoted else _set("abort", value=True)
        await self._patch(annotate(_marks(write), first=not annotations_of(rollout.item)), dry_run=True)
        await self._patch_status([_same_trusted(rollout), order], dry_run=True)
        return "an abort of the Rollout" if not rollout.promoted else "the old template, promoted in full"

    async def examine(self) -> list[Finding]:
        """What a release will need of the cluster, of the Rollout and of Argo, tried without changing anything."""
        try:
            rollout = await self._read()
            wanted = permissions_for(rollout, self._config.namespace)
            lacking = await missing(self._cluster, wanted)
            mend = await granting(self._cluster, wanted) if lacking else ""
        except RouterError as error:
            return [Finding("bad", "target", str(error))]
        may = Finding("ok", "permissions", "read the Rollout, its ReplicaSets and pods; order Argo Rollouts")
        if lacking:
            may = Finding("bad", "permissions", f"may not {', '.join(map(str, lacking))}", mend)
        return [may, *self._steps_finding(rollout), *findings_of(rollout)]

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that aborts."""
        return manual(self._config, release)

    def rollback_script(self, release: str) -> str:
        """An abort, or after the promotion the old template, with kubectl alone; then what Argo made of it."""
        return script(self._config, release)

    async def close(self) -> None:
        """Let go of connections and watches."""
        if self._pods is not None:
            await self._pods.close()
        await self._cluster.close()

    # --- parts

    @property
    def _name(self) -> tuple[str, str]:
        return self._config.namespace, self._config.rollout

    async def _read(self) -> Rollout:
        try:
            item = await self._cluster.get(ROLLOUTS, *self._name)
        except KubeError as error:
            raise await self._told(error) from None
        found = await self._cluster.list(REPLICASETS, self._config.namespace, {"labelSelector": selector_of(item)})
        self._last = Rollout(item, own_replicasets(item, found["items"]))
        return self._last

    async def _told(self, error: KubeError) -> KubeError:
        """For a Rollout that is not there, with those that are."""
        if error.status != 404:
            return error
        there = await self._cluster.list(ROLLOUTS, self._config.namespace)
        names = ", ".join(each["metadata"]["name"] for each in there["items"]) or "none"
        return KubeError(f"there is no {self.target}; there is {names}", error.status)

    async def _pods_of(self, rollout: Rollout) -> list[dict[str, Any]]:
        if self._pods is None:
            self._pods = Watched(self._cluster, PODS, self._config.namespace, selector=selector_of(rollout.item))
        return await self._pods.objects()

    def _check(self, rollout: Rollout) -> None:
        """Raises RouterError for a Rollout that would not stop where laneshift needs it to."""
        try:
            problem = problem_of(rollout)
        except StepsError as error:
            problem = f"of its steps, {error}"
        if not problem and self._weights and [stop.weight for stop in rollout.stops[1:]] != [*self._weights]:
            problem = f"its weights are {_listed(rollout)} and the plan's {', '.join(map(str, self._weights))}"
        if problem:
            mended = wanted_steps(self._weights or (5, 25, 50, 100), routed=rollout.routed)
            raise RouterError(f"{self.target} can't be released stage by stage: {problem}. It needs these {mended}")

    def _steps_finding(self, rollout: Rollout) -> list[Finding]:
        try:
            self._check(rollout)
        except RouterError as error:
            return [Finding("bad", "steps", str(error))]
        said = f"{self.target} stops before the first weight and after each of {_listed(rollout)}"
        return [Finding("ok", "steps", said)]

    async def _patch(self, operations: Operations, *, dry_run: bool = False) -> None:
        await self._cluster.patch(ROLLOUTS, *self._name, operations, dry_run=dry_run)

    async def _patch_status(self, operations: Operations, *, dry_run: bool = False) -> None:
        await self._cluster.patch(ROLLOUTS, *self._name, operations, subresource="status", dry_run=dry_run)


def _observation(rollout: Rollout) -> Observation:
    marks, canary, stable = marks_of(rollout.item), rollout.canary, rollout.stable
    asked = rollout.asked(canary)
    return Observation(
        weight=rollout.weight,
        share=None if rollout.routed else rollout.share(canary),
        canary=rollout.version(canary),
        stable=rollout.version(stable),
        canary_build=canary,
        stable_build=stable,
        canary_workload=_workload(rollout, canary),
        stable_workload=_workload(rollout, stable),
        canary_ready=rollout.ready(canary) if asked else None,
        stable_ready=rollout.ready(stable),
        canary_asked=asked,
        generation=_generation(rollout),
        mark=marks.intent,
        by=marks.by,
        marked_release=marks.release,
        engine=marks.engine,
        hand=hand_of(rollout, marks.weight),
        pending=pending_of(rollout),
        finished=rollout.finished,
        remark=_remark(rollout, asked),
    )


def _remark(rollout: Rollout, asked: int) -> str:
    if rollout.promoted and rollout.newest not in (rollout.canary, rollout.stable):
        return f"Argo Rollouts has promoted it, and has begun with {rollout.version(rollout.newest)}"
    if rollout.promoted:
        return "Argo Rollouts has promoted it: a roll back puts the old template back and promotes that"
    if rollout.canary and not asked:
        return "Argo Rollouts has no pods of the canary now: it makes them when it is told to go on"
    return ""


def _workload(rollout: Rollout, build: str) -> str:
    found = rollout.replicaset(build)
    return str(found["metadata"]["name"]) if found else ""


def _generation(rollout: Rollout) -> str:
    """Changes with the spec, with every order to Argo, with every mark, and when Argo goes on."""
    parts = (rollout.item["metadata"].get("generation", 0), rollout.newest, rollout.trusted, rollout.index)
    paused = rollout.pause_began or ("aborted" if rollout.aborted else "")
    return "/".join(map(str, (*parts, paused, marks_of(rollout.item).intent)))


def _marks(write: Write) -> dict[str, str]:
    return {RELEASE: write.release, ENGINE: write.engine, INTENT: write.number, WEIGHT: str(write.weight), BY: OWNER}


def _where(rollout: Rollout) -> str:
    if rollout.stop is None:
        return pending_of(rollout) or "nothing new is under way"
    after = next_stop(rollout.stops, rollout.index)
    return f"it waits at {rollout.stop.weight}%" + (f", and {after.weight}% is next" if after else "")


def _listed(rollout: Rollout) -> str:
    return ", ".join(str(stop.weight) for stop in rollout.stops[1:])


def _test(*path: str | int, value: object) -> dict[str, Any]:
    return {"op": "test", "path": pointer(*path), "value": value}


def _set(name: str, *, value: bool) -> dict[str, Any]:
    return {"op": "add", "path": f"/status/{name}", "value": value}


def _same_newest(rollout: Rollout) -> dict[str, Any]:
    return _test("status", "currentPodHash", value=rollout.newest)


def _same_trusted(rollout: Rollout) -> dict[str, Any]:
    return _test("status", "stableRS", value=rollout.trusted)


def _same_version(rollout: Rollout) -> dict[str, Any]:
    return _test("metadata", "resourceVersion", value=rollout.item["metadata"]["resourceVersion"])


def _same_stop(rollout: Rollout) -> Operations:
    """Argo still waits in the very pause that was read."""
    paused = _test("status", "pauseConditions", 0, "startTime", value=rollout.pause_began)
    return [_same_newest(rollout), _test("status", "currentStepIndex", value=rollout.index), paused]
