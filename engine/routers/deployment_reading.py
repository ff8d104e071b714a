"""What a Deployment and its ReplicaSets show of a rolling update. Pure: objects of the API in, readings out.

The newest ReplicaSet's pods are the canary. Stable is the oldest one that still has pods, for an update that is
changed on its way leaves pods of a version between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.inputs import Observation
from engine.kube.marks import annotations_of, changed_by
from engine.kube.workloads import HASH_LABEL, Vitals, Workload, deployment, owned_by, version_of

Object = Mapping[str, Any]

REVISION: Final = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class RollingUpdate:
    """One reading. `newest`: the current template's ReplicaSet, None before its controller has made it; `before`: the
    one that is replaced, None where nothing is; `older`: all that have pods beside the newest."""

    item: Object
    workload: Workload
    newest: Object | None
    older: tuple[Object, ...]

    @property
    def before(self) -> Object | None:
        return self.older[0] if self.older else None

    @property
    def under_way(self) -> bool:
        """Are there pods of two templates?"""
        return self.newest is not None and self.before is not None

    @property
    def weight(self) -> float:
        """The newest's share of the pods that are ready; of all, while none is."""
        if self.newest is None or self.before is None:
            return 0.0
        every = (self.newest, *self.older)
        counted = [_ready(each) for each in every]
        if not any(counted):
            counted = [_pods(each) for each in every]
        return round(100 * counted[0] / sum(counted), 6) if sum(counted) else 0.0


def rolling_update(item: Object, replicasets: Iterable[Object]) -> RollingUpdate:
    """A Deployment with the ReplicaSets that may be its own."""
    owned = [each for each in replicasets if owned_by(each, item)]
    workload = deployment(item, owned)
    newest = next((each for each in owned if workload.build and build_of(each) == workload.build), None)
    others = [each for each in owned if each is not newest and _pods(each)]
    return RollingUpdate(item, workload, newest, tuple(sorted(others, key=_revision)))


def observation_of(update: RollingUpdate, vitals: Vitals | None) -> Observation:
    """What is released, and how far it is."""
    canary = update.newest if update.under_way else None
    stable = update.before or update.newest
    manager, at = changed_by(update.item, "spec", "template")
    return Observation(
        weight=update.weight,
        canary=_version(canary),
        stable=_version(stable),
        canary_build=build_of(canary),
        stable_build=build_of(stable),
        canary_workload=_name(canary),
        stable_workload=_name(stable),
        canary_ready=_ready(canary) if canary else None,
        stable_ready=sum(map(_ready, update.older)) if canary else _ready(stable),
        canary_asked=int(canary["spec"].get("replicas", 0)) if canary else None,
        full=update.workload.wanted,
        generation=str(update.item["metadata"].get("resourceVersion", "")),
        hand=f"{manager} at {at}" if manager else "",
        pending=_pending(update),
        vitals=vitals.numbers() if vitals else {},
        remark="; ".join(filter(None, (_remark(update), vitals.waiting if vitals else ""))),
    )


def build_of(replicaset: Object | None) -> str:
    """The hash of its pod template, empty for none."""
    return str((replicaset["metadata"].get("labels") or {}).get(HASH_LABEL, "")) if replicaset else ""


def _pending(update: RollingUpdate) -> str:
    """Why the share that is shown is not where the update is: no pod of the newest template serves yet, or any more."""
    if update.newest is None:
        return "the Deployment's newest template has no ReplicaSet yet: does its controller run?"
    if update.before is not None and not _ready(update.newest):
        return f"no pod of {_version(update.newest) or build_of(update.newest)} is ready"
    return ""


def _remark(update: RollingUpdate) -> str:
    if update.item["spec"].get("paused"):
        return "the Deployment is paused (spec.paused)"
    conditions = (update.item.get("status") or {}).get("conditions") or ()
    late = [each for each in conditions if each.get("type") == "Progressing" and each.get("status") == "False"]
    return str(late[0].get("message", ""))[:300] if late else ""


def _version(replicaset: Object | None) -> str:
    return version_of(replicaset["spec"]["template"]) if replicaset else ""


def _name(replicaset: Object | None) -> str:
    return str(replicaset["metadata"]["name"]) if replicaset else ""


def _ready(replicaset: Object | None) -> int:
    return int((replicaset.get("status") or {}).get("readyReplicas", 0)) if replicaset else 0


def _pods(replicaset: Object) -> int:
    """That it has, or is to have."""
    return max(int((replicaset.get("status") or {}).get("replicas", 0)), int(replicaset["spec"].get("replicas", 0)))


def _revision(replicaset: Object) -> int:
    found = annotations_of(replicaset).get(REVISION, "")
    return int(found) if found.isdigit() else 0
