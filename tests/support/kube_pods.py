"""Pods that kwok plays (tests/kube/stages.yaml): what they do is said by an annotation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from tests.support.kube_api import KubeApi

Behaviour = Literal["", "never-ready", "image-pull", "crashing", "oom-killed"]
"""Empty is ready at once; a crashing or oom-killed pod restarts each second and is not ready."""

BEHAVIOUR = "kube-tests/pods"
READY_AFTER = "kube-tests/ready-after"
"""How long a pod takes to become ready, as Go writes durations: 3s."""
STAGES = Path(__file__).parent.parent / "kube" / "stages.yaml"
NODE: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}


def is_ready(thing: dict[str, Any]) -> bool:
    """The Ready condition of a node or pod."""
    conditions = thing.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def behave(api: KubeApi, labels: str, behaviour: Behaviour) -> None:
    """What the pods that these labels find do from now on; those made later do as their template says."""
    for pod in api.list_of("Pod", labels):
        annotations = {"metadata": {"annotations": {BEHAVIOUR: behaviour or None}}}
        api.patch("Pod", pod["metadata"]["name"], annotations)


def kill_once(api: KubeApi, labels: str, reason: str = "OOMKilled") -> None:
    """One restart of each such pod's containers, now; they are ready again at once. `reason` may be Error."""
    for pod in api.list_of("Pod", labels):
        code = 137 if reason == "OOMKilled" else 1
        statuses = [_restarted(one, reason, code) for one in pod["status"]["containerStatuses"]]
        status = {"status": {"containerStatuses": statuses}}
        api.patch("Pod", pod["metadata"]["name"], status, subresource="status")


def _restarted(status: dict[str, Any], reason: str, code: int) -> dict[str, Any]:
    ended = {"terminated": {"reason": reason, "exitCode": code}}
    return {**status, "restartCount": status["restartCount"] + 1, "lastState": ended}
