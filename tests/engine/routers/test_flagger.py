"""Releases of a Canary under the real Flagger: its gates opened one step at a time, and rolled back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.contract.routers import RELEASE, rollback_sh, run, write
from engine.inputs import Observation
from engine.routers import Ending, RouterConflict, RouterError
from engine.routers.flagger import FlaggerRouter
from engine.routers.owner_config import FlaggerConfig
from tests.support.flagger_shop import TOKEN, WEIGHTS, FlaggerShop, shop_in
from tests.support.kube_api import Object
from tests.support.kube_shop import APP
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

SETTLE_S = 40.0


@pytest.fixture
async def shop(kube: Namespace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FlaggerShop]:
    """v1.0.0 on the primary; Flagger looks all the time."""
    monkeypatch.setenv("PATH", f"{kube.world.bin}{os.pathsep}{os.environ['PATH']}")
    shop = shop_in(kube)
    await asyncio.to_thread(shop.open)
    with shop.hurried():
        yield shop


@pytest.fixture
async def router(shop: FlaggerShop) -> AsyncIterator[FlaggerRouter]:
    made = router_of(shop)
    await made.observe()
    yield made
    await made.close()


def router_of(shop: FlaggerShop, name: str = APP) -> FlaggerRouter:
    gates = {"listen": f"127.0.0.1:{shop.port}", "token": TOKEN}
    config = {"namespace": shop.kube.name, "canary": name, "kubeconfig": str(shop.kube.kubeconfig()), "gates": gates}
    return FlaggerRouter(FlaggerConfig.model_validate(config), WEIGHTS)


async def seen_when(router: FlaggerRouter, holds: Callable[[Observation], object]) -> Observation:
    """What is observed, once it is as asked."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            seen = await router.observe()
            if holds(seen):
                return seen
            await asyncio.sleep(0.1)


async def in_effect(router: FlaggerRouter, weight: float) -> Observation:
    return await seen_when(router, lambda seen: seen.weight == weight and not seen.pending)


async def begun(shop: FlaggerShop, router: FlaggerRouter, version: str = "v1.1.0") -> Observation:
    """A release has the Canary, and Flagger has its new version running without traffic."""
    await router.claim(RELEASE, "engine-a")
    await asyncio.to_thread(shop.push, version)
    return await seen_when(router, lambda seen: seen.canary == version and seen.canary_ready)


async def raised(router: FlaggerRouter, *weights: int) -> Observation:
    for number, weight in enumerate(weights, 1):
        await seen_when(router, lambda _: router._last is not None and router._last.phase == "Progressing")
        await router.shift(write(weight, (await router.observe()).generation, f"1.{number}"))
        await in_effect(router, weight)
    return await router.observe()


async def test_a_release_to_its_promotion(shop: FlaggerShop, router: FlaggerRouter) -> None:
    before = await begun(shop, router)
    assert (before.weight, before.canary, before.stable) == (0, "v1.1.0", "v1.0.0")
    seen = await raised(router, *WEIGHTS)
    assert (seen.canary_build, seen.stable_build) == (before.canary_build, before.stable_build)
    assert shop.weight() == 100
    await router.finish(write(100, seen.generation, "1.9"))
    seen = await seen_when(router, lambda seen: seen.finished)
    assert (seen.weight, seen.canary, seen.stable) == (100, "v1.1.0", "v1.1.0")
    assert (seen.canary_workload, seen.canary_build) == (f"{APP}-primary", before.canary_build)
    assert seen.canary_ready
    for refused in (router.shift(write(0, None, "2.1")), router.rehearse(write(0))):
        with pytest.raises(RouterError, match=f"rollout undo deployment/{APP}"):
            await refused
    await router.let_go(Ending(RELEASE, "promoted"))
    assert "annotations" not in shop.read()["metadata"]


async def test_a_gate_opens_for_one_step_only_and_a_roll_back_is_taken_at_the_next_look(
    shop: FlaggerShop, router: FlaggerRouter
) -> None:
    await begun(shop, router)
    await raised(router, 25)
    asked = shop.read()["status"]["lastTransitionTime"]
    await asyncio.sleep(3)  # many looks
    assert shop.weight() == 25, f"nothing since {asked}"
    with pytest.raises(RouterConflict, match="can't go on to 100%: it is Progressing at 25%, and 50% is next"):
        await router.shift(write(100, (await router.observe()).generation))
    for number in ("2.1", "2.2"):
        await router.shift(write(0, None, number))
        seen = await in_effect(router, 0)
    assert (seen.mark, shop.weight(), shop.read()["status"]["phase"]) == ("2.2", 0, "Failed")
    assert "change an annotation of its pod template" in seen.remark
    await asyncio.to_thread(shop.push, "v1.2.0")
    await asyncio.to_thread(shop.until, lambda status: status["phase"] == "Waiting")
    await router.let_go(Ending(RELEASE, "rolled_back"))
    await asyncio.sleep(2)
    assert shop.read()["status"]["phase"] == "Waiting", "no release has it: nothing opens"
    await router.claim("contract-2", "engine-a")
    await seen_when(router, lambda seen: seen.canary == "v1.2.0" and seen.canary_ready)


