"""The whole sandbox as a process, looked at from outside as the engine looks at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sandbox.ready import Urls
from tests.support.exposition import Series, scrape, total
from tests.support.sandbox_process import running_sandbox

pytestmark = pytest.mark.real

OLD, NEW = "v1.4.0", "v1.5.0"
ENOUGH = 600  # requests of a side; every bound below fails by chance less than once in a million


class Visitor:
    """Somebody with a browser and the admin's rights."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        self.since: Series = {}

    def shift(self, canary: int) -> httpx.Response:
        return self.write({"weights": {"shop-a": 100 - canary, "shop-b": canary}})

    def write(self, body: dict[str, Any]) -> httpx.Response:
        return httpx.put(f"{self.urls.gateway}/admin/route", json=body, timeout=5)

    def route(self) -> dict[str, Any]:
        return httpx.get(f"{self.urls.gateway}/admin/route", timeout=5).json()

    def break_it(self, **faults: bool) -> None:
        named = {name.replace("_", "-"): on for name, on in faults.items()}
        httpx.put(f"{self.urls.gateway}/admin/faults", json=named, timeout=5).raise_for_status()
        self.since = scrape(self.urls.gateway)

    def count(self, name: str, **labels: str) -> float:
        """How much a counter of the gateway grew since the last `break_it`."""
        return total(self.now, name, **labels) - total(self.since, name, **labels)

    def watch(self, enough: Callable[[], bool]) -> None:
        """Scrapes until `enough`."""
        for _ in range(300):
            self.now = scrape(self.urls.gateway)
            if enough():
                return
            time.sleep(0.1)
        pytest.fail("the sandbox did not get there in 30 s")

    def watch_requests(self, *versions: str) -> None:
        self.watch(lambda: all(self.count("http_requests_total", version=version) >= ENOUGH for version in versions))

    def errors(self, version: str) -> float:
        """The share of 5xx."""
        bad = sum(self.count("http_requests_total", version=version, code=code) for code in ("500", "502", "503"))
        return bad / self.count("http_requests_total", version=version)

    def checkouts(self, version: str) -> float:
        """The share of successes."""
        good = self.count("checkout_total", version=version, outcome="success")
        return good / (good + self.count("checkout_total", version=version, outcome="failure"))

    def faster_than(self, version: str, seconds: str) -> float:
        quick = self.count("http_request_duration_seconds_bucket", version=version, le=seconds)
        return quick / self.count("http_request_duration_seconds_count", version=version)

    def pool(self, name: str) -> float:
        return total(scrape(self.urls.backends[name]), "shop_db_pool_in_use")


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """A sandbox that gives each side half of a brisk traffic."""
    with running_sandbox(rps=800) as urls:
        someone = Visitor(urls)
        assert someone.shift(50).status_code == 200
        yield someone


def is_healthy(visitor: Visitor, version: str) -> bool:
    return (
        visitor.errors(version) < 0.012
        and visitor.checkouts(version) > 0.9
        and visitor.faster_than(version, "0.25") > 0.5
    )


def test_a_healthy_baseline(sandbox):
    visitor = Visitor(sandbox)
    visitor.watch_requests(OLD)
    assert is_healthy(visitor, OLD)
    requests = visitor.count("http_requests_total", version=OLD)
    checkouts = visitor.count("checkout_total", version=OLD)
    assert 0.22 < checkouts / requests < 0.44
    assert visitor.count("http_requests_total", version=NEW) == 0
    assert visitor.count("sandbox_traffic_dropped_total") == 0
    assert 44 <= visitor.pool("shop-a") <= 56


def test_weights_are_honoured(visitor):
    assert visitor.shift(25).status_code == 200
    visitor.break_it()
    visitor.watch(lambda: visitor.count("http_requests_total") >= 2000)
    assert 0.2 < visitor.count("http_requests_total", version=NEW) / visitor.count("http_requests_total") < 0.3


def test_a_write_meant_for_another_generation_is_refused(visitor):
    weights = {"shop-a": 75, "shop-b": 25}
    refused = visitor.write({"weights": weights, "if_generation": 0})
    assert (refused.status_code, refused.json()["generation"]) == (409, 1)
    accepted = visitor.write({"weights": weights, "if_generation": 1, "mark": {"number": "3.7"}})
    assert accepted.json() == visitor.route()
    assert (accepted.json()["generation"], accepted.json()["mark"]["number"]) == (2, "3.7")


