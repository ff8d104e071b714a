"""Routes as people write them: where both sides stand, what they get, and whether a gateway took it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.kube.routes import layout_of, pending_of, retries_of, weight_of
from engine.routers import RouterError


def rule(name: str = "", **weights: int | None) -> dict[str, Any]:
    backends = [{"name": side} | ({} if weight is None else {"weight": weight}) for side, weight in weights.items()]
    return {"backendRefs": backends} | ({"name": name} if name else {})


def route(*rules: dict[str, Any], parents: tuple[str, ...] = ("edge",), **more: Any) -> dict[str, Any]:
    meta = {"name": "checkout", "namespace": "shop", "generation": 4}
    return {
        "metadata": meta,
        "spec": {"parentRefs": [{"name": parent} for parent in parents], "rules": list(rules)},
        **more,
    }


def said(gateway: str, generation: int = 4, accepted: str = "True", resolved: str = "True") -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": status, "reason": "Why", "message": "in words", "observedGeneration": generation}
        for kind, status in (("Accepted", accepted), ("ResolvedRefs", resolved))
    ]
    return {"parentRef": {"name": gateway, "namespace": "shop", "kind": "Gateway"}, "conditions": conditions}


def status(*parents: dict[str, Any]) -> dict[str, Any]:
    return {"status": {"parents": list(parents)}}


@pytest.mark.parametrize(
    ("weights", "share"),
    [
        ({"stable": 95, "canary": 5}, 5.0),
        ({"stable": 3, "canary": 1}, 25.0),
        ({"stable": None, "canary": None}, 50.0),
        ({"stable": None, "canary": 0}, 0.0),
        ({"canary": 1000000, "stable": 0}, 100.0),
        ({"stable": 2, "canary": 1, "old": 0}, 33.333333),
    ],
)
def test_weights_are_shares_of_their_sum_and_one_where_none_is_written(weights: dict[str, Any], share: float) -> None:
    found = route(rule(**weights))
    assert weight_of(found, layout_of(found, None, "stable", "canary")) == share


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"stable": 0, "canary": 0}, "nobody is served"),
        ({"stable": 1, "canary": 1, "old": 2, "other": None}, r"old \(2\), other \(1\)"),
    ],
)
def test_what_is_no_split_of_two_is_refused(weights: dict[str, Any], words: str) -> None:
    found = route(rule(**weights))
    with pytest.raises(RouterError, match=words):
        weight_of(found, layout_of(found, None, "stable", "canary"))


BOTH: dict[str, Any] = {"stable": 1, "canary": 0}


@pytest.mark.parametrize(
    ("rules", "name", "words"),
    [
        ([rule("api", **BOTH), rule("web", **BOTH)], None, "several rules have both stable and canary: api, web"),
        ([rule(**BOTH), rule(**BOTH)], None, "number 1, number 2"),
        ([rule("api", **BOTH)], "web", "no rule web; it has api"),
        ([rule(**BOTH)], "web", "no rule web; it has none that has a name"),
        ([rule(stable=1)], None, "no backend canary; it has stable: add it there with weight 0"),
        ([rule(stable=1), rule(canary=1)], None, "no backend stable beside canary"),
        ([], None, "no backend stable and canary; it has none"),
    ],
)
def test_a_route_that_can_not_be_moved_says_what_it_has(rules: list[Any], name: str | None, words: str) -> None:
    with pytest.raises(RouterError, match=words):
        layout_of(route(*rules), name, "stable", "canary")


def test_backends_of_another_kind_or_namespace_are_others() -> None:
    elsewhere = {"name": "canary", "namespace": "other"}
    other = {"name": "canary", "kind": "ServiceImport", "group": "multicluster.x-k8s.io"}
    found = route({"backendRefs": [elsewhere, other, {"name": "stable"}, {"name": "canary"}]})
    layout = layout_of(found, None, "stable", "canary")
    assert (layout.stable, layout.canary) == (2, 3)
    with pytest.raises(RouterError, match="other backends"):
        weight_of(found, layout)


def test_every_patch_tests_the_names_at_their_places() -> None:
    layout = layout_of(route(rule("static", old=1), rule("api", old=0, **BOTH)), None, "stable", "canary")
    assert layout.tests() == [
        {"op": "test", "path": "/spec/rules/1/name", "value": "api"},
        {"op": "test", "path": "/spec/rules/1/backendRefs/1/name", "value": "stable"},
        {"op": "test", "path": "/spec/rules/1/backendRefs/2/name", "value": "canary"},
    ]
    assert [(each["path"], each["value"]) for each in layout.weights(5)] == [
        ("/spec/rules/1/backendRefs/1/weight", 95),
        ("/spec/rules/1/backendRefs/2/weight", 5),
    ]


@pytest.mark.parametrize(
    ("parents", "answers", "words"),
    [
        (("edge",), [said("edge")], ""),
        ((), [], "the route names no gateway"),
        (("edge",), [], "gateway edge has said nothing of the route"),
        (("edge", "mesh"), [said("edge")], "gateway mesh has said nothing of the route"),
        (("edge",), [said("edge", generation=3)], "gateway edge has not taken this change yet (Accepted)"),
        (("edge",), [said("edge", accepted="False")], "gateway edge: Accepted is False (Why: in words)"),
        (("edge",), [said("edge", resolved="Unknown")], "gateway edge: ResolvedRefs is Unknown (Why: in words)"),
        (("edge",), [said("edge"), said("edge", accepted="False")], "gateway edge: Accepted is False"),
        (("edge",), [said("edge"), said("gone", accepted="False")], ""),
    ],
)
def test_it_is_in_effect_when_every_gateway_it_names_took_this_generation(
    parents: tuple[str, ...], answers: list[dict[str, Any]], words: str
) -> None:
    found = pending_of(route(rule(**BOTH), parents=parents, **status(*answers)))
    assert found == "" if not words else words in found


def test_a_gateway_that_retries_is_told() -> None:
    retrying = {**rule(**BOTH), "retry": {"attempts": 2, "codes": [502, 503]}}
    found = route(retrying)
    assert "2 attempts on 502, 503" in retries_of(found, layout_of(found, None, "stable", "canary"))
    plain = route(rule(**BOTH))
    assert retries_of(plain, layout_of(plain, None, "stable", "canary")) == ""
