"""`laneshift start --observe` on what real controllers drive: judged and followed to its end, and never touched. The
engine's user has the role deploy/rbac/observe.yaml and no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

import httpx
import pytest
import yaml

import sample_configs
from engine.host import Host, RefusedError, StartOrder
from engine.kube.connection import Connection, Request
from engine.outlook import outlook
from engine.plan.selector import Subject
from engine.sources import Source
from engine.sources.reading import PART, TOTAL, Reading
from engine.state import Phase, State
from tests.deploy.manifests import FOLDER, OBSERVE
from tests.support.argo_shop import ArgoShop
from tests.support.flagger_shop import TOKEN, FlaggerShop, prometheus, shop_in
from tests.support.kube_api import Object
from tests.support.kube_process import listens
from tests.support.kube_shop import APP, deployment, until_ready
from tests.support.kube_users import binding
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

USER = "rbac-8"
PATIENCE_S = 45
READS = {"GET"}
STEPS = ({"setWeight": 20}, {"pause": {"duration": 12}}, {"setWeight": 60}, {"pause": {"duration": 3}})


class Scripted(Source):
    """40,000 requests a look, of each side as many as its share of the traffic is by now; of the canary's as many bad
    as the test says."""

    share: ClassVar[Callable[[], float]]
    bad_share: ClassVar[float] = 0.0

    def __init__(self, _config: Any) -> None:
        self._counts = dict.fromkeys(("canary", "stable", "bad"), 0.0)

    async def read(self, queries: Any, *, canary: Subject, stable: Subject) -> Reading:
        requests = 400 * await asyncio.to_thread(type(self).share)
        self._counts["canary"] += requests
        self._counts["stable"] += 40_000 - requests
        self._counts["bad"] += requests * self.bad_share
        counted = {("canary", PART): self._counts["bad"], ("stable", PART): 0.0}
        counted |= {("canary", TOTAL): self._counts["canary"], ("stable", TOTAL): self._counts["stable"]}
        read: dict[tuple[str, Literal["canary", "stable"], str], dict[str, float]] = {
            (query.metric.name, "canary" if side == "canary" else "stable", role): {"one": count}
            for query in queries
            for (side, role), count in counted.items()
        }
        return Reading(time.time(), read)

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The methods of all requests that the engine sends to the API server."""
    seen: set[str] = set()
    send = Connection.send

    async def heard(self: Connection, request: Request, time_limit: float) -> dict[str, Any]:
        seen.add(request.method)
        return await send(self, request, time_limit)

    monkeypatch.setattr(Connection, "send", heard)
    return seen


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr("engine.sources.prometheus.PrometheusSource", Scripted)
    monkeypatch.setattr(Scripted, "bad_share", 0.0)
    made = Host(tmp_path)
    yield made
    await made.close()


def order(
    sample: str, kube: Namespace, share: Callable[[], float], *, observe: bool = True, **router: Any
) -> StartOrder:
    """The sample with other names, one metric, and a second for each bake; `share` is how much of the traffic the
    canary has."""
    Scripted.share = staticmethod(share)
    role = yaml.safe_load((FOLDER / f"{OBSERVE}.yaml").read_text())
    kube.api.apply(role, binding(role["metadata"]["name"], USER))
    written = yaml.safe_load(sample_configs.path(sample).read_text())
    [settings] = written["router"].values()
    settings |= {"namespace": kube.name, "kubeconfig": str(kube.kubeconfig(USER)), **router}
    written["source"]["prometheus"] |= {"interval": "1s", "timeout": "800ms"}
    written["metrics"] = {"error_rate": {"total": "requests", "bad": "bad", "alert": "> 20%"}}
    for stage in written["stages"]:
        stage |= {"bake": "1s", "warmup": "0s", "min_requests": 5}
    return StartOrder(yaml.safe_dump(written | {"history": "1s"}).encode(), sample, "ana", observe=observe)


