"""The gateway_api router against the real API server: every router's contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from engine.contract.routers import FencedContract, MarkContract
from engine.routers.gateway_api import GatewayApiRouter
from engine.routers.kube_config import GatewayApiConfig
from tests.support.kube_shop import APP, CANARY, STABLE, open_shop, set_weights, weights
from tests.support.kube_world import KubeWorld, Namespace, new_namespace, running_world
from tests.support.route_gateway import running_gateway

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def breakable() -> Iterator[KubeWorld]:
    """A world of this module's own: its tests freeze and kill the API server."""
    with running_world() as world:
        world.install("gateway-api")
        world.run_workloads()
        yield world


@pytest.fixture
def shop(breakable: KubeWorld) -> Iterator[Namespace]:
    """Both sides ready, all traffic on stable, and a gateway that takes the route."""
    restarted(breakable)
    kube = new_namespace(breakable)
    open_shop(kube)
    with running_gateway(kube, None, {STABLE: "stable", CANARY: "canary"}):
        yield kube
        restarted(breakable)
    breakable.api().delete("Namespace", kube.name)


def restarted(world: KubeWorld) -> None:
    """As it was before a test froze or killed it; the controllers wait long for a server that was gone."""
    if world.server.running:
        world.server.thaw()
        return
    world.server.start()
    for controller in world.children.values():
        controller.kill()
        controller.start()


def made(kube: Namespace, **changes: Any) -> GatewayApiRouter:
    """The router as a plan of this shop would have it."""
    named = {"namespace": kube.name, "route": APP, "stable": STABLE, "canary": CANARY}
    settings = {**named, "kubeconfig": str(kube.kubeconfig()), **changes}
    return GatewayApiRouter(GatewayApiConfig.model_validate(settings))


@dataclass
class RouteWorld:
    """The shop's route, its router, and kubectl's ways past it."""

    kube: Namespace
    router: GatewayApiRouter
    versions: tuple[str, str] = ("v1.1.0", "v1.0.0")

    async def shown(self) -> float:
        found = await asyncio.to_thread(weights, self.kube)
        return 100 * found[CANARY] / sum(found.values())

    async def edit(self, weight: int) -> None:
        await asyncio.to_thread(set_weights, self.kube, 100 - weight, weight)

    def another(self) -> GatewayApiRouter:
        return made(self.kube)

    def misnamed(self) -> tuple[GatewayApiRouter, str]:
        return made(self.kube, canary="checkout-preview"), CANARY

    async def silence(self) -> None:
        self.kube.world.server.freeze()

    async def wake(self) -> None:
        self.kube.world.server.thaw()

    async def kill(self) -> None:
        await asyncio.to_thread(self.kube.world.server.kill)


@pytest.fixture
async def world(shop: Namespace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RouteWorld]:
    monkeypatch.setenv("PATH", shop.world.environment()["PATH"])
    world = RouteWorld(shop, made(shop))
    yield world
    await world.router.close()


class TestGatewayApi(FencedContract, MarkContract):
    settle_s = 15.0  # the test's gateway is a thread beside a loaded control plane
