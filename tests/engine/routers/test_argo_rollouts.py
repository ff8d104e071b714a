"""Releases of a Rollout under the real Argo Rollouts controller: to the end and back, by other hands, without it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.contract.routers import RELEASE, rollback_sh, run, write
from engine.inputs import Observation
from engine.routers import Ending, RouterConflict, RouterError
from engine.routers.argo_rollouts import ArgoRolloutsRouter
from engine.routers.owner_config import ArgoRolloutsConfig
from tests.support.argo_shop import WEIGHTS, ArgoShop
from tests.support.kube_api import eventually
from tests.support.kube_shop import APP
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

SETTLE_S = 20.0


@pytest.fixture
async def shop(kube: Namespace, monkeypatch: pytest.MonkeyPatch) -> ArgoShop:
    """v1.0.0 behind an nginx Ingress."""
    monkeypatch.setenv("PATH", f"{kube.world.bin}{os.pathsep}{os.environ['PATH']}")
    shop = ArgoShop(kube)
    await asyncio.to_thread(shop.open, scaleDownDelaySeconds=3600)
    return shop


@pytest.fixture
async def router(shop: ArgoShop) -> AsyncIterator[ArgoRolloutsRouter]:
    made = router_of(shop)
    yield made
    await made.close()


def router_of(shop: ArgoShop, weights: tuple[int, ...] = WEIGHTS) -> ArgoRolloutsRouter:
    config = {"namespace": shop.kube.name, "rollout": APP, "kubeconfig": str(shop.kube.kubeconfig())}
    return ArgoRolloutsRouter(ArgoRolloutsConfig.model_validate(config), weights)


async def seen_when(router: ArgoRolloutsRouter, holds: Callable[[Observation], object]) -> Observation:
    """What is observed, once it is as asked."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            seen = await router.observe()
            if holds(seen):
                return seen
            await asyncio.sleep(0.1)


async def in_effect(router: ArgoRolloutsRouter, weight: float) -> Observation:
    return await seen_when(router, lambda seen: seen.weight == weight and not seen.pending)


async def raised(router: ArgoRolloutsRouter, *weights: int) -> Observation:
    """Stage by stage."""
    for number, weight in enumerate(weights, 1):
        seen = await seen_when(router, lambda seen: seen.canary and not seen.pending)
        await router.shift(write(weight, seen.generation, f"1.{number}"))
        await in_effect(router, weight)
    return await router.observe()


async def promoted(router: ArgoRolloutsRouter, *weights: int) -> Observation:
    """Through these weights to the end: Argo's stable is the release's canary."""
    seen = await raised(router, *weights)
    await router.finish(write(100, seen.generation, "1.9"))
    return await seen_when(router, lambda seen: seen.finished)


async def test_before_a_version_is_pushed_there_is_no_canary_and_after_it_one_pod_without_traffic(
    shop: ArgoShop, router: ArgoRolloutsRouter
) -> None:
    seen = await router.observe()
    assert (seen.weight, seen.canary, seen.stable, seen.pending) == (0, "", "v1.0.0", "")
    await asyncio.to_thread(shop.push, "v1.1.0")
    seen = await router.observe()
    assert (seen.weight, seen.canary, seen.stable) == (0, "v1.1.0", "v1.0.0")
    assert (seen.canary_ready, seen.stable_ready, seen.canary_build != seen.stable_build) == (1, 4, True)
    assert seen.vitals == {"restarts": 0, "oom_kills": 0, "unready": 0}
    assert seen.canary_workload == f"{APP}-{seen.canary_build}"


async def test_a_release_to_its_end_and_back_afterwards(shop: ArgoShop, router: ArgoRolloutsRouter) -> None:
    await router.claim(RELEASE, "engine-a")
    await asyncio.to_thread(shop.push, "v1.1.0")
    before = await router.observe()
    seen = await promoted(router, *WEIGHTS)
    assert (seen.weight, seen.canary, seen.stable) == (100, "v1.1.0", "v1.0.0")
    assert (seen.canary_build, seen.stable_build) == (before.canary_build, before.stable_build)
    assert shop.read()["status"]["stableRS"] == before.canary_build
    assert "has promoted" in await router.finish(write(100, seen.generation, "1.10"))
    await router.rehearse(write(0))
    for number in ("2.1", "2.2"):
        await router.shift(write(0, None, number))
        await in_effect(router, 0)
    assert shop.read()["status"]["stableRS"] == before.stable_build
    assert shop.read()["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"] == "v1.0.0"
    await router.let_go(Ending(RELEASE, "rolled_back"))
    assert not any(name.startswith("laneshift") for name in shop.read()["metadata"]["annotations"])