@pytest.mark.parametrize(
    ("fault", "shows"),
    [
        ("errors", lambda visitor: visitor.errors(NEW) > 0.012),
        ("errors_total", lambda visitor: visitor.errors(NEW) > 0.9 and visitor.checkouts(NEW) < 0.1),
        ("latency", lambda visitor: visitor.faster_than(NEW, "0.25") < 0.1 and visitor.errors(NEW) < 0.012),
        ("checkout", lambda visitor: 0.3 < visitor.checkouts(NEW) < 0.7 and visitor.errors(NEW) < 0.012),
        ("crash", lambda visitor: visitor.errors(NEW) > 0.9 and visitor.checkouts(NEW) < 0.1),
        ("under_load", lambda visitor: visitor.errors(NEW) > 0.04 and visitor.faster_than(NEW, "0.25") < 0.1),
    ],
)
def test_a_fault_shows_on_the_canary_alone(visitor, fault, shows):
    visitor.break_it(**{fault: True})
    visitor.watch_requests(OLD, NEW)
    assert shows(visitor)
    assert is_healthy(visitor, OLD)


def test_an_incident_on_both_shows_on_both(visitor):
    visitor.break_it(both=True)
    visitor.watch_requests(OLD, NEW)
    assert visitor.errors(OLD) > 0.012
    assert visitor.errors(NEW) > 0.012


def test_a_leak_shows_in_the_canarys_pool_and_in_nothing_else(visitor):
    visitor.break_it(pool=True)
    visitor.watch(lambda: visitor.pool("shop-b") > 60)
    visitor.watch_requests(OLD, NEW)
    assert 44 <= visitor.pool("shop-a") <= 56
    assert is_healthy(visitor, NEW)
    visitor.break_it(pool=False)
    visitor.watch(lambda: visitor.pool("shop-b") <= 56)


def test_a_crash_refuses_connections_and_a_restart_counts_from_zero(visitor):
    canary = visitor.urls.backends["shop-b"]
    visitor.watch_requests(NEW)
    before = total(scrape(canary), "shop_requests_total")
    visitor.break_it(crash=True)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{canary}/healthz")
    assert visitor.route()["backends"]["shop-b"]["ready"] == 0
    visitor.shift(0)
    visitor.break_it(crash=False)
    assert visitor.route()["backends"]["shop-b"]["ready"] == 1
    assert total(scrape(canary), "shop_requests_total") < before


def test_a_replaced_canary_shows_at_once(visitor):
    answer = httpx.post(f"{visitor.urls.gateway}/admin/backends/shop-b", json={"version": "v1.5.1"}, timeout=5)
    assert answer.json()["backends"]["shop-b"]["version"] == "v1.5.1"
    visitor.watch(lambda: visitor.count("http_requests_total", version="v1.5.1") > 0)
    assert httpx.get(f"{visitor.urls.backends['shop-b']}/healthz").headers["x-version"] == "v1.5.1"


def test_own_requests_are_not_counted(sandbox):
    counted = []
    for mark in ({"X-Laneshift-Check": "smoke"}, {}):
        for base in (sandbox.gateway, sandbox.backends["shop-b"]):
            # No traffic asks for this page, so its answers are only ours.
            answer = httpx.get(f"{base}/nowhere", headers=mark, timeout=5)
            assert (answer.status_code, answer.headers["x-version"]) == (404, answer.json()["version"])
        at_gateway = total(scrape(sandbox.gateway), "http_requests_total", code="404")
        counted.append((at_gateway, total(scrape(sandbox.backends["shop-b"]), "shop_requests_total", code="404")))
    assert counted == [(0, 0), (1, 1)]


def test_metrics_that_hang_hang_alone(visitor):
    httpx.put(f"{visitor.urls.gateway}/admin/faults", json={"metrics-hang": True}, timeout=5)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{visitor.urls.gateway}/metrics", timeout=0.3)
    assert httpx.get(f"{visitor.urls.gateway}/healthz", timeout=5).status_code == 200
    httpx.put(f"{visitor.urls.gateway}/admin/faults", json={"metrics-hang": False}, timeout=5)
    assert total(scrape(visitor.urls.gateway), "http_requests_total") > 0
