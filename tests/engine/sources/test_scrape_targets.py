"""Endpoints that come and go: names with several addresses, instances that start, end and are replaced."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from engine.judge.metric import Metric, Sample, Threshold
from engine.plan.model import parse_plan
from engine.plan.problem import PlanError
from engine.plan.selector import Selector, Subject
from engine.sources.config import PodsConfig, ScrapeConfig
from engine.sources.pod_targets import Pods
from engine.sources.reading import Differences, Query
from engine.sources.scrape import ScrapeSource
from engine.sources.scrape_targets import Named, Target, Targets, TargetsError
from tests.support.canned_http import Canned, answered, canned

ERRORS = Query(
    Metric("errors", "bad", (Threshold(0.02),)),
    total=Selector.parse("requests_total"),
    part=Selector.parse('requests_total{version="$version",code="500"}'),
)
PLAN = """\
service: shop
router: {sandbox: {}}
source: {scrape: {SCRAPE}}
metrics: {m: {total: x, bad: y, alert: "> 1%"}}
"""


class Told(Targets):
    """The endpoints that a test says there are."""

    name = "told"

    def __init__(self) -> None:
        self.targets: list[Target] | str = []

    async def find(self) -> list[Target]:
        if isinstance(self.targets, str):
            raise TargetsError(self.targets)
        return self.targets

    async def close(self) -> None:
        self.targets = []


class Looking:
    """Two seconds between looks; `serve` says what an instance has counted."""

    def __init__(self, server: Canned) -> None:
        self.server, self.told, self.at = server, Told(), 1000.0
        config = ScrapeConfig.model_validate({"urls": [server.url], "interval": "20s", "timeout": "10s"})
        self.source = ScrapeSource(config, now=lambda: self.at)
        self.source._ways = [self.told]
        self.differences = Differences((ERRORS,))

    def serve(self, name: str, version: str, total: int, more: str = "") -> Target:
        body = f'requests_total{{version="{version}"}} {total}\n{more}'.encode()
        self.server.answers[f"/{name}"] = answered(200, body, {"Content-Type": "text/plain"})
        return Target(name, f"{self.server.url}/{name}")

    async def sample(self, targets: Sequence[Target] | str) -> Sample | None:
        self.told.targets = targets if isinstance(targets, str) else list(targets)
        self.at += 2.0
        reading = await self.source.read((ERRORS,), canary=Subject("v2"), stable=Subject("v1"))
        return next(iter(self.differences.since_last(reading)), None)


@pytest.fixture
async def looking() -> AsyncIterator[Looking]:
    async with canned() as server:
        looks = Looking(server)
        yield looks
        await looks.source.close()


def totals(sample: Sample | None) -> tuple[float | None, float | None]:
    assert sample is not None
    assert sample.problem == ""
    return sample.stable and sample.stable.total, sample.canary and sample.canary.total


async def test_an_instance_that_comes_is_counted_from_its_first_sight_and_one_that_goes_is_no_loss(
    looking: Looking,
) -> None:
    await looking.sample([looking.serve("s1", "v1", 100), looking.serve("c1", "v2", 10)])
    more = [looking.serve("s1", "v1", 110), looking.serve("c1", "v2", 12), looking.serve("c2", "v2", 5000)]
    assert totals(await looking.sample(more)) == (10, 2)
    more = [looking.serve("s1", "v1", 120), looking.serve("c1", "v2", 14), looking.serve("c2", "v2", 5003)]
    assert totals(await looking.sample(more)) == (10, 5)
    assert totals(await looking.sample([looking.serve("s1", "v1", 130), looking.serve("c2", "v2", 5010)])) == (10, 7)


async def test_an_instance_that_says_it_has_just_started_counted_from_nothing(looking: Looking) -> None:
    await looking.sample([looking.serve("s1", "v1", 100)])
    started = looking.serve("c1", "v2", 30, "process_start_time_seconds 1002.5\n")
    assert totals(await looking.sample([looking.serve("s1", "v1", 110), started])) == (10, 30)


async def test_a_counter_of_an_instance_that_restarted_counts_anew(looking: Looking) -> None:
    await looking.sample([looking.serve("s1", "v1", 100), looking.serve("c1", "v2", 500)])
    assert totals(await looking.sample([looking.serve("s1", "v1", 110), looking.serve("c1", "v2", 3)])) == (10, 3)


async def test_one_that_is_silent_is_lost_unless_it_is_only_just_starting(looking: Looking) -> None:
    stable, canary = looking.serve("s1", "v1", 100), looking.serve("c1", "v2", 10)
    await looking.sample([stable, canary])
    gone = Target("c2", f"{looking.server.url}/gone", expected=False)
    assert totals(await looking.sample([stable, canary, gone])) == (0, 0)
    sample = await looking.sample([stable, canary, Target("c2", f"{looking.server.url}/gone")])
    assert sample is not None
    assert "partly read" in sample.problem
    looking.server.answers["/c1"] = answered(503, b"")
    sample = await looking.sample([stable, looking.serve("c3", "v2", 1), Target("c1", canary.url, expected=False)])
    assert sample is not None
    assert "partly read" in sample.problem, "it was read before"


async def test_what_can_not_be_looked_up_is_a_problem(looking: Looking) -> None:
    sample = await looking.sample("no such name")
    assert sample is not None
    assert sample.problem == "no such name"
    sample = await looking.sample([])
    assert sample is not None
    assert "nothing to scrape" in sample.problem


def addresses(*hosts: str) -> Any:
    async def getaddrinfo(_name: str, port: int, **_what: Any) -> list[Any]:
        if not hosts:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    return getaddrinfo


async def test_each_address_of_a_name_is_one_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        asyncio.get_running_loop(), "getaddrinfo", addresses("10.0.0.2", "10.0.0.1", "fd00::1", "10.0.0.1")
    )
    assert await Named("shop.svc:8080/of/metrics").find() == [
        Target("10.0.0.1:8080", "http://10.0.0.1:8080/of/metrics", "shop.svc:8080"),
        Target("10.0.0.2:8080", "http://10.0.0.2:8080/of/metrics", "shop.svc:8080"),
        Target("[fd00::1]:8080", "http://[fd00::1]:8080/of/metrics", "shop.svc:8080"),
    ]


async def test_a_name_without_an_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses())
    with pytest.raises(TargetsError, match="shop can't be looked up: Name or service not known"):
        await Named("shop:80").find()


async def test_a_name_is_scraped_at_its_addresses_and_asked_for_by_its_name() -> None:
    async with canned() as server:
        server.answers["/metrics"] = answered(200, b'requests_total{version="v2"} 5\n', {"Content-Type": "text/plain"})
        port = server.url.rpartition(":")[2]
        source = ScrapeSource(ScrapeConfig.model_validate({"dns": f"localhost:{port}", "interval": "20s"}))
        reading = await source.read((ERRORS,), canary=Subject("v2"), stable=Subject("v1"))
        await source.close()
    assert f"127.0.0.1:{port}" in (reading.places or ())
    assert any(f"host: localhost:{port}" in head.lower() for *_, head in server.seen)


def pod(name: str = "shop-1", **status: Any) -> dict[str, Any]:
    ready = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    port = {"name": "metrics", "containerPort": 9100}
    return {"metadata": {"name": name}, "status": ready | status, "spec": {"containers": [{"ports": [port]}]}}


@pytest.mark.parametrize(
    ("found", "target"),
    [
        (pod(), Target("shop-1", "http://10.0.0.1:9100/metrics")),
        (pod(podIP="fd00::1"), Target("shop-1", "http://[fd00::1]:9100/metrics")),
        (pod(conditions=[]), Target("shop-1", "http://10.0.0.1:9100/metrics", expected=False)),
        (
            pod() | {"metadata": {"name": "shop-1", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            Target("shop-1", "http://10.0.0.1:9100/metrics", expected=False),
        ),
        (pod(phase="Pending"), None),
        (pod(phase="Succeeded"), None),
        (pod(podIP=""), None),
        (pod() | {"spec": {"containers": [{}]}}, None),
    ],
)
def test_pods_that_run_are_endpoints_and_those_that_are_ready_must_answer(found: Any, target: Target | None) -> None:
    config = PodsConfig.model_validate({"namespace": "shop", "selector": "app=shop", "port": "metrics"})
    assert Pods(config)._target(found) == target


@pytest.mark.parametrize(
    "scrape",
    [
        'dns: "shop.svc:8080"',
        'dns: ["a:1/x?y=1", "b:2"]',
        "pods: {namespace: shop, selector: 'app in (a, b)', port: 8080, path: /m}",
        "pods: {namespace: shop, service: shop, port: metrics}, urls: ['http://gw/metrics']",
    ],
)
def test_endpoints_may_be_named_in_several_ways(scrape: str) -> None:
    plan = parse_plan(PLAN.replace("SCRAPE", scrape).encode())
    assert type(plan).model_validate(plan.written()) == plan


@pytest.mark.parametrize(
    ("scrape", "said"),
    [
        ("interval: 5s", "unless there are dns or pods"),
        ("dns: shop", "a name with its port"),
        ('dns: "http://shop:80"', "a name with its port"),
        ('dns: ["a:1", "a:1"]', "each address once"),
        ("pods: {namespace: shop, port: 80}", "selector or service"),
        ("pods: {namespace: shop, selector: a, service: b, port: 80}", "selector or service"),
        ("pods: {namespace: shop, selector: a, port: 80, path: metrics}", "a path such as /metrics"),
        ("pods: {namespace: shop, selector: a, port: 0}", "1 or more"),
        ("pods: {namespace: shop, selector: a, port: 80, kubeconfig: ./mine}", "a whole path on the engine's machine"),
    ],
)
def test_a_fault_says_what_is_allowed(scrape: str, said: str) -> None:
    with pytest.raises(PlanError) as found:
        parse_plan(PLAN.replace("SCRAPE", scrape).encode())
    assert said in str(found.value)
