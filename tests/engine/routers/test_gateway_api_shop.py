"""The gateway_api router beyond its contract: what is in effect, who owns it, both sides' size, copies, permissions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.routers import rollback_sh, run
from engine.inputs import Observation
from engine.kube.connection import Connection, Request
from engine.kube.marks import marks_of
from engine.routers import Ending, RouterConflict, RouterError, Write
from engine.routers.gateway_api import GatewayApiRouter
from engine.routers.kube_config import GatewayApiConfig
from tests.support.kube_pods import kill_once
from tests.support.kube_shop import APP, CANARY, STABLE, autoscaler, open_shop, route, set_weights, until_ready, weights
from tests.support.kube_world import KubeWorld, Namespace
from tests.support.route_gateway import RouteGateway, running_gateway

pytestmark = pytest.mark.real

RELEASE, ENGINE = "checkout-1", "engine-a"
PATIENCE_S = 30.0


@pytest.fixture
def shop(kube: Namespace, kube_world: KubeWorld) -> Namespace:
    kube_world.install("gateway-api")
    kube_world.run_workloads()
    open_shop(kube)
    return kube


@pytest.fixture
def gateway(shop: Namespace) -> Iterator[RouteGateway]:
    with running_gateway(shop, None, {STABLE: "stable", CANARY: "canary"}) as running:
        yield running


def made(kube: Namespace, user: str = "admin", **changes: Any) -> GatewayApiRouter:
    named = {"namespace": kube.name, "route": APP, "stable": STABLE, "canary": CANARY}
    settings = {**named, "kubeconfig": str(kube.kubeconfig(user)), **changes}
    return GatewayApiRouter(GatewayApiConfig.model_validate(settings))


@pytest.fixture
async def router(shop: Namespace, gateway: RouteGateway) -> AsyncIterator[GatewayApiRouter]:
    opened = made(shop)
    yield opened
    await opened.close()


def write(weight: int, generation: str | None = None, number: str = "1.1") -> Write:
    return Write(RELEASE, number, weight, generation, ENGINE)


async def seen_when(router: GatewayApiRouter, holds: Callable[[Observation], object]) -> Observation:
    """The first observation of which this holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(seen := await router.observe()):
        assert time.monotonic() < deadline, seen
        await asyncio.sleep(0.1)
    return seen


async def until_done(step: Callable[[], Awaitable[str]], words: str) -> None:
    """Repeat a step, as the engine does, until it answers so."""
    deadline = time.monotonic() + PATIENCE_S
    while words not in (said := await step()):
        assert time.monotonic() < deadline, said
        await asyncio.sleep(0.2)


async def raised(router: GatewayApiRouter, weight: int, number: str = "1.1") -> Observation:
    await router.shift(write(weight, (await router.observe()).generation, number))
    return await seen_when(router, lambda seen: seen.weight == weight and not seen.pending)


# --- what is in effect


async def test_what_no_gateway_took_is_pending_and_says_why(router: GatewayApiRouter, gateway: RouteGateway) -> None:
    await seen_when(router, lambda seen: not seen.pending)
    gateway.behave(refused="NotAllowedByListeners")
    seen = await seen_when(router, lambda seen: "Accepted is False" in seen.pending)
    assert "gateway edge: Accepted is False (NotAllowedByListeners)" in seen.pending
    gateway.behave(unresolved="BackendNotFound")
    await seen_when(router, lambda seen: "ResolvedRefs is False (BackendNotFound)" in seen.pending)
    gateway.behave(delay=1.0)
    await router.shift(write(5, None))
    seen = await router.observe()
    assert (seen.weight, seen.pending) == (5, seen.pending)
    assert "has not taken this change yet" in seen.pending
    await seen_when(router, lambda seen: not seen.pending)


async def test_a_route_that_no_gateway_answers_for_is_pending(shop: Namespace) -> None:
    router = made(shop)
    try:
        assert (await router.observe()).pending == "gateway edge has said nothing of the route"
    finally:
        await router.close()


async def test_a_third_backend_with_traffic_is_named(router: GatewayApiRouter, shop: Namespace) -> None:
    third = {"name": "checkout-old", "port": 80, "weight": 3}
    add = [{"op": "add", "path": "/spec/rules/0/backendRefs/0", "value": third}]
    await router.observe()
    shop.api.patch("HTTPRoute", APP, add, style="json")
    with pytest.raises(RouterError, match=r"other backends get traffic of this rule too: checkout-old \(3\)"):
        await router.observe()


async def test_the_way_back_finds_backends_that_have_moved(router: GatewayApiRouter, shop: Namespace) -> None:
    """Their places were read before somebody put another one first."""
    await raised(router, 25)
    third = {"name": "checkout-old", "port": 80, "weight": 0}
    shop.api.patch(
        "HTTPRoute", APP, [{"op": "add", "path": "/spec/rules/0/backendRefs/0", "value": third}], style="json"
    )
    await router.shift(write(0))
    assert weights(shop) == {"checkout-old": 0, STABLE: 100, CANARY: 0}


