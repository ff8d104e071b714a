"""The sample plans: valid, with the lines and stages that they promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import sample_configs
from cli.demo_world import RPS
from engine.advice import advise
from engine.assembly import rules_of
from engine.events import GateRule
from engine.judge.metric import Threshold
from engine.plan.model import Plan, read_plan
from engine.plan.selector import Subject
from sandbox.metrics import GatewayMetrics, ShopMetrics

BELOW = {"relative": False, "above": False}


def sample(name: str) -> Plan:
    return read_plan(sample_configs.path(name))


def lines(plan: Plan) -> dict[str, tuple[Threshold, ...]]:
    return {metric.name: metric.thresholds for metric in plan.judge_metrics() if metric.judged}


NAMES = sorted(path.name for path in Path(sample_configs.__file__).parent.glob("*.yaml"))


def test_every_sample_is_a_valid_plan():
    assert {sample(name).service for name in NAMES} <= {"shop", "checkout"}


def test_an_unknown_sample_is_told_what_there_is():
    with pytest.raises(FileNotFoundError, match=f"no sample plan demo.yaml; there is {', '.join(NAMES)}"):
        sample_configs.path("demo.yaml")


def test_the_demos_lines_are_ones_that_its_traffic_can_prove():
    plan = sample("sandbox.yaml")
    assert lines(plan) == {
        "error_rate": (Threshold(0.02),),
        "latency_p95": (Threshold(0.4),),
        "latency_p99": (Threshold(1.5),),
        "checkout_success": (Threshold(0.9, **BELOW),),
        "db_pool_used": (Threshold(80),),
    }


def test_the_demo_takes_about_two_minutes_at_its_traffic():
    plan = sample("sandbox.yaml")
    assert [stage.weight for stage in plan.stages] == [5, 25, 50, 100]
    assert 90 <= plan.least_seconds <= 120
    for stage in plan.stages:
        expected = RPS * stage.bake * stage.weight / 100
        assert stage.min_requests <= expected - 6 * expected**0.5


@pytest.mark.parametrize("name", ["sandbox-full.yaml", "prometheus.yaml"])
def test_the_full_samples_have_a_services_own_lines_and_stages(name):
    plan = sample(name)
    assert lines(plan) == {
        "error_rate": (Threshold(0.005), Threshold(2, relative=True)),
        "latency_p95": (Threshold(0.25), Threshold(1.5, relative=True)),
        "latency_p99": (Threshold(0.75),),
        "checkout_success": (Threshold(0.96, **BELOW),),
        "db_pool_used": (Threshold(80),),
    }
    assert [(stage.weight, stage.bake) for stage in plan.stages] == [(5, 900), (25, 900), (50, 900), (100, 3600)]


def test_a_team_releases_with_the_gates_that_its_sample_promises():
    plan = sample("production.yaml")
    rules = rules_of(plan)
    assert (rules.production, rules.rollback_who) == (True, ("oncall",))
    assert rules.gate == GateRule(approvers=1, expires_s=4 * 3600.0)
    asked = {stage.weight: stage.gate for stage in rules.stages if stage.gate}
    assert asked == {50: GateRule(approvers=2, expires_s=2 * 3600.0, then="rollback")}
    assert advise(plan) == ()


def names_and_labels(registry: CollectorRegistry) -> list[tuple[str, dict[str, str]]]:
    """What a scrape of one page finds."""
    return [(sample.name, sample.labels) for family in registry.collect() for sample in family.samples]


def pages_of_the_sandbox() -> list[list[tuple[str, dict[str, str]]]]:
    """The gateway's page and an instance's, as after one request."""
    gateway = GatewayMetrics()
    gateway.know("v1.5.0")
    gateway.count("v1.5.0", 200, 0.1)
    return [names_and_labels(gateway.registry), names_and_labels(ShopMetrics("v1.5.0").registry)]


@pytest.mark.parametrize("name", ["sandbox.yaml", "sandbox-full.yaml", "prometheus.yaml"])
def test_every_metric_reads_series_that_one_page_of_the_sandbox_serves(name):
    pages = pages_of_the_sandbox()
    for metric, form in sample(name).metrics.items():
        for key in form.selectors:
            selector = getattr(form, key)
            suffix = "_bucket" if key == "histogram" else ""
            found = [
                sum(selector.matches(each.removesuffix(suffix), labels, Subject("v1.5.0")) for each, labels in page)
                for page in pages
            ]
            assert sorted(map(bool, found)) == [False, True], f"{metric}.{key}: what two pages serve counts twice"
