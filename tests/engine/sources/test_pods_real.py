"""Pods as endpoints, found through a real API server: they come, go and are replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from engine.judge.metric import Metric, Threshold
from engine.plan.selector import Selector, Subject
from engine.sources.config import ScrapeConfig
from engine.sources.reading import Query, Reading
from engine.sources.scrape import ScrapeSource
from tests.support.canned_http import Canned, answered
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

ERRORS = Query(
    Metric("errors", "bad", (Threshold(0.02),)),
    total=Selector.parse("requests_total"),
    part=Selector.parse("bad_total"),
)
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop"},
    "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]},
}


class Instances:
    """Instances of the shop at 127.0.0.1, .2, ..., all at one port, each with a pod that says so."""

    def __init__(self, kube: Namespace) -> None:
        self.kube, self.port = kube, 0
        self.servers = AsyncExitStack()

    async def run(self, number: int, version: str, count: int, ready: bool = True, **labels: str) -> None:
        told = Canned()
        told.answers["/metrics"] = answered(
            200, f'requests_total{{version="{version}"}} {count}\n'.encode(), {"Content-Type": "text/plain"}
        )
        server = await asyncio.start_server(told.talk, f"127.0.0.{number}", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self.servers.push_async_callback(told.hang_up)
        self.servers.callback(server.close)
        self._pod(number, {"app": "shop", **labels}, ready)

    def _pod(self, number: int, labels: dict[str, str], ready: bool) -> None:
        ports = [{"name": "metrics", "containerPort": self.port}]
        box = {"name": "shop", "image": "shop:v1", "ports": ports}
        spec = {"containers": [box], "serviceAccountName": "default", "automountServiceAccountToken": False}
        spec["schedulerName"] = "nobody"  # its state is what is said below, whoever else plays kubelet in this world
        name = f"shop-{number}"
        made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
        self.kube.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, made)
        ip = f"127.0.0.{number}"
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        }
        self.kube.api.patch("Pod", name, {"status": status}, subresource="status")

    def end(self, number: int) -> None:
        self.kube.api.ask("DELETE", self.kube.api.path("Pod", f"shop-{number}"), params={"gracePeriodSeconds": 0})


@pytest.fixture
async def shop(kube: Namespace) -> AsyncIterator[Instances]:
    made = Instances(kube)
    async with made.servers:
        yield made


def source(kube: Namespace, **pods: Any) -> ScrapeSource:
    found = {"namespace": kube.name, "port": "metrics", "kubeconfig": str(kube.kubeconfig()), **pods}
    return ScrapeSource(ScrapeConfig.model_validate({"pods": found, "interval": "20s", "timeout": "5s"}))


async def look(source: ScrapeSource) -> Reading:
    return await source.read((ERRORS,), canary=Subject("v2"), stable=Subject("v1"))


async def until_read(source: ScrapeSource, places: set[str]) -> Reading:
    """The watch tells within moments what has changed."""
    for _ in range(100):
        reading = await look(source)
        if reading.places == places:
            return reading
        await asyncio.sleep(0.1)
    raise AssertionError(f"{reading.places}, {reading.lost}, {reading.problem}")


async def test_the_pods_of_a_service_are_read_as_they_come_and_go(kube: Namespace, shop: Instances) -> None:
    kube.api.apply(SERVICE)
    await shop.run(1, "v1", 100)
    await shop.run(2, "v2", 10)
    await shop.run(3, "v2", 5, app="other")
    made = source(kube, service="shop")
    first = await look(made)
    assert (first.problem, first.lost, first.places) == ("", {}, {"shop-1", "shop-2"})
    assert sum(first.values["errors", "canary", "total"].values()) == 10
    await shop.run(4, "v2", 7)
    await until_read(made, {"shop-1", "shop-2", "shop-4"})
    shop.end(2)
    last = await until_read(made, {"shop-1", "shop-4"})
    assert last.lost == {}
    await made.close()


async def test_a_pod_that_is_not_ready_may_be_silent_and_one_that_is_may_not(kube: Namespace, shop: Instances) -> None:
    await shop.run(1, "v1", 100)
    shop._pod(7, {"app": "shop"}, ready=False)
    made = source(kube, selector="app=shop")
    first = await look(made)
    assert (first.places, first.lost) == ({"shop-1"}, {})
    shop._pod(8, {"app": "shop"}, ready=True)
    for _ in range(100):
        if (reading := await look(made)).lost:
            break
        await asyncio.sleep(0.1)
    await made.close()
    assert list(reading.lost) == ["shop-8"]


async def test_a_service_that_is_not_there_is_said(kube: Namespace) -> None:
    made = source(kube, service="shop")
    assert (await look(made)).problem == f"service shop in namespace {kube.name} is not there"
    await made.close()