async def test_a_way_back_is_one_patch_and_nothing_is_read_before_it(
    router: GatewayApiRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raised(router, 25)
    sent: list[str] = []
    send = Connection.send

    async def noted(self: Connection, request: Request, time_limit: float) -> dict[str, Any]:
        sent.append(request.method)
        return await send(self, request, time_limit)

    monkeypatch.setattr(Connection, "send", noted)
    await asyncio.wait_for(router.shift(write(0)), 5)
    assert [method for method in sent if method != "GET"] == ["PATCH"]
    assert sent[0] == "PATCH"


async def test_a_route_that_was_deleted_is_said_and_moved_again_when_it_is_back(
    router: GatewayApiRouter, shop: Namespace
) -> None:
    await raised(router, 25)
    shop.api.delete("HTTPRoute", APP)
    for asked in (router.observe, lambda: router.shift(write(0))):
        with pytest.raises(RouterError, match=f"there is no httproute {APP} in namespace {shop.name}"):
            await asked()
    shop.api.apply(route(stable=75, canary=25))
    await router.shift(write(0))
    await seen_when(router, lambda seen: seen.weight == 0 and not seen.pending)


async def test_annotations_that_others_put_there_meanwhile_stay(router: GatewayApiRouter, shop: Namespace) -> None:
    await router.observe()
    shop.api.patch("HTTPRoute", APP, {"metadata": {"annotations": {"team": "shop"}}})
    await router.shift(write(0))
    assert shop.api.get("HTTPRoute", APP)["metadata"]["annotations"]["team"] == "shop"


async def test_a_raise_whose_answer_was_lost_is_known_as_written(router: GatewayApiRouter) -> None:
    again = write(25, (await router.observe()).generation, "7.1")
    await router.shift(again)
    assert await router.shift(again) == "written already"


async def test_who_changed_the_weights_by_hand_is_known(router: GatewayApiRouter, shop: Namespace) -> None:
    assert (await raised(router, 25)).hand == ""
    set_weights(shop, 90, 10)
    assert (await router.observe()).hand.startswith("kubectl-edit at 20")


async def test_a_grpc_route_is_moved_in_the_same_way(shop: Namespace) -> None:
    shop.api.apply(route("checkout-grpc", kind="GRPCRoute"))
    with running_gateway(shop, None, {STABLE: "stable", CANARY: "canary"}, kind="GRPCRoute"):
        router = made(shop, kind="GRPCRoute", route="checkout-grpc", rule="main")
        try:
            await raised(router, 25)
            await router.shift(write(0))
            await seen_when(router, lambda seen: seen.weight == 0 and not seen.pending)
        finally:
            await router.close()


# --- whose it is


@pytest.mark.parametrize(
    ("kind", "name", "metadata", "said"),
    [
        ("HTTPRoute", APP, {"labels": {"rollouts.argoproj.io/gatewayapi-canary": "in-progress"}}, "Argo Rollouts"),
        (
            "Service",
            CANARY,
            {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "checkout"}},
            f"service {CANARY} belongs to Argo Rollouts .Rollout checkout",
        ),
        (
            "HTTPRoute",
            APP,
            {
                "ownerReferences": [
                    {
                        "apiVersion": "flagger.app/v0",  # no version that the garbage collector knows
                        "kind": "Canary",
                        "name": "checkout",
                        "uid": "1",
                        "controller": True,
                    }
                ]
            },
            "Flagger .Canary checkout",
        ),
    ],
)
async def test_what_another_controller_moves_is_refused_with_its_name(
    router: GatewayApiRouter, shop: Namespace, kind: str, name: str, metadata: dict[str, Any], said: str
) -> None:
    shop.api.patch(kind, name, {"metadata": metadata})
    with pytest.raises(RouterError, match=said):
        await router.observe()
    with pytest.raises(RouterConflict, match=said):
        await router.claim(RELEASE, ENGINE)


async def test_what_git_puts_back_is_told_with_the_rule(router: GatewayApiRouter, shop: Namespace) -> None:
    tracking = {"argocd.argoproj.io/tracking-id": f"shop:gateway.networking.k8s.io/HTTPRoute:{shop.name}/{APP}"}
    shop.api.patch("HTTPRoute", APP, {"metadata": {"annotations": tracking}})
    [told] = [each for each in await router.examine() if each.what == "Argo CD"]
    assert told.grade == "warn"
    assert '- ".spec.rules[0].backendRefs[].weight"' in told.mend
    assert "RespectIgnoreDifferences=true" in told.mend


# --- both sides


