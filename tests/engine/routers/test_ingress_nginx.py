"""The ingress_nginx router: every router's contract on a real API server, as the controller reads its annotations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.routers import RELEASE, FencedContract, MarkContract, rollback_sh, run, write
from engine.kube.nginx_ingresses import AFFINITY, BY_HEADER, TOTAL, WEIGHT, canary_of, stays_of, weight_of
from engine.kube.nginx_ingresses import CANARY as IS_CANARY
from engine.routers import Router, RouterError
from engine.routers.ingress_nginx import IngressNginxRouter
from engine.routers.ingress_nginx_config import IngressNginxConfig
from tests.support.kube_shop import APP, CANARY, STABLE, service
from tests.support.kube_targets import KubeTarget, breakable_world, shop_in
from tests.support.kube_world import KubeWorld, Namespace


def ingress(name: str, backend: str, **annotations: str) -> dict[str, Any]:
    """Host shop.example, all of it to one Service."""
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": backend, "port": {"number": 80}}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": [path]}}]},
    }


def canary(backend: str = CANARY, weight: str = "0", **more: str) -> dict[str, Any]:
    return ingress(CANARY, backend, **{IS_CANARY: "true", WEIGHT: weight, **more})


class NginxTarget(KubeTarget):
    """Two Ingresses of one host."""

    router_class, config_class = IngressNginxRouter, IngressNginxConfig

    def settings(self) -> dict[str, Any]:
        return {"ingress": APP, "canary_ingress": CANARY, "stable": STABLE, "canary": CANARY}

    def misnamed(self) -> tuple[Router, str]:
        return self.made(canary="checkout-preview"), CANARY

    def weight(self) -> float:
        return float(self.kube.api.get("Ingress", CANARY)["metadata"]["annotations"][WEIGHT])

    def set_weight(self, weight: int) -> None:
        note = {"metadata": {"annotations": {WEIGHT: str(weight)}}}
        self.kube.api.patch("Ingress", CANARY, note, manager="kubectl-annotate")


@pytest.fixture(scope="module")
def breakable() -> Iterator[KubeWorld]:
    with breakable_world() as world:
        yield world


@pytest.fixture
def shop(breakable: KubeWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
    monkeypatch.setenv("PATH", breakable.environment()["PATH"])
    both = service(STABLE, track="stable"), service(CANARY, track="canary")
    with shop_in(breakable, *both, ingress(APP, STABLE), canary()) as kube:
        yield kube


@pytest.fixture
async def world(shop: Namespace) -> AsyncIterator[NginxTarget]:
    world = NginxTarget(shop)
    yield world
    await world.router.close()


@pytest.mark.real
class TestIngressNginx(FencedContract, MarkContract):
    async def test_the_doctor_says_that_it_is_retired_and_what_goes_before_the_weight(self, world: NginxTarget) -> None:
        world.kube.api.apply(canary(**{BY_HEADER: "X-Canary"}))
        world.kube.api.apply(ingress(APP, STABLE, **{AFFINITY: "cookie"}), {**canary(), "metadata": _rival()})
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

    async def test_a_weight_that_is_no_whole_part_of_the_total_is_refused(self, world: NginxTarget) -> None:
        await asyncio.to_thread(world.kube.api.apply, canary(**{TOTAL: "20"}))
        await world.router.shift(write(25))
        assert await world.shown() == 5
        with pytest.raises(RouterError, match="33% is no whole part of 20"):
            await world.router.shift(write(33))


def _rival() -> dict[str, Any]:
    return {"name": "rival", "annotations": {IS_CANARY: "true"}}


# --- what the annotations say


@pytest.mark.parametrize(("weight", "total", "share"), [("5", "100", 5.0), ("5", "20", 25.0), ("0", "7", 0.0)])
def test_a_weight_is_of_its_total(weight: str, total: str, share: float) -> None:
    item = canary(weight=weight, **{TOTAL: total})
    assert weight_of(item, canary_of(item, STABLE, CANARY)) == share


@pytest.mark.parametrize("weight", ["a lot", "101", "-1"])
def test_a_weight_that_is_none_is_an_error(weight: str) -> None:
    item = canary(weight=weight)
    with pytest.raises(RouterError, match="a number from 0 to 100"):
        weight_of(item, canary_of(item, STABLE, CANARY))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (ingress(CANARY, CANARY), "is no canary"),
        (canary("checkout-old"), "it sends to checkout-old"),
        (canary(**{TOTAL: "none"}), "must be a number above 0"),
    ],
)
def test_an_ingress_that_can_not_be_moved_says_why(item: dict[str, Any], said: str) -> None:
    with pytest.raises(RouterError, match=said):
        canary_of(item, STABLE, CANARY)


def test_without_affinity_nobody_stays() -> None:
    assert stays_of(ingress(APP, STABLE)) == ""
