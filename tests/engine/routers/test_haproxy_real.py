"""HAProxy's router where the contract does not look: reloads, servers that go, odd backends, the traffic itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from engine.contract.routers import write
from engine.inputs import Observation
from engine.routers import Ending, RouterConflict, RouterError
from engine.routers.haproxy import HaproxyRouter
from engine.routers.proxy_config import HaproxyConfig
from tests.support.answering import Answering, answering
from tests.support.haproxy_process import BACKEND, HaproxyProcess, running_haproxy

pytestmark = pytest.mark.real

Start = Callable[..., HaproxyProcess]
Made = Callable[..., HaproxyRouter]


@pytest.fixture
def servers() -> Iterator[dict[str, Answering]]:
    """Two of stable and one of the canary."""
    with answering("v1") as a1, answering("v1") as a2, answering("v2") as b:
        yield {"a1": a1, "a2": a2, "b": b}


@pytest.fixture
def start(servers: dict[str, Answering]) -> Iterator[Start]:
    """Starts an HAProxy before these servers."""
    with ExitStack() as stack:
        urls = {name: server.url for name, server in servers.items()}

        def started(names: Sequence[str] = ("a1", "b"), **options: Any) -> HaproxyProcess:
            return stack.enter_context(running_haproxy({name: urls[name] for name in names}, **options))

        yield started


@pytest.fixture
async def routed(servers: dict[str, Answering]) -> AsyncIterator[Made]:
    """Makes a router of these processes."""
    made: list[HaproxyRouter] = []

    def one(
        *processes: HaproxyProcess, stable: Sequence[str] = ("a1",), canary: Sequence[str] = ("b",)
    ) -> HaproxyRouter:
        config = {
            "sockets": [process.socket for process in processes],
            "backend": BACKEND,
            "stable": {"servers": stable, "urls": [servers[name].url for name in stable]},
            "canary": {"servers": canary, "urls": [servers[name].url for name in canary]},
        }
        made.append(HaproxyRouter(HaproxyConfig.model_validate(config)))
        return made[-1]

    yield one
    for router in made:
        await router.close()


async def shifted(router: HaproxyRouter, weight: int, number: str = "1.1") -> Observation:
    await router.shift(write(weight, (await router.observe()).generation if weight else None, number))
    seen = await router.observe()
    assert (seen.weight, seen.pending) == (weight, "")
    return seen


async def once(router: HaproxyRouter, is_so: Callable[[Observation], bool]) -> Observation:
    """What it shows when it is so."""
    for _ in range(100):
        seen = await router.observe()
        if is_so(seen):
            return seen
        await asyncio.sleep(0.05)
    raise AssertionError(seen)


def percent(weights: Mapping[str, int]) -> float:
    return 100 * weights["b"] / sum(weights.values())


# --- what it forgets


async def test_a_reload_is_said_once_and_what_was_there_is_put_back(start: Start, routed: Made) -> None:
    one, other = start(), start()
    router = routed(one, other)
    before = await shifted(router, 25)
    other.reload()
    assert percent(other.weights()) == 0
    seen = await router.observe()
    assert (seen.weight, seen.pending) == (25, f"{other.socket} was started anew: 25% is put back")
    assert percent(other.weights()) == percent(one.weights()) == 25
    after = await router.observe()
    assert (after.pending, after.mark, after.generation) == ("", before.mark, before.generation)


async def test_a_single_process_that_was_reloaded_is_never_shown_at_the_weight_it_fell_to(
    start: Start, routed: Made
) -> None:
    """A weight of 0 would be taken for a person's roll back."""
    process = start()
    router = routed(process)
    await shifted(router, 50)
    for _ in range(3):
        process.reload()
        assert (await router.observe()).weight == 50


async def test_after_a_way_back_a_reload_brings_no_traffic_to_the_canary(start: Start, routed: Made) -> None:
    process = start(first={"a1": 50, "b": 50})
    router = routed(process)
    await shifted(router, 0, "2.1")
    process.reload()
    assert percent(process.weights()) == 50
    seen = await router.observe()
    assert (seen.weight, seen.mark) == (0, "2.1")
    assert percent(process.weights()) == 0


async def test_a_reload_with_other_weights_in_the_file_is_somebodys_will(start: Start, routed: Made) -> None:
    process = start()
    router = routed(process)
    await shifted(router, 50)
    process.configure({"a1": 90, "b": 10})
    process.reload()
    assert (await router.observe()).weight == 10
    assert percent(process.weights()) == 10


async def test_a_router_that_saw_nothing_before_puts_nothing_back(start: Start, routed: Made) -> None:
    process = start()
    await shifted(routed(process), 50)
    process.reload()
    router = routed(process)
    await router.claim("contract-1", "engine-a")
    for _ in range(2):
        assert (await router.observe()).weight == 0


async def test_nothing_is_put_back_once_the_target_is_let_go(start: Start, routed: Made) -> None:
    process = start()
    router = routed(process)
    await shifted(router, 50)
    await router.let_go(Ending("contract-1", "promoted"))
    await router.observe()
    process.reload()
    assert (await router.observe()).weight == 0


async def test_a_restart_is_as_a_reload(start: Start, routed: Made) -> None:
    process = start()
    router = routed(process)
    await shifted(router, 25)
    process.kill()
    with pytest.raises(RouterError):
        await router.observe()
    process.start()
    assert (await once(router, lambda seen: not seen.pending)).weight == 25


# --- servers


