"""Marks on objects, who wrote last, and who else looks after them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.kube.marks import Marks, annotate, as_read, changed_by, marks_of, pointer, unmark
from engine.kube.owners import gitops, mover
from engine.kube.resources import HTTPROUTES


def item(
    annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None, **meta: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "checkout", "namespace": "shop", **meta}
    if annotations is not None:
        found["annotations"] = annotations
    if labels:
        found["labels"] = labels
    return {"metadata": found}


def test_marks_are_read_from_annotations() -> None:
    found = item({"laneshift.dev/release": "checkout-7", "laneshift.dev/intent": "3.4", "laneshift.dev/full": "5"})
    assert marks_of(found) == Marks(release="checkout-7", intent="3.4", full=5)
    assert marks_of(item()) == Marks()
    assert marks_of(item({"laneshift.dev/full": "many"})).full is None


def test_a_pointer_escapes_what_stands_in_a_name() -> None:
    assert pointer("metadata", "annotations", "laneshift.dev/by~x") == "/metadata/annotations/laneshift.dev~1by~0x"


def test_the_first_annotation_of_all_needs_a_place() -> None:
    assert [(each["op"], each["path"]) for each in annotate({"a": "1"}, first=True)] == [
        ("test", "/metadata/annotations"),
        ("add", "/metadata/annotations"),
        ("add", "/metadata/annotations/a"),
    ]
    assert len(annotate({"a": "1"}, first=False)) == 1


def test_what_was_read_is_tested_absent_or_not() -> None:
    assert as_read(item(), "a") == [{"op": "test", "path": "/metadata/annotations", "value": None}]
    assert [each["value"] for each in as_read(item({"a": "1"}), "a", "b")] == ["1", None]


def test_marks_alone_are_taken_off() -> None:
    found = unmark(item({"laneshift.dev/release": "checkout-7", "team": "shop"}))
    assert found == [{"op": "remove", "path": "/metadata/annotations/laneshift.dev~1release"}]


def written(manager: str, time: str, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": fields} | (
        {"subresource": subresource} if subresource else {}
    )


RULES: dict[str, Any] = {"f:spec": {"f:rules": {}}}


@pytest.mark.parametrize(
    ("managed", "hand"),
    [
        ([], ("", "")),
        ([written("kubectl-edit", "T2", RULES), written("laneshift", "T1", RULES)], ("kubectl-edit", "T2")),
        ([written("kubectl-edit", "T1", RULES), written("laneshift", "T2", RULES)], ("", "")),
        ([written("gateway", "T3", RULES, "status"), written("helm", "T1", RULES)], ("helm", "T1")),
        ([written("kubectl-edit", "T1", {"f:spec": {"f:hostnames": {}}})], ("", "")),
    ],
)
def test_the_last_hand_on_a_field_is_known(managed: list[Any], hand: tuple[str, str]) -> None:
    assert changed_by(item(managedFields=managed), "spec", "rules") == hand


OWNER = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "checkout", "uid": "1"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (item(), ""),
        (item({"argo-rollouts.argoproj.io/managed-by-rollouts": "shop"}), "Argo Rollouts (Rollout shop)"),
        (item(labels={"rollouts.argoproj.io/gatewayapi-canary": "in-progress"}), "Argo Rollouts (its label"),
        (item(ownerReferences=[OWNER]), "Flagger (Canary checkout)"),
        (
            item(ownerReferences=[{**OWNER, "apiVersion": "x.example/v1", "kind": "Shop", "controller": True}]),
            "Shop checkout (x.example)",
        ),
        (item(ownerReferences=[{**OWNER, "apiVersion": "x.example/v1", "kind": "Shop"}]), ""),
    ],
)
def test_controllers_that_move_traffic_are_known(found: dict[str, Any], words: str) -> None:
    assert mover(found).startswith(words)
    assert bool(mover(found)) is bool(words)


@pytest.mark.parametrize(
    ("found", "tool", "name", "rule"),
    [
        (item({"argocd.argoproj.io/tracking-id": "shop:x/y:z/a"}), "Argo CD", "shop", '- ".spec.weight"'),
        (item(labels={"argocd.argoproj.io/instance": "shop"}), "Argo CD", "shop", "RespectIgnoreDifferences=true"),
        (item(labels={"kustomize.toolkit.fluxcd.io/name": "apps"}), "Flux", "apps", '- "/spec/weight"'),
        (
            item({"meta.helm.sh/release-name": "shop"}, {"app.kubernetes.io/managed-by": "Helm"}),
            *("Helm", "shop", "do not run helm upgrade"),
        ),
    ],
)
def test_what_puts_back_as_git_has_it_is_told_with_its_rule(
    found: dict[str, Any], tool: str, name: str, rule: str
) -> None:
    keeper = gitops(found, HTTPROUTES, [".spec.weight"], ["/spec/weight"])
    assert keeper is not None
    assert (keeper.tool, keeper.name) == (tool, name)
    assert rule in keeper.rule
    assert gitops(item(), HTTPROUTES, [], []) is None
