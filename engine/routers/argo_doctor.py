"""What the doctor says of a Rollout. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.finding import Finding
from engine.kube.examination import put_back
from engine.kube.owners import gitops
from engine.kube.permissions import Permission, permissions
from engine.kube.resources import PODS, REPLICASETS, ROLLOUTS
from engine.routers.argo_observation import pending_of
from engine.routers.argo_reading import Rollout

LATE_S: Final = 600


def permissions_for(namespace: str) -> list[Permission]:
    """What laneshift does to a Rollout and around it."""
    return [
        *permissions("get list patch", ROLLOUTS, namespace, "it reads and marks the Rollout"),
        *permissions("patch", ROLLOUTS, namespace, "it tells Argo Rollouts to go on, or to abort", "status"),
        *permissions("list", REPLICASETS, namespace, "it reads what runs"),
        *permissions("list watch", PODS, namespace, "it watches the canary's restarts"),
    ]


def findings_of(rollout: Rollout) -> list[Finding]:
    """Its state, and what of its spec makes a roll back slow or takes the lead from laneshift."""
    return [*_state(rollout), *_speed(rollout), *_lead(rollout), *_git(rollout)]


def _state(rollout: Rollout) -> Iterator[Finding]:
    pending = pending_of(rollout)
    if pending and not rollout.aborted:
        yield Finding("bad", "Argo Rollouts", pending, "kubectl argo rollouts get rollout shows more")
    else:
        yield Finding(
            "ok", "Argo Rollouts", f"has seen the Rollout's newest spec, and last wrote at {rollout.spoke_at}"
        )
    if not rollout.routed:
        yield Finding(
            "warn",
            "traffic",
            "without trafficRouting a weight is a number of pods: no canary runs before the first weight, "
            "the true share is what pods allow, and a roll back waits for stable's pods to start",
            "give the Rollout trafficRouting",
        )


def _speed(rollout: Rollout) -> Iterator[Finding]:
    spec = rollout.canary_spec
    if spec.get("dynamicStableScale"):
        yield Finding(
            "warn",
            "way back",
            "dynamicStableScale shrinks stable as the canary grows: a roll back waits for its pods to start",
            "set dynamicStableScale: false",
        )
    delay = int(spec.get("scaleDownDelaySeconds") or 30)
    if rollout.routed and delay < LATE_S:
        yield Finding(
            "warn",
            "way back",
            f"the old version's pods go {delay} s after the promotion: a roll back later than that waits for new ones",
            "set scaleDownDelaySeconds to the plan's keep_old",
        )
    reference = rollout.item["spec"].get("workloadRef")
    if reference:
        said = f"after the promotion a roll back writes the old template to deployment {reference.get('name')}"
        yield Finding("warn", "way back", said, "let the engine's user patch Deployments in this namespace")
    if rollout.item["spec"].get("revisionHistoryLimit") == 0:
        yield Finding(
            "bad",
            "way back",
            "revisionHistoryLimit: 0 keeps no old ReplicaSet: after the promotion there is no way back",
            "set revisionHistoryLimit to 2 or more",
        )


def _lead(rollout: Rollout) -> Iterator[Finding]:
    if rollout.canary_spec.get("analysis"):
        yield Finding(
            "warn",
            "analysis",
            "a background analysis can abort by itself: that is shown, and taken as a roll back",
            "leave the judging to the plan",
        )
    if rollout.item["spec"].get("rollbackWindow"):
        yield Finding(
            "warn",
            "steps",
            "rollbackWindow lets Argo Rollouts skip all steps for a version that ran before",
            "never start a release of a version within the window, or remove rollbackWindow",
        )


def _git(rollout: Rollout) -> Iterator[Finding]:
    keeper = gitops(rollout.item, ROLLOUTS, [], ["/metadata/annotations"])
    if keeper is not None:
        yield put_back(keeper, "the Rollout")
