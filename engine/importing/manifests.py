"""Objects of Kubernetes as files for git: copies of what is there, without what a cluster adds. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from engine.importing.draft import Object

_CLUSTERS_OWN = ("kubectl.kubernetes.io/", "deployment.kubernetes.io/", "laneshift.dev/")
_ADDRESSES = (
    *("clusterIP", "clusterIPs", "externalIPs", "healthCheckNodePort", "ipFamilies", "ipFamilyPolicy"),
    *("internalTrafficPolicy", "loadBalancerIP", "externalTrafficPolicy", "sessionAffinity", "type"),
)
_USUAL: Mapping[str, Any] = {
    "revisionHistoryLimit": 10,
    "progressDeadlineSeconds": 600,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
}
_USUAL_OF_PODS: Mapping[str, Any] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_USUAL_OF_CONTAINERS: Mapping[str, Any] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def as_yaml(item: Object, why: str) -> str:
    """A file with one object, and a line of comment on what it is."""
    text: str = yaml.safe_dump(_plain(item), sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by laneshift init: {why}. Read it, then commit and apply it as you do the others.\n{text}"


def canary_service(stable: Object, workload: Object, name: str) -> dict[str, Any]:
    """Stable's Service for the canary's pods."""
    made = _for_git(stable, name)
    for field in _ADDRESSES:
        made["spec"].pop(field, None)
    for port in made["spec"].get("ports") or ():
        port.pop("nodePort", None)
    made["spec"]["selector"] |= _told_apart(stable, workload)
    return made


def canary_deployment(stable: Object, workload: Object, name: str) -> dict[str, Any]:
    """A copy of stable's Deployment whose pods are none of stable's Service."""
    made = _for_git(workload, name)
    labels = _told_apart(stable, workload)
    made["metadata"].setdefault("labels", {}).update(labels)
    made["spec"]["selector"].setdefault("matchLabels", {}).update(labels)
    made["spec"]["template"]["metadata"].setdefault("labels", {}).update(labels)
    made["spec"]["template"]["metadata"].pop("creationTimestamp", None)
    made["spec"]["replicas"] = 1
    _as_written(made["spec"])
    return made


def with_both(route: Object, rule: Object, canary: str) -> dict[str, Any]:
    """The route with the canary's Service added to a rule of one backend."""
    made = _for_git(route, route["metadata"]["name"])
    place = list(route["spec"]["rules"]).index(rule)
    stable = made["spec"]["rules"][place]["backendRefs"][0]
    made["spec"]["rules"][place]["backendRefs"] = [{**stable, "weight": 100}, {**stable, "name": canary, "weight": 0}]
    return made


def of_both(stable: Object, canary: str, gateways: Sequence[str]) -> dict[str, Any]:
    """A route over a Service and its canary's, on these Gateways."""
    name, port = stable["metadata"]["name"], stable["spec"]["ports"][0]["port"]
    backends = [{"name": side, "port": port, "weight": weight} for side, weight in ((name, 100), (canary, 0))]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, **_namespace(stable)},
        "spec": {
            "parentRefs": [{"name": gateway} for gateway in gateways or ["FILL-IN-YOUR-GATEWAY"]],
            "rules": [{"name": "main", "backendRefs": backends}],
        },
    }


def _for_git(item: Object, name: str) -> dict[str, Any]:
    """Its spec under this name; of its metadata only what people write."""
    meta = item["metadata"]
    notes = {key: value for key, value in (meta.get("annotations") or {}).items() if not key.startswith(_CLUSTERS_OWN)}
    kept = {"labels": dict(meta.get("labels") or {}), "annotations": notes}
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "metadata": {"name": name, **_namespace(item), **{key: value for key, value in kept.items() if value}},
        "spec": copy.deepcopy(dict(item["spec"])),
    }


def _as_written(spec: dict[str, Any]) -> None:
    """Takes out what an API server fills in by itself, which nobody writes."""
    pods = spec["template"]["spec"]
    filled = [(spec, _USUAL), (pods, _USUAL_OF_PODS)]
    filled += [(one, _USUAL_OF_CONTAINERS) for kind in ("initContainers", "containers") for one in pods.get(kind) or ()]
    for written, usual in filled:
        for key in [key for key, value in usual.items() if written.get(key) == value]:
            del written[key]


def _namespace(item: Object) -> dict[str, str]:
    namespace = item["metadata"].get("namespace")
    return {"namespace": str(namespace)} if namespace else {}


def _told_apart(stable: Object, workload: Object) -> dict[str, str]:
    """The label whose value keeps the canary's pods out of stable's Service: one that both select by."""
    by_service: Mapping[str, str] = stable["spec"]["selector"]
    by_workload = workload["spec"]["selector"].get("matchLabels") or {}
    by_both = [key for key in by_service if key in by_workload] or list(by_service)
    label = next((key for key in by_both if by_service[key] == "stable"), by_both[0])
    value = by_service[label]
    return {label: "canary" if value == "stable" else f"{value}-canary"}


def _plain(value: Any) -> Any:
    """Plain dicts and lists, which a dump writes without tags."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
