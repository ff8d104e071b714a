"""The ingress_nginx router: every router's contract on a real API server, as the controller reads its annotations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.routers import RELEASE, FencedContract, MarkContract, rollback_sh, run, write
from engine.kube.nginx_ingresses import AFFINITY, BY_HEADER, TOTAL, canary_of, stays_of, weight_of
from engine.kube.nginx_ingresses import CANARY as IS_CANARY
from engine.routers import RouterError
from tests.support.kube_routed import NginxTarget, canary_ingress, ingress
from tests.support.kube_shop import APP, CANARY, STABLE
from tests.support.kube_targets import breakable_world, shop_in
from tests.support.kube_world import KubeWorld, Namespace


@pytest.fixture(scope="module")
def breakable() -> Iterator[KubeWorld]:
    with breakable_world() as world:
        yield world


@pytest.fixture
def shop(breakable: KubeWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
    monkeypatch.setenv("PATH", breakable.environment()["PATH"])
    with shop_in(breakable, *NginxTarget.objects) as kube:
        yield kube


@pytest.fixture
async def world(shop: Namespace) -> AsyncIterator[NginxTarget]:
    world = NginxTarget(shop)
    yield world
    await world.router.close()


@pytest.mark.real
class TestIngressNginx(FencedContract, MarkContract):
    async def test_the_doctor_says_that_it_is_retired_and_what_goes_before_the_weight(self, world: NginxTarget) -> None:
        world.kube.api.apply(canary_ingress(**{BY_HEADER: "X-Canary"}))
        world.kube.api.apply(ingress(APP, STABLE, **{AFFINITY: "cookie"}), {**canary_ingress(), "metadata": _rival()})
        found = {finding.what: finding.said for finding in await world.router.examine()}
        assert "retired since March 2026" in found["ingress-nginx"]
        assert "header X-Canary" in found["rules"]
        assert "stay there when the weight goes down" in found["affinity"]
        assert "rival is a canary of the same host and path" in found["ingress"]

    async def test_after_a_swap_the_next_release_goes_the_other_way(self, world: NginxTarget, tmp_path: Path) -> None:
        """The canary Ingress has what is stable by then: its whole weight is none on the canary."""
        await self.shifted(world, 100)
        world.router, swapped = world.made(stable=CANARY, canary=STABLE), world.router
        await swapped.close()
        seen = await self.settled(world, 0)
        assert (seen.stable, seen.canary) == world.versions
        await self.shifted(world, 25)
        assert await world.shown() == 75
        for by_script in (False, True):
            await self.shifted(world, 25)
            by_hand = "-c", world.router.manual_rollback(RELEASE)
            code, said = await run(*([str(rollback_sh(world.router, tmp_path))] if by_script else by_hand))
            assert code == 0, said
            await self.settled(world, 0)
            assert await world.shown() == 100

    async def test_who_changed_the_weight_is_known(self, world: NginxTarget) -> None:
        await self.shifted(world, 25)
        await asyncio.sleep(1)  # managers' times are in seconds
        await world.edit(50)
        assert (await world.router.observe()).hand.startswith("kubectl-annotate at ")

    async def test_a_weight_that_is_no_whole_part_of_the_total_is_refused(self, world: NginxTarget) -> None:
        await asyncio.to_thread(world.kube.api.apply, canary_ingress(**{TOTAL: "20"}))
        await world.router.shift(write(25))
        assert await world.shown() == 5
        with pytest.raises(RouterError, match="33% is no whole part of 20"):
            await world.router.shift(write(33))


def _rival() -> dict[str, Any]:
    return {"name": "rival", "annotations": {IS_CANARY: "true"}}


# --- what the annotations say


@pytest.mark.parametrize(("weight", "total", "share"), [("5", "100", 5.0), ("5", "20", 25.0), ("0", "7", 0.0)])
def test_a_weight_is_of_its_total(weight: str, total: str, share: float) -> None:
    item = canary_ingress(weight=weight, **{TOTAL: total})
    assert weight_of(item, canary_of(item, STABLE, CANARY)) == share


@pytest.mark.parametrize("weight", ["a lot", "101", "-1"])
def test_a_weight_that_is_none_is_an_error(weight: str) -> None:
    item = canary_ingress(weight=weight)
    with pytest.raises(RouterError, match="a number from 0 to 100"):
        weight_of(item, canary_of(item, STABLE, CANARY))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (ingress(CANARY, CANARY), "is no canary"),
        (canary_ingress("checkout-old"), "it sends to checkout-old"),
        (canary_ingress(**{TOTAL: "none"}), "must be a number above 0"),
    ],
)
def test_an_ingress_that_can_not_be_moved_says_why(item: dict[str, Any], said: str) -> None:
    with pytest.raises(RouterError, match=said):
        canary_of(item, STABLE, CANARY)


def test_without_affinity_nobody_stays() -> None:
    assert stays_of(ingress(APP, STABLE)) == ""