async def test_without_an_engine_every_gate_is_closed_and_what_was_approved_is_not_lost(
    shop: FlaggerShop, router: FlaggerRouter
) -> None:
    await begun(shop, router)
    await raised(router, 25)
    seen = await router.observe()
    await router.close()
    late = router_of(shop)
    try:
        await late.shift(write(50, seen.generation, "1.5"))  # approved, and this engine answers nothing yet
        await asyncio.sleep(2)
        assert shop.weight() == 25
        await in_effect(late, 50)
    finally:
        await late.close()


async def test_a_roll_back_needs_no_way_from_flagger_to_the_engine(shop: FlaggerShop, router: FlaggerRouter) -> None:
    """Its webhooks reach nobody: what the status says is enough. A raise that was approved before is void."""
    await begun(shop, router)
    seen = await raised(router, 25)
    await router.close()
    late = router_of(shop)
    try:
        await late.shift(write(50, seen.generation, "1.5"))
        await late.shift(write(0, None, "1.6"))
        await asyncio.to_thread(shop.until, lambda status: status["phase"] == "Failed")
        assert shop.weight() == 0
    finally:
        await late.close()


async def test_rollback_sh_and_the_command_for_a_person_without_an_engine(
    shop: FlaggerShop, router: FlaggerRouter, tmp_path: Path
) -> None:
    await begun(shop, router)
    await raised(router, 25)
    await router.close()
    for _ in range(2):
        code, said = await run(str(rollback_sh(router, tmp_path)))
        assert code == 0, said
        assert shop.weight() == 0


async def test_a_raise_of_a_canary_that_moved_on_is_refused(shop: FlaggerShop, router: FlaggerRouter) -> None:
    before = await begun(shop, router)
    await router.shift(write(0, None, "3.1"))
    with pytest.raises(RouterConflict, match="has changed since it was read"):
        await router.shift(write(25, before.generation, "3.0"))
    await asyncio.to_thread(shop.until, lambda status: status["phase"] == "Failed")
    assert shop.weight() == 0


async def test_what_flagger_does_by_itself_is_said_with_its_name(shop: FlaggerShop, router: FlaggerRouter) -> None:
    await begun(shop, router)
    await raised(router, 25)
    shop.kube.api.patch("Canary", APP, {"status": {"failedChecks": 5}}, subresource="status")
    assert "Flagger itself (Failed" in (await in_effect(router, 0)).hand


async def test_a_new_revision_in_mid_release_goes_back_to_no_traffic_with_the_gates_closed(
    shop: FlaggerShop, router: FlaggerRouter
) -> None:
    first = await begun(shop, router)
    await raised(router, 25)
    await asyncio.to_thread(shop.push, "v1.2.0")
    seen = await seen_when(router, lambda seen: seen.canary == "v1.2.0" and seen.weight == 0)
    assert seen.canary_build != first.canary_build
    await asyncio.sleep(2)
    assert shop.weight() == 0


async def test_another_engine_is_refused_and_the_doctor_says_what_a_canary_lacks(
    shop: FlaggerShop, router: FlaggerRouter
) -> None:
    await router.claim(RELEASE, "engine-a")
    with pytest.raises(RouterConflict, match=RELEASE):
        await router.claim("contract-2", "engine-b")
    assert [found for found in await router.examine() if found.grade == "bad"] == []
    lacking: Object = {"spec": {"analysis": {"webhooks": []}}}
    shop.kube.api.patch("Canary", APP, lacking)
    with pytest.raises(RouterError, match="no webhook confirm-rollout, confirm-traffic-increase"):
        await router.observe()
    bad = [found for found in await router.examine() if found.grade == "bad"]
    assert [found.what for found in bad] == ["steps"]
    assert "type: rollback, url: http://ENGINE:PORT/TOKEN/rollback" in bad[0].said


async def test_a_canary_that_is_not_there_is_said_with_those_that_are(shop: FlaggerShop) -> None:
    router = router_of(shop, "warehouse")
    try:
        with pytest.raises(RouterError, match=f"there is no Canary {shop.kube.name}/warehouse; there is {APP}"):
            await router.observe()
    finally:
        await router.close()
