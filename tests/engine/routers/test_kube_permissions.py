"""What the routers of VirtualServices, Services and Ingresses may do: with these permissions everything works, and with
one less the doctor says which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.contract.routers import ENGINE, RELEASE, write
from engine.inputs import Observation
from engine.kube.permissions import Permission
from engine.routers import Ending, Router
from engine.routers.kube_router import KubeRouter
from tests.support.kube_routed import HostTarget, IstioTarget, NginxTarget, ReplicasTarget, SwitchTarget
from tests.support.kube_shop import CANARY, STABLE, autoscaler, deployment, service, until_ready
from tests.support.kube_targets import KubeTarget
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

USER = "rbac-6"
KINDS = (IstioTarget, HostTarget, SwitchTarget, ReplicasTarget, NginxTarget)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def target(request: pytest.FixtureRequest, kube: Namespace) -> KubeTarget:
    """A shop with an autoscaler, and a user who may do nothing yet."""
    kube.world.install("istio")
    kube.world.run_workloads()
    sides = service(STABLE, track="stable"), service(CANARY, track="canary")
    kube.api.apply(deployment(STABLE), deployment(CANARY, version="v1.1.0", replicas=1), *sides)
    kube.api.apply(*request.param.objects, autoscaler(STABLE, 1, 10))
    if request.param is HostTarget:
        routes = [{"destination": {"host": host}, "weight": weight} for host, weight in ((STABLE, 100), (CANARY, 0))]
        kube.api.patch("VirtualService", "checkout", {"spec": {"http": [{"route": routes}]}})
    until_ready(kube, STABLE, 2)
    made: KubeTarget = request.param(kube, USER)
    return made


def rules_of(wanted: list[Permission]) -> list[dict[str, Any]]:
    """A rule of a role for each."""
    return [
        {
            "apiGroups": [each.kind.group],
            "resources": [f"{each.kind.plural}/{each.subresource}" if each.subresource else each.kind.plural],
            "verbs": [each.verb],
        }
        for each in wanted
    ]


async def once(router: Router, holds: Callable[[Observation], bool]) -> Observation:
    async with asyncio.timeout(30):
        while True:
            seen = await router.observe()
            if holds(seen) and not seen.pending:
                return seen
            await asyncio.sleep(0.1)


async def test_with_its_permissions_everything_works_and_with_one_less_the_doctor_says_which(
    target: KubeTarget,
) -> None:
    router = target.router
    assert isinstance(router, KubeRouter)
    wanted = router._permissions()
    rules = rules_of(wanted)
    target.kube.grant(USER, *rules)
    try:
        await once(router, lambda seen: seen.weight == 0)
        await router.claim(RELEASE, ENGINE)
        await router.scale(100)
        seen = await once(router, lambda seen: seen.canary_ready == 2)
        await router.shift(write(100, seen.generation))
        seen = await once(router, lambda seen: seen.weight == 100)
        while not seen.finished:
            await router.finish(write(100, seen.generation, "1.2"))
            await asyncio.sleep(0.1)
            seen = await router.observe()
        await router.addresses()
        await router.rehearse(write(0, None, "1.3"))
        await router.shift(write(0, None, "1.3"))
        await once(router, lambda seen: seen.weight == 0)
        await router.let_go(Ending(RELEASE, "rolled_back", canary_to_zero=True))
        assert [each for each in await router.examine() if each.grade == "bad"] == []
        for left_out, permission in enumerate(wanted):
            target.kube.grant(USER, *rules[:left_out], *rules[left_out + 1 :])
            await asyncio.sleep(0.3)  # the server takes a role in its own time
            [told] = [each for each in await router.examine() if each.what == "permissions"]
            assert told.grade == ("warn" if permission.optional else "bad")
            assert str(permission) in told.said
    finally:
        await router.close()
