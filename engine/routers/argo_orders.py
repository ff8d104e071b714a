"""What laneshift writes on a Rollout: JSON Patches that hold only for what was read. Pure.

A patch of the status tests annotations too, so that an order to go on is void once a way back has left its mark.
"""

from __future__ import annotations

from typing import Any

from engine.kube.marks import INTENT, Operation, annotate, annotations_of, as_read, pointer
from engine.routers import Write
from engine.routers.argo_reading import CANARY_BUILD, STABLE_BUILD, Rollout
from engine.routers.owned import marks_for


def mark(rollout: Rollout, write: Write) -> list[Operation]:
    """Mark a raise, with the builds that the release is about, where Argo still waits."""
    values = {**marks_for(write), CANARY_BUILD: rollout.canary, STABLE_BUILD: rollout.stable}
    first = not annotations_of(rollout.item)
    return [*as_read(rollout.item, INTENT), *_same_stop(rollout), *annotate(values, first=first)]


def go_on(rollout: Rollout, number: str) -> list[Operation]:
    """On the status: leave the pause that was read, if this number is still the last one written."""
    marked = {"op": "test", "path": pointer("metadata", "annotations", INTENT), "value": number}
    return [marked, *_same_stop(rollout), {"op": "remove", "path": "/status/pauseConditions"}]


def try_again(rollout: Rollout) -> list[Operation]:
    """On the status: an abort is over. Not for one that a way back has ordered since it was read."""
    return [*as_read(rollout.item, INTENT), _same(rollout, "currentPodHash"), _set("abort", value=False)]


def abort(rollout: Rollout) -> list[Operation]:
    """On the status: everything back to Argo's stable, while that is the one that was read."""
    return [_same(rollout, "stableRS"), _set("promoteFull", value=False), _set("abort", value=True)]


def put_back(rollout: Rollout, template: dict[str, Any]) -> list[Operation]:
    """This template again, while Argo's stable is the one that was read."""
    return [_same(rollout, "stableRS"), *replace_template(template)]


def replace_template(template: dict[str, Any]) -> list[Operation]:
    """Another pod template."""
    return [{"op": "replace", "path": "/spec/template", "value": template}]


def promote_in_full(rollout: Rollout) -> list[Operation]:
    """On the status: the newest template takes everything at once, without its steps."""
    return [_same(rollout, "currentPodHash"), _same(rollout, "stableRS"), _set("promoteFull", value=True)]


def _set(name: str, *, value: bool) -> Operation:
    return {"op": "add", "path": f"/status/{name}", "value": value}


def _same(rollout: Rollout, name: str) -> Operation:
    return {"op": "test", "path": f"/status/{name}", "value": rollout.status.get(name)}


def _same_stop(rollout: Rollout) -> list[Operation]:
    """Argo still waits in the very pause that was read."""
    path, began = "/status/pauseConditions/0/startTime", rollout.pause_began
    same = [_same(rollout, "currentPodHash"), _same(rollout, "currentStepIndex")]
    return [*same, {"op": "test", "path": path, "value": began}]
