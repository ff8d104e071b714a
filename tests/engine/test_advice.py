"""Advice: each unwise thing is said where it stands, and a plan by the book hears nothing."""

from __future__ import annotations

import pytest

import sample_configs
from engine.advice import advise
from engine.plan.model import Plan, read_plan


def by_the_book(**changes: object) -> Plan:
    """The sample with a service's own lines and stages, and what a test changes in it."""
    written = read_plan(sample_configs.path("sandbox-full.yaml")).written()
    return Plan.model_validate(written | changes)


def stages(*weights: int, **others: object) -> list[dict[str, object]]:
    return [{"weight": weight, "bake": "1h", "min_requests": 1000, **others} for weight in weights]


METRICS = by_the_book().written()["metrics"]


def metrics(*dropped: str, **changes: object) -> dict[str, object]:
    return {name: metric for name, metric in METRICS.items() if name not in dropped} | changes


def test_a_plan_by_the_book_needs_no_advice():
    assert advise(by_the_book()) == ()


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"change": {"kinds": ["backend"]}}, "change.summary", "says nothing"),
        ({"change": {"summary": "x", "kinds": ["docs"]}}, "change.kinds", "may need no canary"),
        ({"change": {"summary": "x", "kinds": ["database"]}}, "change.migration", "touches the database"),
        (
            {"change": {"summary": "x", "migration": {"reversible": False, "backwards_compatible": True}}},
            "change.migration.reversible",
            "no way back",
        ),
        (
            {"change": {"summary": "x", "migration": {"reversible": True, "backwards_compatible": False}}},
            "change.migration.backwards_compatible",
            "stable will fail",
        ),
        ({"stages": stages(20, 50, 100)}, "stages[0].weight", "begins with 20%"),
        ({"stages": stages(5, 100)}, "stages[1].weight", "from 5% to 100% in one step"),
        ({"stages": stages(5, 25, 100, bake="14m")}, "stages[0].bake", "14m is short"),
        ({"stages": stages(5, 25, 100, bake="14m")}, "stages[2].bake", "need 1h or more"),
        ({"stages": stages(5, 25, 100, min_requests=50)}, "stages[1].min_requests", "50 requests say little"),
        ({"stages": stages(5, 25, 100, bake="15s", warmup="5s")}, "stages[0].bake", "only 2 readings"),
        ({"stages": stages(5, 25, 100, bake="5h")}, "stages", "15h at least"),
        ({"until": "either"}, "until", "before its bake"),
        ({"gate": {"approvers": 1, "expires": "5m"}}, "gate.expires", "5m is short for a person"),
        ({"gate": {"approvers": 2}, "advance": "auto"}, "gate", "say when the gate `expires`"),
        (
            {"stages": stages(5, 25, 100, gate={"expires": "1h"}), "advance": "auto"},
            "stages[0].gate",
            "asks for nobody",
        ),
        ({"keep_old": "5m"}, "keep_old", "kept for 5m"),
        ({"rollback": {"budget": "4m"}}, "rollback.budget", "less than 2m"),
        ({"rollback": {"hard_limit": "10m"}}, "rollback.hard_limit", "too slow"),
        ({"metrics": metrics("error_rate")}, "metrics", "no error rate"),
        ({"metrics": metrics("latency_p95", "latency_p99")}, "metrics", "no latency"),
        ({"metrics": metrics("checkout_success")}, "metrics", "no business metric"),
        ({"metrics": metrics("error_rate", "latency_p95")}, "metrics", "no line is relative"),
        (
            {"metrics": metrics(error_rate=METRICS["error_rate"] | {"alert": "> 2x baseline"})},
            "metrics.error_rate.alert",
            "relative lines only",
        ),
        (
            {"metrics": metrics(error_rate=METRICS["error_rate"] | {"baseline": "1%"})},
            "metrics.error_rate.baseline",
            "past its own line > 0.5%",
        ),
        (
            {"metrics": metrics(error_rate=METRICS["error_rate"] | {"on_fail": "hold"})},
            "metrics.error_rate.on_fail",
            "keeps users",
        ),
        ({"on_fail": "hold"}, "on_fail", "keeps users"),
        ({"checks": {}}, "checks.stage", "no check runs at each stage"),
        ({"checks": {}}, "checks.post", "no check runs after the end"),
    ],
)
def test_what_is_unwise_is_said_where_it_stands(changes, key, words):
    found = advise(by_the_book(**changes))
    assert any(each.key == key and words in each.text for each in found), found


def test_a_switch_from_blue_to_green_is_no_step_that_is_too_large():
    """All at once is what it is for; its preview serves nobody, and beside green nothing of blue answers."""
    assert advise(read_plan(sample_configs.path("blue-green.yaml"))) == ()


def test_a_router_that_is_retired_is_unwise():
    [advice] = advise(read_plan(sample_configs.path("ingress-nginx.yaml")))
    assert (advice.key, "retired since March 2026" in advice.text) == ("router.ingress_nginx", True)