async def until(host: Host, release: str, holds: Callable[[State], object]) -> State:
    """Until the release is as asked; returns it."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(host.state(release)):  # noqa: ASYNC110  a state has no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        state = host.state(release)
        waits = outlook(state, time.time()).waits_for
        pytest.fail(f"still {state.phase} at {state.observed}: {waits}; {state.pending} {state.router_problem}")
    return host.state(release)


def would(state: State, act: str) -> list[int]:
    """At which weights laneshift would have done it, each at a moment of the watch."""
    assert state.ended_at is None or all(state.created_at < each.at <= state.ended_at for each in state.would)
    return [each.weight for each in state.would if each.act == act]


def managers(*items: Object) -> set[str]:
    return {each["manager"] for item in items for each in item["metadata"]["managedFields"]}


def share_of(shop: ArgoShop | FlaggerShop) -> Callable[[], float]:
    """The canary's, as its owner has it by now: nothing before there is one, and everything when it is stable."""

    def share() -> float:
        with suppress(httpx.HTTPStatusError, KeyError, ZeroDivisionError):
            return 100.0 if is_stable(shop) else shop.weight()
        return 0.0

    return share


def is_stable(shop: ArgoShop | FlaggerShop) -> bool:
    """Has its owner promoted v1.1.0?"""
    status = shop.read()["status"]
    if isinstance(shop, FlaggerShop):
        return status["phase"] in ("Finalising", "Succeeded")
    return status["stableRS"] == status["currentPodHash"] and "v1.1.0" in str(shop.read()["spec"]["template"])


# --- a Deployment


