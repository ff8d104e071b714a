"""The plans for Istio, replicas, blue-green and ingress-nginx, run as they are but for the pace and the metrics: by a
real engine on a real API server, where the traffic is counted as the objects there share it out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import yaml

import sample_configs
from engine.host import Host, StartOrder
from engine.inputs import Order
from engine.kube.nginx_ingresses import WEIGHT
from engine.plan.selector import Subject
from engine.sources import Source
from engine.sources.reading import PART, TOTAL, Reading
from engine.state import Phase, State
from tests.engine.served import PRE
from tests.support.kube_api import Object
from tests.support.kube_routed import PREVIEW, NginxTarget, ReplicasTarget, destination_rule, virtual_service
from tests.support.kube_shop import APP, CANARY, STABLE, deployment, service, until_ready
from tests.support.kube_targets import sent_to
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

Weight = Callable[[Namespace], float]


@dataclass(frozen=True)
class Shop:
    """What a sample's plan is about: objects beside the two Deployments, and the canary's share of the traffic.

    label: that by which the pods of both sides differ
    first: the first weight that serves somebody
    """

    objects: tuple[Object, ...]
    weight: Weight
    label: str = "track"
    sides: tuple[str, str] = (STABLE, CANARY)
    first: int = 5


def by_pods(label: str, canary: str) -> Weight:
    def share(kube: Namespace) -> float:
        found = sent_to(kube, label=label)
        return 100 * found.count(canary) / max(1, len(found))

    return share


def by_routes(kube: Namespace) -> float:
    return float(kube.api.get("VirtualService", APP)["spec"]["http"][0]["route"][1]["weight"])


def by_annotation(kube: Namespace) -> float:
    return float(kube.api.get("Ingress", CANARY)["metadata"]["annotations"][WEIGHT])


SHOPS = {
    "istio.yaml": Shop((service(APP), virtual_service(), destination_rule("stable", "canary")), by_routes),
    "replicas.yaml": Shop(ReplicasTarget.objects, by_pods("track", "canary"), first=10),
    "blue-green.yaml": Shop(
        (service(APP, slot="blue"), service(PREVIEW, slot="blue")),
        by_pods("slot", "green"),
        label="slot",
        sides=(f"{APP}-blue", f"{APP}-green"),
        first=100,
    ),
    "ingress-nginx.yaml": Shop(NginxTarget.objects, by_annotation),
}


class Counted(Source):
    """40,000 requests a look, none bad, of each side as many as its share of the traffic is by now."""

    share: ClassVar[Callable[[], float]]

    def __init__(self, _config: Any) -> None:
        self._counts: dict[Literal["canary", "stable"], float] = {"canary": 0.0, "stable": 0.0}

    async def read(self, queries: Any, *, canary: Subject, stable: Subject) -> Reading:
        share = await asyncio.to_thread(type(self).share)
        self._counts["canary"] += 400 * share
        self._counts["stable"] += 40_000 - 400 * share
        read = {
            (query.metric.name, side, role): {"one": count if role == TOTAL else 0.0}
            for query in queries
            for side, count in self._counts.items()
            for role in (TOTAL, PART)
        }
        return Reading(time.time(), read)

    async def close(self) -> None:
        """Nothing to let go of."""


def deployed(shop: Shop, kube: Namespace) -> None:
    """Four pods of stable, one of the canary."""
    kube.world.install("istio")
    kube.world.run_workloads()
    for name, version, replicas in zip(shop.sides, ("v1.4.0", "v1.5.0"), (4, 1), strict=True):
        made = deployment(name, version=version, replicas=replicas)
        kube.api.apply(json.loads(json.dumps(made).replace('"track"', f'"{shop.label}"')))
    kube.api.apply(*shop.objects)
    for name, replicas in zip(shop.sides, (4, 1), strict=True):
        until_ready(kube, name, replicas)


def plan(name: str, kube: Namespace, first_bake: str) -> bytes:
    """The sample with a second for each bake but that of the first stage that serves somebody."""
    written = yaml.safe_load(sample_configs.path(name).read_text())
    [router] = written["router"].values()
    router |= {"namespace": kube.name, "kubeconfig": str(kube.kubeconfig())}
    written["source"]["prometheus"] |= {"interval": "1s", "timeout": "800ms"}
    written["metrics"] = {"error_rate": {"total": "requests", "bad": "bad", "alert": "> 20%"}}
    serving = [stage for stage in written["stages"] if stage["weight"]]
    for stage in serving:
        stage |= {"bake": first_bake if stage is serving[0] else "1s", "min_requests": 5}
    written |= {"checks": {}, "checklist": {"drop": PRE}, "advance": "auto", "history": "1s", "converge": "20s"}
    return yaml.safe_dump(written).encode()


@asynccontextmanager
async def engine(home: Path) -> AsyncIterator[Host]:
    host = Host(home)
    try:
        await host.resume()
        yield host
    finally:
        await host.close()


async def until(host: Host, release: str, holds: Callable[[State], object]) -> None:
    try:
        async with asyncio.timeout(35):
            while not holds(host.state(release)):  # noqa: ASYNC110  a state has no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        state = host.state(release)
        pytest.fail(
            f"still {state.phase}, {state.step}, {state.observed}: {state.pending} {dict(state.holds)} {state.rollback}"
        )


async def rolled_back(host: Host, release: str) -> None:
    await host.order(release, Order(at=time.time(), id="back", verb="rollback", who="ana"))
    await until(host, release, lambda state: state.phase is Phase.ROLLED_BACK)


@pytest.mark.parametrize("name", SHOPS)
async def test_a_release_is_rolled_back_and_the_next_promoted_and_rolled_back_too(
    name: str, kube: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = SHOPS[name]
    await asyncio.to_thread(deployed, shop, kube)
    monkeypatch.setattr(Counted, "share", staticmethod(lambda: shop.weight(kube)), raising=False)
    monkeypatch.setattr("engine.sources.prometheus.PrometheusSource", Counted)
    async with engine(tmp_path) as host:
        release = await host.start(StartOrder(plan(name, kube, first_bake="10m"), name, "ana", "v1.5.0"))
        await until(host, release, lambda state: state.observed == shop.first and not state.shifting)
        await rolled_back(host, release)
        assert shop.weight(kube) == 0
        release = await host.start(StartOrder(plan(name, kube, first_bake="1s"), name, "ana", "v1.5.0"))
        await until(host, release, lambda state: state.phase is Phase.PROMOTED)
        assert shop.weight(kube) == 100
        assert kube.api.get("Deployment", shop.sides[0])["status"]["readyReplicas"] == 4
        await rolled_back(host, release)
        assert shop.weight(kube) == 0
