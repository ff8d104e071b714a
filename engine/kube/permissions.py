"""What laneshift may do in a cluster: asked of the API server itself, and the command that grants what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from engine.kube.cluster import Cluster
from engine.kube.resources import REVIEWS, Resource

_ME: Final = "--user=\"$(kubectl auth whoami -o jsonpath='{.status.userInfo.username}')\""


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one kind in a namespace; `why` ends the sentence "laneshift needs it ..."."""

    verb: str
    kind: Resource
    namespace: str
    why: str
    subresource: str = ""
    name: str = ""

    def __str__(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.kind.title}{part}{f' {self.name}' if self.name else ''}{where}"


def permissions(verbs: str, kind: Resource, namespace: str, why: str, subresource: str = "") -> list[Permission]:
    """Several verbs on one kind: `get list watch`."""
    return [Permission(verb, kind, namespace, why, subresource) for verb in verbs.split()]


async def missing(cluster: Cluster, wanted: Sequence[Permission]) -> list[Permission]:
    """Those that this user does not have, in their order. Raises KubeError."""
    held = await asyncio.gather(*(_held(cluster, each) for each in wanted))
    return [each for each, has in zip(wanted, held, strict=True) if not has]


def grant(lacking: Iterable[Permission], role: str = "laneshift") -> str:
    """The kubectl commands that make a role of what is missing; who gets it stands in the last one."""
    lines: list[str] = []
    in_order = sorted(lacking, key=lambda each: each.namespace)
    for namespace, of_namespace in groupby(in_order, key=lambda each: each.namespace):
        for number, (what, group) in enumerate(_by_kind(of_namespace)):
            verbs = ",".join(group)
            name = f"{role}-{number}" if number else role
            scope = f" -n {namespace}" if namespace else ""
            cluster_wide = "" if namespace else "cluster"
            lines.append(f"kubectl{scope} create {cluster_wide}role {name} --verb={verbs} --resource={what}")
            lines.append(f"kubectl{scope} create {cluster_wide}rolebinding {name} --{cluster_wide}role={name} {_ME}")
    return "\n".join(lines)


def _by_kind(lacking: Iterable[Permission]) -> list[tuple[str, list[str]]]:
    def what(each: Permission) -> str:
        return f"{each.kind.title}{f'/{each.subresource}' if each.subresource else ''}"

    ordered = sorted(lacking, key=what)
    return [(name, [each.verb for each in group]) for name, group in groupby(ordered, key=what)]


async def _held(cluster: Cluster, wanted: Permission) -> bool:
    attributes = {
        "verb": wanted.verb,
        "group": wanted.kind.group,
        "resource": wanted.kind.plural,
        "subresource": wanted.subresource,
        "namespace": wanted.namespace,
        "name": wanted.name,
    }
    review = {
        "apiVersion": REVIEWS.api_version,
        "kind": REVIEWS.kind,
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    answer = await cluster.create(REVIEWS, "", review)
    return bool(answer.get("status", {}).get("allowed"))