def update(kube: Namespace, version: str) -> Object:
    """A Deployment of four pods that are replaced one by one, each ready after two seconds."""
    made = deployment(APP, version=version, replicas=4, track="any", ready_after="2s")
    made["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    kube.api.apply(made, manager="pipeline")
    return made


@pytest.fixture
def kept(kube: Namespace) -> Namespace:
    """v1.0.0 serves everything."""
    kube.world.run_workloads()
    update(kube, "v1.0.0")
    until_ready(kube, APP, 4)
    return kube


async def at_one_of_five(host: Host, release: str, kube: Namespace) -> State:
    """v1.1.0 comes, and the update stands still with its first pod."""
    await until(host, release, lambda state: state.observed == 0)
    await asyncio.to_thread(update, kube, "v1.1.0")
    kube.api.patch("Deployment", APP, {"spec": {"paused": True}}, manager="kubectl-rollout")
    return await until(host, release, lambda state: state.observed == 20)


async def test_an_update_that_is_complete_was_promoted(host: Host, kept: Namespace, sent: set[str]) -> None:
    release = await host.start(order("observe-deployment.yaml", kept, lambda: 20.0))
    await at_one_of_five(host, release, kept)
    state = await until(host, release, lambda state: would(state, "advance"))
    assert (state.canary, state.stable, state.stage, state.desired) == ("v1.1.0", "v1.0.0", 0, 20)
    kept.api.patch("Deployment", APP, {"spec": {"paused": False}}, manager="kubectl-rollout")
    state = await until(host, release, lambda state: state.phase is Phase.PROMOTED)
    assert would(state, "advance")[0] == 20
    assert would(state, "rollback") == []
    assert sent == READS
    assert "laneshift" not in managers(kept.api.get("Deployment", APP), *kept.api.list_of("ReplicaSet"))


async def test_an_update_that_is_undone_was_rolled_back(
    host: Host, kept: Namespace, sent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = await host.start(order("observe-deployment.yaml", kept, lambda: 20.0))
    monkeypatch.setattr(Scripted, "bad_share", 0.5)
    await at_one_of_five(host, release, kept)
    state = await until(host, release, lambda state: would(state, "rollback"))
    assert "error_rate" in state.would[0].reason
    kept.api.patch("Deployment", APP, {"spec": {"paused": False}}, manager="kubectl-rollout")
    await asyncio.to_thread(kept.kubectl, "rollout", "undo", f"deployment/{APP}")
    state = await until(host, release, lambda state: state.phase is not Phase.STAGE)
    assert (state.phase, state.canary, state.stable) == (Phase.ROLLED_BACK, "v1.1.0", "v1.0.0")
    assert state.rollback is not None
    assert "kubectl" in state.rollback.who
    assert sent == READS


async def test_a_canary_whose_pods_have_failed_was_not_rolled_back_by_that(host: Host, kept: Namespace) -> None:
    release = await host.start(order("observe-deployment.yaml", kept, lambda: 20.0))
    state = await at_one_of_five(host, release, kept)
    labels = f"app={APP},pod-template-hash={state.canary_build}"
    for pod in kept.api.list_of("Pod", labels):
        change = {"metadata": {"annotations": {"kube-tests/pods": "crashing"}}}
        kept.api.patch("Pod", pod["metadata"]["name"], change)
    state = await until(host, release, lambda state: state.observed == 0)
    assert (state.phase, state.pending) == (Phase.STAGE, "no pod of v1.1.0 is ready")


async def test_a_start_that_would_move_a_deployment_is_refused(host: Host, kept: Namespace) -> None:
    with pytest.raises(RefusedError, match="start it with --observe"):
        await host.start(order("observe-deployment.yaml", kept, lambda: 20.0, observe=False))
    assert host.ids() == []


# --- a Rollout


def analysis(value: int) -> Object:
    """Takes three seconds; Argo aborts for another value than 1."""
    metric = {
        "name": "judged-by-argo",
        "interval": "1s",
        "count": 3,
        "successCondition": "result[0] == 1",
        "provider": {"prometheus": {"address": prometheus(), "query": f"vector({value})"}},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "judged-by-argo"},
        "spec": {"metrics": [metric]},
    }


def rollout_with_steps_of_its_own(shop: ArgoShop, value: int) -> None:
    """Timed pauses and an analysis after its first weight: nothing that laneshift could order."""
    shop.kube.world.run_argo_rollouts()
    shop.kube.api.apply(analysis(value))
    inline = {"analysis": {"templates": [{"templateName": "judged-by-argo"}]}}
    shop.open(steps=[*STEPS[:2], inline, *STEPS[2:]])


@pytest.mark.parametrize("routed", [True, False])
async def test_a_rollout_that_argo_promotes_was_promoted(
    host: Host, kube: Namespace, sent: set[str], *, routed: bool
) -> None:
    shop = ArgoShop(kube, routed=routed)
    await asyncio.to_thread(rollout_with_steps_of_its_own, shop, 1)
    release = await host.start(order("observe-argo-rollouts.yaml", kube, share_of(shop)))
    await until(host, release, lambda state: state.observed == 0)
    await asyncio.to_thread(shop.push, "v1.1.0", wait=False)
    state = await until(host, release, lambda state: would(state, "advance"))
    assert (state.canary, state.stable) == ("v1.1.0", "v1.0.0")
    assert would(state, "advance") == [20]
    state = await until(host, release, lambda state: state.phase is not Phase.STAGE)
    assert state.phase is Phase.PROMOTED
    assert (state.weights[0], state.observed) == (20, 100)
    assert would(state, "rollback") == []
    assert sent == READS
    assert "laneshift" not in managers(shop.read())


async def test_a_rollout_that_argo_aborts_was_rolled_back_and_laneshift_says_when_it_would_have(
    host: Host, kube: Namespace, sent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = ArgoShop(kube)
    await asyncio.to_thread(rollout_with_steps_of_its_own, shop, 0)
    monkeypatch.setattr(Scripted, "bad_share", 0.5)
    release = await host.start(order("observe-argo-rollouts.yaml", kube, share_of(shop)))
    await until(host, release, lambda state: state.observed == 0)
    await asyncio.to_thread(shop.push, "v1.1.0", wait=False)
    state = await until(host, release, lambda state: state.phase in (Phase.ROLLED_BACK, Phase.PROMOTED))
    assert state.phase is Phase.ROLLED_BACK
    assert state.rollback is not None
    assert "Argo Rollouts (" in state.rollback.who
    assert set(would(state, "rollback")) == {20}
    assert (state.would[0].metric, would(state, "advance")) == ("error_rate", [])
    assert sent == READS
    assert "laneshift" not in managers(shop.read())


# --- a Canary


def canary_of_flaggers_own(shop: FlaggerShop) -> None:
    """No gates, and other weights than laneshift could approve."""
    shop.open(weights=(30, 60), gates=())


async def looked(shop: FlaggerShop, holds: Callable[[Object], object]) -> None:
    """Flagger looks until its Canary is as asked."""
    with shop.hurried():
        await asyncio.to_thread(shop.until, holds)


async def test_a_canary_that_flagger_promotes_was_promoted(
    host: Host, kube: Namespace, sent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shop_in(kube)
    await asyncio.to_thread(canary_of_flaggers_own, shop)
    monkeypatch.setenv("GATES_TOKEN", TOKEN)
    gates = {"listen": f"127.0.0.1:{shop.port}", "token": "${env:GATES_TOKEN}"}
    release = await host.start(order("observe-flagger.yaml", kube, share_of(shop), gates=gates))
    await until(host, release, lambda state: state.observed == 0)
    await asyncio.to_thread(shop.push, "v1.1.0")
    await looked(shop, lambda status: status["canaryWeight"] == 30)
    state = await until(host, release, lambda state: would(state, "advance"))
    assert (state.canary, state.stable, state.desired) == ("v1.1.0", "v1.0.0", 30)
    assert not listens(shop.port)
    await looked(shop, lambda status: status["phase"] == "Succeeded")
    state = await until(host, release, lambda state: state.phase is not Phase.STAGE)
    assert state.phase is Phase.PROMOTED
    assert sent == READS
    assert "laneshift" not in managers(shop.read(), kube.api.get("HTTPRoute", APP))


async def test_a_canary_that_flagger_fails_was_rolled_back(
    host: Host, kube: Namespace, sent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shop_in(kube)
    await asyncio.to_thread(canary_of_flaggers_own, shop)
    monkeypatch.setattr(Scripted, "bad_share", 0.5)
    release = await host.start(order("observe-flagger.yaml", kube, share_of(shop)))
    await until(host, release, lambda state: state.observed == 0)
    await asyncio.to_thread(shop.push, "v1.1.0")
    await looked(shop, lambda status: status["canaryWeight"] == 30)
    await until(host, release, lambda state: would(state, "rollback") == [30])
    kube.api.patch("Canary", APP, {"status": {"failedChecks": 99}}, subresource="status")
    await looked(shop, lambda status: status["phase"] == "Failed")
    state = await until(host, release, lambda state: state.phase is not Phase.STAGE)
    assert state.phase is Phase.ROLLED_BACK
    assert state.rollback is not None
    assert state.rollback.who.startswith("Flagger (")
    assert sent == READS


async def test_a_start_that_would_answer_no_gates_is_refused(host: Host, kube: Namespace) -> None:
    shop = shop_in(kube)
    await asyncio.to_thread(canary_of_flaggers_own, shop)
    with pytest.raises(RefusedError, match="names no gates"):
        await host.start(order("observe-flagger.yaml", kube, share_of(shop), observe=False))


async def test_a_name_that_is_not_there_is_said_with_those_that_are(host: Host, kept: Namespace) -> None:
    release = await host.start(order("observe-deployment.yaml", kept, lambda: 20.0, name="warehouse"))
    state = await until(host, release, lambda state: state.router_problem)
    assert APP in state.router_problem
    assert state.phase is Phase.PREFLIGHT
