"""What routers on Kubernetes are tried on: a shop in a namespace of an API server that a test may freeze and kill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from engine.plan.part import PlanPart
from engine.routers import Router
from tests.support.kube_shop import APP, CANARY, STABLE, deployment, until_ready
from tests.support.kube_users import ADMIN
from tests.support.kube_world import KubeWorld, Namespace, new_namespace, running_world


@contextmanager
def breakable_world(*definitions: str) -> Iterator[KubeWorld]:
    """A world of a module's own, whose tests freeze and kill its API server."""
    with running_world() as world:
        world.install(*definitions)
        world.run_workloads()
        yield world


@contextmanager
def shop_in(world: KubeWorld, *objects: dict[str, Any], replicas: int = 2, canary: int = 2) -> Iterator[Namespace]:
    """A namespace with both Deployments ready and these objects; a server that is killed meanwhile comes back."""
    kube = new_namespace(world)
    kube.api.apply(deployment(STABLE, replicas=replicas), deployment(CANARY, version="v1.1.0", replicas=canary))
    kube.api.apply(*objects)
    until_ready(kube, STABLE, replicas)
    until_ready(kube, CANARY, canary)
    try:
        yield kube
    finally:
        _mend(world)
        world.api().delete("Namespace", kube.name)


def sent_to(kube: Namespace, name: str = APP, label: str = "track") -> list[str]:
    """The label of each ready pod that a Service sends to, as the controllers have it."""
    pods = kube.api.list_of("Pod", f"app={APP}")
    tracks = {pod["metadata"]["name"]: pod["metadata"]["labels"][label] for pod in pods}
    slices = kube.api.list_of("EndpointSlice", f"kubernetes.io/service-name={name}")
    ready = [each for one in slices for each in one.get("endpoints") or () if each["conditions"]["ready"]]
    return sorted(tracks.get(each["targetRef"]["name"], "unknown") for each in ready)


def _mend(world: KubeWorld) -> None:
    """Controllers begin anew with a new server at once: by themselves they may take a minute to look again."""
    if world.server.running:
        world.server.thaw()
        return
    world.server.start()
    for child in world.children.values():
        child.stop()
        child.start()


class KubeTarget:
    """The World of a contract on such a shop; a kind of router says its configuration, and how a person moves it.

    objects: what the shop needs besides its Deployments
    """

    versions = ("v1.1.0", "v1.0.0")
    objects: ClassVar[tuple[dict[str, Any], ...]]
    router_class: type[Router]
    config_class: type[PlanPart]

    def __init__(self, kube: Namespace, user: str = ADMIN) -> None:
        self.kube = kube
        self.config = str(kube.kubeconfig(user))
        self.router: Router = self.another()

    def settings(self) -> dict[str, Any]:
        """What a plan would say besides namespace and kubeconfig."""
        raise NotImplementedError

    def weight(self) -> float:
        """The canary's share as the API server has it."""
        raise NotImplementedError

    def set_weight(self, weight: int) -> None:
        """As a person would."""
        raise NotImplementedError

    def made(self, **changes: Any) -> Router:
        """A router with other settings."""
        settings = {"namespace": self.kube.name, "kubeconfig": self.config, **self.settings(), **changes}
        kind: Any = self.router_class
        router: Router = kind(self.config_class.model_validate(settings))
        return router

    def another(self) -> Router:
        return self.made()

    async def shown(self) -> float:
        return await asyncio.to_thread(self.weight)

    async def edit(self, weight: int) -> None:
        await asyncio.to_thread(self.set_weight, weight)

    async def silence(self) -> None:
        self.kube.world.server.freeze()

    async def wake(self) -> None:
        self.kube.world.server.thaw()

    async def kill(self) -> None:
        await asyncio.to_thread(self.kube.world.server.kill)
