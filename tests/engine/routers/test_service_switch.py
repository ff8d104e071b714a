"""The service_switch router: every router's contract on a real API server, whose controllers make the endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.contract.routers import ENGINE, RELEASE, FencedContract, MarkContract, World, rollback_sh, run, write
from engine.routers import RouterError
from tests.support.kube_api import eventually
from tests.support.kube_pods import behave
from tests.support.kube_routed import PREVIEW, SwitchTarget
from tests.support.kube_shop import APP, CANARY, STABLE
from tests.support.kube_targets import breakable_world, sent_to, shop_in
from tests.support.kube_world import KubeWorld, Namespace

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def breakable() -> Iterator[KubeWorld]:
    with breakable_world() as world:
        yield world


@pytest.fixture
def shop(breakable: KubeWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
    monkeypatch.setenv("PATH", breakable.environment()["PATH"])
    with shop_in(breakable, *SwitchTarget.objects) as kube:
        yield kube


@pytest.fixture
async def world(shop: Namespace) -> AsyncIterator[SwitchTarget]:
    world = SwitchTarget(shop)
    yield world
    await world.router.close()


class TestServiceSwitch(FencedContract, MarkContract):
    weights = (100, 100)
    settle_s = 20.0  # the endpoints are made by a controller beside a loaded control plane

    async def test_a_change_by_hand_is_seen(self, world: World) -> None:
        await self.shifted(world, 100)
        before = await self.observed(world)
        await asyncio.sleep(1)  # managers' times are in seconds
        await world.edit(0)
        after = await self.settled(world, 0)
        assert after.generation != before.generation
        assert after.hand.startswith("kubectl-edit at ")

    async def test_a_share_is_refused(self, world: SwitchTarget) -> None:
        with pytest.raises(RouterError, match="switched, not weighted: 25% can't be done"):
            await world.router.shift(write(25))

    async def test_it_is_in_effect_when_only_the_wanted_sides_pods_are_sent_to(self, world: SwitchTarget) -> None:
        await asyncio.to_thread(behave, world.kube.api, "track=canary", "never-ready")
        await eventually(lambda: not _ready(world.kube, CANARY))
        await world.router.shift(write(100))
        await eventually(lambda: sent_to(world.kube) == [])
        seen = await self.observed(world)
        assert (seen.weight, seen.pending) == (100, "no pod of track=canary is ready behind the Service")
        await world.router.shift(write(0, None, "1.2"))
        await self.settled(world, 0)

    async def test_one_controllers_service_is_refused_by_its_name(self, world: SwitchTarget) -> None:
        note = {"metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": APP}}}
        world.kube.api.patch("Service", APP, note)
        with pytest.raises(RouterError, match=rf"moved by Argo Rollouts \(Rollout {APP}\)"):
            await world.router.observe()

    async def test_the_preview_is_pointed_at_the_canary_and_has_an_address(self, world: SwitchTarget) -> None:
        await world.router.claim(RELEASE, ENGINE)
        await eventually(lambda: sent_to(world.kube, PREVIEW) == ["canary", "canary"])
        found = await world.router.addresses()
        assert found == {
            "public": f"http://{APP}.{world.kube.name}.svc:80",
            "canary": f"http://{PREVIEW}.{world.kube.name}.svc:80",
        }
        assert await world.shown() == 0

    async def test_the_script_has_stable_at_its_size_before_it_switches_back(
        self, world: SwitchTarget, tmp_path: Path
    ) -> None:
        await world.router.claim(RELEASE, ENGINE)
        await self.shifted(world, 100)
        world.kube.api.scale(STABLE, 0)
        await eventually(lambda: not _ready(world.kube, STABLE))
        code, said = await run(str(rollback_sh(world.router, tmp_path)))
        assert code == 0, said
        lines = said.splitlines()
        assert lines.index("rollback.sh: scaling stable from 0 to 2") < lines.index(
            "rollback.sh: sending all traffic to track=stable"
        )
        assert (await self.settled(world, 0)).stable_ready


def _ready(kube: Namespace, name: str) -> int:
    return int(kube.api.get("Deployment", name)["status"].get("readyReplicas", 0))
