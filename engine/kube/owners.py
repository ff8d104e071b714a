"""Who else looks after an object: controllers that move traffic themselves, and those that put it back as in git.

Sources: Argo Rollouts' `managed-by-rollouts` annotation and its Gateway API plugin's label; Flagger's owner references;
Argo CD's tracking annotation and label (user guide: resource tracking, diff customization); Flux's labels, and
`spec.ignore` of its kustomize-controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.kube.marks import annotations_of
from engine.kube.resources import Resource

Object = Mapping[str, Any]

ROLLOUTS_SERVICE: Final = "argo-rollouts.argoproj.io/managed-by-rollouts"
ROLLOUTS_ROUTE: Final = "rollouts.argoproj.io/gatewayapi-canary"
ARGO_CD_TRACKING: Final = "argocd.argoproj.io/tracking-id"
ARGO_CD_INSTANCE: Final = "argocd.argoproj.io/instance"
FLUX: Final = "toolkit.fluxcd.io/"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class GitOps:
    """What puts an object back as git has it. `rule` is what to tell it, so that it leaves the weights alone."""

    tool: Literal["Argo CD", "Flux", "Helm"]
    name: str
    rule: str


def mover(item: Object) -> str:
    """The controller that moves this object's traffic itself, in words; empty when there is none."""
    labels, notes = _labels(item), annotations_of(item)
    if ROLLOUTS_SERVICE in notes:
        return f"Argo Rollouts (Rollout {notes[ROLLOUTS_SERVICE]})"
    if labels.get(ROLLOUTS_ROUTE):
        return f"Argo Rollouts (its label {ROLLOUTS_ROUTE} is {labels[ROLLOUTS_ROUTE]})"
    for owner in item["metadata"].get("ownerReferences") or ():
        kind, group = owner.get("kind"), str(owner.get("apiVersion", "")).partition("/")[0]
        if group == "flagger.app":
            return f"Flagger ({kind} {owner.get('name')})"
        if owner.get("controller"):
            return f"{kind} {owner.get('name')} ({group})"
    return ""


def gitops(item: Object, kind: Resource, jq: list[str], pointers: list[str]) -> GitOps | None:
    """Who puts this object back as git has it, and the rule that makes it leave laneshift's fields alone.

    The fields that laneshift writes, in both languages: as jq paths, and as JSON Pointers.
    """
    labels, notes = _labels(item), annotations_of(item)
    namespace, name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
    if ARGO_CD_TRACKING in notes or ARGO_CD_INSTANCE in labels:
        app = str(notes.get(ARGO_CD_TRACKING, "")).partition(":")[0] or labels.get(ARGO_CD_INSTANCE, "")
        return GitOps("Argo CD", app, _argo_cd_rule(kind, namespace, name, jq))
    flux = [label for label in labels if FLUX in label and label.endswith("/name")]
    if flux:
        return GitOps("Flux", labels[flux[0]], _flux_rule(kind, namespace, name, pointers))
    if labels.get(MANAGED_BY) == "Helm":
        release = notes.get("meta.helm.sh/release-name", "")
        return GitOps("Helm", release, "do not run helm upgrade while a release runs: it writes the chart's weights")
    return None


def _argo_cd_rule(kind: Resource, namespace: str, name: str, paths: list[str]) -> str:
    """For the Application. Without RespectIgnoreDifferences a sync writes ignored fields all the same; annotations that
    git does not have are no difference."""
    lines = [
        "spec:",
        "  ignoreDifferences:",
        f'    - group: "{kind.group}"',
        f"      kind: {kind.kind}",
        f"      namespace: {namespace}",
        f"      name: {name}",
        "      jqPathExpressions:",
        *(f'        - "{path}"' for path in paths),
        "  syncPolicy:",
        "    syncOptions:",
        "      - RespectIgnoreDifferences=true",
    ]
    return "\n".join(lines)


def _flux_rule(kind: Resource, namespace: str, name: str, pointers: list[str]) -> str:
    """For the Kustomization (`spec.ignore`; its selectors are regular expressions)."""
    lines = [
        "spec:",
        "  ignore:",
        "    - paths:",
        *(f'        - "{path}"' for path in pointers),
        "      target:",
        f"        kind: ^{kind.kind}$",
        f"        namespace: ^{namespace}$",
        f"        name: ^{name}$",
    ]
    return "\n".join(lines)


def _labels(item: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = item["metadata"].get("labels") or {}
    return found
