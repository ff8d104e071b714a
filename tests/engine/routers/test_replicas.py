"""The replicas router: every router's contract on a real API server with its controllers; four pods of stable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.contract.routers import ENGINE, RELEASE, FencedContract, MarkContract, rollback_sh, run, write
from engine.kube.errors import KubeError
from engine.routers import Ending, RouterError
from engine.routers.replicas import PODS_ASKED, ReplicasRouter, pods_for
from engine.routers.selector_config import ReplicasConfig
from tests.support.kube_api import eventually
from tests.support.kube_routed import ReplicasTarget
from tests.support.kube_shop import APP, CANARY, STABLE, autoscaler
from tests.support.kube_targets import breakable_world, sent_to, shop_in
from tests.support.kube_world import KubeWorld, Namespace


@pytest.fixture(scope="module")
def breakable() -> Iterator[KubeWorld]:
    with breakable_world() as world:
        yield world


@pytest.fixture
def shop(breakable: KubeWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
    monkeypatch.setenv("PATH", breakable.environment()["PATH"])
    with shop_in(breakable, *ReplicasTarget.objects, replicas=4, canary=1) as kube:
        yield kube


@pytest.fixture
async def world(shop: Namespace) -> AsyncIterator[ReplicasTarget]:
    world = ReplicasTarget(shop)
    yield world
    await world.router.close()


@pytest.mark.real
class TestReplicas(FencedContract, MarkContract):
    weights = (20, 50, 100)
    settle_s = 20.0

    async def test_what_the_pods_make_of_a_weight_is_said(self, world: ReplicasTarget) -> None:
        """One pod of five is no 5%, and the 5% that was asked for is in place."""
        seen = await self.shifted(world, 5)
        assert (seen.weight, seen.share, seen.full) == (5, 20.0, 4)

    async def test_the_canary_grows_under_the_weight_it_has_until_the_next_is_written(
        self, world: ReplicasTarget
    ) -> None:
        await world.router.claim(RELEASE, ENGINE)
        await self.shifted(world, 20)
        await world.router.scale(50)
        await eventually(lambda: sent_to(world.kube).count("canary") == 4)
        assert (await self.settled(world, 20)).share == 50.0
        assert (await self.shifted(world, 50)).share == 50.0

    async def test_a_raise_that_broke_off_is_not_in_effect_and_is_made_again(
        self, world: ReplicasTarget, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The Service was written, the canary's size not."""

        async def lost(*_: object) -> str:
            raise KubeError("no answer")

        seen = await self.shifted(world, 20)
        with monkeypatch.context() as broken:
            broken.setattr("engine.kube.pair.Pair.size_canary", lost)
            with pytest.raises(KubeError):
                await world.router.shift(write(50, seen.generation, "1.2"))
        assert "the canary has 1 of the 4 pods that 50% needs" in (await self.observed(world)).pending
        await world.router.shift(write(50, seen.generation, "1.2"))
        assert (await self.settled(world, 50)).share == 50

    async def test_a_canary_that_somebody_scales_is_a_weight_by_hand(self, world: ReplicasTarget) -> None:
        await self.shifted(world, 20)
        await asyncio.to_thread(world.kube.api.scale, CANARY, 4)
        await self.settled(world, 50)
        await asyncio.to_thread(world.kube.api.scale, CANARY, 0)
        await self.settled(world, 0)

    @pytest.mark.parametrize("written", [0, 100])
    async def test_a_service_that_somebody_opens_shows_what_its_pods_make(
        self, world: ReplicasTarget, written: int
    ) -> None:
        await self.shifted(world, 20)
        await world.router.shift(write(written, None, "1.2"))
        await self.settled(world, written)
        await world.edit(50)
        assert (await self.settled(world, 50)).share == 50

    async def test_a_claim_closes_an_open_service_while_the_canary_has_no_pods(self, world: ReplicasTarget) -> None:
        await world.edit(50)
        await asyncio.to_thread(world.kube.api.scale, CANARY, 0)
        await eventually(lambda: sent_to(world.kube) == 4 * ["stable"])
        await world.router.claim(RELEASE, ENGINE)
        await world.router.scale(5)
        await eventually(lambda: world.kube.api.get("Deployment", CANARY)["status"].get("readyReplicas") == 1)
        assert ((await self.settled(world, 0)).canary_ready, await world.shown()) == (1, 0)

    async def test_stable_is_scaled_up_before_the_canary_goes(self, world: ReplicasTarget, tmp_path: Path) -> None:
        """Somebody took stable's pods away while all traffic was on the canary."""
        await world.router.claim(RELEASE, ENGINE)
        await self.shifted(world, 100)
        await asyncio.to_thread(world.kube.api.scale, STABLE, 0)
        await eventually(lambda: not world.kube.api.get("Deployment", STABLE)["status"].get("readyReplicas"))
        code, said = await run(str(rollback_sh(world.router, tmp_path)))
        assert code == 0, said
        order = [said.index(each) for each in ("scaling stable from 0 to 4", "sending all traffic to track=stable")]
        assert order == sorted(order)
        assert world.scaled(CANARY) == 4
        await self.settled(world, 0)

    async def test_what_was_held_is_given_back(self, world: ReplicasTarget) -> None:
        world.kube.api.apply(autoscaler(STABLE, least=2, most=9))
        await world.router.claim(RELEASE, ENGINE)
        assert f"the autoscaler of {STABLE} held at 4 or more" in await world.router.scale(20)
        await self.shifted(world, 20)
        await world.router.shift(write(0, None, "1.2"))
        await world.router.let_go(Ending(RELEASE, "rolled_back", canary_to_zero=True))
        assert world.kube.api.get("HorizontalPodAutoscaler", STABLE)["spec"]["minReplicas"] == 2
        assert world.scaled(CANARY) == 0
        assert PODS_ASKED not in world.kube.api.get("Service", APP)["metadata"].get("annotations", {})

    async def test_the_doctor_says_what_pods_make_of_the_weights_and_who_sizes_the_canary(
        self, world: ReplicasTarget
    ) -> None:
        world.kube.api.apply(autoscaler(CANARY, least=1, most=9))
        found = {finding.what: finding for finding in await world.router.examine()}
        assert "with 4 of stable 5% is 1 of 5 pods, 20.0%" in found["pods"].said
        assert (found["pods"].grade, found["autoscaler"].grade) == ("warn", "warn")

    @pytest.mark.parametrize(
        ("weights", "grade", "said"),
        [
            ((20, 50, 100), "ok", "with 4 of stable 20% is 1 of 5 pods, 20.0%, 50% is 4 of 8 pods, 50.0%"),
            ((50, 90, 100), "bad", "90% needs 36 pods of the canary beside stable's 4"),
        ],
    )
    async def test_the_doctor_knows_the_plans_weights(
        self, world: ReplicasTarget, weights: tuple[int, ...], grade: str, said: str
    ) -> None:
        settings = {"namespace": world.kube.name, "kubeconfig": world.config, **world.settings()}
        router = ReplicasRouter(ReplicasConfig.model_validate(settings), weights)
        try:
            [found] = [finding for finding in await router.examine() if finding.what == "pods"]
        finally:
            await router.close()
        assert (found.grade, said in found.said) == (grade, True)


@pytest.mark.parametrize(
    ("weight", "full", "pods"),
    [(5, 10, 1), (11, 10, 2), (25, 10, 3), (50, 10, 10), (75, 10, 30), (100, 10, 10), (1, 1, 1)],
)
def test_the_canarys_pods(weight: int, full: int, pods: int) -> None:
    assert pods_for(weight, full) == pods


def test_pods_are_never_fewer_than_the_weight_needs_and_never_go_down() -> None:
    for full in range(1, 40):
        made = [pods_for(weight, full) for weight in range(1, 76)]
        assert made == sorted(made)
        assert all(pods * 100 >= full * weight for weight, pods in enumerate(made, start=1))


def test_a_weight_that_needs_a_crowd_is_refused() -> None:
    with pytest.raises(RouterError, match="98% needs 490 pods of the canary beside stable's 10"):
        pods_for(98, 10)
