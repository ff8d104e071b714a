"""deploy/rbac: made of what the routers say they need. `python -m tests.deploy.manifests` writes it anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from engine import registry
from engine.kube.permissions import Permission, reading, rules_of
from engine.routers import argo_doctor, deployment, flagger_doctor
from engine.routers.kube_router import KubeRouter

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "rbac"
SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "gateway_api": {"route": "r", "stable": "s", "canary": "c"},
    "istio": {"virtual_service": "v", "host": "h", "stable": "s", "canary": "c"},
    "replicas": {"service": "p", "label": "track", "stable": "s", "canary": "c"},
    "service_switch": {"service": "p", "label": "track", "stable": "s", "canary": "c"},
    "ingress_nginx": {"ingress": "i", "canary_ingress": "ic", "stable": "s", "canary": "c"},
}
OWN: Final[Mapping[str, Callable[[str], list[Permission]]]] = {
    "argo_rollouts": argo_doctor.permissions_for,
    "flagger": flagger_doctor.permissions_for,
    "deployment": deployment.permissions_for,
}
HINTS: Final = {
    "gateway_api": "A plan with `kind: GRPCRoute` needs grpcroutes in place of httproutes.",
    "istio": "Without `host`, with a Service for each side, destinationrules are not needed.",
    "argo_rollouts": "A Rollout with workloadRef needs `patch` of deployments too, to be rolled back when promoted.",
}
OBSERVE: Final = "observe"


def needs(kind: str, namespace: str = "shop") -> list[Permission]:
    """What a release by this kind of router needs, as the doctor asks for it."""
    if kind in OWN:
        return OWN[kind](namespace)
    config = registry.config_of("router", kind).model_validate({"namespace": namespace, **SETTINGS[kind]})
    router: KubeRouter[Any] = registry.resolve("router", kind)(config)
    return router._permissions()


KINDS: Final = (*SETTINGS, "argo_rollouts", "flagger")
"""The routers that write; those that only watch need `observe.yaml`."""


def watching() -> list[Permission]:
    """What a release of any kind needs that is only watched."""
    return reading([each for kind in (*KINDS, "deployment") for each in needs(kind)])


def manifests() -> dict[str, str]:
    """The text of each file, by its name."""
    texts = {f"{kind}.yaml": _role(kind, f"`router: {kind}` needs in a namespace", needs(kind)) for kind in KINDS}
    every = "`laneshift start --observe` needs in a namespace, for any router; nothing can be written"
    return texts | {f"{OBSERVE}.yaml": _role(OBSERVE, every, [replace(each, why="") for each in watching()])}


def _role(kind: str, whose: str, wanted: Sequence[Permission]) -> str:
    name = f"laneshift-{kind.replace('_', '-')}"
    hint = ["#", f"# {HINTS[kind]}"] if kind in HINTS else []
    usage = f"kubectl -n shop create rolebinding {name} --role={name} --serviceaccount=tools:laneshift"
    asks = [] if kind == OBSERVE else ["#", "# `laneshift doctor PLAN` asks the API server for each of them."]
    head = [
        f"# All that {whose}.",
        "# For releases in the namespace `shop` by the service account `laneshift` of the namespace `tools`:",
        *("#", f"#   kubectl -n shop apply -f {kind}.yaml", f"#   {usage}", *hint, *asks),
        *("apiVersion: rbac.authorization.k8s.io/v1", "kind: Role", f"metadata: {{name: {name}}}", "rules:"),
    ]
    return "\n".join([*head, *_rules(wanted), ""])


def _rules(wanted: Iterable[Permission]) -> Iterator[str]:
    """The rule of each kind of object below the reasons for it."""
    for _, group in groupby(sorted(wanted, key=_resource), _resource):
        same = list(group)
        yield from (f"  # {why}" for why in dict.fromkeys(each.why for each in same) if why)
        yield from (f"  {line}" for line in rules_of(same))


def _resource(wanted: Permission) -> tuple[str, str, str]:
    return wanted.kind.group, wanted.kind.plural, wanted.subresource


if __name__ == "__main__":
    for file, text in manifests().items():
        (FOLDER / file).write_text(text)
