"""What runs: version, build and size of a Deployment or StatefulSet, and how its pods fare. Pure readings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.kube.resources import DEPLOYMENTS, STATEFULSETS, Resource

Object = Mapping[str, Any]

VERSION_LABELS: Final = ("app.kubernetes.io/version", "version")
HASH_LABEL: Final = "pod-template-hash"
REVISION_LABEL: Final = "controller-revision-hash"
OOM: Final = "OOMKilled"
KINDS: Final[Mapping[str, Resource]] = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFULSETS}


@dataclass(frozen=True, slots=True)
class Workload:
    """One side as it runs. `wanted`, `ready`: replicas of the current template; `all_ready`: of any template.

    `build` is the hash of the current template, empty while its controller has not made it yet; `settled`: nothing of
    an older template is left and the controller has seen the newest.
    """

    name: str
    version: str
    build: str
    wanted: int
    ready: int
    all_ready: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the pods of one build fare. `oom_kills`: containers whose last end was for want of memory; `waiting`: why
    containers do not start and pods find no node, in words."""

    restarts: int
    oom_kills: int
    unready: int
    waiting: str

    def numbers(self) -> dict[str, float]:
        """By the names of an observation's vitals."""
        return {
            "restarts": float(self.restarts),
            "oom_kills": float(self.oom_kills),
            "unready": float(self.unready),
        }


def deployment(item: Object, replicasets: Iterable[Object]) -> Workload:
    """A Deployment with the ReplicaSets that may be its own."""
    template = item["spec"]["template"]
    owned = [each for each in replicasets if owned_by(each, item)]
    current = min((each for each in owned if _same(each, template)), key=_made_at, default=None)
    status = item.get("status", {})
    wanted = int(item["spec"].get("replicas", 1))
    seen = int(status.get("observedGeneration", 0)) >= int(item["metadata"].get("generation", 0))
    return Workload(
        name=str(item["metadata"]["name"]),
        version=version_of(template),
        build=str(current["metadata"].get("labels", {}).get(HASH_LABEL, "")) if current else "",
        wanted=wanted,
        ready=int(current.get("status", {}).get("readyReplicas", 0)) if current else 0,
        all_ready=int(status.get("readyReplicas", 0)),
        settled=seen
        and current is not None
        and int(status.get("updatedReplicas", 0)) == int(status.get("replicas", 0)) == wanted,
    )


def statefulset(item: Object) -> Workload:
    """A StatefulSet; in mid-rollout its own numbers don't tell which replicas that are ready are new."""
    status = item.get("status", {})
    wanted = int(item["spec"].get("replicas", 1))
    ready = int(status.get("readyReplicas", 0))
    updated = int(status.get("updatedReplicas", 0))
    seen = int(status.get("observedGeneration", 0)) >= int(item["metadata"].get("generation", 0))
    rolling = status.get("currentRevision") != status.get("updateRevision")
    return Workload(
        name=str(item["metadata"]["name"]),
        version=version_of(item["spec"]["template"]),
        build=str(status.get("updateRevision", "")) if seen else "",
        wanted=wanted,
        ready=max(0, ready - (wanted - updated)) if rolling else ready,
        all_ready=ready,
        settled=seen and not rolling and int(status.get("replicas", 0)) == wanted,
    )


def version_of(template: Object) -> str:
    """The version label of a pod template, else the tag (or the digest) of its first container's image."""
    labels = template.get("metadata", {}).get("labels") or {}
    for label in VERSION_LABELS:
        if labels.get(label):
            return str(labels[label])
    containers = template.get("spec", {}).get("containers") or [{}]
    image = str(containers[0].get("image", ""))
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or digest


def vitals(workload: Workload, pods: Iterable[Object]) -> Vitals:
    """Of the pods of the workload's current build, those that are going away left out."""
    ours = [pod for pod in pods if is_of(workload, pod) and "deletionTimestamp" not in pod["metadata"]]
    statuses = [each for pod in ours for each in pod.get("status", {}).get("containerStatuses") or ()]
    reasons = Counter([*map(_waits_for, statuses), *map(_unschedulable, ours)])
    del reasons[""]
    return Vitals(
        restarts=sum(int(each.get("restartCount", 0)) for each in statuses),
        oom_kills=sum(_ended_by_oom(each) for each in statuses),
        unready=max(0, workload.wanted - workload.ready),
        waiting=", ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3)),
    )


def is_of(workload: Workload, pod: Object) -> bool:
    """Is the pod of the workload's current build?"""
    labels = pod["metadata"].get("labels") or {}
    return bool(workload.build) and workload.build in (labels.get(HASH_LABEL), labels.get(REVISION_LABEL))


def owned_by(item: Object, owner: Object) -> bool:
    """Is `owner` the controller of `item`?"""
    references = item["metadata"].get("ownerReferences") or ()
    return any(each.get("controller") and each.get("uid") == owner["metadata"].get("uid") for each in references)


def selector_of(item: Object) -> str:
    """The label selector of a workload (matchLabels and matchExpressions) as a list takes it."""
    selector = item["spec"].get("selector") or {}
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    parts += [_expression(each) for each in selector.get("matchExpressions") or ()]
    return ",".join(parts)


def selected(workload: Object, selector: Mapping[str, str]) -> bool:
    """Would a Service with this selector find the workload's pods?"""
    labels = workload["spec"]["template"].get("metadata", {}).get("labels") or {}
    return bool(selector) and selector.items() <= labels.items()


def _expression(each: Object) -> str:
    key, values = each["key"], ",".join(each.get("values") or ())
    match each["operator"]:
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "Exists":
            return str(key)
    return f"!{key}"


def _same(replicaset: Object, template: Object) -> bool:
    """Is it of this template? As the Deployment's controller finds it: all but the hash it adds is equal."""
    theirs = replicaset["spec"]["template"]
    meta = theirs.get("metadata", {})
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    bare = {**theirs, "metadata": {**meta, "labels": labels}}
    return bare == {**template, "metadata": {**template.get("metadata", {}), "labels": _labels(template)}}


def _labels(template: Object) -> Mapping[str, str]:
    return template.get("metadata", {}).get("labels") or {}


def _made_at(item: Object) -> str:
    return str(item["metadata"].get("creationTimestamp", ""))


def _ended_by_oom(status: Object) -> bool:
    ends = [(status.get(state) or {}).get("terminated") or {} for state in ("state", "lastState")]
    return any(end.get("reason") == OOM for end in ends)


def _waits_for(status: Object) -> str:
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason", ""))
    return "" if reason in ("ContainerCreating", "PodInitializing") else reason


def _unschedulable(pod: Object) -> str:
    conditions = pod.get("status", {}).get("conditions") or ()
    stuck = [each for each in conditions if each.get("type") == "PodScheduled" and each.get("status") == "False"]
    return f"no node: {stuck[0].get('message', '')}"[:200] if stuck else ""
