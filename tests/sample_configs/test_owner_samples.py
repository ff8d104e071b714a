"""The plans for Argo Rollouts and Flagger, run as they are but for the pace and the metrics: by a real engine, with the
real controllers moving the traffic."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import yaml

import sample_configs
from engine.host import StartOrder
from engine.state import Phase
from tests.engine.served import PRE
from tests.sample_configs.test_kube_samples import Counted, engine, rolled_back, until
from tests.support.argo_shop import ArgoShop
from tests.support.flagger_shop import TOKEN, FlaggerShop, shop_in
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

WEIGHTS = (5, 25, 50, 100)
OWNED = ("argo-rollouts.yaml", "flagger.yaml")


def plan(name: str, shop: ArgoShop | FlaggerShop, first_bake: str) -> bytes:
    """The sample with a second for each bake but the first, in this namespace."""
    written = yaml.safe_load(sample_configs.path(name).read_text())
    [router] = written["router"].values()
    router |= {"namespace": shop.kube.name, "kubeconfig": str(shop.kube.kubeconfig())}
    if isinstance(shop, FlaggerShop):
        router["gates"]["listen"] = f"127.0.0.1:{shop.port}"
    written["source"]["prometheus"] |= {"interval": "1s", "timeout": "800ms"}
    written["metrics"] = {"error_rate": {"total": "requests", "bad": "bad", "alert": "> 20%"}}
    for stage in written["stages"]:
        stage |= {"bake": first_bake if stage["weight"] == WEIGHTS[0] else "1s", "min_requests": 5}
    written |= {"checks": {}, "checklist": {"drop": PRE}, "advance": "auto", "history": "1s", "converge": "30s"}
    return yaml.safe_dump(written).encode()


def opened(name: str, kube: Namespace) -> ArgoShop | FlaggerShop:
    """The shop as the sample says it, at v1.0.0."""
    shop = ArgoShop(kube) if name.startswith("argo") else shop_in(kube)
    shop.open(weights=WEIGHTS)
    return shop


def hurried(shop: ArgoShop | FlaggerShop) -> AbstractContextManager[None]:
    """Flagger's looks are seconds apart otherwise."""
    return shop.hurried() if isinstance(shop, FlaggerShop) else nullcontext()


@pytest.mark.parametrize("name", OWNED)
async def test_a_release_is_rolled_back_and_the_next_one_handed_over(
    name: str, kube: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await asyncio.to_thread(opened, name, kube)
    monkeypatch.setenv("FLAGGER_GATES_TOKEN", TOKEN)
    monkeypatch.setattr(Counted, "share", staticmethod(shop.weight), raising=False)
    monkeypatch.setattr("engine.sources.prometheus.PrometheusSource", Counted)
    async with engine(tmp_path) as host:
        with hurried(shop):
            release = await host.start(StartOrder(plan(name, shop, "10m"), name, "ana", "v1.5.0"))
            await asyncio.to_thread(shop.push, "v1.5.0")
            await until(host, release, lambda state: state.observed == WEIGHTS[0] and not state.shifting)
            assert shop.weight() == WEIGHTS[0]
            await rolled_back(host, release)
            assert shop.weight() == 0
            release = await host.start(StartOrder(plan(name, shop, "1s"), name, "ana", "v1.6.0"))
            await asyncio.to_thread(shop.push, "v1.6.0")
            await until(host, release, lambda state: state.phase is Phase.PROMOTED)
            assert host.state(release).observed == 100
            assert host.state(release).finished
