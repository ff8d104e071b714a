"""A Rollout that Argo Rollouts owns: laneshift judges, and tells Argo to go on, to abort or to go back.

It never writes a weight. Argo stops after each weight of its steps (`argo_steps`), and a raise lets it go on from there
to the next stop, if it is still where it was read. The way back is an abort while Argo's stable is the version that
served at the start; after the promotion it is that version's template, put back and promoted at once. What Argo does
with an order is read back, for it takes some without doing anything (argo-rollouts#4461, an abort in a full promotion).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.errors import KubeConflict
from engine.kube.examination import examine_cluster
from engine.kube.permissions import reading
from engine.kube.resources import DEPLOYMENTS, PODS, REPLICASETS, ROLLOUTS
from engine.kube.watched import Watched
from engine.kube.workloads import selector_of
from engine.routers import RouterConflict, RouterError, Write
from engine.routers import argo_orders as orders
from engine.routers.argo_doctor import findings_of, permissions_for
from engine.routers.argo_observation import generation_of, observation_of, pending_of, where
from engine.routers.argo_reading import (
    CANARY_BUILD,
    STABLE_BUILD,
    Rollout,
    own_replicasets,
    problem_of,
    template_of,
    weights_of,
)
from engine.routers.argo_script import manual, script
from engine.routers.argo_steps import StepsError, next_stop, wanted_steps
from engine.routers.argo_watched import watched_of
from engine.routers.owned import OwnedRouter, marks_for
from engine.routers.owner_config import ArgoRolloutsConfig

SEEN_WITHIN_S: Final = 3.0
LOOK_EACH_S: Final = 0.1
PASSING: Final = 3
USUAL: Final = (5, 25, 50, 100)


class ArgoRolloutsRouter(OwnedRouter):
    """Orders to Argo's controller through the Rollout's status; the mark is in the Rollout's annotations.

    `weights` are the plan's, when they are known: a Rollout with other steps is refused before a release begins.
    """

    Config = ArgoRolloutsConfig
    needs_weights = True  # its steps must be the plan's
    kind = ROLLOUTS
    observe_pause_s = 0.2
    notes = (CANARY_BUILD, STABLE_BUILD)

    def __init__(self, config: ArgoRolloutsConfig, weights: tuple[int, ...] = ()) -> None:
        super().__init__(config, config.rollout)
        self._config, self._weights = config, weights
        self._pods: Watched | None = None
        self._last: Rollout | None = None

    # --- reading

    async def observe(self) -> Observation:
        """What Argo has in effect now. Raises RouterError, for a Rollout that can't be ordered stage by stage too."""
        rollout = await (self._read() if self.foreign else self._checked())
        show = watched_of if self.foreign else observation_of
        return show(rollout, await self._pods_of(rollout))

    async def addresses(self) -> dict[str, str]:
        """Those of the plan; for the sides else the Services that the Rollout has, by their names in the cluster."""
        spec = (self._last or await self._read()).canary_spec
        named = {"canary": spec.get("canaryService"), "stable": spec.get("stableService")}
        return self._or_given(
            {side: f"http://{name}.{self._config.namespace}.svc" for side, name in named.items() if name}
        )

    # --- going on

    async def shift(self, write: Write) -> str:
        """Let Argo go on to the stop with this weight, or take everything back. Raises RouterConflict, RouterError."""
        if write.weight:
            return await self._go_on(write)
        rollout = self._last or await self._read()
        return await self._back(self._take_back(rollout), marks_for(write))

    async def finish(self, write: Write) -> str:
        """Let Argo go on past its last stop, which makes the canary its stable. Raises RouterConflict, RouterError."""
        rollout = await self._checked()
        if rollout.promoted:
            return f"Argo Rollouts has promoted {rollout.canary}"
        if rollout.stop is None or rollout.stop is not rollout.stops[-1]:
            raise RouterConflict(f"not at its last stop: {pending_of(rollout) or where(rollout)}")
        await self._promote(rollout, write)
        return "told Argo Rollouts to go on past its last stop"

    async def _go_on(self, write: Write) -> str:
        rollout = await self._checked()
        if write.generation is not None and write.generation != generation_of(rollout):
            raise RouterConflict(f"{self.target} has changed since it was read: {where(rollout)}")
        if rollout.aborted:
            await self._patch(orders.try_again(rollout), part="status")
            raise RouterError("the Rollout was aborted: told Argo Rollouts to try again, from its first stop")
        if rollout.stop is not None and rollout.stop.weight == write.weight:
            await self._patch(orders.mark(rollout, write))
            return f"Argo Rollouts is at {write.weight}% already"
        after = next_stop(rollout.stops, rollout.index) if rollout.stop else None
        if after is None or after.weight != write.weight:
            raise RouterConflict(f"Argo Rollouts can't go on to {write.weight}%: {where(rollout)}")
        await self._promote(rollout, write)
        return f"told Argo Rollouts to go on from step {rollout.index + 1} to {write.weight}%"

    async def _promote(self, rollout: Rollout, write: Write) -> None:
        """The mark first: the order tests it, so that it is void when a way back was marked in between."""
        await self._patch(orders.mark(rollout, write))
        await self._patch(orders.go_on(rollout, write.number), part="status")

    # --- going back

    async def _take_back(self, rollout: Rollout) -> str:
        """From what was read last, so that nothing is read before; what does not hold any more is read anew."""
        for _ in range(PASSING):
            try:
                return await (self._undo(rollout) if rollout.promoted else self._abort(rollout))
            except KubeConflict:
                rollout = await self._read()
        raise RouterError(f"{self.target} changes faster than the way back could be written")

    async def _abort(self, rollout: Rollout) -> str:
        """Ends a full promotion too, in which Argo would ignore it. Without effect where nothing is under way."""
        await self._patch(orders.abort(rollout), part="status")
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
        await self._patch(orders.promote_in_full(rollout), part="status")
        return f"told Argo Rollouts to go back to {rollout.newest}, at once"

    async def _put_back(self, rollout: Rollout, template: dict[str, Any]) -> None:
        reference = rollout.item["spec"].get("workloadRef")
        if reference is None:
            await self._patch(orders.put_back(rollout, template))
            return
        replaced = orders.replace_template(template)
        await self._cluster.patch(DEPLOYMENTS, self._config.namespace, str(reference["name"]), replaced)

    async def _until_seen(self, build: str) -> Rollout:
        """Argo forgets an order to promote that comes before it has seen the template."""
        for _ in range(round(SEEN_WITHIN_S / LOOK_EACH_S)):
            rollout = await self._read()
            if rollout.up_to_date and rollout.newest == build:
                return rollout
            await asyncio.sleep(LOOK_EACH_S)
        raise RouterError(f"the template of {build} is back, and Argo Rollouts has not taken it up: does it run?")

    async def rehearse(self, write: Write) -> str:
        """The way back's write as a dry run of the API server. Raises RouterError when it would not get through."""
        rollout = await self._read()
        if not rollout.promoted:
            await self._rehearse(rollout.item, write, orders.abort(rollout))
            return "an abort of the Rollout, as a server-side dry run"
        if rollout.replicaset(rollout.stable) is None:
            raise RouterError(f"Argo Rollouts has no ReplicaSet of {rollout.stable or 'the old version'} any more")
        await self._rehearse(rollout.item, write, orders.promote_in_full(rollout))
        return "the old template's promotion, as a server-side dry run"

    def manual_rollback(self, release: str) -> str:
        """One kubectl command that aborts."""
        return manual(self._config, release)

    def rollback_script(self, release: str) -> str:
        """An abort, or after the promotion the old template, with kubectl alone; then what Argo made of it."""
        return script(self._config, release)

    # --- a release's hold on it

    async def claim(self, release: str, engine: str) -> None:
        """Mark the Rollout. One that was aborted is tried again, up to its first stop, so that there is a canary."""
        rollout = await self._checked()
        if await self._take(rollout.item, release, engine) and rollout.aborted:
            await self._patch(orders.try_again(await self._read()), part="status")

    async def examine(self) -> list[Finding]:
        """What a release will need of the cluster, of the Rollout and of Argo. Never raises."""
        wanted = permissions_for(self._config.namespace)
        findings = await examine_cluster(self._cluster, reading(wanted) if self.foreign else wanted)
        if findings[0].grade == "bad":
            return findings
        try:
            rollout = await self._read()
        except RouterError as error:
            return [*findings, Finding("bad", "target", str(error))]
        if self.foreign:
            said = f"{self.target} is {str(rollout.status.get('phase', 'new')).lower()}; Argo Rollouts moves it"
            return [*findings, Finding("ok", "target", said)]
        problem = self._problem(rollout)
        if problem:
            return [*findings, Finding("bad", "steps", problem)]
        steps = Finding("ok", "steps", f"Argo Rollouts stops before, and after each of, {_list(rollout)}%")
        return [*findings, steps, *findings_of(rollout)]

    async def close(self) -> None:
        """Let go of connections and watches."""
        if self._pods is not None:
            await self._pods.close()
        await super().close()

    # --- parts

    async def _read(self) -> Rollout:
        item = await self._item()
        found = await self._cluster.list(REPLICASETS, self._config.namespace, {"labelSelector": selector_of(item)})
        self._last = Rollout(item, own_replicasets(item, found["items"]))
        return self._last

    async def _checked(self) -> Rollout:
        """Raises RouterError for a Rollout that would not stop where laneshift needs it to."""
        rollout = await self._read()
        problem = self._problem(rollout)
        if problem:
            raise RouterError(problem)
        return rollout

    def _problem(self, rollout: Rollout) -> str:
        try:
            problem = problem_of(rollout)
        except StepsError as error:
            problem = f"of its steps, {error}"
        if not problem and self._weights and weights_of(rollout) != self._weights:
            problem = f"its weights are {_list(rollout)} and the plan's {', '.join(map(str, self._weights))}"
        if not problem:
            return ""
        mended = wanted_steps(self._weights or USUAL, routed=rollout.routed)
        return f"{self.target} can't be released stage by stage: {problem}. It needs these {mended}"

    async def _pods_of(self, rollout: Rollout) -> list[dict[str, Any]]:
        if self._pods is None:
            self._pods = Watched(self._cluster, PODS, self._config.namespace, selector=selector_of(rollout.item))
        return await self._pods.objects()


def _list(rollout: Rollout) -> str:
    return ", ".join(map(str, weights_of(rollout)))
