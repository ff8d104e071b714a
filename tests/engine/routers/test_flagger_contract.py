"""The contract of routers on a Canary that the real Flagger owns."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator

import pytest

from engine.contract.routers import ENGINE, RELEASE, FencedContract, MarkContract, World, write
from engine.inputs import Observation
from engine.routers import Ending, Router
from engine.routers.flagger import FlaggerRouter
from engine.routers.owner_config import FlaggerConfig
from tests.support.flagger_shop import TOKEN, WEIGHTS, FlaggerShop, shop_in
from tests.support.kube_api import until
from tests.support.kube_shop import APP
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real


class FlaggerWorld:
    versions = ("v1.1.0", "v1.0.0")

    def __init__(self, shop: FlaggerShop) -> None:
        self.shop = shop
        self.kubeconfig = str(shop.kube.kubeconfig())
        self.router: Router = self.another()
        self.numbers = itertools.count(2)

    async def shown(self) -> float:
        return self.shop.weight()

    async def edit(self, weight: int) -> None:
        """The route and Flagger's own record of it, past laneshift."""
        backends = self.shop.kube.api.get("HTTPRoute", APP)["spec"]["rules"][0]["backendRefs"]
        change = [
            {
                "op": "replace",
                "path": f"/spec/rules/0/backendRefs/{number}/weight",
                "value": weight if each["name"].endswith("-canary") else 100 - weight,
            }
            for number, each in enumerate(backends)
        ]
        self.shop.kube.api.patch("HTTPRoute", APP, change, style="json", manager="kubectl-edit")
        self.shop.kube.api.patch("Canary", APP, {"status": {"canaryWeight": weight}}, subresource="status")

    def another(self) -> FlaggerRouter:
        return self._router(APP)

    def misnamed(self) -> tuple[FlaggerRouter, str]:
        return self._router("warehouse"), APP

    async def silence(self) -> None:
        self.shop.kube.world.server.freeze()

    async def wake(self) -> None:
        self.shop.kube.world.server.thaw()

    async def kill(self) -> None:
        self.shop.kube.world.server.kill()

    async def begin(self, version: str) -> None:
        """Flagger has this version running, without traffic, for the release of these tests."""
        await self.router.let_go(Ending(RELEASE, "rolled_back"))
        await self.router.claim(RELEASE, ENGINE)
        await asyncio.to_thread(self.shop.push, version)
        async with asyncio.timeout(30):
            while True:
                seen = await self.router.observe()
                phase = self.shop.read()["status"]["phase"]
                if phase == "Progressing" and seen.canary == version and seen.canary_ready:
                    return
                await asyncio.sleep(0.1)

    def _router(self, name: str) -> FlaggerRouter:
        gates = {"listen": f"127.0.0.1:{self.shop.port}", "token": TOKEN}
        config = {"namespace": self.shop.kube.name, "canary": name, "kubeconfig": self.kubeconfig, "gates": gates}
        return FlaggerRouter(FlaggerConfig.model_validate(config), WEIGHTS)


class TestFlagger(FencedContract, MarkContract):
    weights = WEIGHTS
    settle_s = 30.0

    @pytest.fixture
    async def world(self, kube: Namespace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FlaggerWorld]:
        monkeypatch.setenv("PATH", f"{kube.world.bin}{os.pathsep}{os.environ['PATH']}")
        shop = shop_in(kube)
        await asyncio.to_thread(shop.open)
        world = FlaggerWorld(shop)
        try:
            with shop.hurried():
                await world.begin("v1.1.0")
                yield world
                kube.world.server.thaw()
        finally:
            await world.router.close()
            await asyncio.to_thread(_mended, kube)

    async def shifted(self, world: World, weight: int) -> Observation:
        """Step by step, as Flagger can; after a roll back with a new version, for it tries none twice."""
        assert isinstance(world, FlaggerWorld)
        if world.shop.read()["status"]["phase"] == "Failed":
            await world.begin(f"v1.{next(world.numbers)}.0")
        seen = await self.observed(world)
        for each in (step for step in self.weights if seen.weight < step <= weight):
            await world.router.shift(write(each, (await self.observed(world)).generation))
            seen = await self.settled(world, each)
        return seen


def _mended(kube: Namespace) -> None:
    """A server that was killed comes back, and the controllers at once, without waiting as long as they would."""
    if kube.world.server.running:
        return
    kube.world.server.start()
    for child in kube.world.children.values():
        child.kill()
        child.start()
    until(lambda: kube.api.get("Canary", APP))
