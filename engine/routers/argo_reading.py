"""What a Rollout and its ReplicaSets show of a release. Pure: objects of the API in, readings out.

Argo Rollouts turns its two sides over when it has promoted a version: what was its canary is its stable then. A release
means versions, so a weight is the share of one build (a pod template's hash), on whichever side that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from engine.kube.marks import PREFIX, annotations_of
from engine.kube.workloads import owned_by, version_of
from engine.routers.argo_steps import Stop, stop_at, stops_of

Object = Mapping[str, Any]

BUILD_LABEL: Final = "rollouts-pod-template-hash"
CANARY_BUILD: Final = f"{PREFIX}canary-build"
STABLE_BUILD: Final = f"{PREFIX}stable-build"
CONTROLLER: Final = "rollouts-controller"


@dataclass(frozen=True)
class Rollout:
    """One reading of a Rollout with the ReplicaSets that are its own. Properties raise StepsError and KeyError where
    the Rollout is not one that laneshift can order; see `problem_of`."""

    item: Object
    replicasets: Sequence[Object]

    @property
    def status(self) -> Object:
        found: Object = self.item.get("status") or {}
        return found

    @property
    def canary_spec(self) -> Object:
        """`spec.strategy.canary`; empty for another strategy."""
        found: Object = (self.item["spec"].get("strategy") or {}).get("canary") or {}
        return found

    @property
    def routed(self) -> bool:
        """Does it move traffic by weights, and not by the number of pods?"""
        return bool(self.canary_spec.get("trafficRouting"))

    @cached_property
    def stops(self) -> tuple[Stop, ...]:
        return stops_of(self.canary_spec.get("steps") or (), self.total)

    @property
    def total(self) -> int:
        """The weight that is all of the traffic."""
        return int((self.canary_spec.get("trafficRouting") or {}).get("maxTrafficWeight") or 100)

    # --- which build is which

    @property
    def newest(self) -> str:
        """The build of the newest template that Argo has seen."""
        return str(self.status.get("currentPodHash", ""))

    @property
    def trusted(self) -> str:
        """The build that is Argo's stable."""
        return str(self.status.get("stableRS", ""))

    @property
    def canary(self) -> str:
        """The build that is released; empty when there is nothing else than stable."""
        if self.promoted:
            return self.trusted
        return "" if self.newest == self.trusted else self.newest

    @property
    def stable(self) -> str:
        """The build that served when the release started."""
        return annotations_of(self.item).get(STABLE_BUILD, "") if self.promoted else self.trusted

    @property
    def promoted(self) -> bool:
        """Is the build that was marked as the release's canary Argo's stable? A newer one may be under way."""
        return bool(self.trusted) and annotations_of(self.item).get(CANARY_BUILD) == self.trusted

    @property
    def undoing(self) -> bool:
        """Is the template of before the release on its way back, after a promotion?"""
        return self.promoted and self.newest == self.stable

    # --- where Argo is

    @property
    def index(self) -> int:
        return int(self.status.get("currentStepIndex") or 0)

    @property
    def aborted(self) -> bool:
        return bool(self.status.get("abort"))

    @property
    def pause_began(self) -> str:
        """When Argo stopped at a pause of its steps; empty when it is at none."""
        for pause in self.status.get("pauseConditions") or ():
            if pause.get("reason") == "CanaryPauseStep":
                return str(pause.get("startTime", ""))
        return ""

    @property
    def stop(self) -> Stop | None:
        """The stop at which Argo waits; None while it works, and when it has nothing to do."""
        at_pause = self.pause_began and not self.aborted and self.newest != self.trusted
        return stop_at(self.stops, self.index) if at_pause else None

    @property
    def up_to_date(self) -> bool:
        """Has Argo seen the newest spec? (`observedGeneration` is a string there.)"""
        return str(self.status.get("observedGeneration", "")) == str(self.item["metadata"].get("generation", ""))

    @property
    def spoke_at(self) -> str:
        """When Argo's controller last wrote the status; empty when nothing says so."""
        fields = self.item["metadata"].get("managedFields") or ()
        return max((str(each.get("time", "")) for each in fields if each.get("manager") == CONTROLLER), default="")

    # --- pods and traffic

    def replicaset(self, build: str) -> Object | None:
        """The ReplicaSet of a build."""
        return next((each for each in self.replicasets if build and _build(each) == build), None)

    def version(self, build: str) -> str:
        """The version that a build runs, empty when there is no such build."""
        found = self.replicaset(build)
        return version_of(found["spec"]["template"]) if found else ""

    def ready(self, build: str) -> int:
        """Ready pods of a build."""
        found = self.replicaset(build)
        return int((found.get("status") or {}).get("readyReplicas", 0)) if found else 0

    def asked(self, build: str) -> int:
        """Pods that Argo wants of a build."""
        found = self.replicaset(build)
        return int(found["spec"].get("replicas", 0)) if found else 0

    def share(self, build: str) -> float:
        """Percent of the traffic on a build: by Argo's weights, or by ready pods where it has none."""
        if not build:
            return 0.0
        if self.routed:
            weights = (self.status.get("canary") or {}).get("weights") or {}
            sides = [weights.get(name) or {} for name in ("canary", "stable")]
            ours = sum(int(side.get("weight", 0)) for side in sides if side.get("podTemplateHash") == build)
            return 100 * ours / self.total
        everything = sum(self.ready(_build(each)) for each in self.replicasets)
        return round(100 * self.ready(build) / everything, 1) if everything else 0.0

    @property
    def weight(self) -> float:
        """Percent of the traffic on the release's canary. With pods in place of weights: the weight of the stop at
        which Argo waits, for it stops there only when the pods are as that weight asks."""
        if self.routed or self.stop is None or self.canary != self.newest:
            return self.share(self.canary)
        return float(self.stop.weight)


def own_replicasets(item: Object, found: Iterable[Object]) -> list[Object]:
    """Those of `found` that belong to the Rollout."""
    return [each for each in found if owned_by(each, item)]


def template_of(replicaset: Object) -> dict[str, Any]:
    """The pod template of a ReplicaSet as a Rollout has it: without the label that Argo adds."""
    template = dict(replicaset["spec"]["template"])
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {key: value for key, value in (meta.get("labels") or {}).items() if key != BUILD_LABEL}
    return template | {"metadata": meta}


def weights_of(rollout: Rollout) -> tuple[int, ...]:
    """The weights after which Argo stops."""
    return tuple(stop.weight for stop in rollout.stops[1:])


def problem_of(rollout: Rollout) -> str:
    """Why laneshift can't order this Rollout, in words; empty when it can. Raises StepsError for its steps."""
    strategy = rollout.item["spec"].get("strategy") or {}
    if "canary" not in strategy:
        return f"its strategy is {', '.join(strategy) or 'none'}, not canary"
    return "" if rollout.stops else "it has no steps"


def _build(replicaset: Object) -> str:
    return str((replicaset["metadata"].get("labels") or {}).get(BUILD_LABEL, ""))
