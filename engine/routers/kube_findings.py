"""What the doctor says of any router on Kubernetes: its permissions, its object, who keeps that, and both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.examination import put_back
from engine.kube.marks import marks_of
from engine.kube.owners import gitops
from engine.kube.permissions import Permission, permissions
from engine.kube.place import Place
from engine.kube.resources import DEPLOYMENTS, PODS, REPLICASETS, SCALERS, SERVICES, Resource

Object = Mapping[str, Any]


def wanted_permissions(kind: Resource, namespace: str, *, scales: bool) -> list[Permission]:
    """What every router of an object of this kind needs; `scales`: laneshift sizes both sides."""
    wanted = permissions("get patch", kind, namespace, "it reads and writes the weights")
    wanted += permissions("list watch", SERVICES, namespace, "it finds what runs behind each side")
    wanted += permissions("get list watch", DEPLOYMENTS, namespace, "it reads versions and replicas")
    why = "it tells the current template's replicas from older ones"
    wanted += permissions("list watch", REPLICASETS, namespace, why)
    wanted += permissions("list watch", PODS, namespace, "it watches the canary's restarts")
    why = "a plan with finish: copy writes stable's template"
    wanted += permissions("patch", DEPLOYMENTS, namespace, why, optional=True)
    if scales:
        wanted += permissions("patch", DEPLOYMENTS, namespace, "it sizes both sides", "scale")
        wanted += permissions("list watch patch", SCALERS, namespace, "it holds autoscalers' minimums")
    return wanted


def of_the_object(word: str, target: str, kind: Resource, item: Object, seen: Observation) -> list[Finding]:
    """Is what is written in effect, and who has it?"""
    mend = f"kubectl -n {item['metadata']['namespace']} describe {kind.title}/{item['metadata']['name']}"
    found = [Finding("ok", word, f"{target}: {seen.weight:g}% on the canary, in effect")]
    if seen.pending:
        found = [Finding("bad", word, seen.pending, mend)]
    held = marks_of(item)
    if held.release:
        found.append(Finding("ok", "mark", f"release {held.release} of engine {held.engine or 'unnamed'} has it"))
    return found


def of_its_keepers(target: str, kind: Resource, item: Object, place: Place) -> list[Finding]:
    """Who puts the object back as git has it."""
    keeper = gitops(item, kind, place.jq(), place.pointers())
    return [put_back(keeper, target)] if keeper else []


def of_the_sides(seen: Observation) -> list[Finding]:
    """What runs on both sides."""
    if seen.remark:
        return [Finding("warn", "workloads", seen.remark, "deploy it before the release starts")]
    sides = (("stable", seen.stable, seen.stable_ready), ("canary", seen.canary, seen.canary_ready))
    return [
        Finding("ok" if ready else "warn", side, f"version {version}, {ready} replicas ready")
        for side, version, ready in sides
    ]
