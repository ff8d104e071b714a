"""Envoy's router where the contract does not look: restarts, hosts that go, odd configurations, the traffic itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from engine.contract.routers import write
from engine.inputs import Observation
from engine.routers import RouterConflict, RouterError
from engine.routers.envoy import EnvoyRouter
from engine.routers.proxy_config import EnvoyConfig
from tests.support.answering import Answering, answering
from tests.support.envoy_process import PREFIX, EnvoyProcess, running_envoy

pytestmark = pytest.mark.real

Start = Callable[..., EnvoyProcess]
Made = Callable[..., EnvoyRouter]


@pytest.fixture
def servers() -> Iterator[dict[str, Answering]]:
    with answering("v1") as old, answering("v2") as new:
        yield {"old": old, "new": new}


@pytest.fixture
def start(servers: dict[str, Answering]) -> Iterator[Start]:
    """Starts an Envoy before these servers; `change` changes the text of its configuration first."""
    with ExitStack() as stack:

        def started(first: Mapping[str, int] | None = None, change: Callable[[str], str] | None = None) -> EnvoyProcess:
            clusters = {name: [server.url] for name, server in servers.items()}
            envoy = stack.enter_context(running_envoy(clusters, first))
            if change is not None:
                envoy.kill()
                config = envoy.directory / "envoy.json"
                config.write_text(change(config.read_text()))
                envoy.start()
            return envoy

        yield started


@pytest.fixture
async def routed(servers: dict[str, Answering]) -> AsyncIterator[Made]:
    """Makes a router of these Envoys."""
    made: list[EnvoyRouter] = []

    def one(*processes: EnvoyProcess, key: str = PREFIX) -> EnvoyRouter:
        config = {
            "admin": [process.admin for process in processes],
            "runtime_key": key,
            "stable": {"cluster": "old", "urls": [servers["old"].url]},
            "canary": {"cluster": "new", "urls": [servers["new"].url]},
        }
        made.append(EnvoyRouter(EnvoyConfig.model_validate(config)))
        return made[-1]

    yield one
    for router in made:
        await router.close()


async def shifted(router: EnvoyRouter, weight: int, number: str = "1.1") -> Observation:
    await router.shift(write(weight, (await router.observe()).generation if weight else None, number))
    seen = await router.observe()
    assert (seen.weight, seen.pending) == (weight, "")
    return seen


def again(process: EnvoyProcess) -> None:
    process.kill()
    process.start()


# --- what it forgets


async def test_a_restart_is_said_once_and_what_was_there_is_put_back(start: Start, routed: Made) -> None:
    one, other = start(), start()
    router = routed(one, other)
    before = await shifted(router, 25)
    again(other)
    assert other.weights().get("new", 0) == 0
    seen = await router.observe()
    assert (seen.weight, seen.pending) == (25, f"{other.admin} was started anew: 25% is put back")
    assert other.weights() == one.weights() == {"old": 75, "new": 25}
    after = await router.observe()
    assert (after.pending, after.mark, after.generation) == ("", before.mark, before.generation)


async def test_after_a_way_back_a_restart_brings_no_traffic_to_the_canary(start: Start, routed: Made) -> None:
    process = start({"old": 50, "new": 50})
    router = routed(process)
    await shifted(router, 0, "2.1")
    again(process)
    seen = await router.observe()
    assert (seen.weight, seen.mark) == (0, "2.1")
    assert process.weights() == {"old": 100, "new": 0}


async def test_a_router_that_saw_nothing_before_puts_nothing_back(start: Start, routed: Made) -> None:
    process = start()
    await shifted(routed(process), 50)
    again(process)
    router = routed(process)
    await router.claim("contract-1", "engine-a")
    for _ in range(2):
        assert (await router.observe()).weight == 0


# --- hosts and traffic


async def test_traffic_is_where_the_weight_says(start: Start, routed: Made, servers: dict[str, Answering]) -> None:
    process = start()
    router = routed(process)
    async with httpx.AsyncClient() as http:
        for weight, least, most in ((50, 50, 150), (100, 200, 200), (0, 0, 0)):
            await shifted(router, weight, f"1.{weight}")
            before = servers["new"].requests
            for _ in range(200):
                (await http.get(process.url)).raise_for_status()
            assert least <= servers["new"].requests - before <= most
        assert (
            f'envoy_cluster_name="{(await router.observe()).canary_workload}"'
            in (await http.get(f"{process.admin}/stats/prometheus")).text
        )


async def test_a_host_that_fails_its_health_check_is_not_ready(
    start: Start, routed: Made, servers: dict[str, Answering]
) -> None:
    process = start(change=_with_health_checks)
    router = routed(process)
    seen = await router.observe()
    assert (seen.canary_ready, seen.stable_ready) == (1, 1)
    servers["new"].stop()
    for _ in range(100):
        seen = await router.observe()
        if not seen.canary_ready:
            break
        await asyncio.sleep(0.05)
    assert (seen.canary_ready, seen.stable_ready) == (0, 1)


def _with_health_checks(text: str) -> str:
    config = json.loads(text)
    check = {
        "timeout": "1s",
        "interval": "0.1s",
        "no_traffic_interval": "0.1s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "reuse_connection": False,
        "http_health_check": {"path": "/"},
    }
    for cluster in config["static_resources"]["clusters"]:
        cluster["health_checks"] = [check]
    return json.dumps(config)


async def test_several_versions_on_one_side_are_all_named(
    start: Start, routed: Made, servers: dict[str, Answering]
) -> None:
    """So that a canary that is half of another version is not the version that was judged."""
    process = start()
    config = {
        "admin": [process.admin],
        "runtime_key": PREFIX,
        "stable": {"cluster": "old", "version": "v1"},
        "canary": {"cluster": "new", "urls": [server.url for server in servers.values()]},
    }
    router = EnvoyRouter(EnvoyConfig.model_validate(config))
    seen = await router.observe()
    assert (seen.canary, seen.stable) == ("v1, v2", "v1")
    await router.close()


# --- hands


async def test_a_weight_that_is_changed_by_hand_on_one_says_where(start: Start, routed: Made) -> None:
    one, other = start(), start()
    router = routed(one, other)
    await shifted(router, 25)
    other.set_weights({"old": 60, "new": 40})
    seen = await router.observe()
    assert (seen.weight, seen.hand) == (40, f"somebody at {other.admin}")
    assert seen.pending == f"they differ: {one.admin} shows 25%, {other.admin} shows 40%"


async def test_a_way_back_ends_a_raise_that_is_under_way(start: Start, routed: Made) -> None:
    one, other = start(), start()
    router = routed(one, other)
    seen = await shifted(router, 5)
    other.freeze()
    raising = asyncio.create_task(router.shift(write(50, seen.generation, "1.2")))
    await asyncio.sleep(0.1)
    returning = asyncio.create_task(router.shift(write(0, None, "1.3")))
    with pytest.raises(RouterConflict, match="a way back came between"):
        await raising
    other.thaw()
    await returning
    assert one.weights() == other.weights() == {"old": 100, "new": 0}


# --- what an Envoy can't do


async def findings(router: EnvoyRouter, grade: str) -> str:
    return "\n".join(f"{one.what} {one.said} {one.mend}" for one in await router.examine() if one.grade == grade)


async def test_an_envoy_without_an_admin_layer_is_found_before_it_is_needed(start: Start, routed: Made) -> None:
    process = start(change=lambda text: text.replace('"admin_layer": {}', '"static_layer": {}'))
    router = routed(process)
    for asked in (router.rehearse(write(0)), router.shift(write(0))):
        with pytest.raises(RouterError, match="No admin layer specified"):
            await asked
    assert "No admin layer specified" in await findings(router, "bad")


async def test_a_route_that_is_not_there_is_said_with_those_that_are(start: Start, routed: Made) -> None:
    router = routed(start(), key="routing.other")
    with pytest.raises(RouterError, match=f"no route with the runtime_key_prefix routing.other; there is {PREFIX}"):
        await router.observe()


async def test_a_configuration_that_gives_the_canary_traffic_is_a_warning(start: Start, routed: Made) -> None:
    assert "gives the canary 40%" in await findings(routed(start({"old": 60, "new": 40})), "warn")


async def test_another_cluster_with_traffic_is_bad(start: Start, routed: Made) -> None:
    router = routed(start(change=_with_a_third))
    assert "third carry traffic too" in await findings(router, "bad")
    seen = await router.observe()
    assert (seen.weight, seen.share, seen.remark) == (0, None, "other clusters of the route carry traffic: third")
    seen = await shifted(router, 50)
    assert seen.share == 33.33


def _with_a_third(text: str) -> str:
    config: dict[str, Any] = json.loads(text)
    clusters: list[dict[str, Any]] = config["static_resources"]["clusters"]
    clusters.append({**clusters[0], "name": "third"})
    [listener] = config["static_resources"]["listeners"]
    [chain] = listener["filter_chains"]
    [host] = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    weighted: Sequence[Any] = host["routes"][0]["route"]["weighted_clusters"]["clusters"]
    host["routes"][0]["route"]["weighted_clusters"]["clusters"] = [*weighted, {"name": "third", "weight": 50}]
    return json.dumps(config)