async def test_rollback_sh_goes_back_after_the_promotion_too(
    shop: ArgoShop, router: ArgoRolloutsRouter, tmp_path: Path
) -> None:
    await asyncio.to_thread(shop.push, "v1.1.0")
    await promoted(router, *WEIGHTS)
    for _ in range(2):
        code, said = await run(str(rollback_sh(router, tmp_path)))
        assert code == 0, said
        assert (await in_effect(router, 0)).stable == "v1.0.0"


async def test_a_version_that_is_pushed_after_the_promotion_takes_nothing_from_it(
    shop: ArgoShop, router: ArgoRolloutsRouter
) -> None:
    """The release that ended still has all of the traffic; the next one claims the Rollout and begins at 0."""
    await asyncio.to_thread(shop.push, "v1.1.0")
    await promoted(router, *WEIGHTS)
    await asyncio.to_thread(shop.push, "v1.2.0")
    seen = await router.observe()
    assert (seen.weight, seen.canary, seen.finished) == (100, "v1.1.0", True)
    assert "has begun with v1.2.0" in seen.remark
    await router.claim("contract-2", "engine-a")
    seen = await router.observe()
    assert (seen.weight, seen.canary, seen.stable, seen.finished) == (0, "v1.2.0", "v1.1.0", False)
    assert await router.let_go(Ending(RELEASE, "promoted")) == "", "it is the next release's by now"
    assert (await router.observe()).marked_release == "contract-2"


async def test_only_the_next_weight_can_be_raised_to(shop: ArgoShop, router: ArgoRolloutsRouter) -> None:
    await asyncio.to_thread(shop.push, "v1.1.0")
    with pytest.raises(RouterConflict, match="can't go on to 50%: it waits at 0%, and 25% is next"):
        await router.shift(write(50, (await router.observe()).generation))
    assert shop.weight() == 0


async def test_a_rollout_that_was_aborted_is_tried_again_by_the_next_release(
    shop: ArgoShop, router: ArgoRolloutsRouter
) -> None:
    await router.claim(RELEASE, "engine-a")
    await asyncio.to_thread(shop.push, "v1.1.0")
    await raised(router, 25)
    await router.shift(write(0))
    await in_effect(router, 0)
    await router.claim(RELEASE, "engine-a")
    assert shop.read()["status"]["abort"] is True, "the same release never undoes its own way back"
    await router.claim("contract-2", "engine-a")
    assert (await seen_when(router, lambda seen: seen.canary_ready and not seen.pending)).weight == 0
    await raised(router, 25)


# --- other hands


async def test_who_promotes_or_aborts_by_hand_is_said(shop: ArgoShop, router: ArgoRolloutsRouter) -> None:
    await asyncio.to_thread(shop.push, "v1.1.0")
    assert (await raised(router, 25)).hand == ""
    shop.order("promote")
    assert "keeps no name" in (await in_effect(router, 50)).hand
    shop.order("abort")
    assert (await in_effect(router, 0)).hand == "kubectl-argo-rollouts"


async def test_a_version_that_is_pushed_in_mid_release_is_another_build(
    shop: ArgoShop, router: ArgoRolloutsRouter
) -> None:
    await asyncio.to_thread(shop.push, "v1.1.0")
    first = await raised(router, 25)
    await asyncio.to_thread(shop.push, "v1.2.0")
    seen = await in_effect(router, 0)
    assert (seen.canary, seen.stable) == ("v1.2.0", "v1.0.0")
    assert seen.canary_build not in ("", first.canary_build)


async def test_the_way_back_ends_a_full_promotion(shop: ArgoShop, router: ArgoRolloutsRouter) -> None:
    """Argo takes an abort during one and does nothing (argo-rollouts#4461)."""
    await asyncio.to_thread(shop.push, "v1.1.0")
    await raised(router, 25)
    await asyncio.to_thread(shop.push, "v1.2.0", "never-ready", wait=False)
    await seen_when(router, lambda seen: seen.canary == "v1.2.0")
    shop.order("promote", "--full")
    await seen_when(router, lambda _: shop.read()["status"].get("promoteFull"))
    await router.shift(write(0))
    assert (await in_effect(router, 0)).stable == "v1.0.0"
    assert shop.read()["status"]["abort"] is True


# --- what goes wrong


