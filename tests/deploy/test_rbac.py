"""deploy/rbac: the roles are what the routers say they need; with them everything works, with one verb less the doctor
says which."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from engine.contract.routers import ENGINE, RELEASE, write
from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.permissions import Permission
from engine.routers import Ending, Router
from engine.routers.argo_rollouts import ArgoRolloutsRouter
from engine.routers.flagger import FlaggerRouter
from engine.routers.gateway_api import GatewayApiRouter
from engine.routers.kube_config import GatewayApiConfig
from engine.routers.owner_config import ArgoRolloutsConfig, FlaggerConfig
from tests.deploy.manifests import FOLDER, KINDS, OBSERVE, manifests, needs, watching
from tests.support.argo_shop import WEIGHTS, ArgoShop
from tests.support.flagger_shop import TOKEN, FlaggerShop, shop_in
from tests.support.kube_shop import APP, CANARY, STABLE, autoscaler, open_shop
from tests.support.kube_users import binding
from tests.support.kube_world import Namespace
from tests.support.route_gateway import running_gateway

USER = "rbac-7"
FILES = sorted(path.name for path in FOLDER.iterdir())


def role_of(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / file).read_text())
    return found


def allowed(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked(wanted: list[Permission]) -> set[tuple[str, str, str]]:
    return {(each.kind.group, f"{each.kind.plural}/{each.subresource}".rstrip("/"), each.verb) for each in wanted}


@pytest.mark.parametrize("kind", KINDS)
def test_a_role_allows_what_its_router_asks_for_and_nothing_else(kind: str) -> None:
    assert allowed(role_of(f"{kind}.yaml")) == asked(needs(kind))


def test_the_role_for_watching_allows_no_change() -> None:
    role = role_of(f"{OBSERVE}.yaml")
    assert allowed(role) == asked(watching())
    assert {verb for _, _, verb in allowed(role)} == {"get", "list", "watch"}


def test_the_files_are_as_they_are_made() -> None:
    """`python -m tests.deploy.manifests` writes them."""
    assert {file: (FOLDER / file).read_text() for file in FILES} == manifests()


# --- on real servers


def granted(kube: Namespace, file: str, without: Permission | None = None) -> None:
    """The user has this role here, but for one permission."""
    role = role_of(file)
    if without is not None:
        [gone] = asked([without])
        for rule in role["rules"]:
            if (rule["apiGroups"], rule["resources"]) == ([gone[0]], [gone[1]]):
                rule["verbs"].remove(gone[2])
        role["rules"] = [rule for rule in role["rules"] if rule["verbs"]]
    kube.api.apply(role, binding(role["metadata"]["name"], USER))


async def once(router: Router, **wanted: object) -> Observation:
    """Until the router shows this, and nothing is pending."""
    async with asyncio.timeout(40):
        while True:
            seen = await router.observe()
            if not seen.pending and all(getattr(seen, name) == value for name, value in wanted.items()):
                return seen
            await asyncio.sleep(0.1)


async def lacking(router: Router) -> list[Finding]:
    """What the doctor misses of permissions."""
    return [one for one in await router.examine() if one.what == "permissions" and one.mend]


async def doctor_misses_each(router: Router, kube: Namespace, kind: str) -> None:
    """Without any one of its permissions the doctor says which, and how it is granted."""
    for permission in needs(kind, kube.name):
        await asyncio.to_thread(granted, kube, f"{kind}.yaml", permission)
        async with asyncio.timeout(10):  # the server takes a role in its own time
            while [str(permission) in one.said for one in await lacking(router)] != [True]:  # noqa: ASYNC110  no event
                await asyncio.sleep(0.1)
        [told] = await lacking(router)
        assert permission.kind.plural in told.mend
        assert told.grade == ("warn" if permission.optional else "bad")


async def nothing_is_bad(router: Router) -> None:
    assert [one for one in await router.examine() if one.grade == "bad"] == []


@pytest.fixture
def shop(kube: Namespace) -> Iterator[Namespace]:
    kube.world.install("gateway-api")
    kube.world.run_workloads()
    open_shop(kube)
    kube.api.apply(autoscaler(STABLE, 1, 10))
    with running_gateway(kube, None, {STABLE: "stable", CANARY: "canary"}):
        yield kube


@pytest.mark.real
async def test_gateway_api_works_with_its_role(shop: Namespace) -> None:
    await asyncio.to_thread(granted, shop, "gateway_api.yaml")
    named = {"namespace": shop.name, "route": APP, "stable": STABLE, "canary": CANARY}
    router = GatewayApiRouter(GatewayApiConfig.model_validate({**named, "kubeconfig": str(shop.kubeconfig(USER))}))
    try:
        await router.claim(RELEASE, ENGINE)
        await router.scale(100)
        await router.shift(write(100, (await once(router, weight=0)).generation))
        await nothing_is_bad(router)
        seen = await once(router, weight=100)
        async with asyncio.timeout(40):
            while not seen.finished:
                await router.finish(write(100, seen.generation, "1.2"))
                await asyncio.sleep(0.1)
                seen = await router.observe()
        await router.rehearse(write(0, None, "1.3"))
        await router.shift(write(0, None, "1.3"))
        await once(router, weight=0)
        await router.addresses()
        await router.let_go(Ending(RELEASE, "rolled_back", canary_to_zero=True))
        await doctor_misses_each(router, shop, "gateway_api")
    finally:
        await router.close()


@pytest.mark.real
async def test_argo_rollouts_works_with_its_role(kube: Namespace) -> None:
    shop = ArgoShop(kube)
    await asyncio.to_thread(shop.open)
    await asyncio.to_thread(shop.push, "v1.1.0")
    await asyncio.to_thread(granted, kube, "argo_rollouts.yaml")
    settings = {"namespace": kube.name, "rollout": APP, "kubeconfig": str(kube.kubeconfig(USER))}
    router = ArgoRolloutsRouter(ArgoRolloutsConfig.model_validate(settings), WEIGHTS)
    try:
        await router.claim(RELEASE, ENGINE)
        for number, weight in enumerate(WEIGHTS):
            seen = await once(router)
            await router.shift(write(weight, seen.generation, f"1.{number}"))
            await once(router, weight=weight)
        await router.finish(write(100, None, "1.8"))
        await once(router, finished=True)
        await router.rehearse(write(0, None, "1.9"))
        await router.shift(write(0, None, "1.9"))
        await once(router, weight=0)
        await router.addresses()
        await nothing_is_bad(router)
        await router.let_go(Ending(RELEASE, "rolled_back"))
        await doctor_misses_each(router, kube, "argo_rollouts")
    finally:
        await router.close()


@pytest.mark.real
async def test_flagger_works_with_its_role(kube: Namespace) -> None:
    shop: FlaggerShop = shop_in(kube)
    await asyncio.to_thread(shop.open)
    await asyncio.to_thread(granted, kube, "flagger.yaml")
    gates = {"listen": f"127.0.0.1:{shop.port}", "token": TOKEN}
    settings = {"namespace": kube.name, "canary": APP, "kubeconfig": str(kube.kubeconfig(USER)), "gates": gates}
    router = FlaggerRouter(FlaggerConfig.model_validate(settings), WEIGHTS)
    try:
        with shop.hurried():
            await once(router, weight=0)
            await router.claim(RELEASE, ENGINE)
            await asyncio.to_thread(shop.push, "v1.1.0")
            await asyncio.to_thread(shop.until, lambda status: status["phase"] == "Progressing")
            seen = await once(router, canary="v1.1.0", canary_ready=2)
            await router.shift(write(WEIGHTS[0], seen.generation))
            await once(router, weight=WEIGHTS[0])
            await router.rehearse(write(0, None, "1.2"))
            await router.shift(write(0, None, "1.2"))
            await once(router, weight=0)
        await router.addresses()
        await nothing_is_bad(router)
        await router.let_go(Ending(RELEASE, "rolled_back"))
        await doctor_misses_each(router, kube, "flagger")
    finally:
        await router.close()