async def test_servers_that_are_down_in_maintenance_or_draining_are_not_ready(
    start: Start, routed: Made, servers: dict[str, Answering]
) -> None:
    process = start(("a1", "a2", "b"))
    router = routed(process, stable=("a1", "a2"))
    await once(router, lambda seen: (seen.stable_ready, seen.canary_ready) == (2, 1))
    for state, ready in (("maint", 1), ("ready", 2), ("drain", 1), ("ready", 2)):
        process.tell(f"set server {BACKEND}/a2 state {state}")
        await once(router, lambda seen, ready=ready: seen.stable_ready == ready)
    servers["b"].stop()
    seen = await once(router, lambda seen: seen.canary_ready == 0)
    assert seen.stable_ready == 2


async def test_the_share_is_that_of_the_servers_that_are_up(start: Start, routed: Made) -> None:
    process = start(("a1", "a2", "b"))
    router = routed(process, stable=("a1", "a2"))
    seen = await shifted(router, 50)
    assert seen.share is None
    assert process.weights() == {"a1": 50, "a2": 50, "b": 100}
    process.tell(f"set server {BACKEND}/a2 state maint")
    seen = await router.observe()
    assert (seen.weight, seen.share) == (50, 66.67)


async def test_traffic_is_where_the_weight_says(start: Start, routed: Made, servers: dict[str, Answering]) -> None:
    process = start(("a1", "a2", "b"))
    router = routed(process, stable=("a1", "a2"))
    await once(router, lambda seen: (seen.stable_ready, seen.canary_ready) == (2, 1))
    async with httpx.AsyncClient() as http:
        for weight in (25, 100, 0):
            await shifted(router, weight, f"1.{weight}")
            before = servers["b"].requests
            for _ in range(80):
                (await http.get(process.url)).raise_for_status()
            assert servers["b"].requests - before == pytest.approx(80 * weight / 100, abs=2 * (0 < weight < 100))


async def test_metrics_name_each_side_by_its_workload(start: Start, routed: Made) -> None:
    process = start(("a1", "a2", "b"))
    seen = await routed(process, stable=("a1", "a2")).observe()
    assert (seen.canary_workload, seen.stable_workload) == ("b", "")
    async with httpx.AsyncClient() as http:
        page = (await http.get(process.metrics)).text
    assert (
        f'haproxy_server_http_responses_total{{proxy="{BACKEND}",server="{seen.canary_workload}",code="5xx"}}' in page
    )


# --- hands


async def test_a_weight_that_is_changed_by_hand_on_one_process_says_where(start: Start, routed: Made) -> None:
    one, other = start(), start()
    router = routed(one, other)
    await shifted(router, 25)
    other.set_weights({"a1": 60, "b": 40})
    seen = await router.observe()
    assert (seen.weight, seen.hand) == (40, f"somebody at {other.socket}")
    assert seen.pending == f"they differ: {one.socket} shows 25%, {other.socket} shows 40%"


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
    assert percent(one.weights()) == percent(other.weights()) == 0
    with pytest.raises(RouterConflict):
        await router.shift(write(50, seen.generation, "1.2"))


# --- what a backend can't do


async def findings(router: HaproxyRouter, grade: str) -> str:
    return "\n".join(f"{one.what} {one.said} {one.mend}" for one in await router.examine() if one.grade == grade)


async def test_a_balance_without_weights_is_refused_by_both(start: Start, routed: Made) -> None:
    process = start(balance="static-rr")
    router = routed(process)
    assert "static-rr takes only weights of 0% and 100%" in await findings(router, "bad")
    seen = await router.observe()
    with pytest.raises(RouterError, match="static LB algorithm"):
        await router.shift(write(25, seen.generation))
    await router.shift(write(0))
    assert (await router.observe()).weight == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"balance": "first"}, "first gives all traffic to the first server"),
        ({"more": ["cookie SRV insert"]}, "the cookie SRV"),
        ({"names": ("a1", "a2", "b"), "first": {"a1": 1, "a2": 1, "b": 0}}, "a2 carry traffic too"),
    ],
)
async def test_what_would_keep_users_on_the_canary_is_bad(
    start: Start, routed: Made, options: dict[str, Any], said: str
) -> None:
    assert said in await findings(routed(start(**options)), "bad")


async def test_what_people_should_know_is_a_warning(start: Start, routed: Made) -> None:
    said = await findings(routed(start(first={"a1": 60, "b": 40}, balance="uri")), "warn")
    assert "gives the canary 40%" in said
    assert "hash-type consistent" in said


async def test_a_server_that_nobody_checks_is_a_warning(start: Start, routed: Made) -> None:
    process = start(more=["option httpchk"])
    process.tell(f"disable health {BACKEND}/b")
    assert "nobody checks b" in await findings(routed(process), "warn")


async def test_a_backend_that_is_not_there_is_said_with_those_that_are(
    start: Start, servers: dict[str, Answering]
) -> None:
    process = start()
    side = {"servers": ["a1"], "version": "v1"}
    config = {"sockets": [process.socket], "backend": "shopp", "stable": side, "canary": {**side, "servers": ["b"]}}
    router = HaproxyRouter(HaproxyConfig.model_validate(config))
    with pytest.raises(RouterError, match=r"has no backend shopp .*; it has shop"):
        await router.observe()
    await router.close()


async def test_a_socket_without_the_right_to_write_is_found_before_it_is_needed(start: Start, routed: Made) -> None:
    process = start()
    text = process.directory / "haproxy.cfg"
    text.write_text(text.read_text().replace("level admin", "level operator"))
    process.kill()
    process.start()
    router = routed(process)
    with pytest.raises(RouterError, match="would not take a weight"):
        await router.rehearse(write(0))
    assert any(one.grade == "bad" for one in await router.examine())
