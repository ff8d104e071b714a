"""The istio router: every router's contract on a real API server with Istio's definitions; subsets and hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.routers import RELEASE, FencedContract, MarkContract, rollback_sh, run, write
from engine.kube.virtual_services import destinations_of, pending_of, weight_of
from engine.routers import RouterError
from tests.support.kube_routed import HostTarget, IstioTarget, destination, destination_rule, virtual_service
from tests.support.kube_shop import APP, CANARY, STABLE, service
from tests.support.kube_targets import breakable_world, shop_in
from tests.support.kube_world import KubeWorld, Namespace

SUBSETS = {"stable": (APP, "stable"), "canary": (APP, "canary")}
HOSTS = {"stable": (STABLE, ""), "canary": (f"{CANARY}.shop.svc.cluster.local", "")}


@pytest.fixture(scope="module")
def breakable() -> Iterator[KubeWorld]:
    with breakable_world("istio") as world:
        yield world


@pytest.fixture
def shop(breakable: KubeWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
    monkeypatch.setenv("PATH", breakable.environment()["PATH"])
    with shop_in(breakable, *IstioTarget.objects) as kube:
        yield kube


@pytest.fixture
async def world(shop: Namespace) -> AsyncIterator[IstioTarget]:
    world = IstioTarget(shop)
    yield world
    await world.router.close()


@pytest.fixture
async def hosts(shop: Namespace) -> AsyncIterator[HostTarget]:
    """The same shop by a Service each, the canary's written out in full, in the one rule there is."""
    shop.api.apply(service(STABLE, track="stable"), service(CANARY, track="canary"))
    full = f"{CANARY}.{shop.name}.svc.cluster.local"
    rules = [{"route": [destination(STABLE, weight=100), destination(full, weight=0)]}]
    shop.api.patch("VirtualService", APP, {"spec": {"http": rules}})
    world = HostTarget(shop)
    yield world
    await world.router.close()


@pytest.mark.real
class TestIstio(FencedContract, MarkContract):
    """Subsets, in the second rule of two."""

    @pytest.mark.parametrize("weight", [25, 0])
    async def test_where_istio_tells_a_change_is_pending_until_its_proxies_have_it(
        self, world: IstioTarget, weight: int
    ) -> None:
        def told(generation: int, state: str) -> dict[str, Any]:
            said = {"type": "Reconciled", "status": state, "message": "1/2 proxies"}
            return {"conditions": [said], "observedGeneration": str(generation)}

        await asyncio.to_thread(world.tell, told(1, "True"))
        await world.router.shift(write(25))
        if weight == 0:
            await world.router.shift(write(0, None, "1.2"))
        generation = world.kube.api.get("VirtualService", APP)["metadata"]["generation"]
        assert "older generation" in (await world.router.observe()).pending
        await asyncio.to_thread(world.tell, told(generation, "False"))
        assert "1/2 proxies" in (await world.router.observe()).pending
        await asyncio.to_thread(world.tell, told(generation, "True"))
        assert (await self.settled(world, weight)).pending == ""

    async def test_a_subset_that_nobody_defines_has_no_canary_and_is_said(self, world: IstioTarget) -> None:
        world.kube.api.apply(destination_rule("stable"))
        seen = await world.router.observe()
        assert (seen.canary, seen.canary_ready, seen.stable_ready) == ("", None, 2)
        assert f"has subset canary of host {APP}: Istio answers its requests with 503" in seen.remark

    async def test_who_changed_the_weight_is_known(self, world: IstioTarget) -> None:
        await self.shifted(world, 25)
        await asyncio.sleep(1)  # managers' times are in seconds
        await world.edit(50)
        assert (await world.router.observe()).hand.startswith("kubectl-edit at ")

    async def test_a_copy_ends_with_stable_on_the_new_version_and_its_way_back_restores_it(
        self, world: IstioTarget
    ) -> None:
        await world.router.claim(RELEASE, "a")
        await self.shifted(world, 100)
        seen = await self.observed(world)
        async with asyncio.timeout(30):
            while not seen.finished:
                await world.router.finish(write(100, seen.generation, "2.1"))
                await asyncio.sleep(0.2)
                seen = await self.observed(world)
        assert (seen.weight, seen.stable, await world.shown()) == (100, "v1.1.0", 0)
        await world.router.shift(write(0, None, "3.1"))
        assert (await self.settled(world, 0)).stable == "v1.0.0"

    async def test_the_doctor_says_what_istio_says_and_that_it_does_not_say_what_is_in_effect(
        self, world: IstioTarget
    ) -> None:
        found = {finding.what: finding for finding in await world.router.examine()}
        assert "what is written counts as in effect" in found["status"].said
        message = {"level": "ERROR", "type": {"code": "IST0101", "name": "ReferencedResourceNotFound"}}
        await asyncio.to_thread(world.tell, {"validationMessages": [message]})
        retrying = [{"op": "add", "path": "/spec/http/1/retries", "value": {"attempts": 3, "retryOn": "5xx"}}]
        world.kube.api.patch("VirtualService", APP, retrying, style="json")
        found = {finding.what: finding for finding in await world.router.examine()}
        assert (found["analysis"].grade, found["retries"].grade) == ("bad", "warn")
        assert "IST0101 ReferencedResourceNotFound" in found["analysis"].said
        assert "3 attempts on 5xx" in found["retries"].said

    async def test_one_controllers_virtual_service_is_refused_by_its_name(self, world: IstioTarget) -> None:
        owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": APP, "uid": "1", "controller": True}
        world.kube.api.patch("VirtualService", APP, {"metadata": {"ownerReferences": [owner]}})
        with pytest.raises(RouterError, match=rf"moved by Flagger \(Canary {APP}\)"):
            await world.router.observe()


