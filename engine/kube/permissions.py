"""What laneshift may do in a cluster: asked of the API server itself, and the command that grants what is missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.kube.cluster import Cluster
from engine.kube.resources import REVIEWS, Resource

WHOAMI: Final = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)
_RBAC: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one kind in a namespace; `why` says what for; `optional`: only some plans need it."""

    verb: str
    kind: Resource
    namespace: str
    why: str
    subresource: str = ""
    name: str = ""
    optional: bool = False

    def __str__(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.kind.title}{part}{f' {self.name}' if self.name else ''}{where}"


def permissions(
    verbs: str, kind: Resource, namespace: str, why: str, subresource: str = "", *, optional: bool = False
) -> list[Permission]:
    """Several verbs on one kind: `get list watch`."""
    return [Permission(verb, kind, namespace, why, subresource, optional=optional) for verb in verbs.split()]


def reading(wanted: Sequence[Permission]) -> list[Permission]:
    """Those that change nothing: all that a release needs which is only watched."""
    return [each for each in wanted if each.verb in ("get", "list", "watch")]


async def missing(cluster: Cluster, wanted: Sequence[Permission]) -> list[Permission]:
    """Those that this user does not have, in their order. Raises KubeError."""
    held = await asyncio.gather(*(_held(cluster, each) for each in wanted))
    return [each for each, has in zip(wanted, held, strict=True) if not has]


async def granting(cluster: Cluster, wanted: Sequence[Permission], role: str = "laneshift") -> str:
    """The kubectl command that gives this user all that is wanted, for somebody who may: safe to repeat, and a role
    that was made by it before loses nothing. Raises KubeError."""
    user = await _name_of_user(cluster)
    namespaces = dict.fromkeys(each.namespace for each in wanted)
    documents = [
        _document(role, namespace, [each for each in wanted if each.namespace == namespace], user)
        for namespace in namespaces
    ]
    return "\n".join(["kubectl apply -f - <<'EOF'", "\n---\n".join(documents), "EOF"])


def _document(role: str, namespace: str, wanted: Sequence[Permission], user: str) -> str:
    """A role of these permissions and who has it; a namespace of "" is the whole cluster."""
    kind = "Role" if namespace else "ClusterRole"
    where = f", namespace: {namespace}" if namespace else ""
    named = f"metadata: {{name: {role}{where}}}"
    return "\n".join(
        [
            f"apiVersion: {_RBAC}/v1",
            f"kind: {kind}",
            named,
            "rules:",
            *rules_of(wanted),
            "---",
            f"apiVersion: {_RBAC}/v1",
            f"kind: {kind}Binding",
            named,
            f"roleRef: {{apiGroup: {_RBAC}, kind: {kind}, name: {role}}}",
            f"subjects: [{{apiGroup: {_RBAC}, kind: User, name: {json.dumps(user)}}}]",
        ]
    )


def rules_of(wanted: Sequence[Permission]) -> Iterator[str]:
    """The rules of a role as YAML: one for each kind, its verbs in their order."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for each in wanted:
        resource = f"{each.kind.plural}{f'/{each.subresource}' if each.subresource else ''}"
        verbs.setdefault((each.kind.group, resource), []).append(each.verb)
    for (group, resource), allowed in verbs.items():
        each_once = ", ".join(dict.fromkeys(allowed))
        yield f'- {{apiGroups: ["{group}"], resources: [{resource}], verbs: [{each_once}]}}'


async def _name_of_user(cluster: Cluster) -> str:
    """As the API server knows it; a service account is a user called system:serviceaccount:NAMESPACE:NAME."""
    review = {"apiVersion": WHOAMI.api_version, "kind": WHOAMI.kind}
    answer = await cluster.create(WHOAMI, "", review)
    return str(answer.get("status", {}).get("userInfo", {}).get("username", ""))


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
