"""What is observed of a Rollout: the weight of the release's canary, why Argo is not there yet, who moved it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from engine.inputs import Observation
from engine.kube.cluster import MANAGER
from engine.kube.marks import marks_of
from engine.kube.workloads import HASH_LABEL, Vitals, Workload, vitals
from engine.routers.argo_reading import BUILD_LABEL, CONTROLLER, Object, Rollout
from engine.routers.argo_steps import next_stop


def observation_of(rollout: Rollout, pods: Iterable[Object]) -> Observation:
    """What Argo shows of the release. Raises StepsError for steps that `problem_of` would refuse."""
    marks, canary, stable = marks_of(rollout.item), rollout.canary, rollout.stable
    asked, fare, pending = rollout.asked(canary), _vitals(rollout, pods), pending_of(rollout)
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
        generation=generation_of(rollout),
        mark=marks.intent,
        by=marks.by,
        marked_release=marks.release,
        engine=marks.engine,
        hand=hand_of(rollout, marks.weight),
        pending=f"{pending} ({fare.waiting})" if pending and fare and fare.waiting else pending,
        finished=_finished(rollout, pending),
        full=_full(rollout),
        vitals=fare.numbers() if fare else {},
        remark=_remark(rollout, asked),
    )


def _vitals(rollout: Rollout, pods: Iterable[Object]) -> Vitals | None:
    """How the canary's pods fare; None while Argo wants none."""
    build = rollout.canary
    wanted, ready = rollout.asked(build), rollout.ready(build)
    if not wanted:
        return None
    canary = Workload(build, rollout.version(build), build, wanted, ready, ready, settled=True)
    return vitals(canary, [_as_of_a_deployment(pod) for pod in pods])


def pending_of(rollout: Rollout) -> str:
    """Why Argo is not where it will be, in words; empty when it waits for an order or has nothing to do."""
    status = rollout.status
    if not rollout.up_to_date:
        seen = status.get("observedGeneration") or "nothing"
        return f"Argo Rollouts has not seen the Rollout's last change (it saw generation {seen}{_heard(rollout)})"
    broken = _condition(rollout, "InvalidSpec", "True")
    if broken:
        return f"Argo Rollouts refuses the Rollout: {broken}"
    if rollout.newest == rollout.trusted:
        return _settling(rollout)
    if rollout.undoing:
        return f"Argo Rollouts is going back to {rollout.newest}{_said(rollout)}"
    if rollout.aborted:
        return _aborting(rollout)
    if rollout.item["spec"].get("paused"):
        return "the Rollout is paused by hand (spec.paused): kubectl argo rollouts promote, or set it to false"
    if rollout.stop is None:
        return _working(rollout)
    if rollout.share(rollout.newest) != rollout.stop.weight and rollout.routed:
        return f"Argo Rollouts stopped at {rollout.stop.weight}% and shows {rollout.share(rollout.newest):g}%"
    if ((status.get("canary") or {}).get("weights") or {}).get("verified") is False:
        return f"the load balancer does not have {rollout.stop.weight}% yet, as Argo Rollouts reads it"
    return ""


def hand_of(rollout: Rollout, written: str) -> str:
    """Who moved the traffic, when it is not at the weight `written` last. An order to go on leaves no name there."""
    if not written or float(written) == rollout.weight:
        return ""
    fields = rollout.item["metadata"].get("managedFields") or ()
    ours = max((str(each.get("time", "")) for each in fields if each.get("manager") == MANAGER), default="")
    names = [
        (str(each.get("time", "")), str(each.get("manager", "")))
        for each in fields
        if each.get("subresource") == "status" and each.get("manager") not in (CONTROLLER, MANAGER)
    ]
    if names and max(names)[0] >= ours:
        return max(names)[1]
    if rollout.aborted:
        return f"Argo Rollouts itself{_said(rollout)}"
    return "somebody who told Argo Rollouts to go on (it keeps no name)"


def _finished(rollout: Rollout, pending: str) -> bool:
    """Has Argo nothing left to do for a release that it has promoted?"""
    return rollout.promoted and not rollout.undoing and not (rollout.newest == rollout.trusted and pending)


def _full(rollout: Rollout) -> int | None:
    """Where Argo keeps stable whole beside a canary that runs; else Argo sees to the sizes, as it goes on."""
    whole = rollout.routed and not rollout.canary_spec.get("dynamicStableScale")
    return int(rollout.item["spec"].get("replicas", 1)) if whole and rollout.asked(rollout.canary) else None


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


def generation_of(rollout: Rollout) -> str:
    """Changes with the spec, with every order to Argo, with every mark, and when Argo goes on."""
    parts = (rollout.item["metadata"].get("generation", 0), rollout.newest, rollout.trusted, rollout.index)
    paused = rollout.pause_began or ("aborted" if rollout.aborted else "")
    return "/".join(map(str, (*parts, paused, marks_of(rollout.item).intent)))


def where(rollout: Rollout) -> str:
    """Where Argo is, in words."""
    if rollout.stop is None:
        return pending_of(rollout) or "nothing new is under way"
    after = next_stop(rollout.stops, rollout.index)
    return f"it waits at {rollout.stop.weight}%" + (f", and {after.weight}% is next" if after else "")


def _settling(rollout: Rollout) -> str:
    """One build only is wanted: is it alone, and whole?"""
    if rollout.aborted:
        return "Argo Rollouts was told to abort and has not answered"
    if rollout.share(rollout.trusted) == 100:
        return ""
    return f"the pods of other builds than {rollout.trusted} still serve{_said(rollout)}"


def _aborting(rollout: Rollout) -> str:
    if rollout.share(rollout.newest) == 0 and not rollout.pause_began and rollout.status.get("abortedAt"):
        return ""
    return f"Argo Rollouts was told to abort and has not done it{_said(rollout)}{_heard(rollout, ' (', ')')}"


def _working(rollout: Rollout) -> str:
    steps = rollout.canary_spec.get("steps") or ()
    late = _condition(rollout, "Progressing", "False")
    where = f"step {min(rollout.index + 1, len(steps))} of {len(steps)}"
    if late:
        return f"Argo Rollouts is stuck at {where}: {late}"
    if rollout.status.get("controllerPause") and not rollout.pause_began:
        return f"Argo Rollouts was told to go on from {where} and has not done it{_heard(rollout, ' (', ')')}"
    return f"Argo Rollouts is at {where}{_said(rollout)}"


def _heard(rollout: Rollout, before: str = ", ", after: str = "") -> str:
    spoke = rollout.spoke_at
    return f"{before}its controller last wrote at {spoke}: does it run?{after}" if spoke else ""


def _said(rollout: Rollout) -> str:
    said = str(rollout.status.get("message", ""))
    return f": {said[:300]}" if said else ""


def _condition(rollout: Rollout, kind: str, status: str) -> str:
    """The message of a condition that has this status."""
    found = [each for each in rollout.status.get("conditions") or () if each.get("type") == kind]
    return next((str(each.get("message", kind)) for each in found if each.get("status") == status), "")


def _as_of_a_deployment(pod: Object) -> Object:
    """The same pod with its build under the label that a Deployment's pods have."""
    labels = pod["metadata"].get("labels") or {}
    return {**pod, "metadata": {**pod["metadata"], "labels": {**labels, HASH_LABEL: labels.get(BUILD_LABEL, "")}}}
