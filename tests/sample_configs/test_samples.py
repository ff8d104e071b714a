"""The sample plans: valid, with the lines and stages that they promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import sample_configs
from engine.judge.metric import Threshold
from engine.plan import Plan, read_plan
from sandbox.metrics import GatewayMetrics, ShopMetrics

BELOW = {"relative": False, "above": False}


def sample(name: str) -> Plan:
    return read_plan(sample_configs.path(name))


def lines(plan: Plan) -> dict[str, tuple[Threshold, ...]]:
    return {metric.name: metric.thresholds for metric in plan.judge_metrics() if metric.judged}


def test_every_sample_is_a_valid_plan():
    folder = Path(sample_configs.__file__).parent
    names = sorted(path.name for path in folder.glob("*.yaml"))
    assert names == ["sandbox-full.yaml", "sandbox.yaml"]
    assert {sample(name).service for name in names} == {"shop"}


def test_an_unknown_sample_is_told_what_there_is():
    with pytest.raises(FileNotFoundError, match=r"no sample plan demo.yaml; there is sandbox-full.yaml, sandbox.yaml"):
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


def test_the_demo_takes_about_two_minutes_at_300_requests_a_second():
    plan = sample("sandbox.yaml")
    assert [stage.weight for stage in plan.stages] == [5, 25, 50, 100]
    assert 90 <= plan.least_seconds <= 120
    for stage in plan.stages:
        expected = 300 * stage.bake * stage.weight / 100
        assert stage.min_requests <= expected - 6 * expected**0.5


def test_the_full_sample_has_a_services_own_lines_and_stages():
    plan = sample("sandbox-full.yaml")
    assert lines(plan) == {
        "error_rate": (Threshold(0.005), Threshold(2, relative=True)),
        "latency_p95": (Threshold(0.25), Threshold(1.5, relative=True)),
        "latency_p99": (Threshold(0.75),),
        "checkout_success": (Threshold(0.96, **BELOW),),
        "db_pool_used": (Threshold(80),),
    }
    assert [(stage.weight, stage.bake) for stage in plan.stages] == [(5, 900), (25, 900), (50, 900), (100, 3600)]


@pytest.mark.parametrize("name", ["sandbox.yaml", "sandbox-full.yaml"])
def test_requests_are_counted_at_the_gateway_alone(name):
    plan = sample(name)
    gateway = plan.source.config.urls[0]
    errors = plan.metrics["error_rate"]
    for selector in (errors.total, errors.bad):
        labels = {"version": "v1", "code": "500", "instance": gateway.removeprefix("http://").removesuffix("/metrics")}
        assert selector.matches("http_requests_total", labels, "v1")
        assert not selector.matches("http_requests_total", labels | {"instance": "127.0.0.1:7481"}, "v1")


def series(registry: CollectorRegistry, instance: str) -> list[tuple[str, dict[str, str]]]:
    """What a scrape of one page finds: names and labels, the scraped address among them."""
    return [
        (sample.name, sample.labels | {"instance": instance})
        for family in registry.collect()
        for sample in family.samples
    ]


@pytest.mark.parametrize("name", ["sandbox.yaml", "sandbox-full.yaml"])
def test_every_metric_reads_series_that_the_sandbox_serves(name):
    gateway = GatewayMetrics()
    gateway.know("v1.5.0")
    gateway.count("v1.5.0", 200, 0.1)
    served = series(gateway.registry, "127.0.0.1:7480") + series(ShopMetrics("v1.5.0").registry, "127.0.0.1:7482")
    for metric, form in sample(name).metrics.items():
        for key in form.selectors:
            selector = getattr(form, key)
            suffix = "_bucket" if key == "histogram" else ""
            found = [labels for each, labels in served if selector.matches(each.removesuffix(suffix), labels, "v1.5.0")]
            assert found, f"{metric}.{key}"
            if key == "gauge":
                assert len(found) == 1