@pytest.mark.real
async def test_services_share_a_rule_as_well(hosts: HostTarget, tmp_path: Path) -> None:
    suite = TestIstio()
    seen = await suite.shifted(hosts, 25)
    assert (seen.canary, seen.stable, await hosts.shown()) == ("v1.1.0", "v1.0.0", 25)
    assert (await hosts.router.addresses())["canary"] == f"http://{CANARY}.{hosts.kube.name}.svc:80"
    assert (await run("-c", hosts.router.manual_rollback(RELEASE)))[0] == 0
    assert (await suite.settled(hosts, 0)).by == "rollback.sh"
    await suite.shifted(hosts, 100)
    assert (await run(str(rollback_sh(hosts.router, tmp_path))))[0] == 0
    await suite.settled(hosts, 0)


# --- where both sides stand


def test_a_host_is_the_same_however_it_is_written() -> None:
    item = virtual_service(*(destination(*host) for host in HOSTS.values()))
    item["metadata"]["namespace"] = "shop"
    place = destinations_of(item, None, (STABLE, ""), (CANARY, ""))
    assert (place.stable, place.canary) == (0, 1)
    assert place.tests()[-1]["value"] == f"{CANARY}.shop.svc.cluster.local"


def test_a_third_that_gets_traffic_is_refused_by_name() -> None:
    item = virtual_service(
        destination(APP, "stable", weight=90), destination(APP, "canary"), destination("old", weight=10)
    )
    place = destinations_of(item, "main", SUBSETS["stable"], SUBSETS["canary"])
    with pytest.raises(RouterError, match=r"old \(10\)"):
        weight_of(item, place)


@pytest.mark.parametrize(("weights", "share"), [((3, 1), 25.0), ((0, 7), 100.0), ((100, 0), 0.0)])
def test_weights_are_of_their_sum(weights: tuple[int, int], share: float) -> None:
    both = [destination(*SUBSETS[side], weight=value) for side, value in zip(SUBSETS, weights, strict=True)]
    item = virtual_service(*both)
    assert weight_of(item, destinations_of(item, None, *SUBSETS.values())) == share


def test_nobody_served_is_no_weight() -> None:
    item = virtual_service(*(destination(*side) for side in SUBSETS.values()))
    with pytest.raises(RouterError, match="both destinations of the rule have weight 0"):
        weight_of(item, destinations_of(item, None, *SUBSETS.values()))


def test_two_rules_with_both_sides_need_a_name() -> None:
    both = [destination(*side) for side in SUBSETS.values()]
    item = virtual_service(*both, before=({"name": "api", "route": both},))
    with pytest.raises(RouterError, match="api, main; say which with `rule`"):
        destinations_of(item, None, *SUBSETS.values())
    assert destinations_of(item, "api", *SUBSETS.values()).rule == 0


def test_a_status_without_a_generation_is_believed() -> None:
    status = {"conditions": [{"type": "Reconciled", "status": "True"}]}
    assert pending_of({"metadata": {"generation": 7}, "status": status}) == ""