async def test_without_its_controller_nothing_goes_on_and_the_way_back_takes_effect_when_it_returns(
    shop: ArgoShop, router: ArgoRolloutsRouter
) -> None:
    await asyncio.to_thread(shop.push, "v1.1.0")
    seen = await raised(router, 25)
    shop.controller().freeze()
    try:
        await router.shift(write(50, seen.generation, "1.5"))
        seen = await router.observe()
        assert seen.weight == 25
        assert "was told to go on from step 5 of 9 and has not done it" in seen.pending
        assert "its controller last wrote at" in seen.pending
        await router.shift(write(0, None, "1.6"))
        seen = await router.observe()
        assert (seen.weight, seen.mark) == (25, "1.6")
        assert "was told to abort and has not done it" in seen.pending
    finally:
        shop.controller().thaw()
    await in_effect(router, 0)


async def test_pods_that_do_not_start_are_why_nothing_goes_on(shop: ArgoShop, router: ArgoRolloutsRouter) -> None:
    await asyncio.to_thread(shop.push, "v1.1.0", "image-pull", wait=False)
    seen = await seen_when(router, lambda seen: "ImagePullBackOff" in seen.pending)
    assert (seen.weight, seen.canary, seen.canary_ready) == (0, "v1.1.0", 0)
    with pytest.raises(RouterConflict, match="Argo Rollouts is at step 1 of 9"):
        await router.shift(write(25, seen.generation))


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ({"canary": {"steps": [{"setWeight": 25}, {"pause": {}}]}}, "no `pause: {}` comes before it"),
        ({"blueGreen": {"activeService": APP}}, "its strategy is blueGreen, not canary"),
        (
            {"canary": {"steps": [{"pause": {}}, {"setWeight": 100}, {"pause": {}}]}},
            "its weights are 100 and the plan's 25, 50, 100",
        ),
    ],
)
async def test_a_rollout_of_other_steps_is_refused_with_those_it_needs(
    shop: ArgoShop, router: ArgoRolloutsRouter, strategy: dict[str, Any], why: str
) -> None:
    change = [{"op": "replace", "path": "/spec/strategy", "value": strategy}]
    shop.kube.api.patch("Rollout", APP, change, style="json")
    for refused in (router.observe(), router.claim(RELEASE, "engine-a"), router.shift(write(25))):
        with pytest.raises(RouterError) as told:
            await refused
        assert why in str(told.value)
        assert "- setWeight: 50\n  - pause: {}" in str(told.value)
    assert "steps" in [found.what for found in await router.examine() if found.grade == "bad"]


async def test_the_doctor_says_what_is_missing_of_permissions_and_what_makes_a_way_back_slow(
    shop: ArgoShop, router: ArgoRolloutsRouter
) -> None:
    found = await router.examine()
    assert {each.grade for each in found} == {"ok"}, found
    change = {"spec": {"strategy": {"canary": {"dynamicStableScale": True, "scaleDownDelaySeconds": None}}}}
    shop.kube.api.patch("Rollout", APP, change)
    await seen_when(router, lambda seen: not seen.pending)
    said = " ".join(each.said for each in await router.examine() if each.grade == "warn")
    assert "waits for its pods to start" in said
    assert "30 s after the promotion" in said
    read = {"apiGroups": ["argoproj.io", "apps", ""], "resources": ["rollouts", "replicasets", "pods"]}
    shop.kube.grant("rbac-3", {**read, "verbs": ["get", "list", "watch"]})
    config = {"namespace": shop.kube.name, "rollout": APP, "kubeconfig": str(shop.kube.kubeconfig("rbac-3"))}
    limited = ArgoRolloutsRouter(ArgoRolloutsConfig.model_validate(config))
    bad = [each for each in await limited.examine() if each.grade == "bad"]
    await limited.close()
    assert {each.what for each in bad} == {"permissions"}
    said = " ".join(each.said for each in bad)
    assert "may not patch rollouts.argoproj.io in namespace" in said
    assert "may not patch rollouts.argoproj.io/status in namespace" in said
    assert "rollouts/status" in bad[0].mend


# --- without traffic routing


async def test_where_pods_are_the_weight_the_stop_is_shown_with_the_true_share(kube: Namespace) -> None:
    shop = ArgoShop(kube, routed=False)
    await asyncio.to_thread(shop.open)
    await asyncio.to_thread(shop.push, "v1.1.0")
    router = router_of(shop)
    try:
        seen = await router.observe()
        assert (seen.weight, seen.share, seen.canary, seen.canary_ready) == (0, 0, "v1.1.0", None)
        assert "no pods of the canary now" in seen.remark
        seen = await raised(router, 25)
        assert (seen.weight, seen.share, seen.canary_ready) == (25, await eventually(shop.weight), 1)
        await promoted(router, 50, 100)
        await router.shift(write(0, None, "2.1"))
        assert (await in_effect(router, 0)).stable == "v1.0.0"
        assert any("number of pods" in found.said for found in await router.examine())
    finally:
        await router.close()
