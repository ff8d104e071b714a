"""Every fault of the sandbox behind real Envoy, told by real Prometheus: found for what it is, and taken back."""

from __future__ import annotations

from typing import Any

import pytest

from engine import events as ev
from tests.end_to_end.plans import LINES
from tests.end_to_end.steps import (
    at_first_gate,
    begin,
    events_of,
    explained,
    never_advanced,
    rolled_back,
    until_explained,
)
from tests.support.shop_behind_envoy import Site

pytestmark = pytest.mark.real

FOUND_BY = {
    "errors": "error_rate",
    "errors-total": "error_rate",
    "latency": "latency_p95",
    "checkout": "checkout_success",
    "crash": "liveness",
}
BLIND = {
    "metrics-hang": "down: Prometheus can't scrape it",
    "metrics-empty": "down: Prometheus can't scrape it",
    "metrics-garbage": "down: Prometheus can't scrape it",
    "metrics-nan": "nan for",
}


def started(site: Site, **changes: Any) -> None:
    """In its first stage, which is long enough for any proof."""
    begin(site, **{"stages": ((40, 60), (100, 60)), "lines": LINES, **changes})
    site.at_stage(0)


def taken_back(site: Site, metric: str) -> None:
    rolled_back(site)
    [back] = events_of(site, ev.RollbackStarted)
    assert (back.metric, back.who) == (metric, "laneshift")


@pytest.mark.parametrize("fault", FOUND_BY)
def test_a_fault_of_the_canary_is_found_by_its_metric_and_rolled_back(site: Site, fault: str) -> None:
    started(site)
    site.fault(**{fault: True})
    taken_back(site, FOUND_BY[fault])
    never_advanced(site.history())


def test_connections_that_leak_are_found_before_the_pool_is_empty(site: Site) -> None:
    """By a plan that judges by looks in a row: to prove that a gauge stays past its line takes a minute."""
    started(site, lines={"db_pool_used": "> 80"}, judge="threshold", looks=5)
    site.fault(pool=True)
    taken_back(site, "db_pool_used")
    never_advanced(site.history())


def test_a_canary_that_fails_under_load_is_found_at_the_weight_that_loads_it(site: Site) -> None:
    site.fault(under_load=True)
    begin(site, stages=((25, 2), (55, 60), (100, 60)), lines={"error_rate": "> 4%"})
    taken_back(site, "error_rate")
    never_advanced(site.history(), 1)


def test_errors_of_both_versions_hold_and_are_not_blamed_on_the_canary(site: Site) -> None:
    started(site, stages=((40, 2), (100, 60)))
    site.fault(both=True)
    until_explained(site, "both versions")
    never_advanced(site.history())
    assert not events_of(site, ev.RollbackStarted)
    site.order("rollback")
    rolled_back(site)


def test_metrics_that_can_not_be_read_stop_the_release_and_are_no_obstacle_to_a_way_back(site: Site) -> None:
    at_first_gate(site)
    for fault, words in BLIND.items():
        site.fault(**{fault: True})
        until_explained(site, words)
        assert "advance" not in site.look()["orders"]
        site.fault(**{fault: False})
        site.until(lambda: "advance" in site.look()["orders"])
    site.fault(metrics_hang=True)
    site.until(lambda: "blind" in site.look()["holds"])
    never_advanced(site.history())
    site.order("rollback")
    rolled_back(site, 10)


def test_a_gateway_that_says_yes_and_moves_nothing_is_found_by_the_traffic(site: Site) -> None:
    site.gateway.behave(deaf=True)
    begin(site, stages=((40, 60), (100, 60)))
    site.until(lambda: site.look()["phase"] == "rolled_back" or "source counts" in explained(site))
    never_advanced(site.history())
    site.gateway.behave()
    site.client.give(site.release, "rollback")
    rolled_back(site)


def test_a_slow_gateway_is_waited_for(site: Site) -> None:
    site.gateway.behave(delay=2.0)
    begin(site, stages=((40, 60), (100, 60)))
    until_explained(site, "has not taken this change yet")
    assert site.look()["weight"] == {"desired": 40, "observed": 40}
    assert site.look()["baked_s"] == 0
    site.at_stage(0)
    site.order("rollback")
    rolled_back(site)
