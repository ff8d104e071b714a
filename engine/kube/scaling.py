"""The size of a workload: through its scale, or where an autoscaler decides, through that one's minimum.

An autoscaler's minimum is held with what it was in an annotation, and given back unless somebody changed it meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.marks import PREFIX, Operation, annotate, annotations_of, pointer
from engine.kube.resources import SCALERS, Resource

Object = Mapping[str, Any]
MIN_WAS: Final = f"{PREFIX}min-was"


async def scale(cluster: Cluster, kind: Resource, namespace: str, name: str, replicas: int) -> None:
    """Ask for so many replicas. Raises KubeError."""
    body = {"spec": {"replicas": replicas}}
    await cluster.patch(kind, namespace, name, body, how="merge-patch", subresource="scale")


def scaler_of(scalers: Iterable[Object], kind: Resource, name: str) -> Object | None:
    """The autoscaler of a workload among those of its namespace."""
    for scaler in scalers:
        target = scaler["spec"].get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == (kind.kind, name):
            return scaler
    return None


async def hold_minimum(cluster: Cluster, namespace: str, scaler: Object, replicas: int) -> bool:
    """Have the autoscaler keep at least so many; one that keeps more is left alone. Did it need to be written?

    Raises KubeError, with words for an autoscaler whose maximum is lower; KubeConflict when it was changed meanwhile.
    """
    name, spec = str(scaler["metadata"]["name"]), scaler["spec"]
    now, most = int(spec.get("minReplicas", 1)), int(spec["maxReplicas"])
    if replicas > most:
        raise KubeError(f"autoscaler {name} allows {most} replicas and the release needs {replicas}: raise maxReplicas")
    if now >= replicas:
        return False
    was = int(_held(scaler).get("was", now))
    note = json.dumps({"was": was, "held": replicas})
    await cluster.patch(SCALERS, namespace, name, _minimum(scaler, now, replicas, note))
    return True


async def give_back_minimum(cluster: Cluster, namespace: str, scaler: Object) -> str:
    """Undo `hold_minimum`; returns what was done, "" for nothing. Raises KubeError, KubeConflict."""
    held = _held(scaler)
    if MIN_WAS not in annotations_of(scaler):
        return ""
    name, now = str(scaler["metadata"]["name"]), int(scaler["spec"].get("minReplicas", 1))
    forget: list[Operation] = [{"op": "remove", "path": pointer("metadata", "annotations", MIN_WAS)}]
    if now != held.get("held"):
        await cluster.patch(SCALERS, namespace, name, forget)
        return f"autoscaler {name} keeps its minimum of {now}, which somebody set meanwhile"
    was = int(held["was"])
    tested: list[Operation] = [
        {"op": "test", "path": "/spec/minReplicas", "value": now},
        {"op": "replace", "path": "/spec/minReplicas", "value": was},
    ]
    await cluster.patch(SCALERS, namespace, name, [*tested, *forget])
    return f"autoscaler {name} has its minimum of {was} again"


def _minimum(scaler: Object, now: int, replicas: int, note: str) -> list[Operation]:
    return [
        {"op": "test", "path": "/spec/minReplicas", "value": now},
        {"op": "replace", "path": "/spec/minReplicas", "value": replicas},
        *annotate({MIN_WAS: note}, first=not annotations_of(scaler)),
    ]


def _held(scaler: Object) -> dict[str, Any]:
    try:
        held = json.loads(annotations_of(scaler).get(MIN_WAS, "{}"))
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}
