"""`finish: copy` and its way back: one workload gets another's pod template, and keeps its own in an annotation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from engine.kube.cluster import Cluster
from engine.kube.marks import PREFIX, Operation, annotate, annotations_of, pointer, same_spec
from engine.kube.resources import Resource
from engine.kube.workloads import VERSION_LABELS

Object = Mapping[str, Any]

TEMPLATE_WAS: Final = f"{PREFIX}template-was"
RESTORED: Final = f"{PREFIX}template-restored"


def copied(item: Object) -> bool:
    """Does it run another's template?"""
    return TEMPLATE_WAS in annotations_of(item)


def restored(item: Object) -> bool:
    """Was its own template put back, and not yet let go?"""
    return RESTORED in annotations_of(item)


async def copy_template(cluster: Cluster, kind: Resource, namespace: str, source: Object, target: Object) -> None:
    """Give `target` the pod template of `source`; the labels by which its own selector and Services find its pods stay.

    Compare-and-set on the target as it was read. Raises KubeError, KubeConflict.
    """
    was = json.dumps(target["spec"]["template"], separators=(",", ":"))
    operations: list[Operation] = [
        same_spec(target),
        {"op": "replace", "path": "/spec/template", "value": _dressed(source, target)},
        *annotate({TEMPLATE_WAS: was}, first=not annotations_of(target)),
    ]
    await cluster.patch(kind, namespace, str(target["metadata"]["name"]), operations)


async def restore_template(cluster: Cluster, kind: Resource, namespace: str, target: Object, release: str) -> None:
    """Put its own template back. Raises KubeError, KubeConflict when it is not the copy that was read."""
    was = annotations_of(target)[TEMPLATE_WAS]
    where = pointer("metadata", "annotations", TEMPLATE_WAS)
    operations: list[Operation] = [
        {"op": "test", "path": where, "value": was},
        {"op": "replace", "path": "/spec/template", "value": json.loads(was)},
        {"op": "remove", "path": where},
        *annotate({RESTORED: release}, first=False),
    ]
    await cluster.patch(kind, namespace, str(target["metadata"]["name"]), operations)


async def forget_template(cluster: Cluster, kind: Resource, namespace: str, target: Object) -> None:
    """The release is over: what runs now is its own. Raises KubeError."""
    there = [name for name in (TEMPLATE_WAS, RESTORED) if name in annotations_of(target)]
    if there:
        operations = [{"op": "remove", "path": pointer("metadata", "annotations", name)} for name in there]
        await cluster.patch(kind, namespace, str(target["metadata"]["name"]), operations)


def _dressed(source: Object, target: Object) -> dict[str, Any]:
    """The source's template with the labels by which the target's pods are found.

    Labels that name a version are the source's; every other label that the target has keeps the target's value.
    """
    template: dict[str, Any] = json.loads(json.dumps(source["spec"]["template"]))
    theirs = template.setdefault("metadata", {}).get("labels") or {}
    own = target["spec"]["template"].get("metadata", {}).get("labels") or {}
    finding = {label: value for label, value in own.items() if label not in VERSION_LABELS}
    template["metadata"]["labels"] = {**theirs, **finding, **(target["spec"]["selector"].get("matchLabels") or {})}
    return template
