"""The contract of routers on a Rollout that the real Argo Rollouts controller owns."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from engine.contract.routers import FencedContract, MarkContract, World, write
from engine.inputs import Observation
from engine.routers import Router, RouterError
from engine.routers.argo_rollouts import ArgoRolloutsRouter
from engine.routers.owner_config import ArgoRolloutsConfig
from tests.support.argo_shop import WEIGHTS, ArgoShop
from tests.support.kube_api import until
from tests.support.kube_shop import APP
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real


class ArgoWorld:
    versions = ("v1.1.0", "v1.0.0")

    def __init__(self, shop: ArgoShop) -> None:
        self.shop = shop
        self.config = shop.kube.kubeconfig()
        self.router: Router = self.another()

    async def shown(self) -> float:
        return self.shop.weight()

    async def edit(self, weight: int) -> None:
        await asyncio.to_thread(self._by_hand, weight)

    def another(self) -> ArgoRolloutsRouter:
        return self._router(APP)

    def misnamed(self) -> tuple[ArgoRolloutsRouter, str]:
        return self._router("warehouse"), APP

    async def silence(self) -> None:
        self.shop.kube.world.server.freeze()

    async def wake(self) -> None:
        self.shop.kube.world.server.thaw()

    async def kill(self) -> None:
        self.shop.kube.world.server.kill()

    def _router(self, name: str) -> ArgoRolloutsRouter:
        config = {"namespace": self.shop.kube.name, "rollout": name, "kubeconfig": str(self.config)}
        return ArgoRolloutsRouter(ArgoRolloutsConfig.model_validate(config), WEIGHTS)

    def _by_hand(self, weight: int) -> None:
        """As a person with the kubectl plugin: abort, or try again and promote stop by stop."""
        if weight == 0:
            self.shop.order("abort")
            self.shop.until(lambda status: status["phase"] == "Degraded")
            return
        if self.shop.read()["status"].get("abort"):
            self.shop.order("retry", "rollout")
        self.shop.until(lambda status: status.get("pauseConditions"))
        while self.shop.weight() != weight:
            index = self.shop.read()["status"]["currentStepIndex"]
            self.shop.order("promote")
            self._until_after(index)

    def _until_after(self, index: int) -> None:
        self.shop.until(lambda status: status["currentStepIndex"] != index and status.get("pauseConditions"))


class TestArgoRollouts(FencedContract, MarkContract):
    weights = WEIGHTS
    settle_s = 20.0

    @pytest.fixture
    async def world(self, kube: Namespace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ArgoWorld]:
        monkeypatch.setenv("PATH", f"{kube.world.bin}{os.pathsep}{os.environ['PATH']}")
        shop = ArgoShop(kube)
        await asyncio.to_thread(shop.open)
        await asyncio.to_thread(shop.push, "v1.1.0")
        world = ArgoWorld(shop)
        try:
            yield world
        finally:
            await world.router.close()
            await asyncio.to_thread(_mended, kube)

    async def shifted(self, world: World, weight: int) -> Observation:
        """Stop by stop, as Argo can; after an abort it is tried again from the first one."""
        assert isinstance(world, ArgoWorld)
        seen = await self.observed(world)
        for each in (stop for stop in self.weights if seen.weight < stop <= weight):
            seen = await self._one_stop(world, each)
        return seen

    async def _one_stop(self, world: ArgoWorld, weight: int) -> Observation:
        seen = await self.observed(world)
        if world.shop.read()["status"].get("abort"):
            with pytest.raises(RouterError, match="was aborted: told Argo Rollouts to try again"):
                await world.router.shift(write(weight, seen.generation))
            seen = await self.settled(world, 0)
        await world.router.shift(write(weight, seen.generation))
        return await self.settled(world, weight)


def _mended(kube: Namespace) -> None:
    """A server that was killed comes back, and the controllers at once, without waiting as long as they would."""
    if kube.world.server.running:
        kube.world.server.thaw()
        return
    kube.world.server.start()
    for child in kube.world.children.values():
        child.stop()
        child.start()
    until(lambda: kube.api.get("Rollout", APP))
