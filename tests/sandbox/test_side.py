"""A sandbox whose traffic goes to somebody else's gateway: the sides count it, and the traffic who answered."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sandbox.client import ConnectionPool
from sandbox.faults import NO_HARM, Faults
from sandbox.server import HttpServer, bind_loopback
from sandbox.shop import Shop
from sandbox.side import CountingSide
from sandbox.store import Store
from sandbox.tally import KEPT_SECONDS, Tally
from sandbox.wire import CHECK_HEADER, Request
from sandbox.world import Options, World


@pytest.fixture
def bound() -> socket.socket:
    return bind_loopback(0)


def shop(version: str) -> Shop:
    return Shop(version, Store(), random.Random(1), lambda: NO_HARM, sleep=lambda _: asyncio.sleep(0))


def counting_side(bound: socket.socket, faults: Faults) -> CountingSide:
    return CountingSide(bound, shop("v1"), faults)


async def page(side: CountingSide) -> str:
    return (await side.answer(Request("GET", "/metrics", {}))).body.decode()


async def test_a_side_counts_what_it_answers_and_not_what_laneshift_asks(
    bound: socket.socket,
) -> None:
    with bound:
        side = counting_side(bound, Faults())
        for headers in ({}, {}, {CHECK_HEADER: "probe"}):
            assert (await side.answer(Request("GET", "/healthz", headers))).status == 200
        await side.answer(Request("POST", "/checkout", {}, b"{}"))
        shown = await page(side)
    assert 'http_requests_total{code="200",version="v1"} 2.0' in shown
    assert 'http_request_duration_seconds_count{version="v1"} 3.0' in shown
    assert 'checkout_total{outcome="failure",version="v1"} 1.0' in shown
    assert "shop_db_pool_in_use" in shown


async def test_another_instance_begins_with_zeros(bound: socket.socket) -> None:
    with bound:
        side = counting_side(bound, Faults())
        await side.answer(Request("GET", "/healthz", {}))
        side.run(shop("v2"))
        shown = await page(side)
    assert 'http_requests_total{code="200",version="v2"} 0.0' in shown
    assert "v1" not in shown


async def test_faults_of_metrics_are_those_of_its_page(bound: socket.socket) -> None:
    with bound:
        faults = Faults()
        side = counting_side(bound, faults)
        faults.switch({"metrics-empty": True})
        assert await page(side) == ""
        faults.switch({"metrics-empty": False, "metrics-hang": True})
        waiting = asyncio.create_task(page(side))
        await asyncio.sleep(0)
        assert not waiting.done()
        faults.switch({"metrics-hang": False})
        assert "http_requests_total" in await waiting


@asynccontextmanager
async def all_to(side: str) -> AsyncIterator[World]:
    """A sandbox behind the simplest gateway there is: everything goes to one side."""
    bound = bind_loopback(0)
    world = World(Options(rps=500, seed=5, base_port=0, outside_gateway=bound.getsockname()[1]))
    there = ConnectionPool(port_of(world.urls().backends[side]))
    gateway = HttpServer(there.send, bound)
    await gateway.open()
    await world.start()
    try:
        yield world
    finally:
        await world.stop()
        gateway.close()
        there.close()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2000):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(holds)


async def test_the_traffic_goes_to_the_outside_gateway_and_tells_who_answered() -> None:
    async with all_to("shop-b") as world:
        asking = ConnectionPool(port_of(world.urls().gateway))

        async def traffic() -> dict[str, Any]:
            told: dict[str, Any] = json.loads((await asking.send(Request("GET", "/admin/traffic", {}))).body)
            return told

        async def enough() -> bool:
            return bool((await traffic())["answers"].get("v1.5.0", 0) >= 100)

        await until(enough)
        seen = await traffic()
        asking.close()
    assert seen["answers"].keys() == {"v1.5.0"}
    assert sum(answers["v1.5.0"] for _, answers in seen["seconds"]) == seen["answers"]["v1.5.0"]


async def test_overload_begins_at_the_share_that_really_comes() -> None:
    async with all_to("shop-b") as world:

        async def all_there() -> bool:
            return world._share("shop-b") > 99

        await until(all_there)
        assert world._share("shop-a") == 0


def test_a_tally_knows_who_answered_when_and_forgets_old_seconds() -> None:
    tally = Tally()
    for second in range(KEPT_SECONDS + 5):
        tally.count("v1", second, second + 0.5)
    tally.count("v2", 7.0, 9.0)
    tally.count("v2", 6.0, 9.5)
    seen = tally.view()
    assert seen["answers"] == {"v1": KEPT_SECONDS + 5, "v2": 2}
    assert seen["last_sent"] == {"v1": KEPT_SECONDS + 4, "v2": 7.0}
    assert len(seen["seconds"]) == KEPT_SECONDS
