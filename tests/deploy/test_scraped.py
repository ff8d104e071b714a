"""A real engine, scraped by a real Prometheus that has the alert rules: every rule finds the series it asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.deploy.test_prometheus import RULES, rules
from tests.support.engine_process import Stand, stand
from tests.support.kube_process import free_port
from tests.support.prometheus_process import PrometheusProcess, running_prometheus

pytestmark = pytest.mark.real


def asked(prometheus: PrometheusProcess, path: str, **given: str) -> Any:
    """What its API answers, None while it can't."""
    try:
        answer = httpx.get(f"{prometheus.url}/api/v1/{path}", params=given, timeout=10)
    except httpx.TransportError:
        return None
    return answer.json()["data"] if answer.status_code == 200 else None


def value(prometheus: PrometheusProcess, query: str) -> float | None:
    """Of the one series that it finds, None for none."""
    found = asked(prometheus, "query", query=query)
    return float(found["result"][0]["value"][1]) if found and found["result"] else None


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def scraped() -> Iterator[tuple[Stand, PrometheusProcess]]:
    port = free_port()
    with stand() as made:
        (made.home / "engine.yaml").write_text(f"probes: 127.0.0.1:{port}\n")
        made.boot()
        with running_prometheus({"laneshift": [f"http://127.0.0.1:{port}"]}, rules=RULES) as prometheus:
            yield made, prometheus


def test_the_rules_find_what_they_ask_for(scraped: tuple[Stand, PrometheusProcess]) -> None:
    made, prometheus = scraped
    made.start(advance="manual")
    until(lambda: value(prometheus, "sum(laneshift_releases)") == 1)
    until(lambda: (value(prometheus, 'laneshift_decision_lag_seconds_count{input="look"}') or 0) > 0)
    names = {name for rule in rules() for name in re.findall(r"laneshift_\w+", rule["expr"])}
    present = {name: value(prometheus, f"count({name})") for name in names - {"laneshift_way_back_check_age_seconds"}}
    assert all(present.values()), present  # the sandbox' way back is not rehearsed, so nothing says how old that is
    until(lambda: _evaluated(prometheus))
    told = {rule["name"]: rule for rule in _groups(prometheus)}
    assert {name: (rule["health"], rule["state"]) for name, rule in told.items()} == {
        rule["alert"]: ("ok", "inactive") for rule in rules()
    }
    made.order("rollback", reason="a test")
    made.ends("rolled_back")
    until(lambda: value(prometheus, "laneshift_rollback_seconds_count") == 1)
    assert value(prometheus, 'laneshift_orders_total{verb="rollback",outcome="accepted"}') == 1
    assert value(prometheus, 'laneshift_releases{phase="rolled_back"}') == 1
    until(lambda: value(prometheus, "count(laneshift_release_info)") is None)


def test_an_engine_that_is_gone_is_noticed(scraped: tuple[Stand, PrometheusProcess]) -> None:
    made, prometheus = scraped
    until(lambda: value(prometheus, 'up{job="laneshift"}') == 1)
    made.kill()
    [rule] = [rule for rule in rules() if rule["alert"] == "LaneshiftAbsent"]
    until(lambda: value(prometheus, rule["expr"]) == 1)


def _groups(prometheus: PrometheusProcess) -> list[dict[str, Any]]:
    found = asked(prometheus, "rules") or {"groups": []}
    return [rule for group in found["groups"] for rule in group["rules"]]


def _evaluated(prometheus: PrometheusProcess) -> bool:
    found = _groups(prometheus)
    return len(found) == len(rules()) and all(rule["health"] == "ok" for rule in found)