async def test_versions_builds_and_sizes_are_those_of_the_current_template(
    router: GatewayApiRouter, shop: Namespace
) -> None:
    first = await router.observe()
    assert (first.canary, first.stable, first.canary_workload, first.stable_workload) == (
        *("v1.1.0", "v1.0.0"),
        *(CANARY, STABLE),
    )
    assert (first.canary_ready, first.stable_ready, first.canary_asked, first.full) == (2, 2, 2, 2)
    change = {"spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/version": "v1.2.0"}}}}}
    shop.api.patch("Deployment", CANARY, change)
    second = await seen_when(router, lambda seen: seen.canary == "v1.2.0" and seen.canary_ready == 2)
    assert second.canary_build != first.canary_build
    assert second.stable_build == first.stable_build


async def test_restarts_and_kills_for_memory_are_vitals(router: GatewayApiRouter, shop: Namespace) -> None:
    assert dict((await router.observe()).vitals) == {"restarts": 0, "oom_kills": 0, "unready": 0}
    kill_once(shop.api, "track=canary")
    await seen_when(router, lambda seen: seen.vitals["restarts"] == 2 and seen.vitals["oom_kills"] == 2)


async def test_a_canary_that_is_not_there_yet_is_a_remark(router: GatewayApiRouter, shop: Namespace) -> None:
    shop.api.delete("Deployment", CANARY)
    seen = await seen_when(router, lambda seen: not seen.canary)
    assert (seen.canary_ready, seen.stable, seen.weight) == (None, "v1.0.0", 0)
    assert "canary" in seen.remark


async def test_sides_grow_to_their_share_and_never_shrink(router: GatewayApiRouter, shop: Namespace) -> None:
    shop.api.scale(STABLE, 5)
    shop.api.scale(CANARY, 1)
    until_ready(shop, STABLE, 5)
    await seen_when(router, lambda seen: seen.full == 5)
    await router.claim(RELEASE, ENGINE)
    assert await router.scale(25) == f"{CANARY} scaled from 1 to 2"
    await seen_when(router, lambda seen: seen.canary_asked == 2)
    assert await router.scale(5) == ""
    shop.api.scale(STABLE, 3)
    seen = await seen_when(router, lambda seen: seen.stable_ready == 3)
    assert seen.full == 5, "what stable had when the release began"
    assert f"{STABLE} scaled from 3 to 5" in await router.scale(100)
    await seen_when(router, lambda seen: seen.canary_ready == 5 and seen.stable_ready == 5)


async def test_an_autoscalers_minimum_is_held_and_given_back(router: GatewayApiRouter, shop: Namespace) -> None:
    shop.api.apply(autoscaler(STABLE, 1, 10), autoscaler(CANARY, 1, 1))
    await router.claim(RELEASE, ENGINE)
    with pytest.raises(RouterError, match="allows 1 replicas and the release needs 2: raise maxReplicas"):
        await router.scale(100)
    assert shop.api.get("HorizontalPodAutoscaler", STABLE)["spec"]["minReplicas"] == 2
    said = await router.let_go(Ending(RELEASE, "rolled_back"))
    assert "has its minimum of 1 again" in said
    kept = shop.api.get("HorizontalPodAutoscaler", STABLE)
    assert kept["spec"]["minReplicas"] == 1
    assert not [name for name in kept["metadata"].get("annotations", {}) if "laneshift" in name]
    assert await router.let_go(Ending(RELEASE, "rolled_back")) == ""


async def test_the_canary_goes_to_nothing_when_the_ending_says_so(router: GatewayApiRouter, shop: Namespace) -> None:
    await router.claim(RELEASE, ENGINE)
    await raised(router, 25)
    await router.shift(write(0))
    await router.let_go(Ending(RELEASE, "rolled_back", canary_to_zero=True))
    assert shop.api.get("Deployment", CANARY)["spec"]["replicas"] == 0
    assert marks_of(shop.api.get("HTTPRoute", APP)).release == ""


# --- finish: copy, and the way back from it


def template_of(shop: Namespace, name: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.api.get("Deployment", name)["spec"]["template"]
    return found


async def copied(router: GatewayApiRouter) -> None:
    async def step() -> str:
        return await router.finish(write(100, (await router.observe()).generation, "3.1"))

    await until_done(step, "stable has the new version and all of the traffic")
    await seen_when(router, lambda seen: seen.finished)


async def test_a_copy_gives_stable_the_new_version_and_the_traffic(router: GatewayApiRouter, shop: Namespace) -> None:
    await router.claim(RELEASE, ENGINE)
    await raised(router, 100)
    await copied(router)
    assert weights(shop) == {STABLE: 100, CANARY: 0}
    seen = await router.observe()
    assert (seen.weight, seen.stable, seen.stable_ready) == (100, "v1.1.0", 2)
    assert template_of(shop, STABLE)["metadata"]["labels"]["track"] == "stable"
    await router.let_go(Ending(RELEASE, "promoted"))
    assert shop.api.get("Deployment", CANARY)["spec"]["replicas"] == 0
    after = await seen_when(router, lambda seen: seen.canary_ready == 0)
    assert (after.weight, after.mark) == (0, "")


@pytest.mark.parametrize("whole", [False, True], ids=["half-way", "complete"])
async def test_a_roll_back_of_a_copy_restores_the_old_version(
    router: GatewayApiRouter, shop: Namespace, whole: bool
) -> None:
    before = template_of(shop, STABLE)
    await raised(router, 100)
    if whole:
        await copied(router)
    else:
        await router.finish(write(100, (await router.observe()).generation, "3.1"))
        await seen_when(router, lambda seen: seen.stable == "v1.1.0")
    await router.shift(write(0, None, "4.1"))
    seen = await seen_when(router, lambda seen: seen.weight == 0 and not seen.pending)
    assert (seen.stable, seen.stable_ready, weights(shop)) == ("v1.0.0", 2, {STABLE: 100, CANARY: 0})
    assert template_of(shop, STABLE) == before
    until_ready(shop, STABLE, 2)


async def test_a_router_that_read_nothing_yet_restores_the_old_version_too(
    router: GatewayApiRouter, shop: Namespace
) -> None:
    """As after a crash of the engine in mid-copy."""
    before = template_of(shop, STABLE)
    await raised(router, 100)
    await copied(router)
    another = made(shop)
    try:
        await another.shift(write(0, None, "4.1"))
        assert template_of(shop, STABLE) == before
        await seen_when(another, lambda seen: seen.weight == 0 and not seen.pending)
    finally:
        await another.close()


async def test_rollback_sh_restores_the_old_version_after_a_copy(
    router: GatewayApiRouter, shop: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", shop.world.environment()["PATH"])
    before = template_of(shop, STABLE)
    await raised(router, 100)
    await copied(router)
    code, said = await run(str(rollback_sh(router, tmp_path)))
    assert code == 0, said
    assert template_of(shop, STABLE) == before
    seen = await seen_when(router, lambda seen: seen.weight == 0 and not seen.pending)
    assert seen.stable == "v1.0.0"


async def test_three_releases_in_a_row_on_one_route(shop: Namespace, gateway: RouteGateway) -> None:
    """finish: swap: what was the canary is stable the next time."""
    sides = [STABLE, CANARY]
    for number in range(3):
        router = made(shop, stable=sides[0], canary=sides[1])
        try:
            await router.claim(f"checkout-{number}", ENGINE)
            await raised(router, 50, f"{number}.1")
            await router.shift(write(0, None, f"{number}.2"))
            await seen_when(router, lambda seen: seen.weight == 0 and not seen.pending)
            await raised(router, 100, f"{number}.3")
            await router.let_go(Ending(f"checkout-{number}", "promoted"))
        finally:
            await router.close()
        assert weights(shop)[sides[1]] == 100
        sides.reverse()


# --- what it may


def rules_of(router: GatewayApiRouter) -> list[dict[str, Any]]:
    return [
        {
            "apiGroups": [each.kind.group],
            "resources": [each.kind.plural + (f"/{each.subresource}" if each.subresource else "")],
            "verbs": [each.verb],
        }
        for each in router._permissions()
    ]


async def test_with_its_permissions_everything_works_and_with_one_less_the_doctor_says_which(
    shop: Namespace, gateway: RouteGateway
) -> None:
    user = "rbac-4"
    router = made(shop, user)
    shop.api.apply(autoscaler(STABLE, 1, 10))
    rules = rules_of(router)
    try:
        shop.grant(user, *rules)
        await seen_when(router, lambda seen: not seen.pending)
        await router.claim(RELEASE, ENGINE)
        await router.scale(100)
        await raised(router, 100)
        await copied(router)
        await router.rehearse(write(0, None, "5.1"))
        await router.shift(write(0, None, "5.2"))
        await seen_when(router, lambda seen: seen.weight == 0 and not seen.pending)
        await router.let_go(Ending(RELEASE, "rolled_back", canary_to_zero=True))
        shop.api.scale(CANARY, 1)
        assert [each for each in await router.examine() if each.grade == "bad"] == []
        for left_out, permission in enumerate(router._permissions()):
            shop.grant(user, *rules[:left_out], *rules[left_out + 1 :])
            await asyncio.sleep(0.3)  # the server takes a role in its own time
            [told] = [each for each in await router.examine() if each.what == "permissions"]
            assert told.grade == ("warn" if permission.optional else "bad")
            assert str(permission) in told.said
            assert permission.verb in told.mend
    finally:
        await router.close()
